"""Parquet files that hypostyle writes from the goldens' contents, read by PyArrow, DuckDB and Polars."""
import math
import os
import sys

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from program import ROOT, hypostyle

sys.path.insert(0, os.path.join(ROOT, "tests", "goldens"))
from make import same  # noqa: E402

CONTENTS = os.path.join(ROOT, "tests", "goldens", "contents")
OPTIONS = {
    "defaults": [],
    "plain": ["--no-dictionary", "--compression", "none"],
    "small pages": ["--page-bytes", "64", "--row-group-rows", "17"],
    "small row groups": ["--row-group-bytes", "512", "--compression", "snappy"],
}
CODECS = {"none": "UNCOMPRESSED", "snappy": "SNAPPY", "gzip": "GZIP", "gzip:9": "GZIP", "brotli": "BROTLI", "brotli:5": "BROTLI",
          "zstd": "ZSTD", "zstd:9": "ZSTD", "lz4": "LZ4"}

# What an engine has no type for, and so cannot be asked.
LACKS = {
    ("duckdb", "decimal256"): "DuckDB reads decimals above 38 digits as DOUBLE",
    ("polars", "decimal256"): "Polars refuses decimals above 38 digits",
}


def run(judge):
    for name in sorted(os.listdir(CONTENTS)):
        for label, options in OPTIONS.items():
            judge_file(judge, name, f"{name}, {label}", options)
    for codec, stored in CODECS.items():
        for name in ["codec.arrow", "texts.arrow", "empty.arrow"]:
            path = judge_file(judge, name, f"{name}, {codec}", ["--compression", codec])
            judge.check(f"{name}, {codec}: codec", codec_is, path, stored)
    for reason in sorted(set(LACKS.values())):
        print(f"not judged: {reason}")


def judge_file(judge, name, label, options):
    source = os.path.join(CONTENTS, name)
    path = judge.path(label.replace(" ", "-").replace(",", "").replace(":", "") + ".parquet")
    expected = pa.ipc.open_file(source).read_all()
    judge.check(f"{label}: convert", hypostyle, "convert", source, path, *options)
    judge.check(f"{label}: PyArrow", pyarrow_reads, path, expected)
    judge.check(f"{label}: DuckDB", duckdb_reads, path, expected)
    judge.check(f"{label}: Polars", polars_reads, path, expected)
    judge.check(f"{label}: statistics", statistics_hold, path, expected)
    judge.check(f"{label}: page index", has_page_index, path)
    return path


# ---- readers ------------------------------------------------------------------------------------------------------


def pyarrow_reads(path, expected):
    back = pq.read_table(path, page_checksum_verification=True)
    assert back.schema.names == expected.schema.names, back.schema.names
    for read, wanted in zip(back.schema, expected.schema):
        assert read.nullable == wanted.nullable, f"{read} for {wanted}"
        assert read.type == wanted.type or is_coarser(wanted.type) or pa.types.is_map(read.type), f"{read} for {wanted}"
    assert_same(back, expected)


def duckdb_reads(path, expected):
    assert_columns("duckdb", expected, lambda name: duckdb.sql(f"SELECT \"{name}\" FROM read_parquet('{path}')").to_arrow_table())


def polars_reads(path, expected):
    assert_columns("polars", expected, lambda name: pl.read_parquet(path, columns=[name]).to_arrow())


def assert_columns(engine, expected, read):
    """Column by column, so that one that the engine lacks does not hide the others."""
    for name in expected.schema.names:
        if any(engine == lacking and name.startswith(prefix) for lacking, prefix in LACKS):
            continue
        assert_same(read(name), expected.select([name]))


def assert_same(back, expected):
    assert back.num_rows == expected.num_rows, f"{back.num_rows} rows for {expected.num_rows}"
    for name in expected.schema.names:
        wanted = storage(expected.column(name))
        if pa.types.is_nested(wanted.type):
            assert_same_nested(name, storage(back.column(name)), wanted)
            continue
        found = as_type(storage(back.column(name)), wanted.type)
        if not same(pa.table({name: found}), pa.table({name: wanted})):
            pairs = enumerate(zip(found.to_pylist(), wanted.to_pylist()))
            raise AssertionError(f"column {name}: (row, (found, wanted)) {[p for p in pairs if p[1][0] != p[1][1]][:3]}")


def assert_same_nested(name, found, wanted):
    """Engines differ in what they call a list or a map; what is in it is the same."""
    for row, (a, b) in enumerate(zip(found.to_pylist(), wanted.to_pylist(), strict=True)):
        assert plain(a, found.type) == plain(b, wanted.type), f"column {name}: row {row} is {a} for {b}"


def plain(value, kind):
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return [{"key": plain(k, kind.key_type), "value": plain(v, kind.item_type)} for k, v in value]
    if pa.types.is_nested(kind):
        return [plain(element, kind.value_type) for element in value]
    return value


def is_coarser(kind):
    """PyArrow gives seconds back as milliseconds, date64 as days."""
    return str(kind) in ("date64[ms]", "time32[s]") or str(kind).startswith("timestamp[s")


def storage(column):
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    return array.storage if isinstance(array.type, pa.BaseExtensionType) else array


def as_type(array, kind):
    """Another engine's way to hold the same values."""
    if kind == pa.binary(16) and array.type in (pa.string(), pa.string_view()):  # DuckDB shows a UUID as text.
        return pa.array([None if v is None else bytes.fromhex(v.replace("-", "")) for v in array.to_pylist()], kind)
    return array.cast(kind)


# ---- what the metadata says ---------------------------------------------------------------------------------------


def codec_is(path, stored):
    metadata = pq.ParquetFile(path).metadata
    found = {metadata.row_group(g).column(c).compression for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)}
    assert found <= {stored} and (found or metadata.num_rows == 0), found


def has_page_index(path):
    metadata = pq.ParquetFile(path).metadata
    for group in range(metadata.num_row_groups):
        for at in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(at)
            # A chunk without a bound for some page (with NaN) has no column index: the format cannot say "unknown".
            bounded = chunk.statistics is not None and (chunk.statistics.has_min_max or chunk.statistics.null_count == chunk.num_values)
            assert chunk.has_offset_index, f"{chunk.path_in_schema}, row group {group}: no offset index"
            assert chunk.has_column_index or not bounded or chunk.physical_type in ("FLOAT", "DOUBLE") \
                or chunk.path_in_schema.startswith("float16"), f"{chunk.path_in_schema}, row group {group}: no column index"


def statistics_hold(path, expected):
    file = pq.ParquetFile(path)
    metadata = file.metadata
    from_row = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        assert rows > 0, f"row group {group} has no rows"
        for at in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(at)
            if "." in chunk.path_in_schema:
                continue  # Of nested values the bounds are the leaves', which PyArrow does not show beside them.
            values = storage(expected.column(chunk.path_in_schema).slice(from_row, rows))
            chunk_holds(chunk, values, f"{chunk.path_in_schema}, row group {group}")
        from_row += rows
    assert from_row == expected.num_rows


def chunk_holds(chunk, values, place):
    statistics = chunk.statistics
    if statistics is None and pa.types.is_null(values.type):
        return  # Nothing is known, and nothing could be: all values are null.
    assert statistics is not None, f"{place}: no statistics"
    assert statistics.null_count == values.null_count, f"{place}: {statistics.null_count} nulls for {values.null_count}"
    present = comparable(values)
    if not present:
        assert not statistics.has_min_max, f"{place}: bounds of no value, or beside NaN"
        return
    low = high = None
    if statistics.has_min_max:
        low, high = (bound(statistics, end, values.type) for end in ("min", "max"))
    least, most = min(present), max(present)
    if isinstance(least, (bytes, bytearray)):
        # Long ones may be cut: the lower bound is a prefix, the upper one is above. No upper bound is right when all bytes are 0xff.
        if low is None:
            assert most.startswith((b"\xff" * 16, "\U0010ffff".encode() * 4)), f"{place}: no bounds"
            return
        assert low <= least and high >= most, f"{place}: {low}..{high} for {least}..{most}"
        last = most.startswith((b"\xff" * 64, "\U0010ffff".encode() * 16))  # Nothing short is above it.
        assert len(low) <= 64 and (len(high) <= 64 or last), f"{place}: bounds of {len(low)} and {len(high)} bytes"
        assert low == least or len(least) > 16, f"{place}: {low} for {least}"
        assert high == most or len(most) > 16, f"{place}: {high} for {most}"
        return
    assert low is not None, f"{place}: no bounds"
    assert low == least and high == most, f"{place}: {low}..{high} for {least}..{most}"
    if isinstance(least, float) and least == 0:
        assert math.copysign(1, low) == -1, f"{place}: the lower bound of zeros is -0.0"
    if isinstance(most, float) and most == 0:
        assert math.copysign(1, high) == 1, f"{place}: the upper bound of zeros is +0.0"


def comparable(values):
    """The values (no nulls, no NaN) as Python orders them."""
    kind = values.type
    values = values.cast(pa.binary()) if kind in (pa.string(), pa.large_string(), pa.string_view(), pa.binary_view()) else values
    if pa.types.is_temporal(kind):
        if kind == pa.time32("s") or (pa.types.is_timestamp(kind) and kind.unit == "s"):
            values = values.cast(pa.time32("ms") if pa.types.is_time(kind) else pa.timestamp("ms", kind.tz))
        elif pa.types.is_date64(kind):
            values = values.cast(pa.date32())
        wide = pa.int32() if pa.types.is_date32(values.type) or pa.types.is_time32(values.type) else pa.int64()
        return [v for v in values.view(wide).to_pylist() if v is not None]
    present = [v for v in values.to_pylist() if v is not None]
    if pa.types.is_floating(kind) and any(math.isnan(v) for v in present):
        return []  # Engines that hold NaN for the greatest number would skip it by bounds that leave it out: there are none.
    return present


def bound(statistics, end, kind):
    """A bound as `comparable` gives values."""
    raw = getattr(statistics, end + "_raw")
    if pa.types.is_float16(kind):
        return float(np.frombuffer(raw, np.float16)[0])
    if pa.types.is_temporal(kind) or isinstance(raw, bytes) and not pa.types.is_decimal(kind):
        return raw
    return getattr(statistics, end)  # Signed or not, scaled or not.
