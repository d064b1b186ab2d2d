#!/usr/bin/env python3
"""Makes the golden files of this folder with PyArrow: Parquet files that hypostyle did not write, and what is in them.

    python3 make.py [FOLDER]     (FOLDER: this one; PyArrow 26 made the files that are committed)

Each `contents/NAME.arrow` (Arrow IPC file) is read by hypostyle from one or more Parquet files. `manifest.json` says
which, and how they were written. A new golden is a new `write(...)` line here.

Before anything is kept, PyArrow reads each file back and must find the contents itself.
"""
import datetime as dt
import decimal
import json
import math
import os
import random
import sys
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
ROWS = 70
SMALL = dict(row_group_size=48, data_page_size=128, write_batch_size=16)
VARIANTS = {
    "dictionary-v1": dict(use_dictionary=True, data_page_version="1.0", write_page_index=True),
    "dictionary-v2": dict(use_dictionary=True, data_page_version="2.0", store_decimal_as_integer=True),
    "plain-v1": dict(use_dictionary=False, data_page_version="1.0", write_page_checksum=True),
    "plain-v2": dict(use_dictionary=False, data_page_version="2.0", write_page_checksum=True, write_page_index=True,
                     store_decimal_as_integer=True),
}
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]

random.seed(20130101)
manifest = []


def main():
    os.makedirs(os.path.join(FOLDER, "contents"), exist_ok=True)
    for name in os.listdir(FOLDER):
        if name.endswith(".parquet"):
            os.remove(os.path.join(FOLDER, name))
    for name in os.listdir(os.path.join(FOLDER, "contents")):
        os.remove(os.path.join(FOLDER, "contents", name))
    for group, columns in groups().items():
        table = with_all_nulls(columns)
        for variant, options in VARIANTS.items():
            write(f"{group}.{variant}", group, table, **SMALL, **options)
        write(f"{group}.no-arrow-schema", f"{group}.no-arrow-schema", table, store_schema=False, natural=True,
              compression="zstd")
    mixed = mixed_table(380)
    for codec in CODECS:
        for version in ["1.0", "2.0"]:
            write(f"codec.{codec}-v{version[0]}", "codec", mixed, compression=codec, data_page_version=version,
                  row_group_size=300, data_page_size=2048, write_batch_size=100, use_dictionary=["category"],
                  write_page_checksum=True)
    others()
    with open(os.path.join(FOLDER, "manifest.json"), "w") as out:
        lines = ",\n".join("  " + json.dumps(entry) for entry in manifest)
        out.write(f'{{"made_with": "pyarrow {pa.__version__}", "files": [\n{lines}\n]}}\n')
    print(f"{len(manifest)} files")


def others():
    """What one file each is enough for."""
    mixed = mixed_table(300)
    # Format version 1.0 writes PLAIN_DICTIONARY where later ones write RLE_DICTIONARY.
    write("plain-dictionary", "plain-dictionary", mixed, version="1.0", natural=True, store_schema=False)
    write("version-2.4", "version-2.4", mixed, version="2.4")
    write("empty", "empty", mixed.slice(0, 0))
    write("one-row", "one-row", mixed.slice(3, 1))
    write("row-groups", "row-groups", mixed.slice(0, 60), row_group_size=7)
    write("no-statistics", "no-statistics", mixed, write_statistics=False)
    instants = pa.table({
        "required": pa.array(instant_values("us"), pa.timestamp("us")).cast(pa.timestamp("ns")),
        "nullable": some_nulls(pa.array(instant_values("us"), pa.timestamp("us")).cast(pa.timestamp("ns"))),
    })
    write("int96", "int96", instants, use_deprecated_int96_timestamps=True, store_schema=False, natural=True)
    encodings = pa.table({
        "delta_int32": some_nulls(pa.array(int_values(32, True), pa.int32())),
        "delta_int64": some_nulls(pa.array(int_values(64, True), pa.int64())),
        "delta_length": some_nulls(pa.array(text_values())),
        "delta_strings": some_nulls(pa.array(sorted(text_values()))),
        "delta_fixed": some_nulls(pa.array([b"prefix%03d" % (i // 2) for i in range(ROWS)], pa.binary(9))),
        "split_float": some_nulls(pa.array(float_values(np.float32), pa.float32())),
        "split_double": some_nulls(pa.array(float_values(np.float64), pa.float64())),
        "split_int32": pa.array(int_values(32, True), pa.int32()),
        "split_fixed": some_nulls(pa.array([b"prefix%03d" % (i // 2) for i in range(ROWS)], pa.binary(9))),
        "rle_bool": some_nulls(pa.array([i % 7 < 3 for i in range(ROWS)])),
    })
    how = {name: {"delta_int": "DELTA_BINARY_PACKED", "delta_len": "DELTA_LENGTH_BYTE_ARRAY", "delta_str": "DELTA_BYTE_ARRAY",
                  "delta_fix": "DELTA_BYTE_ARRAY", "rle_bool": "RLE"}.get(name[:9], "BYTE_STREAM_SPLIT")
           for name in encodings.column_names}
    for version in ["1.0", "2.0"]:
        write(f"encodings.v{version[0]}", "encodings", encodings, use_dictionary=False, column_encoding=how,
              data_page_version=version, **SMALL)


def write(file, contents, table, natural=False, **options):
    """One Parquet file; `natural`: the contents have the types that Parquet itself names, since no Arrow schema is kept."""
    path = os.path.join(FOLDER, file + ".parquet")
    how = dict(options)
    options.setdefault("compression", "none")
    pq.write_table(table, path, **options)
    back = pq.read_table(path)
    expected = back if natural else table
    # PyArrow gives seconds back as milliseconds and date64 as days; the contents keep what went in.
    back = back.cast(expected.schema)
    assert same(back, expected), file
    expected = expected.combine_chunks().replace_schema_metadata(None)
    expected = expected.cast(pa.schema([without_field_id(f) for f in expected.schema])) if natural else expected
    ipc = os.path.join(FOLDER, "contents", contents + ".arrow")
    if os.path.exists(ipc):
        assert same(pa.ipc.open_file(ipc).read_all(), expected), f"{file}: {contents} has other contents already"
    else:
        with pa.ipc.new_file(ipc, expected.schema) as out:
            out.write_table(expected)
    entry = {"file": file + ".parquet", "contents": f"contents/{contents}.arrow", "rows": expected.num_rows}
    entry["written_with"] = how
    manifest.append(entry)


def without_field_id(field):
    kept = {k: v for k, v in (field.metadata or {}).items() if k != b"PARQUET:field_id"}
    return field.with_metadata(kept or None)


def same(a, b):
    """Equal bit by bit: NaN equals itself, -0.0 is not 0.0."""
    if a.schema.names != b.schema.names or a.num_rows != b.num_rows:
        return False
    for name in a.schema.names:
        left, right = (t[name].combine_chunks() for t in (a, b))
        if pa.types.is_dictionary(left.type):  # The same values may have another dictionary.
            left, right = left.dictionary_decode(), right.dictionary_decode()
        if pa.types.is_floating(left.type):
            bits = pa.uint64() if left.type == pa.float64() else pa.uint32() if left.type == pa.float32() else pa.uint16()
            left, right = left.view(bits), right.view(bits)
        if not left.equals(right):
            return False
    return True


def with_all_nulls(columns):
    """Each column four times: of a required field, then of nullable ones with no, some and only nulls."""
    fields, arrays = [], []
    for name, values in columns.items():
        for suffix, array, nullable in [
            ("required", values, False), ("none", values, True), ("some", some_nulls(values), True),
            ("all", pa.nulls(len(values), values.type), True),
        ]:
            fields.append(pa.field(f"{name}_{suffix}", values.type, nullable=nullable))
            arrays.append(array)
    fields.append(pa.field("nothing", pa.null()))
    arrays.append(pa.nulls(ROWS))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def some_nulls(array):
    """Runs of nulls and single ones, so that both kinds of run stand in the definition levels."""
    keep = [not (i % 5 == 2 or 20 <= i < 45) for i in range(len(array))]
    indices = pa.array([i if k else None for i, k in enumerate(keep)], pa.int32())
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(array.type, array.storage.take(indices))
    if array.type in (pa.string_view(), pa.binary_view()):  # No kernel takes views yet.
        plain = pa.string() if array.type == pa.string_view() else pa.binary()
        return array.cast(plain).take(indices).cast(array.type)
    return array.take(indices)


def groups():
    """Name → column name → values (no nulls) of ROWS rows."""
    ints = {f"int{w}": pa.array(int_values(w, True), getattr(pa, f"int{w}")()) for w in (8, 16, 32, 64)}
    ints |= {f"uint{w}": pa.array(int_values(w, False), getattr(pa, f"uint{w}")()) for w in (8, 16, 32, 64)}
    ints["bool"] = pa.array([i % 3 == 0 or 50 < i < 70 for i in range(ROWS)])
    floats = {
        "float16": pa.array([np.float16(v) for v in float_values(np.float16)], pa.float16()),
        "float32": pa.array(float_values(np.float32), pa.float32()),
        "float64": pa.array(float_values(np.float64), pa.float64()),
    }
    texts = {
        "string": pa.array(text_values(), pa.string()),
        "large_string": pa.array(text_values(), pa.large_string()),
        "string_view": pa.array(text_values(), pa.string_view()),
        "dictionary": pa.array(text_values()[:10] * (ROWS // 10)).dictionary_encode(),
        "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array([json.dumps({"i": i % 9}) for i in range(ROWS)])),
    }
    bytes_ = {
        "binary": pa.array(byte_values(), pa.binary()),
        "large_binary": pa.array(byte_values(), pa.large_binary()),
        "binary_view": pa.array(byte_values(), pa.binary_view()),
        "fixed5": pa.array([bytes([i % 11, 255 - i, 0, 7, i]) for i in range(ROWS)], pa.binary(5)),
        "uuid": pa.ExtensionArray.from_storage(
            pa.uuid(), pa.array([uuid.UUID(int=random.getrandbits(128)).bytes for _ in range(ROWS)], pa.binary(16))),
    }
    days = [0, -1, 1, -719162, 2932896, 15706] + [15706 + i % 40 for i in range(ROWS - 6)]
    clock = {
        "date32": pa.array(days, pa.int32()).cast(pa.date32()),
        "date64": pa.array([d * 86_400_000 for d in days], pa.int64()).cast(pa.date64()),
        "time32_s": pa.array([(i * 719) % 86_400 for i in range(ROWS)], pa.int32()).cast(pa.time32("s")),
        "time32_ms": pa.array([(i * 719_123) % 86_400_000 for i in range(ROWS)], pa.int32()).cast(pa.time32("ms")),
        "time64_us": pa.array([(i * 719_123_457) % 86_400_000_000 for i in range(ROWS)], pa.int64()).cast(pa.time64("us")),
        "time64_ns": pa.array([(i * 719_123_457_001) % 86_400_000_000_000 for i in range(ROWS)], pa.int64()).cast(pa.time64("ns")),
    }
    clock |= {f"duration_{u}": pa.array(instant_values(u), pa.int64()).cast(pa.duration(u)) for u in ("s", "ms", "us", "ns")}
    instants = {}
    for unit in ("s", "ms", "us", "ns"):
        values = pa.array(instant_values(unit), pa.int64())
        instants[f"local_{unit}"] = values.cast(pa.timestamp(unit))
        instants[f"utc_{unit}"] = values.cast(pa.timestamp(unit, "UTC"))
        instants[f"berlin_{unit}"] = values.cast(pa.timestamp(unit, "Europe/Berlin"))
    decimals = {
        "decimal32_9_2": decimal_values(pa.decimal32(9, 2)),
        "decimal64_18_4": decimal_values(pa.decimal64(18, 4)),
        "decimal128_9_2": decimal_values(pa.decimal128(9, 2)),
        "decimal128_18_0": decimal_values(pa.decimal128(18, 0)),
        "decimal128_38_10": decimal_values(pa.decimal128(38, 10)),
        "decimal256_76_20": decimal_values(pa.decimal256(76, 20)),
    }
    numbers, words = int_values(32, True), text_values()
    lists = [[(numbers + numbers)[i + k] if k % 3 != 1 else None for k in range(i % 5)] for i in range(ROWS)]
    place = pa.struct([("x", pa.int32()), ("name", pa.string())])
    places = [{"x": i, "name": None if i % 4 == 2 else words[i]} for i in range(ROWS)]
    nested = {
        "list": pa.array(lists, pa.list_(pa.int32())),
        "large_list": pa.array(lists, pa.large_list(pa.int32())),
        "fixed_list": pa.array([[i, None if i % 7 == 3 else -i] for i in range(ROWS)], pa.list_(pa.int64(), 2)),
        "texts": pa.array([words[i: i + i % 4] for i in range(ROWS)], pa.list_(pa.field("element", pa.string(), nullable=False))),
        "struct": pa.array(places, place),
        "map": pa.array([[(f"k{k}", None if k == 1 else k + i) for k in range(i % 4)] for i in range(ROWS)],
                        pa.map_(pa.string(), pa.int64())),
        "list_list": pa.array([[lists[(i + k) % ROWS] if k != 2 else None for k in range(i % 4)] for i in range(ROWS)],
                              pa.list_(pa.list_(pa.int32()))),
        "struct_list": pa.array([{"inner": lists[i], "place": places[i] if i % 3 else None} for i in range(ROWS)],
                                pa.struct([("inner", pa.list_(pa.int32())), ("place", place)])),
        "list_struct": pa.array([[places[(i + k) % ROWS] if k != 1 else None for k in range(i % 4)] for i in range(ROWS)],
                                pa.list_(place)),
    }
    return {"integers": ints, "floats": floats, "texts": texts, "bytes": bytes_, "clock": clock, "instants": instants,
            "decimals": decimals, "nested": nested}


def int_values(width, signed):
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    few = [low, high, 0, 1, high // 2]
    return few + [random.choice(few) if i % 3 else random.randint(low, high) for i in range(ROWS - len(few))]


def float_values(kind):
    info = np.finfo(kind)
    few = [0.0, -0.0, math.nan, math.inf, -math.inf, float(info.max), float(info.min), float(info.smallest_subnormal), 1.5]
    return few + [float(kind(random.gauss(0, 100))) if i % 2 else 1.5 for i in range(ROWS - len(few))]


def text_values():
    few = ["", "a", "Ωmega", "日本語", "\U0001f600", "z" * 200, "é" * 40, "\x00", "\U0010ffff" * 20, "tail"]
    return few + [random.choice(few[:7]) if i % 3 else f"key-{i:05}" for i in range(ROWS - len(few))]


def byte_values():
    few = [b"", b"\x00", b"\xff" * 70, b"\xff", bytes(range(90)), b"\x80\x81"]
    return few + [random.choice(few) if i % 3 else random.randbytes(i % 20) for i in range(ROWS - len(few))]


def instant_values(unit):
    """Before and after 1970, at the ends of what nanoseconds hold, and a stream's usual ones."""
    per_second = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}[unit]
    few = [0, -1, 1, -9_000_000_000 * per_second, 9_000_000_000 * per_second, 951_782_400 * per_second]
    return few + [(1_357_000_000 + i * 61) * per_second + (i * 7919) % per_second for i in range(ROWS - len(few))]


def decimal_values(kind):
    top = 10**kind.precision - 1
    few = [0, 1, -1, top, -top, 10**kind.scale]
    numbers = few + [random.randint(-top, top) if i % 2 else 10**kind.scale for i in range(ROWS - len(few))]
    with decimal.localcontext() as context:
        context.prec = 80
        return pa.array([decimal.Decimal(n).scaleb(-kind.scale) for n in numbers], kind)


def mixed_table(rows):
    """What a table of events looks like."""
    start = dt.datetime(2013, 1, 1, tzinfo=dt.timezone.utc)
    return pa.table({
        "key": pa.array(range(rows), pa.int64()),
        "at": pa.array([start + dt.timedelta(seconds=37 * i) for i in range(rows)], pa.timestamp("us", "UTC")),
        "category": pa.array([None if i % 13 == 5 else ["UA", "AA", "DL", "B6"][i * i % 4] for i in range(rows)]),
        "name": pa.array([f"flight {i * 7919 % 1000}" for i in range(rows)]),
        "amount": pa.array([None if i % 4 == 1 else i / 8 - 20 for i in range(rows)]),
        "small": pa.array([i % 100 - 50 for i in range(rows)], pa.int8()),
        "flag": pa.array([None if i % 11 == 0 else i % 5 < 2 for i in range(rows)]),
        "price": pa.array([decimal.Decimal(i).scaleb(-2) for i in range(rows)], pa.decimal128(12, 2)),
    })


if __name__ == "__main__":
    main()
