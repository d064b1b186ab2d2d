#!/usr/bin/env python3
"""Makes the golden files in `others/`: what parquet-java, DuckDB, Polars and fastparquet write, each as only it does; and what none writes.

    ../interop/.venv/bin/python others.py     (after `../interop/run peers`, whose environments it uses)

Each file's contents are what PyArrow reads from it, once they have been compared with the values that the writer was given.
"""
import datetime as dt
import json
import os
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "interop"))
import engines  # noqa: E402
import footer  # noqa: E402
from columns import first_difference, leaves, nested, raw, with_nulls  # noqa: E402
from make import without_field_id  # noqa: E402
from peers import lacking  # noqa: E402

FOLDER = os.path.join(HERE, "others")
manifest = []


def main():
    os.makedirs(os.path.join(FOLDER, "contents"), exist_ok=True)
    for folder in (FOLDER, os.path.join(FOLDER, "contents")):
        for name in os.listdir(folder):
            if name.endswith((".parquet", ".arrow")):
                os.remove(os.path.join(folder, name))
    for version in (1, 2):
        by_parquet_java("lists", LISTS, lists(), version)
        by_parquet_java("types", TYPES, values(), version, bloom=["int32", "text", "double"])
        by_parquet_java("types-split", TYPES, values(), version, split=True, dictionary=False, codec="ZSTD")
    rows = sample("duckdb")
    for version in ("V1", "V2"):
        path = os.path.join(FOLDER, f"duckdb.{version}.parquet")
        engines.connection().sql(f"COPY rows TO '{path}' (FORMAT parquet, PARQUET_VERSION {version}, COMPRESSION zstd, ROW_GROUP_SIZE 30)")
        keep(f"duckdb.{version}", rows)
    rows = sample("polars")
    engines.pl.from_arrow(rows).write_parquet(os.path.join(FOLDER, "polars.parquet"), compression="lz4", row_group_size=30, data_page_size=100)
    keep("polars", rows)
    for times in ("int64", "int96"):
        by_fastparquet(times)
    for version in (1, 2):
        by_parquet_java("extensions", EXTENSIONS, extensions(), version)
        # PyArrow has no LZO, and the contents are those of any other codec.
        contents = columns_of("parquet-java.lists-v1")
        by_parquet_java("lists-lz4", LISTS, lists(), version, codec="LZ4", airlift=True)
        by_parquet_java("lists-lzo", LISTS, lists(), version, found=contents, codec="LZO", airlift=True)
    by_duckdb_alone()
    as_pyarrow_knows_no_word_for()
    with open(os.path.join(FOLDER, "manifest.json"), "w") as out:
        lines = ",\n".join("  " + json.dumps(entry) for entry in manifest)
        out.write(f'{{"files": [\n{lines}\n]}}\n')
    print(f"{len(manifest)} files")


def columns_of(name):
    """What PyArrow reads of a file that was kept."""
    path = os.path.join(FOLDER, name + ".parquet")
    found = pa.table({column: one_column(path, column) for column in pq.read_schema(path).names}).combine_chunks()
    return found.cast(pa.schema([f.with_nullable(pq.read_schema(path).field(f.name).nullable) for f in found.schema]))


def keep(name, rows, found=None):
    """`rows`: what the writer was given, as a table or as raw values by column; `found`: where PyArrow cannot read the file."""
    found = columns_of(name) if found is None else found
    if "enum" in found.schema.names:  # PyArrow gives bytes.
        found = found.set_column(found.schema.get_field_index("enum"), "enum", found.column("enum").cast(pa.string()))
    found = found.cast(pa.schema([named(without_field_id(field)) for field in found.schema]))
    for field in found.schema:
        wanted = rows[field.name] if isinstance(rows, dict) else raw(rows.column(field.name), rows.schema.field(field.name).type)
        of = field.type if isinstance(rows, dict) else rows.schema.field(field.name).type
        fault = first_difference(raw(found.column(field.name), of), wanted)
        assert fault is None, f"{name}: {field.name}: {fault}"
    with pa.ipc.new_file(os.path.join(FOLDER, "contents", name + ".arrow"), found.schema) as out:
        out.write_table(found)
    manifest.append({"file": f"others/{name}.parquet", "contents": f"others/contents/{name}.arrow", "rows": found.num_rows})


def named(field):
    """The field as an extension, where its name is that of one."""
    extension = NAMES.get(field.name.split("_")[0])
    return field.with_metadata({"ARROW:extension:name": extension, "ARROW:extension:metadata": ""}) if extension else field


# What stands in the columns of that name (and name_…).
NAMES = {"geometry": "geoarrow.wkb", "geography": "geoarrow.wkb", "variant": "arrow.parquet.variant", "file": "arrow.parquet.file"}


def one_column(path, name):
    try:
        return pq.read_table(path, columns=[name]).column(name)
    except (pa.ArrowInvalid, OSError) as error:
        # PyArrow does not read all that DuckDB writes: null arrays with the levels of their elements, differences of no block.
        print(f"{os.path.basename(path)}: {name}: {error}")
        return engines.connection().sql(f"SELECT {name} FROM '{path}'").to_arrow_table().column(name)


def sample(writer):
    """A column of each type that the writer has, flat, and one of each nesting."""
    arrays = {}
    for name, values in leaves().items():
        if name not in lacking(writer, "flat") and name != "dictionary":
            arrays[name], arrays[name + "_null"] = values, with_nulls(values)
    # As many rows as the nested ones have, over and over.
    for nesting in ("list", "fixed_list", "struct", "map", "list_list", "list_struct", "map_list"):
        for name in ("int32", "string", "date32"):
            array = nested(nesting, with_nulls(leaves()[name]), True)
            repeated = pa.concat_arrays([array] * (40 // len(array) + 1)).take(pa.array(range(40)))
            arrays[f"{nesting}_{name}"] = repeated
    return pa.table(arrays)


# ---- parquet-java -------------------------------------------------------------------------------------------------

# Lists and maps as they were written before there were three levels, and by those who named them otherwise.
LISTS = """message lists {
  required group two_levels (LIST) { repeated int32 element; }
  optional group two_levels_text (LIST) { repeated binary str (STRING); }
  optional group of_groups (LIST) { repeated group element { required binary str (STRING); required int32 num; } }
  optional group avro (LIST) { repeated group array { required binary str (STRING); } }
  optional group thrift (LIST) { repeated group thrift_tuple { required binary str (STRING); } }
  optional group hive (LIST) { repeated group bag { optional int32 array_element; } }
  optional group nested_avro (LIST) { repeated group array (LIST) { repeated int32 array; } }
  repeated int32 bare;
  repeated group bare_group { required int32 x; optional double y; }
  optional group hive_map (MAP) { repeated group map (MAP_KEY_VALUE) { required binary key (STRING); optional int32 value; } }
  optional group old_map (MAP_KEY_VALUE) { repeated group map { required binary key (STRING); required int32 value; } }
  optional group struct { optional group inner { repeated int32 bare; optional binary text (STRING); } }
}"""


def lists():
    """Rows as the bridge takes them, and as columns of raw values."""
    text = lambda i: f"t{i}"  # noqa: E731
    rows, columns = [], {}

    def put(row, name, stored, value):
        if stored is not None:
            row[name] = stored
        columns.setdefault(name, []).append(value)

    for i in range(23):
        row, n, some = {}, i * 7 % 4, range(i, i + i * 7 % 4)
        here = i % 5 != 3
        hexed = [text(k).encode().hex() for k in some]
        byte = [text(k).encode() for k in some]
        put(row, "two_levels", {"element": list(some)}, list(some))
        put(row, "two_levels_text", {"str": hexed} if here else None, byte if here else None)
        put(row, "of_groups", {"element": [{"str": h, "num": k} for h, k in zip(hexed, some)]} if here else None,
            [{"str": b, "num": k} for b, k in zip(byte, some)] if here else None)
        put(row, "avro", {"array": [{"str": h} for h in hexed]} if here else None, [{"str": b} for b in byte] if here else None)
        put(row, "thrift", {"thrift_tuple": [{"str": h} for h in hexed]} if here else None, [{"str": b} for b in byte] if here else None)
        put(row, "hive", {"bag": [{"array_element": k} if k % 3 else {} for k in some]} if here else None,
            [k if k % 3 else None for k in some] if here else None)
        put(row, "nested_avro", {"array": [{"array": list(range(k % 3))} for k in some]} if here else None,
            [list(range(k % 3)) for k in some] if here else None)
        put(row, "bare", list(some), list(some))
        put(row, "bare_group", [{"x": k} | ({"y": k} if k % 2 else {}) for k in some], [{"x": k, "y": k if k % 2 else None} for k in some])
        put(row, "hive_map", {"map": [{"key": h} | ({"value": k} if k % 2 else {}) for h, k in zip(hexed, some)]} if here else None,
            [(b, k if k % 2 else None) for b, k in zip(byte, some)] if here else None)
        put(row, "old_map", {"map": [{"key": h, "value": k} for h, k in zip(hexed, some)]} if here else None,
            list(zip(byte, some)) if here else None)
        inner = {"bare": list(some)} | ({"text": text(i).encode().hex()} if n else {})
        put(row, "struct", None if i % 7 == 2 else {"inner": inner} if here else {},
            None if i % 7 == 2 else {"inner": {"bare": list(some), "text": text(i).encode() if n else None} if here else None})
        rows.append(row)
    return rows, columns


# Annotations and carriers that PyArrow does not write.
TYPES = """message types {
  optional int32 int32; optional int64 int64; optional double double; optional float float; optional boolean boolean;
  optional binary text (STRING); optional binary enum (ENUM); optional binary json (JSON); optional binary bson (BSON);
  optional int96 int96; optional fixed_len_byte_array(12) interval (INTERVAL); optional fixed_len_byte_array(16) uuid (UUID);
  optional fixed_len_byte_array(2) float16 (FLOAT16);
  optional int32 decimal_int32 (DECIMAL(9, 2)); optional int64 decimal_int64 (DECIMAL(18, 3));
  optional fixed_len_byte_array(7) decimal_fixed (DECIMAL(16, 4)); optional binary decimal_bytes (DECIMAL(20, 5));
  optional int32 uint8 (INTEGER(8, false)); optional int64 uint64 (INTEGER(64, false));
  optional int32 time_ms (TIME(MILLIS, true)); optional int64 time_ns (TIME(NANOS, false));
  optional int64 utc_ms (TIMESTAMP(MILLIS, true)); optional int64 local_ns (TIMESTAMP(NANOS, false));
  required int32 date (DATE); required fixed_len_byte_array(3) fixed;
}"""


def values():
    rows, columns = [], {}
    for i in range(60):
        big = (i * 7919 - 200_000) * 10**6
        instant = dt.datetime(2013, 1, 1) + dt.timedelta(hours=i * 31)
        julian = instant.toordinal() + 1_721_425
        nanos = (instant - instant.replace(hour=0)).seconds * 10**9 + i
        stored = {
            "int32": i - 30, "int64": big, "double": i * 10**15, "float": i * 10**7, "boolean": i % 3 == 0,
            "text": f"text {i % 7}".encode(), "enum": [b"RED", b"GREEN", b"BLUE"][i % 3], "json": b'{"i": %d}' % i, "bson": bytes([i, 0, 255]),
            "int96": nanos.to_bytes(8, "little") + julian.to_bytes(4, "little"), "interval": bytes(range(i, i + 12)),
            "uuid": bytes(range(i, i + 16)), "float16": bytes([0, 60 + i % 4]),
            "decimal_int32": i * 1001 - 20_000, "decimal_int64": big, "decimal_fixed": big.to_bytes(7, "big", signed=True),
            "decimal_bytes": big.to_bytes(max(1, (big.bit_length() + 8) // 8), "big", signed=True),
            "uint8": 255 - i, "uint64": -i - 1, "time_ms": i * 1_000_003, "time_ns": i * 1_000_000_007,
            "utc_ms": big // 1000, "local_ns": big, "date": i * 400 - 9000, "fixed": bytes([i % 5, i, 7]),
        }
        meant = dict(stored)
        meant["int96"] = (julian - 2_440_588) * 86_400 * 10**9 + nanos
        meant["float16"] = int.from_bytes(stored["float16"], "little")
        meant["decimal_fixed"] = meant["decimal_bytes"] = big
        meant["uint64"] = 2**64 - i - 1
        meant["interval"] = None  # parquet-java's annotation of it is UNKNOWN, under which all is null.
        rows.append({})
        for name, value in stored.items():
            is_null = (i + len(name)) % 6 == 1 and name not in ("date", "fixed")
            columns.setdefault(name, []).append(None if is_null else meant[name])
            if not is_null:
                rows[-1][name] = value.hex() if isinstance(value, bytes) else value
    return rows, columns


def by_parquet_java(name, schema, contents, version, found=None, **options):
    rows, columns = contents
    name = f"parquet-java.{name}-v{version}"
    path = os.path.join(FOLDER, name + ".parquet")
    engines.the_bridge().ask(write=path, schema=schema, rows=rows, version=version, page_rows=8, row_group_rows=40, **options)
    keep(name, columns, found)


# A Variant is carried as it is stored: one as any writer has it, and one of which a part is shredded.
EXTENSIONS = """message extensions {
  required binary geometry (GEOMETRY); optional binary geometry_srid (GEOMETRY(srid:5070));
  optional binary geography (GEOGRAPHY); optional binary geography_karney (GEOGRAPHY(srid:4979, KARNEY));
  optional group variant (VARIANT(1)) { required binary metadata; required binary value; }
  required group variant_shredded (VARIANT(1)) { required binary metadata; optional binary value; optional int64 typed_value; }
}"""


def extensions():
    rows, columns = [], {}
    for i in range(50):
        point = struct.pack("<BIdd", 1, 1, i - 20.5, i * 3.25)
        line = struct.pack("<BII4d", 1, 2, 2, i, -i, i + 0.5, 90)
        spatial = point if i % 3 else line
        # Variants: no names (version 1, sorted, one offset); a short string, an int8.
        names, text = bytes([0x11, 0, 0]), f"v{i}".encode()
        stored = {"geometry": spatial, "geometry_srid": spatial, "geography": spatial, "geography_karney": point,
                  "variant": {"metadata": names, "value": bytes([len(text) << 2 | 1]) + text},
                  "variant_shredded": {"metadata": names, "value": bytes([12, i]) if i % 2 else None, "typed_value": None if i % 2 else i * 10**12}}
        rows.append({})
        for name, value in stored.items():
            is_null = (i + len(name)) % 5 == 1 and name not in ("geometry", "variant_shredded")
            columns.setdefault(name, []).append(None if is_null else value)
            if not is_null:
                hexed = lambda v: v.hex() if isinstance(v, bytes) else v  # noqa: E731
                rows[-1][name] = {k: hexed(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else hexed(value)
    return rows, columns


# ---- DuckDB, what none of the others writes -----------------------------------------------------------------------


def by_duckdb_alone():
    for version in ("V1", "V2"):
        path = os.path.join(FOLDER, f"duckdb.extensions-{version}.parquet")
        connection = engines.connection()
        # An interval has months, days and microseconds here, in Parquet milliseconds.
        given = connection.sql("""
            SELECT CASE WHEN i % 7 <> 3 THEN to_months(i::INT) + to_days((i * 31 % 400)::INT) + to_milliseconds(i * 86399999 % 4000000) END AS interval,
                   CASE WHEN i % 5 <> 1 THEN ('POINT(' || i || ' ' || i / 4 || ')')::GEOMETRY END AS geometry,
                   CASE WHEN i % 6 = 2 THEN NULL WHEN i % 2 = 0 THEN {'a': i, 'b': 'x' || i}::VARIANT ELSE i::VARIANT END AS variant,
                   [i, NULL] AS list, uuid_of.uuid
            FROM range(60) t(i), (SELECT 'f47ac10b-58cc-4372-a567-0e02b2c3d479'::UUID AS uuid) uuid_of""")
        connection.sql("CREATE OR REPLACE TABLE given AS FROM given")
        connection.sql(f"COPY given TO '{path}' (FORMAT parquet, PARQUET_VERSION {version}, GEOPARQUET_VERSION 'V2', ROW_GROUP_SIZE 30)")
        # It reads what it was given, and PyArrow reads what is stored.
        differ = f"SELECT count(*) FROM (FROM given POSITIONAL JOIN (SELECT COLUMNS(*) AS 'read_\\0' FROM '{path}')) WHERE " + " OR ".join(
            f"{name}::VARCHAR IS DISTINCT FROM read_{name}::VARCHAR" for name in ("interval", "geometry", "variant", "uuid"))
        assert connection.sql(differ).fetchall() == [(0,)]
        found = columns_of(f"duckdb.extensions-{version}")
        stored = [value and struct.unpack("<III", value) for value in found.column("interval").to_pylist()]
        intervals = [value and (value[0], value[1], value[2] * 10**6) for value in stored]
        told = connection.sql("SELECT date_part(['year', 'month', 'day', 'epoch'], interval) FROM given").fetchall()
        for (one,), value in zip(told, stored):
            assert one is None if value is None else (one["year"] * 12 + one["month"], one["day"]) == value[:2], (one, value)
        found = found.set_column(0, "interval", pa.array(intervals, pa.month_day_nano_interval()))
        keep_as_found(f"duckdb.extensions-{version}", found)


def keep_as_found(name, found):
    """Where what the writer was given has been compared before."""
    found = found.cast(pa.schema([named(without_field_id(field)) for field in found.schema]))
    with pa.ipc.new_file(os.path.join(FOLDER, "contents", name + ".arrow"), found.schema) as out:
        out.write_table(found)
    manifest.append({"file": f"others/{name}.parquet", "contents": f"others/contents/{name}.arrow", "rows": found.num_rows})


# ---- what nobody writes ---------------------------------------------------------------------------------------------


def as_pyarrow_knows_no_word_for():
    """FILE, for which no writer was found: PyArrow's groups, with the annotation put into the footer; and a logical type of the future."""
    kind = pa.struct([pa.field("path", pa.string(), nullable=False), ("size", pa.int64()), ("offset", pa.int64()), ("inline", pa.binary())])
    files = [None if i % 4 == 3 else {"path": f"s3://bucket/{i}", "size": i * 10 if i % 2 else None, "offset": None, "inline": None if i % 3 else b"x" * i}
             for i in range(40)]
    rows = pa.table({"file": pa.array(files, kind), "future": pa.array(range(40), pa.int32())})
    path = os.path.join(FOLDER, "edited.file.parquet")
    pq.write_table(rows, path, store_schema=False, row_group_size=25)

    def change(tree):
        elements = {element[4][1]: element for element in tree[2][1][1]}
        elements[b"file"][10] = (footer.STRUCT, {19: (footer.STRUCT, {})})
        elements[b"future"][10] = (footer.STRUCT, {120: (footer.STRUCT, {1: (footer.I32, 5)})})

    footer.edit(path, change)
    keep_as_found("edited.file", rows)


# ---- fastparquet --------------------------------------------------------------------------------------------------


def by_fastparquet(times):
    rows = pa.table({name: leaves()[name] for name in ("bool", "int8", "uint16", "int32", "int64", "float64", "string", "dictionary", "local_ns")})
    rows = rows.set_column(5, "float64", pa.array([i / 8 for i in range(40)]))
    rows = rows.append_column("string_null", with_nulls(rows.column("string").combine_chunks()))
    frame = rows.to_pandas()
    frame[["string", "string_null"]] = frame[["string", "string_null"]].astype(object)
    path = os.path.join(FOLDER, f"fastparquet.{times}.parquet")
    engines.fastparquet.write(path, frame, compression="GZIP", times=times, row_group_offsets=[0, 17],
                              object_encoding={"string": "utf8", "string_null": "utf8"})
    keep(f"fastparquet.{times}", rows)


if __name__ == "__main__":
    main()
