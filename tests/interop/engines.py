"""The engines that read what hypostyle writes: each gives columns of a file as `columns.raw` does."""
import datetime as dt
import json
import os

# Before they are loaded: as many processes as there are cores run these, each on its own.
os.environ["POLARS_MAX_THREADS"] = "1"
os.environ["RUST_BACKTRACE"] = "0"

import duckdb  # noqa: E402
import fastparquet  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import java  # noqa: E402
from columns import is_list, raw  # noqa: E402

pa.set_cpu_count(1)


def pyarrow(path, schema):
    found = pq.read_table(path, columns=schema.names, page_checksum_verification=True, use_threads=False)
    return raws(found, schema)


def duck(path, schema):
    names = ", ".join(f'"{name}"' for name in schema.names)
    return raws(connection().sql(f"SELECT {names} FROM read_parquet('{path}')").to_arrow_table(), schema)


def connection():
    if not hasattr(connection, "made"):
        connection.made = duckdb.connect(config={"threads": 1})
    return connection.made


def polars(path, schema):
    return raws(pl.read_parquet(path, columns=schema.names).to_arrow(), schema)


def parquet_java(path, schema):
    rows = the_bridge().ask(read=path, columns=schema.names)["rows"]
    return {field.name: [java.from_java(row.get(field.name), field.type) for row in rows] for field in schema}


def the_bridge():
    if not hasattr(the_bridge, "made"):
        the_bridge.made = java.Bridge()
    return the_bridge.made


def fast(path, schema):
    """A column at a time: beside others fastparquet gives a map as None. The fields of a struct are columns NAME.FIELD."""
    file = fastparquet.ParquetFile(path)
    found = {}
    for field in schema:
        if pa.types.is_struct(field.type):
            frame = file.to_pandas(columns=[f"{field.name}.{inner.name}" for inner in field.type], index=False)
            columns = [from_pandas(frame[f"{field.name}.{inner.name}"], inner.type) for inner in field.type]
            found[field.name] = [dict(zip(field.type.names, row)) for row in zip(*columns)]
        else:
            found[field.name] = from_pandas(file.to_pandas(columns=[field.name], index=False)[field.name], field.type)
    return found


# A panic of Polars is no Exception.
FAILURES = (Exception, pl.exceptions.PanicException)
READERS = {"pyarrow": pyarrow, "duckdb": duck, "polars": polars, "parquet-java": parquet_java, "fastparquet": fast}


def raws(found, schema):
    return {field.name: raw(found.column(field.name), field.type) for field in schema}


def from_pandas(series, kind):
    """A column of pandas as `columns.raw` gives it, as far as pandas can tell."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if pa.types.is_map(kind):
        halves = [[None if one is None else list(part(one)) for one in series] for part in (dict.keys, dict.values)]
        return [None if keys is None else list(zip(plain(keys), plain(values))) for keys, values in zip(*halves)]
    if series.dtype.kind in "mM":
        # Days are of seconds here.
        unit, per = ("s", 86_400) if pa.types.is_date(kind) else (getattr(kind, "unit", "ns"), 1)
        counts = series.astype(f"{series.dtype.kind}8[{unit}]").astype("int64").tolist()
        scale = 86_400_000 if kind == pa.date64() else 1
        return [n // per * scale if is_there else None for n, is_there in zip(counts, series.notna().tolist())]
    if series.dtype.kind == "f":
        return series.to_numpy().view(f"i{series.dtype.itemsize}").tolist()
    return [None if isinstance(v, float) and np.isnan(v) else plain(v) for v in series]  # In text, NaN is pandas' null.


def plain(value):
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (list, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, np.floating):
        return int(value.view(f"i{value.itemsize}"))
    if isinstance(value, dt.datetime):
        return (value - dt.datetime(1970, 1, 1)) // dt.timedelta(seconds=1)
    if isinstance(value, np.generic):
        return value.item()
    return value.encode() if isinstance(value, str) else value


# ---- what an engine makes of values that it reads otherwise -------------------------------------------------------


def of_leaves(change):
    """Applies `change` to the values inside lists, maps and structs."""
    def of(values, kind):
        kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        if pa.types.is_struct(kind):
            inner = {field.name: field.type for field in kind}
            return [value and {name: of([v], inner[name])[0] for name, v in value.items()} for value in values]
        if is_list(kind):
            return [value and of(value, kind.value_type) for value in values]
        if pa.types.is_map(kind):
            return [value and [(key, of([v], kind.item_type)[0]) for key, v in value] for value in values]
        return [change(value, kind) for value in values]
    return of


def null_structs_as_nulls(values, kind):
    """A struct that is null cannot be told from one whose fields are all null."""
    if not pa.types.is_struct(kind):
        return values
    return [dict.fromkeys(kind.names) if value is None else value for value in values]


def stripped(value, kind):
    if kind == pa.float16() and isinstance(value, int):
        value = value.to_bytes(2, "little", signed=True)
    return value.rstrip(b"\0") if isinstance(value, bytes) else value


def bits(value, dtype):
    return int(np.array(value, dtype).view(f"i{np.dtype(dtype).itemsize}"))


READS = {
    "null structs as structs of nulls": null_structs_as_nulls,
    "bytes without the zeros at their end": of_leaves(stripped),
    "JSON as what it says": of_leaves(lambda v, kind: json.loads(v) if isinstance(v, bytes) else v),
    "null as NaN": of_leaves(lambda v, kind: bits(np.nan, f"f{kind.bit_width // 8}") if v is None and pa.types.is_floating(kind) else v),
    "decimals as doubles": of_leaves(lambda v, kind: v if not pa.types.is_decimal(kind) else bits(np.nan if v is None else v * 10.0**-kind.scale, "f8")),
}
