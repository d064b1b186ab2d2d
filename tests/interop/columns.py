"""What the matrix is made of: arrays of every type, required and with nulls, inside every nesting; and values as Parquet stores them."""
import decimal
import math
import random
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS = 40


# ---- types --------------------------------------------------------------------------------------------------------


def leaves():
    """Type name → values without nulls, ROWS of them. The same at each call."""
    rng = random.Random(1962)
    some = lambda few, more: [few[i] if i < len(few) else more(i) for i in range(ROWS)]  # noqa: E731
    arrays = {"bool": pa.array([i % 3 == 0 or 20 < i < 32 for i in range(ROWS)])}
    for width in (8, 16, 32, 64):
        low, high = -(1 << width - 1), (1 << width - 1) - 1
        arrays[f"int{width}"] = pa.array(some([low, high, 0, -1], lambda i: rng.choice([7, -8, rng.randint(low, high)])), f"int{width}")
        arrays[f"uint{width}"] = pa.array(some([0, 2 * high + 1, high + 1], lambda i: rng.choice([7, rng.randint(0, 2 * high)])), f"uint{width}")
    for name, kind in [("float16", np.float16), ("float32", np.float32), ("float64", np.float64)]:
        ends = [0.0, -0.0, math.nan, math.inf, -math.inf, float(np.finfo(kind).max), float(np.finfo(kind).smallest_subnormal)]
        arrays[name] = pa.array(np.array(some(ends, lambda i: rng.choice([1.5, rng.gauss(0, 50)])), kind))
    texts = some(["", "a", "Ωmega", "日本語", "\U0001f600", "z" * 80, "\x00"], lambda i: rng.choice(["again", f"key-{i:03}"]))
    arrays["string"] = pa.array(texts)
    arrays["string_view"] = pa.array(texts, pa.string_view())
    arrays["large_string"] = pa.array(texts, pa.large_string())
    arrays["json"] = pa.ExtensionArray.from_storage(pa.json_(), pa.array([f'{{"i": {i % 9}}}' for i in range(ROWS)]))
    arrays["binary"] = pa.array(some([b"", b"\x00", b"\xff" * 70], lambda i: rng.choice([b"\x80\xff", rng.randbytes(i % 9)])), pa.binary())
    arrays["fixed5"] = pa.array([bytes([i % 4, 255 - i % 4, 0, 7, i]) for i in range(ROWS)], pa.binary(5))
    arrays["uuid"] = pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([uuid.UUID(int=rng.getrandbits(128)).bytes for _ in range(ROWS)], pa.binary(16)))
    days = some([0, -1, 1, 15706], lambda i: 15706 + i % 9)
    arrays["date32"] = pa.array(days, pa.int32()).cast(pa.date32())
    arrays["date64"] = pa.array([d * 86_400_000 for d in days], pa.int64()).cast(pa.date64())
    for unit, a_second in [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)]:
        kind, ints = (pa.time32, pa.int32()) if unit in ("s", "ms") else (pa.time64, pa.int64())
        arrays[f"time_{unit}"] = pa.array([i * 719_123_457_001 * a_second // 10**9 % (86_400 * a_second) for i in range(ROWS)], ints).cast(kind(unit))
        instants = pa.array(some([0, -1, 1, -9 * 10**9 * a_second, 9 * 10**9 * a_second],
                                 lambda i: (1_357_000_000 + 61 * (i % 9)) * a_second + i * 7919 % a_second), pa.int64())
        arrays[f"local_{unit}"] = instants.cast(pa.timestamp(unit))
        arrays[f"utc_{unit}"] = instants.cast(pa.timestamp(unit, "UTC"))
        arrays[f"duration_{unit}"] = instants.cast(pa.duration(unit))
    arrays["berlin_us"] = arrays["utc_us"].cast(pa.timestamp("us", "Europe/Berlin"))
    for kind in [pa.decimal32(9, 2), pa.decimal64(18, 4), pa.decimal128(9, 2), pa.decimal128(18, 0), pa.decimal128(38, 10), pa.decimal256(76, 20)]:
        top = 10**kind.precision - 1
        with decimal.localcontext() as context:
            context.prec = 80
            numbers = some([0, 1, -1, top, -top], lambda i: rng.choice([12, rng.randint(-top, top)]))
            arrays[f"{kind.__class__.__name__[:-4].lower()}_{kind.precision}"] = pa.array([decimal.Decimal(n).scaleb(-kind.scale) for n in numbers], kind)
    arrays["dictionary"] = pa.array(["UA", "AA", "DL", "B6"] * (ROWS // 4)).dictionary_encode()
    arrays["null"] = pa.nulls(ROWS)
    return arrays


def with_nulls(array):
    """Runs of nulls and single ones."""
    if pa.types.is_null(array.type):
        return array
    indices = pa.array([None if i % 5 == 2 or 12 <= i < 25 else i for i in range(len(array))], pa.int32())
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(array.type, array.storage.take(indices))
    if array.type == pa.string_view():  # No kernel takes views.
        return array.cast(pa.string()).take(indices).cast(array.type)
    return array.take(indices)


def encoding(mode, name):
    """The encoding that a column of the type has in a file of that mode; None: the type cannot have it."""
    kind = "fixed" if name in ("fixed5", "uuid", "float16", "decimal128_38", "decimal256_76") else \
        "bytes" if name in ("string", "string_view", "large_string", "json", "binary") else \
        name if name in ("bool", "float32", "float64", "null", "dictionary") else "integer"
    return {
        "delta": {"integer": "DELTA_BINARY_PACKED", "bytes": "DELTA_BYTE_ARRAY", "fixed": "DELTA_BYTE_ARRAY", "bool": "RLE"},
        "split": {"integer": "BYTE_STREAM_SPLIT", "float32": "BYTE_STREAM_SPLIT", "float64": "BYTE_STREAM_SPLIT", "fixed": "BYTE_STREAM_SPLIT",
                  "bytes": "DELTA_LENGTH_BYTE_ARRAY"},
        "alp": {"float32": "ALP", "float64": "ALP"},
    }[mode].get(kind)


def types(mode):
    """The types that a file of that encoding holds."""
    return [name for name in leaves() if mode not in ("delta", "split", "alp") or encoding(mode, name)]


# ---- nestings -----------------------------------------------------------------------------------------------------

# Sizes of lists, so that there are empty ones, ones beside nulls, and as many elements as ROWS holds.
SIZES = [0, 3, 1, 0, 2, 5, 0, 0, 1, 4, 2, 7, 0, 1, 1, 3, 2, 0, 8]
assert sum(SIZES) == ROWS


def offsets(sizes, kind=pa.int32()):
    return pa.array(np.concatenate([[0], np.cumsum(sizes)]), kind)


def lists(values, element, nullable, make=pa.ListArray, sizes=SIZES):
    """Lists of `values`; with `nullable` some of the lists are null, which takes them the empty ones only."""
    kind = (pa.large_list if make is pa.LargeListArray else pa.list_)(element)
    mask = pa.array([nullable and size == 0 and i % 2 == 0 for i, size in enumerate(sizes)])
    return make.from_arrays(offsets(sizes, pa.int64() if make is pa.LargeListArray else pa.int32()), values, type=kind, mask=mask)


def structs(fields, arrays, nullable):
    count = len(arrays[0])
    mask = pa.array([nullable and i % 6 == 1 for i in range(count)])
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=mask)


def maps(values, field, nullable, sizes=SIZES):
    keys = pa.array([f"k{i}" for i in range(len(values))])
    mask = pa.array([nullable and size == 0 and i % 2 == 0 for i, size in enumerate(sizes)])
    return pa.MapArray.from_arrays(offsets(sizes), keys, values, type=pa.map_(pa.string(), field), mask=mask)


OUTER = [2, 0, 1, 3, 0, 0, 4, 1, 0, 5, 3]
assert sum(OUTER) == len(SIZES)


def nested(nesting, values, nullable):
    element = pa.field("element", values.type, nullable=nullable or pa.types.is_null(values.type))
    value = element.with_name("value")
    if nesting == "flat":
        return values
    if nesting == "list":
        return lists(values, element, nullable)
    if nesting == "large_list":
        return lists(values, element, nullable, pa.LargeListArray)
    if nesting == "fixed_list":
        mask = pa.array([nullable and i % 5 == 3 for i in range(ROWS // 2)])
        return pa.FixedSizeListArray.from_arrays(values, type=pa.list_(element, 2), mask=mask)
    if nesting == "struct":
        return structs([value, pa.field("i", pa.int32(), nullable=False)], [values, pa.array(range(ROWS), pa.int32())], nullable)
    if nesting == "map":
        return maps(values, value, nullable)
    if nesting == "list_list":
        inner = lists(values, element, nullable)
        return lists(inner, pa.field("element", inner.type, nullable=nullable), nullable, sizes=OUTER)
    if nesting == "list_struct":
        inner = nested("struct", values, nullable)
        return lists(inner, pa.field("element", inner.type, nullable=nullable), nullable)
    if nesting == "struct_list":
        inner = lists(values, element, nullable)
        return structs([pa.field("value", inner.type, nullable=nullable)], [inner], nullable)
    if nesting == "map_list":
        inner = lists(values, element, nullable)
        return maps(inner, pa.field("value", inner.type, nullable=nullable), nullable, OUTER)
    raise ValueError(nesting)


NESTINGS = ["flat", "list", "large_list", "fixed_list", "struct", "map", "list_list", "list_struct", "struct_list", "map_list"]

# Where the leaf is, below the column's name.
LEAF = {"flat": "", "list": ".list.element", "large_list": ".list.element", "fixed_list": ".list.element", "struct": ".value",
        "map": ".key_value.value", "list_list": ".list.element.list.element", "list_struct": ".list.element.value",
        "struct_list": ".value.list.element", "map_list": ".key_value.value.list.element"}


# And what other leaf is there.
BESIDE = {"struct": ".i", "list_struct": ".list.element.i", "map": ".key_value.key", "map_list": ".key_value.key"}


def table(nesting, types):
    """A column TYPE for each of the types without nulls, and a column TYPE_null with them, at each level."""
    fields, arrays = [], []
    for name, values in leaves().items():
        if name not in types:
            continue
        for nullable in (False, True):
            if name == "null" and not nullable:
                continue
            array = nested(nesting, with_nulls(values) if nullable else values, nullable)
            fields.append(pa.field(name + "_null" * nullable, array.type, nullable=nullable))
            arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


# ---- values as Parquet stores them --------------------------------------------------------------------------------


def raw(array, kind):
    """The values of an Arrow array, as those of type `kind`: numbers as integers (floats by their bits), bytes, lists, and dicts.

    Two engines that hold the same in other types of Arrow (views, wider units, lists of key and value) give the same.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_map(kind):
        if pa.types.is_map(array.type):
            entries = list(zip(raw(array.keys, kind.key_type), raw(array.items, kind.item_type)))
            ends, there = array.offsets.to_pylist(), array.is_valid().to_pylist()
            return [entries[ends[row]: ends[row + 1]] if is_there else None for row, is_there in enumerate(there)]
        entries = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
        return [one and [(entry["key"], entry["value"]) for entry in one] for one in raw(array, entries)]
    if is_list(kind):
        values = iter(raw(pc.list_flatten(array), kind.value_type))
        return [None if size is None else [next(values) for _ in range(size)] for size in pc.list_value_length(array).to_pylist()]
    if pa.types.is_struct(kind):
        if pa.types.is_struct(array.type) and [f.name for f in array.type] != [f.name for f in kind]:
            raise ValueError(f"fields {[f.name for f in array.type]} for {[f.name for f in kind]}")
        columns = [raw(array.field(at), field.type) for at, field in enumerate(kind)]
        names = [field.name for field in kind]
        there = array.is_valid().to_pylist()
        return [dict(zip(names, row)) if is_there else None for row, is_there in zip(zip(*columns), there)]
    return raw_leaf(array, kind)


def raw_leaf(array, kind):
    if kind == pa.binary(16) and array.type in (pa.string(), pa.string_view()):  # DuckDB shows a UUID as text.
        return [None if v is None else bytes.fromhex(v.replace("-", "")) for v in array.to_pylist()]
    if is_bytes(kind):
        if not is_bytes(array.type):
            raise ValueError(f"{array.type} for {kind}")
        return [None if v is None else v.encode() if isinstance(v, str) else bytes(v) for v in array.to_pylist()]
    if array.type != kind:
        if pa.types.is_floating(array.type) and not pa.types.is_floating(kind):
            raise ValueError(f"{array.type} for {kind}")
        array = array.cast(kind)
    if pa.types.is_floating(kind):
        return array.view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]).to_pylist()
    if pa.types.is_temporal(kind):
        return array.view({32: pa.int32(), 64: pa.int64()}[kind.bit_width]).to_pylist()
    if pa.types.is_decimal(kind):
        with decimal.localcontext() as context:
            context.prec = 80
            return [None if v is None else int(v.scaleb(kind.scale)) for v in array.to_pylist()]
    return array.to_pylist()


def is_list(kind):
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view))


def is_bytes(kind):
    return kind in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()) \
        or pa.types.is_fixed_size_binary(kind)


def first_difference(found, wanted):
    if len(found) != len(wanted):
        return f"{len(found)} rows for {len(wanted)}"
    for row, (a, b) in enumerate(zip(found, wanted)):
        # Equal, and of one type: 1 is not True.
        if a != b or type(a) is not type(b):
            return f"row {row} is {a!r:.200} for {b!r:.200}"
    return None
