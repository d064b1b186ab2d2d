"""What the other engines write, read by hypostyle: types × nullability × nestings, with each writer's encodings, codecs and page versions."""
import itertools
import multiprocessing
import os

import pyarrow as pa

from columns import LEAF, NESTINGS, encoding, first_difference, raw, table, types
from matrix import be_quiet
from program import hypostyle

# What a writer has not, has otherwise, or spoils before Parquet comes into it: by writer and nestings (all, if None).
LACKS = [
    # No kernel of PyArrow slices views.
    (("pyarrow", "parquet-java"), ("struct", "list_struct"), {"string_view"}),
    # Arrow's own, which DuckDB does not take in; its intervals are never negative.
    (("duckdb",), None, {"float16", "decimal256_76", "duration_s", "duration_ms", "duration_us", "duration_ns"}),
    # It loses the values of dictionaries and takes wrong rows of fixed bytes when it takes these in from Arrow.
    (("duckdb",), ("fixed_list",), {"dictionary"}),
    (("duckdb",), ("struct", "list_struct"), {"fixed5"}),
    (("polars",), None, {"decimal256_76"}),
    (("polars",), NESTINGS[1:], {"json", "decimal32_9", "decimal64_18"}),
]


def lacking(writer, nesting):
    return set().union(*(types for writers, nestings, types in LACKS if writer in writers and (nestings is None or nesting in nestings)))


def run(judge):
    for nesting in NESTINGS:
        for mode in ("plain", "delta", "split"):
            rows = table(nesting, types(mode))
            with pa.ipc.new_file(judge.path(f"{nesting}.{mode}.arrow"), rows.schema) as out:
                out.write_table(rows)
    cases = [(judge.folder, *case) for case in all_cases()]
    with multiprocessing.get_context("spawn").Pool(initializer=be_quiet) as pool:
        for name, fault in pool.imap_unordered(one_file, cases):
            judge.count(name, fault)


def all_cases():
    codecs = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
    yield from itertools.product(["pyarrow"], NESTINGS, ["dictionary", "plain", "delta", "split"], codecs, ["1.0", "2.0"])
    yield from itertools.product(["duckdb"], NESTINGS, ["dictionary"], ["uncompressed", *codecs[1:], "lz4_raw"], ["V1", "V2"])
    yield from itertools.product(["polars"], NESTINGS, ["dictionary"], ["uncompressed", *codecs[1:]], ["1"])
    yield from itertools.product(["parquet-java"], NESTINGS, ["dictionary", "plain", "split"], ["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4_RAW"], [1, 2])
    yield from itertools.product(["fastparquet"], ["flat"], ["int64", "int96"], ["UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4_RAW"], ["1"])


def one_file(case):
    folder, writer, nesting, mode, codec, pages = case
    name = f"{writer} writes {nesting}, {mode}, {codec}, {pages}"
    stem = os.path.join(folder, f"{writer}-{nesting}-{mode}-{codec}-{pages}")
    source = os.path.join(folder, f"{nesting}.{mode if mode in ('delta', 'split') else 'plain'}.arrow")
    rows = pa.ipc.open_file(source).read_all()
    without = lacking(writer, nesting)
    rows = rows.select([name for name in rows.schema.names if name.removesuffix("_null") not in without])
    path, back = stem + ".parquet", stem + ".arrow"
    from engines import FAILURES

    try:
        rows = WRITERS[writer](rows, path, nesting, mode, codec, pages) or rows
    except FAILURES as error:
        return name, f"the writer fails: {type(error).__name__}: {error}"
    try:
        hypostyle("convert", path, back)
        found = pa.ipc.open_file(back).read_all()
        return name, difference(found, rows, of_their_types=writer == "pyarrow")
    except Exception as error:
        return name, f"{type(error).__name__}: {error}"
    finally:
        for file in (path, back):
            if os.path.exists(file):
                os.remove(file)


def difference(found, rows, of_their_types):
    if found.schema.names != rows.schema.names:
        return f"columns {found.schema.names}"
    faults = []
    for field in rows.schema:
        if of_their_types and not pa.types.is_map(field.type) and found.schema.field(field.name).type != field.type:
            faults.append(f"{field.name}: {found.schema.field(field.name).type} for {field.type}")
            continue
        try:
            fault = first_difference(raw(found.column(field.name), field.type), raw(rows.column(field.name), field.type))
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            faults.append(f"{field.name}: {fault}")
    return "\n    ".join(faults) or None


# ---- writers ------------------------------------------------------------------------------------------------------


def by_pyarrow(rows, path, nesting, mode, codec, version):
    import pyarrow.parquet as pq

    options = {"use_dictionary": mode == "dictionary"}
    if mode in ("delta", "split"):
        of = {field.name + LEAF[nesting]: encoding(mode, field.name.removesuffix("_null")) for field in rows.schema}
        options["column_encoding"] = of
    pq.write_table(rows, path, compression=codec, data_page_version=version, row_group_size=15, data_page_size=40, write_batch_size=4,
                   store_decimal_as_integer=mode == "delta", write_page_checksum=True, write_page_index=codec == "none", **options)


def by_duckdb(rows, path, nesting, mode, codec, version):
    import engines

    engines.connection().sql(f"COPY rows TO '{path}' (FORMAT parquet, COMPRESSION {codec}, PARQUET_VERSION {version}, ROW_GROUP_SIZE 15)")


def by_polars(rows, path, nesting, mode, codec, version):
    from engines import pl

    pl.from_arrow(rows).write_parquet(path, compression=codec, row_group_size=15, data_page_size=40)


def by_parquet_java(rows, path, nesting, mode, codec, version):
    import engines
    import pyarrow.parquet as pq

    pq.write_table(rows, path + ".source", compression="none")
    engines.the_bridge().ask(copy=path + ".source", write=path, codec=codec, version=version, dictionary=mode == "dictionary", split=mode == "split",
                             page_rows=4, row_group_rows=15)
    os.remove(path + ".source")


def by_fastparquet(rows, path, nesting, times, codec, version):
    """Columns of pandas, for which NaN is null; in the one file a dictionary is a category."""
    import pyarrow.compute as pc
    from engines import fastparquet, pd

    names = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "string_null",
             "binary", "binary_null", "local_ns", "dictionary", "dictionary_null"]
    rows = rows.select(names)
    for name in ("float32", "float64"):
        values = rows.column(name)
        rows = rows.set_column(names.index(name), name, pc.if_else(pc.is_nan(values), None, values))
    texts = {name: "utf8" if name.startswith("string") else "bytes" for name in names if name.startswith(("string", "binary"))}
    frame = pd.DataFrame({name: pd.Series(rows.column(name).to_pandas(), dtype=object if name in texts else None) for name in names})
    fastparquet.write(path, frame, compression=codec, times=times, object_encoding=texts, row_group_offsets=[0, 15, 30])
    return rows


WRITERS = {"pyarrow": by_pyarrow, "duckdb": by_duckdb, "polars": by_polars, "parquet-java": by_parquet_java, "fastparquet": by_fastparquet}
