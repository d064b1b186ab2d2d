"""Tables that hypostyle ingests into, read by delta-rs, PyArrow, DuckDB and Polars, each against the input's own lines."""
import collections
import datetime as dt
import gzip
import json
import os
import urllib.parse

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from program import ROOT, hypostyle, peak_memory_bytes, summary

FLIGHTS = os.path.join(ROOT, "tests", "data", "flights.ndjson.gz")
UTC_US = pa.timestamp("us", "UTC")
FIELDS = {
    "scheduled_departure": UTC_US, "carrier": pa.string(), "flight": pa.int64(), "tail": pa.string(), "origin": pa.string(),
    "dest": pa.string(), "dep_delay": pa.int64(), "arr_delay": pa.int64(), "air_time": pa.float64(), "distance": pa.int64(),
}
ARGUMENTS = ["--event-time", "scheduled_departure"]
# What README.md promises: the peak is the budget and this much more, at most.
OVERHEAD_BYTES = 64 << 20


def run(judge):
    whole_input(judge)
    windows_and_codecs(judge)
    appended(judge)
    dead_letters(judge)
    partitions(judge)
    compacted(judge)
    other_writers(judge)


def run_year(judge):
    path = os.environ.get("FLIGHTS")
    if not path:
        print("year: left out, FLIGHTS names no file")
        return
    table = judge.path("year")
    expected = records(lines(path), dt.timedelta(days=1))
    judge.check("year: ingest", ingest, path, table, "1d", expected.num_rows)
    read_by_all(judge, "year", table, expected)
    judge.check("year: rows of each day", days_agree, table, expected)
    # All days open at once; then every hour of the year: thousands of files.
    for window, options in [("1d", ["--max-open", "400"]), ("1h", ["--max-open", "10000"])]:
        for budget in [16 << 20, 64 << 20]:
            judge.check(f"year: memory, {window}, {budget >> 20} MiB", memory_is_bounded, path, judge.path(f"year-{window}-{budget}"),
                        window, budget, [*options, "--lateness", "400d"])


def memory_is_bounded(source, table, window, budget, options):
    peak = peak_memory_bytes("ingest", source, table, *ARGUMENTS, "--window", window, "--memory-bytes", budget, *options)
    assert peak <= budget + OVERHEAD_BYTES, f"{peak >> 20} MiB for a budget of {budget >> 20} MiB"


def whole_input(judge):
    table = judge.path("flights")
    expected = records(lines(FLIGHTS), dt.timedelta(days=1))
    judge.check("flights: ingest", ingest, FLIGHTS, table, "1d", 20_000)
    read_by_all(judge, "flights", table, expected)
    judge.check("flights: rows of each day", days_agree, table, expected)
    judge.check("flights: again", again_adds_nothing, FLIGHTS, table, "1d")
    judge.check("flights: scan", scan_finds, table, expected)
    judge.check("flights: audit", hypostyle, "audit", table)


def windows_and_codecs(judge):
    """Other windows make other partition values; other codecs and open-window limits other files."""
    for window, options in [("1h", ["--compression", "snappy"]), ("15m", ["--compression", "none", "--max-open", "8"]),
                            ("7d", ["--compression", "lz4", "--sort-by", "dest"]), ("2d", ["--compression", "brotli", "--target-file-bytes", "20000"])]:
        table = judge.path("flights-" + window)
        expected = records(lines(FLIGHTS)[:6000], delta_of(window))
        source = judge.path(f"source-{window}.ndjson")
        write_plain(source, lines(FLIGHTS)[:6000])
        judge.check(f"{window}: ingest", ingest, source, table, window, 6000, *options)
        read_by_all(judge, f"{window} {' '.join(options)}", table, expected)


def appended(judge):
    """What is appended between two runs is added, and nothing else."""
    everything = lines(FLIGHTS)
    for name, write, append in [("grown.ndjson", write_plain, append_plain), ("grown.ndjson.gz", write_gzip, append_gzip)]:
        source, table = judge.path(name), judge.path(name + "-table")
        write(source, everything[:7000])
        judge.check(f"{name}: first run", ingest, source, table, "1d", 7000)
        read_by_all(judge, f"{name}: first run", table, records(everything[:7000], dt.timedelta(days=1)))
        append(source, everything[7000:9000])
        judge.check(f"{name}: second run", ingest, source, table, "1d", 2000)
        read_by_all(judge, f"{name}: second run", table, records(everything[:9000], dt.timedelta(days=1)))
        judge.check(f"{name}: third run", again_adds_nothing, source, table, "1d")


def dead_letters(judge):
    good = lines(FLIGHTS)[:500]
    bad = ['{"scheduled_departure":"not a time"}', "not JSON", '{"scheduled_departure":null,"carrier":"UA"}', '["a","list"]',
           good[7].replace('"flight":', '"flight":"x", "was":'), good[8].replace('"distance":', '"length":')]
    mixed = good[:100] + bad[:2] + good[100:300] + bad[2:] + good[300:]
    source, table, schema = judge.path("bad.ndjson"), judge.path("bad"), judge.path("schema.json")
    write_plain(source, mixed)
    # The sample would take what is bad here for columns.
    types = {UTC_US: "timestamp", pa.string(): "utf8", pa.int64(): "int64", pa.float64(): "float64"}
    with open(schema, "w") as out:
        json.dump({"fields": [{"name": name, "type": types[kind], "nullable": name != "scheduled_departure"}
                              for name, kind in FIELDS.items()]}, out)
    judge.check("dead letters: ingest", ingest, source, table, "1d", 500, "--schema", schema)
    read_by_all(judge, "dead letters: the rest", table, records(good, dt.timedelta(days=1)))
    judge.check("dead letters: their table", dead_letters_are, table + "-dead-letters", source, bad)
    judge.check("dead letters: again", again_adds_nothing, source, table, "1d")
    judge.check("dead letters: audit", hypostyle, "audit", table)


def partitions(judge):
    """A folder of files, one of which comes later."""
    everything = lines(FLIGHTS)
    folder, table = judge.path("folder"), judge.path("folder-table")
    os.mkdir(folder)
    write_plain(os.path.join(folder, "a.ndjson"), everything[:3000:2])
    write_gzip(os.path.join(folder, "b.ndjson.gz"), everything[1:3000:2])
    judge.check("folder: ingest", ingest, folder, table, "1d", 3000)
    read_by_all(judge, "folder: first run", table, records(everything[:3000], dt.timedelta(days=1)))
    write_plain(os.path.join(folder, "c.ndjson"), everything[3000:4000])
    judge.check("folder: one more file", ingest, folder, table, "1d", 1000)
    read_by_all(judge, "folder: second run", table, records(everything[:4000], dt.timedelta(days=1)))


def compacted(judge):
    """Many small files of each day become one, between two runs of the sink; then a table of delta-rs."""
    everything = lines(FLIGHTS)
    source, table = judge.path("compacted.ndjson"), judge.path("compacted")
    for at in range(0, 5000, 500):
        append_plain(source, everything[at:at + 500])
        judge.check(f"compacted: ingest from {at}", ingest, source, table, "1d", 500, "--compression", "snappy")
    before = len(live_files(table))
    judge.check("compacted: compact", hypostyle, "compact", table)
    expected = records(everything[:5000], dt.timedelta(days=1))
    days = len(set(expected.column("window_start").to_pylist()))
    judge.check("compacted: files", lambda: assert_same_values((before > days, len(live_files(table))), (True, days)))
    read_by_all(judge, "compacted", table, expected)
    judge.check("compacted: no data changed", no_data_changed, table)
    append_plain(source, everything[5000:6000])
    judge.check("compacted: second run", ingest, source, table, "1d", 1000)
    judge.check("compacted: compact again", hypostyle, "compact", table)
    judge.check("compacted: vacuum", hypostyle, "vacuum", table, "--older-than", "0s")
    judge.check("compacted: audit", hypostyle, "audit", table)
    read_by_all(judge, "compacted again", table, records(everything[:6000], dt.timedelta(days=1)))

    table = judge.path("compacted-others")
    rows = pa.table({"id": pa.array(range(90)), "kind": pa.array([["a b", None][i % 2] for i in range(90)]),
                     "list": pa.array([None if i % 5 == 0 else list(range(i % 4)) for i in range(90)], pa.list_(pa.int64()))})
    for at in range(3):
        write_deltalake(table, rows.slice(at * 30, 30), partition_by=["kind"], mode="append")
    judge.check("delta-rs' table: compact", hypostyle, "compact", table)
    judge.check("delta-rs' table: compacted files", lambda: assert_same_values(len(live_files(table)), 2))
    judge.check("delta-rs' table: compacted rows", lambda: assert_same_values(DeltaTable(table).to_pyarrow_table(), rows))
    table = judge.path("cleaned")
    for at in range(4):
        write_deltalake(table, rows.slice(at * 20, 20), partition_by=["kind"], mode="append")
    DeltaTable(table).delete("id < 5")
    DeltaTable(table).create_checkpoint()
    for version in range(4):
        os.remove(os.path.join(table, "_delta_log", f"{version:020}.json"))
    write_deltalake(table, rows.slice(80, 10), mode="append")
    out = judge.path("cleaned.parquet")
    judge.check("delta-rs' checkpoint: convert", hypostyle, "convert", table, out)
    judge.check("delta-rs' checkpoint: rows", lambda: assert_same_values(pq.read_table(out), rows.slice(5)))
    judge.check("delta-rs' checkpoint: compact", hypostyle, "compact", table)
    judge.check("delta-rs' checkpoint: delta-rs goes on", lambda: assert_same_values(DeltaTable(table).to_pyarrow_table(), rows.slice(5)))
    table = judge.path("compacted-others")
    judge.check("delta-rs' table: delta-rs goes on", lambda: write_deltalake(table, rows.slice(0, 1), mode="append"))


def no_data_changed(table):
    with open(os.path.join(table, "_delta_log", f"{DeltaTable(table).version():020}.json")) as log:
        actions = [json.loads(line) for line in log]
    changes = [(action.get("add") or action.get("remove"))["dataChange"] for action in actions if "add" in action or "remove" in action]
    assert changes and not any(changes), changes
    assert DeltaTable(table).history(1)[0]["operation"] == "OPTIMIZE"


def other_writers(judge):
    """A table of delta-rs, with nested columns, a partition column, and rows deleted from some files."""
    table, out = judge.path("others"), judge.path("others.parquet")
    rows = pa.table({
        "id": pa.array(range(300)),
        "kind": pa.array([["a b", "c/d", None][i % 3] for i in range(300)]),
        "list": pa.array([None if i % 5 == 0 else list(range(i % 4)) for i in range(300)], pa.list_(pa.int64())),
        "struct": pa.array([None if i % 7 == 0 else {"x": i, "y": str(i)} for i in range(300)],
                           pa.struct([("x", pa.int32()), ("y", pa.string())])),
        "at": pa.array([dt.datetime(2013, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(hours=i) for i in range(300)], UTC_US),
    })
    write_deltalake(table, rows.slice(0, 200), partition_by=["kind"])
    write_deltalake(table, rows.slice(200), mode="append")
    DeltaTable(table).delete("id >= 150 AND id < 250")
    left = rows.filter((pc.field("id") < 150) | (pc.field("id") >= 250))
    judge.check("delta-rs' table: convert", hypostyle, "convert", table, out)
    judge.check("delta-rs' table: rows", lambda: assert_same_values(pq.read_table(out), left))
    judge.check("delta-rs' table: count", lambda: assert_same_values(
        hypostyle("scan", table, "--count", "--where", "kind = 'c/d' and id > 100").strip(),
        str(left.filter((pc.field("kind") == "c/d") & (pc.field("id") > 100)).num_rows)))


def assert_same_values(found, expected):
    if isinstance(expected, pa.Table):
        found, expected = (rows.sort_by("id").select(expected.schema.names).to_pylist() for rows in (found, expected))
    assert found == expected, f"{str(found)[:300]} for {str(expected)[:300]}"


# ---- checks -------------------------------------------------------------------------------------------------------


def ingest(source, table, window, rows, *options):
    done = summary("ingest", source, table, *ARGUMENTS, "--window", window, *options)
    assert done["rows_written"] == rows, f"{done['rows_written']} rows written for {rows}: {done}"


def again_adds_nothing(source, table, window):
    before = DeltaTable(table).version()
    done = summary("ingest", source, table, *ARGUMENTS, "--window", window)
    assert done["rows_written"] == 0, done
    assert DeltaTable(table).version() == before, f"version {DeltaTable(table).version()} after {before}"


def read_by_all(judge, label, table, expected):
    for name, read in READERS.items():
        judge.check(f"{label}: {name}", lambda: assert_same_rows(read(table), expected))
    judge.check(f"{label}: statistics in the log", log_statistics_hold, table)
    day = dt.datetime(2013, 1, 2, tzinfo=dt.timezone.utc)
    wanted = expected.filter((pc.field("scheduled_departure") >= day) & (pc.field("distance") > 1000) & (pc.field("carrier") == "UA"))
    judge.check(f"{label}: delta-rs with a filter", lambda: assert_same_rows(DeltaTable(table).to_pyarrow_dataset().to_table(
        filter=(pc.field("scheduled_departure") >= day) & (pc.field("distance") > 1000) & (pc.field("carrier") == "UA")), wanted))
    judge.check(f"{label}: Polars with a filter", lambda: assert_same_rows(pl.scan_delta(table).filter(
        (pl.col("scheduled_departure") >= day) & (pl.col("distance") > 1000) & (pl.col("carrier") == "UA")).collect().to_arrow(), wanted))
    judge.check(f"{label}: Polars by window", lambda: assert_same_rows(
        pl.scan_delta(table).filter(pl.col("window_start") >= day).collect().to_arrow(), expected.filter(pc.field("window_start") >= day)))


def by_delta(table):
    return DeltaTable(table).to_pyarrow_table()


def by_pyarrow(table):
    """The live files as a Hive-partitioned data set, without the log's help for values."""
    partitioning = ds.partitioning(pa.schema([("window_start", pa.string())]), flavor="hive")
    found = ds.dataset(live_files(table), format="parquet", partitioning=partitioning, partition_base_dir=table).to_table()
    at = found.schema.get_field_index("window_start")
    starts = [utc(v) for v in found.column(at).to_pylist()]
    return found.set_column(at, "window_start", pa.array(starts, UTC_US))


def by_duckdb(table):
    """Without DuckDB's `delta` extension, which has to be fetched over the network: the live files, Hive-partitioned."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    files = live_files(table)
    return connection.sql("SELECT * FROM read_parquet($files, hive_partitioning = true, hive_types = {'window_start': TIMESTAMPTZ})",
                          params={"files": files}).to_arrow_table()


def by_polars(table):
    return pl.read_delta(table).to_arrow()


def by_polars_lazily(table):
    return pl.scan_delta(table).collect().to_arrow()


READERS = {"delta-rs": by_delta, "PyArrow": by_pyarrow, "DuckDB": by_duckdb, "Polars": by_polars, "Polars, lazily": by_polars_lazily}


def scan_finds(table, expected):
    out = os.path.join(os.path.dirname(table), "scanned.parquet")
    hypostyle("convert", table, out)
    assert_same_rows(pq.read_table(out), expected)
    count = hypostyle("scan", table, "--where", "carrier = 'UA' and dep_delay > 60", "--count").strip()
    wanted = expected.filter((pc.field("carrier") == "UA") & (pc.field("dep_delay") > 60)).num_rows
    assert count.split()[-1] == str(wanted), f"{count} for {wanted}"


def days_agree(table, expected):
    count = lambda rows: collections.Counter(rows.column("window_start").to_pylist())
    assert count(by_delta(table)) == count(expected)


def dead_letters_are(table, source, bad):
    rows = DeltaTable(table).to_pyarrow_table().sort_by("offset").to_pylist()
    assert [row["raw"].decode() for row in rows] == bad, rows
    text = open(source, "rb").read()
    for row in rows:
        assert text[row["offset"]:].startswith(row["raw"] + b"\n"), row
        assert row["error"] and "\n" not in row["error"], row
        assert row["source_partition"] == "bad.ndjson", row


def log_statistics_hold(table):
    """`numRecords`, `minValues`, `maxValues` and `nullCount` of each live file, against the file."""
    live = DeltaTable(table)
    actions = pa.table(live.get_add_actions(flatten=True)).to_pylist()
    assert len(actions) == len(live.file_uris())
    for action in actions:
        path = os.path.join(table, urllib.parse.unquote(action["path"]))
        if not os.path.exists(path):
            path = os.path.join(table, action["path"])
        assert os.path.getsize(path) == action["size_bytes"], path
        rows = pq.ParquetFile(path).read()
        assert "window_start" not in rows.schema.names, "a partition column is not in the file"
        assert rows.num_rows == action["num_records"], path
        for name in rows.schema.names:
            column = rows.column(name)
            assert action[f"null_count.{name}"] == column.null_count, f"{path}: {name}"
            low, high = action.get(f"min.{name}"), action.get(f"max.{name}")
            bounds = pc.min_max(column).as_py()
            if bounds["min"] is None:
                continue
            assert low is not None and low <= bounds["min"], f"{path}: {name}: {low} for {bounds}"
            # The log holds milliseconds at best in some writers; ours are exact or above.
            assert high is not None and high >= bounds["max"], f"{path}: {name}: {high} for {bounds}"


def assert_same_rows(found, expected):
    found = normal(found, expected.schema)
    assert found.num_rows == expected.num_rows, f"{found.num_rows} rows for {expected.num_rows}"
    left, right = sorted_rows(found), sorted_rows(expected)
    for name in expected.schema.names:
        a, b = left.column(name).combine_chunks(), right.column(name).combine_chunks()
        if not a.equals(b):
            first = next(i for i in range(len(a)) if a[i].as_py() != b[i].as_py())
            raise AssertionError(f"column {name}: {left.slice(first, 1).to_pylist()} for {right.slice(first, 1).to_pylist()}")


def normal(found, schema):
    assert set(found.schema.names) == set(schema.names), f"columns {found.schema.names}"
    for field in schema:
        kind = found.schema.field(field.name).type
        # Views and large strings are the engine's way to hold text; anything else must be the type itself.
        alike = kind == field.type or (field.type == pa.string() and kind in (pa.large_string(), pa.string_view())) \
            or (pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz in ("UTC", "Etc/UTC") and field.type == UTC_US)
        assert alike, f"column {field.name} is {kind}, not {field.type}"
    return found.select(schema.names).cast(pa.schema([pa.field(f.name, f.type) for f in schema]))


def sorted_rows(rows):
    return rows.sort_by([(name, "ascending") for name in rows.schema.names])


def live_files(table):
    return [urllib.parse.urlparse(uri).path if uri.startswith("file:") else uri for uri in DeltaTable(table).file_uris()]


# ---- the input ----------------------------------------------------------------------------------------------------


def lines(path):
    with gzip.open(path, "rt") as source:
        return source.read().splitlines()


def records(texts, window):
    """The input as it must come out."""
    rows = [json.loads(text) for text in texts]
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    columns = {name: [row[name] for row in rows] for name in FIELDS}
    columns["scheduled_departure"] = [utc(v) for v in columns["scheduled_departure"]]
    columns["window_start"] = [v - (v - epoch) % window for v in columns["scheduled_departure"]]
    return pa.table(columns, schema=pa.schema([*FIELDS.items(), ("window_start", UTC_US)]))


def utc(text):
    at = dt.datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=dt.timezone.utc)


def delta_of(window):
    return dt.timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[window[-1]]: int(window[:-1])})


def write_plain(path, texts, mode="w"):
    with open(path, mode) as out:
        out.writelines(text + "\n" for text in texts)


def append_plain(path, texts):
    write_plain(path, texts, "a")


def write_gzip(path, texts, mode="wt"):
    with gzip.open(path, mode) as out:
        out.writelines(text + "\n" for text in texts)


def append_gzip(path, texts):
    """A further member behind the first, as a log shipper appends."""
    write_gzip(path, texts, "at")
