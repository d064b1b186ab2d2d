"""Bloom filters: hypostyle's are asked by DuckDB, and those of DuckDB and PyArrow by hypostyle."""
import os
import random
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from program import hypostyle

ROWS, GROUP_ROWS = 5000, 1000


def run(judge):
    table = contents()
    source = judge.path("ids.arrow")
    with pa.ipc.new_file(source, table.schema) as out:
        out.write_table(table)
    for column in table.schema.names:
        judge.check(f"{column}: DuckDB asks hypostyle's", duckdb_asks, judge, source, table, column)
        judge.check(f"{column}: PyArrow's", asks_pyarrow, judge, table, column)
        judge.check(f"{column}: DuckDB's", asks_duckdb, judge, table, column)


def contents():
    """Values without order, so that bounds tell nothing."""
    numbers = random.Random(20130101)
    return pa.table({
        "long": pa.array([numbers.getrandbits(63) for _ in range(ROWS)], pa.int64()),
        "int": pa.array([numbers.getrandbits(31) for _ in range(ROWS)], pa.int32()),
        "double": pa.array([numbers.random() for _ in range(ROWS)], pa.float64()),
        "text": pa.array([f"{numbers.getrandbits(40):x}" for _ in range(ROWS)]),
    })


def sql(value):
    return f"'{value}'" if isinstance(value, str) else repr(value)


def duckdb_asks(judge, source, table, column):
    path = judge.path("ours.parquet")
    hypostyle("convert", source, path, "--row-group-rows", GROUP_ROWS, "--bloom-filter", f"{column}=0.01")
    kind = {"double": "DOUBLE", "text": "VARCHAR", "int": "INTEGER", "long": "BIGINT"}[column]

    def excludes(value):
        probe = f"FROM parquet_bloom_probe('{path}', '{column}', {sql(value)}::{kind})"
        return [excluded for _, _, excluded in duckdb.sql(probe).fetchall()]

    excluded = 0
    for row in range(0, ROWS, 97):
        answers = excludes(table[column][row].as_py())
        assert not answers[row // GROUP_ROWS], f"row {row} is said not to be there"
        excluded += sum(answers)
    asked = len(range(0, ROWS, 97)) * (ROWS // GROUP_ROWS - 1)
    assert excluded > 0.95 * asked, f"{excluded} of {asked} excluded"


def asks_pyarrow(judge, table, column):
    path = judge.path("pyarrows.parquet")
    pq.write_table(table, path, row_group_size=GROUP_ROWS, bloom_filter_options={column: {"ndv": GROUP_ROWS, "fpp": 0.01}})
    asks(path, table, column, ROWS // GROUP_ROWS)


def asks_duckdb(judge, table, column):
    path = judge.path("duckdbs.parquet")
    connection = duckdb.connect()
    connection.register("rows", table)
    # DuckDB writes filters of dictionaries only.
    connection.execute(f"COPY (FROM rows) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048, DICTIONARY_SIZE_LIMIT 100000)")
    asks(path, table, column, pq.ParquetFile(path).metadata.num_row_groups)


def asks(path, table, column, groups):
    skipped = 0
    rows = range(0, ROWS, 499)
    for row in rows:
        command = [os.environ["HYPOSTYLE"], "scan", path, "--count", "--where", f"\"{column}\" = {sql(table[column][row].as_py())}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == "1", f"row {row}: {done.stdout} {done.stderr}"
        skipped += int(done.stderr.split(" by Bloom filter")[0].rsplit("(", 1)[1]) if "by Bloom filter" in done.stderr else 0
    assert skipped > 0.8 * len(rows) * (groups - 1), f"{skipped} row groups skipped"
