"""Files that hypostyle merges and appends to, its own and those of PyArrow, read by PyArrow, DuckDB, Polars and parquet-java."""
import os

import pyarrow as pa
import pyarrow.parquet as pq

from columns import first_difference, raw
from files import CONTENTS, duckdb_reads, polars_reads, pyarrow_reads, statistics_hold
from program import hypostyle


def run(judge):
    for name in sorted(os.listdir(CONTENTS)):
        judge_file(judge, name)


def judge_file(judge, name):
    source = os.path.join(CONTENTS, name)
    once = pa.ipc.open_file(source).read_all()
    twice = pa.concat_tables([once, once])
    own, theirs = judge.path(f"own-{name}.parquet"), judge.path(f"theirs-{name}.parquet")
    judge.check(f"{name}: convert", hypostyle, "convert", source, own, "--page-bytes", "64", "--row-group-rows", "17")
    try:
        pq.write_table(once, theirs, row_group_size=23, data_page_size=64, write_page_index=True)
    except pa.ArrowNotImplementedError:
        theirs = own
    for label, file in {"own": own, "PyArrow's": theirs}.items():
        merged = judge.path(f"merged-{name}-{label[0]}.parquet")
        judge.check(f"{name}, {label}: merge", hypostyle, "merge", merged, file, file)
        judge_rows(judge, f"{name}, {label}, merged", merged, twice)
        judge.check(f"{name}, {label}, merged: Polars", polars_reads, merged, twice)
        judge.check(f"{name}, {label}, merged: the same chunks", same_chunks, merged, file)
        judge.check(f"{name}, {label}: append", hypostyle, "append", file, source)
        # Not by Polars: it lacks an encoding that is chosen for new values of a fixed length, which is judged in `matrix`.
        judge_rows(judge, f"{name}, {label}, appended", file, twice)
        if label == "own":
            judge.check(f"{name}, merged: statistics", statistics_hold, merged, twice)
            judge.check(f"{name}, appended: statistics", statistics_hold, file, twice)


def judge_rows(judge, label, path, expected):
    judge.check(f"{label}: PyArrow", pyarrow_reads, path, expected)
    judge.check(f"{label}: DuckDB", duckdb_reads, path, expected)
    judge.check(f"{label}: parquet-java", java_reads, path, expected)


def java_reads(path, expected):
    import engines

    found = engines.parquet_java(path, expected.schema)
    for field in expected.schema:
        fault = first_difference(found[field.name], raw(expected.column(field.name), field.type))
        assert fault is None, f"{field.name}: {fault}"


def same_chunks(merged, file):
    """Everything that the footer says of a chunk but its place, twice."""
    new, old = pq.ParquetFile(merged).metadata, pq.ParquetFile(file).metadata
    assert new.num_row_groups == 2 * old.num_row_groups, f"{new.num_row_groups} row groups"
    for group in range(new.num_row_groups):
        for column in range(new.num_columns):
            a, b = new.row_group(group).column(column), old.row_group(group % old.num_row_groups).column(column)
            for key in ["compression", "encodings", "num_values", "total_compressed_size", "total_uncompressed_size", "statistics",
                        "has_offset_index", "has_column_index", "path_in_schema"]:
                assert getattr(a, key) == getattr(b, key), f"{key} of {b.path_in_schema}, row group {group}"
