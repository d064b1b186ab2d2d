"""Bytes of a file of each kind of column: what hypostyle writes by default beside the defaults of others, at the same codec.

Each writer gets the same Arrow table of one column and is told nothing but the codec and its level. Called by `run`.
"""
import os
import subprocess
import sys
import tempfile

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from columns import KINDS, ROWS

LEVELS = {"zstd": 3, "snappy": None}


def hypostyle(source, path, codec, level, *options):
    compression = f"{codec}:{level}" if level else codec
    subprocess.run([os.environ["HYPOSTYLE"], "convert", source, path, "--compression", compression, *options], check=True, stdout=subprocess.DEVNULL)


def arrow_rs(source, path, codec, level):
    subprocess.run([os.environ["PARQUET_RS"], source, path, codec], check=True)


def pyarrow(source, path, codec, level):
    pq.write_table(read(source), path, compression=codec, compression_level=level)


def duck(source, path, codec, level):
    connection = duckdb.connect()
    connection.register("source", read(source))
    options = f", COMPRESSION_LEVEL {level}" if level else ""
    connection.execute(f"COPY (SELECT * FROM source) TO '{path}' (FORMAT parquet, COMPRESSION {codec}{options})")


def polars(source, path, codec, level):
    pl.from_arrow(read(source)).write_parquet(path, compression=codec, compression_level=level)


WRITERS = {"hypostyle": hypostyle, "arrow-rs": arrow_rs, "PyArrow": pyarrow, "DuckDB": duck, "Polars": polars}


def read(source):
    return pa.ipc.open_file(source).read_all()


def main():
    asked = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        source, path = os.path.join(folder, "in.arrow"), os.path.join(folder, "out.parquet")
        tables = {name: pa.table({"column": make()}) for name, make in KINDS.items() if not asked or name in asked}
        for codec, level in LEVELS.items():
            print(f"\n{ROWS:,} rows, {codec}{f' level {level}' if level else ''}; bytes\n")
            print("| column | " + " | ".join(WRITERS) + " |")
            print("|---|" + "---:|" * len(WRITERS))
            for name, table in tables.items():
                with pa.ipc.new_file(source, table.schema) as out:
                    out.write_table(table)
                sizes = {}
                for writer, write in WRITERS.items():
                    write(source, path, codec, level)
                    assert pq.read_table(path).num_rows == len(table)
                    sizes[writer] = os.path.getsize(path)
                    os.remove(path)
                least = min(sizes.values())
                print(f"| {name} | " + " | ".join(f"**{n:,}**" if n == least else f"{n:,}" for n in sizes.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
