"""The sample of each kind of column, the same bytes on every machine: all chance comes from one integer hash."""
import datetime
import uuid

import numpy as np
import pyarrow as pa

ROWS = 250_000


def noise(kind, count=ROWS):
    """A 64-bit number without a pattern for each row."""
    x = np.arange(count, dtype=np.uint64) + np.uint64(kind) * np.uint64(1 << 32)
    for factor in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93):
        x = x * np.uint64(factor)
        x ^= x >> np.uint64(32)
    return x


def chance(kind, count=ROWS):
    """A number from 0 to 1 for each row."""
    return (noise(kind, count) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def below(kind, n, count=ROWS):
    return (noise(kind, count) % np.uint64(n)).astype(np.int64)


def skewed(kind, n, count=ROWS):
    """Numbers below n, the small ones often."""
    return (chance(kind, count) ** 3 * n).astype(np.int64)


def sorted_ids():
    return pa.array(1_000_000 + np.cumsum(1 + below(1, 4)), pa.int64())


def timestamps():
    start = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc).timestamp() * 1e6)
    return pa.array(start + np.cumsum(below(2, 250_000)), pa.timestamp("us", "UTC"))


def prices():
    # A catalogue of 5,000 prices, most of them ending in 99 cents, each sold at a discount now and then.
    cents = 100 * (1 + skewed(3, 900, 5000)) - np.where(chance(4, 5000) < 0.7, 1, below(5, 100, 5000))
    sold = cents[skewed(6, 5000)] * np.where(chance(7) < 0.2, 90 - below(8, 4) * 10, 100) // 100
    return pa.array(sold / 100.0, pa.float64())


def few_strings():
    names = [f"{a} {b}" for a in ("North", "South", "East", "West") for b in ("Harbour", "Market", "Bridge", "Station", "Park")]
    return pa.array([names[i] for i in skewed(9, len(names))])


def many_strings():
    first = ["anna", "bela", "carl", "dora", "emil", "fina", "gerd", "hana", "ivan", "jule", "karl", "lena", "mona", "nils"]
    last = ["adler", "bauer", "cohen", "diaz", "evans", "fischer", "garcia", "huang", "ito", "jensen", "khan", "lopez"]
    a, b, n = below(10, len(first)), below(11, len(last)), below(12, 1_000_000)
    return pa.array([f"{first[i]}.{last[j]}{k}" for i, j, k in zip(a, b, n)])


def urls():
    hosts = ["www.example.com", "shop.example.com", "news.example.org", "cdn.example.net"]
    words = ["new", "old", "red", "blue", "shoe", "coat", "hat", "list", "sale", "item", "page", "user", "view", "edit"]
    h, a, b, n = skewed(13, 4), below(14, len(words)), below(15, len(words)), skewed(16, 100_000)
    ref = chance(17) < 0.3
    return pa.array([f"https://{hosts[i]}/{words[j]}/{words[k]}-{m}{'?ref=mail' if r else ''}" for i, j, k, m, r in zip(h, a, b, n, ref)])


def flags():
    return pa.array(chance(18) < 0.1)


def sensor_floats():
    # A slow wave, a drift and noise, as a 16-bit converter gives them in volts.
    t = np.arange(ROWS)
    volts = 2.5 + np.sin(t / 5000.0) + np.cumsum(chance(19) - 0.5) / 500.0 + (chance(20) - 0.5) / 50.0
    return pa.array(np.round(volts / 5.0 * 65535) * (5.0 / 65535), pa.float64())


def random_floats():
    return pa.array(chance(21), pa.float64())


def uuids():
    a, b = noise(22), noise(23)
    return [uuid.UUID(int=(int(x) << 64) | int(y), version=4) for x, y in zip(a, b)]


def uuid_bytes():
    return pa.array([u.bytes for u in uuids()], pa.binary(16))


def uuid_text():
    return pa.array([str(u) for u in uuids()])


def lists():
    # Baskets of articles, the popular ones often.
    lengths = skewed(24, 10)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(skewed(25, 20_000, int(offsets[-1])), pa.int64()))


def sessions():
    # Ids in hexadecimal, each of which comes four times or so before it ends, among two thousand others.
    a, b = noise(26), noise(27)
    return pa.array([f"{a[i]:016x}{b[i]:016x}" for i in np.arange(ROWS) // 4 + below(28, 2000)])


KINDS = {
    "sorted ids": sorted_ids,
    "timestamps": timestamps,
    "prices": prices,
    "strings, few": few_strings,
    "strings, many": many_strings,
    "URLs": urls,
    "flags": flags,
    "sensor floats": sensor_floats,
    "random floats": random_floats,
    "UUIDs, 16 bytes": uuid_bytes,
    "UUIDs, text": uuid_text,
    "sessions": sessions,
    "lists": lists,
}
