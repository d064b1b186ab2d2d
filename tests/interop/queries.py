"""Conditions, answered by DuckDB, Polars and hypostyle on the same files.

A query is the text after `--where`, which is DuckDB's and Polars' as well where they have no entry of their own. Polars' entry is an
expression; None leaves an engine out, for the reason said beside it.
"""
import datetime as dt
import decimal
import math
import os
import random
import uuid

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import tables
from program import hypostyle

c = pl.col
UTC = dt.timezone.utc


class Q:
    def __init__(self, where, columns=(), duck="", polars=""):
        self.where, self.columns = where, ["row", *columns]
        self.duck = where if duck == "" else duck
        self.polars = where if isinstance(polars, str) and polars == "" else polars


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


# Of 2013's flights from New York: by departure, so that time is clustered and all else is not.
FLIGHTS = [
    Q("carrier = 'UA'"),
    Q("carrier = 'HA'", ["dest", "tail"]),
    Q("carrier <> 'UA' and origin = 'EWR'"),
    Q("carrier in ('AA', 'DL', 'HA')", ["carrier"]),
    Q("carrier not in ('AA', 'DL', 'UA', 'B6', 'EV')", ["carrier"]),
    Q("carrier = 'nobody'"),
    Q("dest in ('IAH', 'MIA', 'SFO', 'LAX', 'ORD', 'ATL', 'BOS', 'MCO', 'FLL', 'CLT', 'XYZ')", ["dest"]),
    Q("dest between 'L' and 'N'", ["dest"]),
    Q("dest not between 'B' and 'Y'", ["dest"]),
    Q("dest like 'S%'", ["dest"]),
    Q("dest like '%A%'", ["dest"]),
    Q("dest like '_A_'", ["dest"]),
    Q("dest not like '%O%'"),
    Q("tail ilike 'n1%ua'", ["tail"], polars=c("tail").str.to_lowercase().str.contains("^n1.*ua$")),
    Q("starts_with(tail, 'N10')", ["tail"]),
    Q("tail is null"),
    Q("tail is not null and air_time is null", ["tail", "air_time"]),
    Q("dep_delay > 60", ["dep_delay"]),
    Q("dep_delay >= 300", ["dep_delay", "carrier", "flight"]),
    Q("dep_delay < -15", ["dep_delay"]),
    Q("dep_delay = 0 and arr_delay <= 0", ["arr_delay"]),
    Q("dep_delay between -5 and 5 and distance > 2000"),
    Q("dep_delay > 1000000"),
    Q("dep_delay <> 0 or dep_delay is null"),
    Q("not dep_delay > 0"),
    Q("not (dep_delay > 0 and arr_delay > 0)"),
    Q("(dep_delay > 0) is not true", polars=~(c("dep_delay") > 0).fill_null(False)),
    Q("(dep_delay > 0) is unknown", duck="(dep_delay > 0) is null", polars=c("dep_delay").is_null()),
    Q("arr_delay > dep_delay", ["arr_delay", "dep_delay"]),
    Q("arr_delay = dep_delay", ["arr_delay"]),
    Q("air_time > 300.5", ["air_time"]),
    Q("air_time <= 25 and origin <> 'JFK'", ["air_time", "origin"]),
    Q("air_time = 227", ["air_time"]),
    Q("air_time is null and dep_delay is not null"),
    Q("distance in (1400, 1416, 1089, 17, 96)", ["distance"]),
    Q("flight = 1545"),
    Q("flight in (1545, 1714, 1141, 725, 461, 1696, 507, 5708, 79, 301, 49, 71)", ["flight"]),
    Q("flight > 5000 and flight < 5100", ["flight"]),
    Q("flight < 10 or flight > 6000", ["flight"]),
    Q("scheduled_departure >= '2013-01-15T00:00:00Z'", polars=c("scheduled_departure") >= at("2013-01-15")),
    Q("scheduled_departure < TIMESTAMP '2013-01-01 06:00:00'", ["scheduled_departure"],
      duck="scheduled_departure < '2013-01-01T06:00:00Z'", polars=c("scheduled_departure") < at("2013-01-01T06:00:00")),
    Q("scheduled_departure between '2013-01-03T12:00:00Z' and '2013-01-03T18:00:00+01:00'", ["scheduled_departure"],
      polars=c("scheduled_departure").is_between(at("2013-01-03T12:00:00"), at("2013-01-03T17:00:00"))),
    Q("scheduled_departure = '2013-01-01T05:15:00Z'", polars=c("scheduled_departure") == at("2013-01-01T05:15:00")),
    Q("scheduled_departure < '2012-12-31T00:00:00Z'", polars=c("scheduled_departure") < at("2012-12-31")),
    Q("(carrier = 'UA' or carrier = 'AA') and (origin = 'LGA' or dest = 'MIA') and dep_delay > 30", ["carrier", "origin"]),
    Q("carrier = 'UA' or (carrier = 'AA' and not (dest = 'MIA' or dest = 'DFW'))"),
    Q("carrier >= 'U' and carrier < 'V' and dest >= 'S'", ["carrier", "dest"]),
    Q("TRUE", ["flight"]),
    Q("distance > 100 and FALSE"),
]

# Of generated rows: every type that has constants, nested ones among them.
NUMBERS = [str(n) for n in range(-1000, 1000, 7)]
THINGS = [
    Q("i8 = -128 or i8 = 127", ["i8"]),
    Q("i8 > 1000", duck="i8::INT > 1000", polars=c("i8").cast(pl.Int32) > 1000),
    Q("i8 < 1.5 and i8 > 0.5", ["i8"], polars=(c("i8") == 1)),
    Q("u16 between 65000 and 65535", ["u16"]),
    Q("u64 > 9223372036854775807", ["u64"], polars=c("u64") > 2**63 - 1),
    Q("u64 in (0, 18446744073709551615)", ["u64"], polars=c("u64").is_in([0, 2**64 - 1])),
    Q("i64 in (" + ", ".join(NUMBERS) + ")", ["i64"]),
    Q("i64 not in (" + ", ".join(NUMBERS) + ")", ["i64"]),
    Q("i64 in (1, NULL)", polars=c("i64") == 1),
    Q("i64 not in (1, NULL)", polars=pl.lit(False)),
    Q("f64 > 0.25", polars=c("f64") > 0.25),
    Q("f64 = 0", ["f64"], polars=c("f64") == 0),
    Q("f64 = 'NaN'", duck="f64 = 'NaN'::DOUBLE", polars=c("f64").is_nan()),
    Q("f64 >= 'Infinity'", duck="f64 >= 'Infinity'::DOUBLE", polars=c("f64") >= math.inf),
    Q("f64 < 'NaN'", duck="f64 < 'NaN'::DOUBLE", polars=~c("f64").is_nan()),
    Q("f64 <= -1e300 or f64 is null", polars=(c("f64") <= -1e300) | c("f64").is_null()),
    Q("f32 = 0.1", ["f32"], duck="f32 = 0.1::FLOAT", polars=c("f32") == pl.lit(0.1, pl.Float32)),
    Q("f32 < -0.0", polars=c("f32") < 0),
    Q("dec = 1.25", ["dec"], polars=c("dec") == decimal.Decimal("1.25")),
    Q("dec > 99.994", ["dec"], polars=c("dec") >= decimal.Decimal("100")),
    Q("dec between -1 and 1.005", ["dec"], polars=c("dec").is_between(decimal.Decimal("-1.00"), decimal.Decimal("1.00"))),
    Q("day = '2020-02-29'", ["day"], polars=c("day") == dt.date(2020, 2, 29)),
    Q("day < DATE '2000-01-01'", ["day"], polars=c("day") < dt.date(2000, 1, 1)),
    Q("clock >= '12:30:00'", ["clock"], polars=c("clock") >= dt.time(12, 30)),
    Q("moment >= '2020-06-01 12:00:00'", ["moment"], polars=c("moment") >= dt.datetime(2020, 6, 1, 12)),
    Q("text = ''", ["text"]),
    Q("text > 'é'", ["text"]),
    Q("text like '%ß%' or text like '日%'", ["text"]),
    Q("text like '10!%%' escape '!'", ["text"], polars=c("text").str.starts_with("10%")),
    Q("text in ('a', 'b', 'é', 'zz', '日本', 'none', 'x1', 'x2', 'x3', 'x4')", ["text"]),
    Q("bin = X'00ff'", ["bin"], duck="bin = '\\x00\\xff'::BLOB", polars=c("bin") == b"\x00\xff"),
    Q("bin > X'80'", ["bin"], duck="bin > '\\x80'::BLOB", polars=c("bin") > b"\x80"),
    Q("flag", ["flag"]),
    Q("not flag", ["flag"]),
    Q("flag is null or i8 = 5"),
    # Polars has no type for it.
    Q("id = '00000000-0000-0000-0000-000000000007'", polars=None),
    Q("place.city = 'Paris'", duck="place.city = 'Paris'", polars=c("place").struct.field("city") == "Paris"),
    Q("place.zip > 90 and place.city is not null", polars=(c("place").struct.field("zip") > 90) & c("place").struct.field("city").is_not_null()),
    Q("place.city is null", polars=c("place").struct.field("city").is_null()),
    Q("any(tags) = 'red'", duck="list_contains(tags, 'red')", polars=c("tags").list.contains("red")),
    Q("'blue' = any(tags) and i8 > 0", duck="list_contains(tags, 'blue') and i8 > 0", polars=c("tags").list.contains("blue") & (c("i8") > 0)),
    Q("any(scores) > 95", duck="len(list_filter(scores, lambda s: s > 95)) > 0", polars=c("scores").list.max() > 95),
    Q("any(scores) between 10 and 12", duck="len(list_filter(scores, lambda s: s between 10 and 12)) > 0",
      polars=c("scores").list.eval(pl.element().is_between(10, 12)).list.any()),
    Q("any(people.name) like 'B%'", duck="len(list_filter(people, lambda p: p.name like 'B%')) > 0",
      polars=c("people").list.eval(pl.element().struct.field("name").str.starts_with("B")).list.any()),
    Q("any(people.age) is null", duck="len(list_filter(people, lambda p: p.age is null)) > 0",
      polars=c("people").list.eval(pl.element().struct.field("age").is_null()).list.any()),
]


def run(judge):
    flights = tables.records(tables.lines(os.environ.get("FLIGHTS") or tables.FLIGHTS), dt.timedelta(days=1))
    flights = flights.drop_columns(["window_start"]).append_column("row", pa.array(range(len(flights)), pa.int64()))
    answered = 0
    for name, table, queries in [("flights", flights, FLIGHTS), ("things", things(), THINGS)]:
        for writer, path in files(judge, name, table):
            for query in queries:
                judge.check(f"{name} by {writer}: {query.where[:100]}", answers_agree, judge, path, query)
                answered += 1
    print(f"queries: {len(FLIGHTS)} of flights, {len(THINGS)} of generated rows, {answered} answered")


def files(judge, name, table):
    """The same rows, as each writer has them by default but for small row groups."""
    source = judge.path(f"{name}.arrow")
    with pa.ipc.new_file(source, table.schema) as out:
        out.write_table(table)
    ours = judge.path(f"{name}-ours.parquet")
    filters = ["carrier", "dest", "flight"] if name == "flights" else ["text", "i64", "dec", "bin"]
    options = [word for column in filters for word in ("--bloom-filter", f"{column}=0.01")]
    hypostyle("convert", source, ours, "--row-group-rows", max(len(table) // 12, 500), *options)
    theirs = judge.path(f"{name}-pyarrow.parquet")
    pq.write_table(table, theirs, row_group_size=max(len(table) // 9, 500), write_page_index=name == "things")
    return [("hypostyle", ours), ("PyArrow", theirs)]


def answers_agree(judge, path, query):
    found = judge.path("found.arrow")
    columns = [f'"{name}"' for name in query.columns]
    if os.path.exists(found):
        os.remove(found)
    hypostyle("convert", path, found, "--where", query.where, "--columns", ",".join(columns))
    with pa.ipc.open_file(found) as source:
        ours = plain(source.read_all())
    engines = {}
    if query.duck is not None:
        engines["DuckDB"] = plain(ask_duckdb(path, query, columns))
    if query.polars is not None:
        engines["Polars"] = plain(ask_polars(path, query))
    assert engines, "nobody else is asked"
    for engine, theirs in engines.items():
        if ours != theirs:
            more, less = [sorted(set(a) - set(b))[:3] for a, b in [(ours, theirs), (theirs, ours)]]
            raise AssertionError(f"{len(ours)} rows, {engine} has {len(theirs)}; only here {more}, only there {less}")


def ask_duckdb(path, query, columns):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection.sql(f"SELECT {', '.join(columns)} FROM '{path}' WHERE {query.duck}").to_arrow_table()


def ask_polars(path, query):
    frame = pl.read_parquet(path)
    if isinstance(query.polars, str):
        return pl.SQLContext(t=frame).execute(f"SELECT * FROM t WHERE {query.polars}", eager=True).select(query.columns).to_arrow()
    return frame.filter(query.polars).select(query.columns).to_arrow()


def plain(table):
    """Rows, in order of their number, of values that compare as what they mean."""
    columns = [[value(v) for v in table[name].to_pylist()] for name in table.schema.names]
    return sorted(zip(*columns))


def value(v):
    if v is None:
        return "null"
    if isinstance(v, float):
        return "NaN" if math.isnan(v) else repr(v + 0.0)
    if isinstance(v, dt.datetime):
        return (v if v.tzinfo else v.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return v if isinstance(v, int) else str(v)


def things():
    pick = random.Random(7)
    rows = 6000

    def some(make, nulls=0.1):
        return [None if pick.random() < nulls else make() for _ in range(rows)]

    specials = [0.0, -0.0, math.nan, math.inf, -math.inf, 0.1, 1e308, -1e308]
    floats = lambda: pick.choice(specials) if pick.random() < 0.1 else pick.uniform(-1, 1)  # noqa: E731
    texts = ["", "a", "b", "é", "ß", "straße", "日本", "10%", "10", "z", "zz"]
    cities = ["Paris", "Rome", "Oslo", "Bern"]
    person = lambda: {"name": pick.choice(["Ann", "Bob", "Bea", None]), "age": pick.choice([None, 1, 30, 99])}  # noqa: E731
    colours = ["red", "green", "blue", "teal", "grey"]
    # Tags come in runs, so that dictionaries of row groups differ.
    tags = [None if row % 17 == 0 else [pick.choice(colours[:2 + row // 2000]) for _ in range(row % 4)] for row in range(rows)]
    return pa.table({
        "row": pa.array(range(rows), pa.int64()),
        "i8": pa.array(some(lambda: pick.randint(-128, 127)), pa.int8()),
        "u16": pa.array(some(lambda: pick.randint(0, 65535)), pa.uint16()),
        "u64": pa.array(some(lambda: pick.choice([0, 1, 2**63, 2**64 - 1, pick.getrandbits(64)])), pa.uint64()),
        "i64": pa.array(some(lambda: pick.randint(-3000, 3000)), pa.int64()),
        "f32": pa.array(some(floats), pa.float32()),
        "f64": pa.array(some(floats), pa.float64()),
        "dec": pa.array(some(lambda: decimal.Decimal(pick.randint(-12000, 12000)).scaleb(-2)), pa.decimal128(10, 2)),
        "day": pa.array(some(lambda: dt.date(2020, 2, 29) + dt.timedelta(days=pick.randint(-9000, 300) // 30)), pa.date32()),
        "clock": pa.array(some(lambda: dt.time(pick.randint(0, 23), pick.choice([0, 30]), 0, pick.choice([0, 1]))), pa.time64("us")),
        "moment": pa.array([dt.datetime(2020, 1, 1) + dt.timedelta(hours=row) for row in range(rows)], pa.timestamp("us")),
        "text": pa.array(some(lambda: pick.choice(texts))),
        "bin": pa.array(some(lambda: pick.choice([b"", b"\x00", b"\x00\xff", b"\x80", b"\x80\x00", b"\xff"])), pa.binary()),
        "flag": pa.array(some(lambda: pick.random() < 0.2), pa.bool_()),
        "id": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=row % 50).bytes for row in range(rows)], pa.binary(16))),
        "place": pa.array(some(lambda: {"city": pick.choice([*cities, None]), "zip": pick.randint(0, 99)}),
                          pa.struct([("city", pa.string()), ("zip", pa.int32())])),
        "tags": pa.array(tags, pa.list_(pa.string())),
        "scores": pa.array(some(lambda: [pick.randint(0, 100) for _ in range(pick.randint(0, 3))]), pa.list_(pa.int32())),
        "people": pa.array(some(lambda: [person() for _ in range(pick.randint(0, 2))]),
                           pa.list_(pa.struct([("name", pa.string()), ("age", pa.int16())]))),
    })
