"""What hypostyle writes, read back by every engine: types × nullability × nestings × encodings × codecs × page versions.

A file holds a column of each type without nulls and one with them, of one nesting, encoding, codec and page version. What an engine does not
read, or reads otherwise, stands in readers.toml; any other difference fails, and so does an entry that no longer holds.
"""
import itertools
import multiprocessing
import os
import tomllib

import pyarrow as pa

from columns import BESIDE, LEAF, NESTINGS, encoding, first_difference, raw, table, types
from program import hypostyle

CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
ENCODINGS = {
    "chosen": [],  # By the writer, as it does without options.
    "modern": ["--compatibility", "modern"],
    "plain": [],
    "dictionary": [],
    "delta": [],
    "split": [],
    "alp": ["--compatibility", "preview"],
}
PAGES = ["v1", "v2"]
SMALL = ["--page-rows", "6", "--row-group-rows", "15"]
KEYS = {"readers", "nestings", "types", "nulls", "encodings", "codecs", "pages", "says", "reads"}


def run(judge):
    told = exceptions()
    for nesting, mode in itertools.product(NESTINGS, ENCODINGS):
        rows = table(nesting, types(mode))
        with pa.ipc.new_file(judge.path(f"{nesting}.{mode}.arrow"), rows.schema) as out:
            out.write_table(rows)
    cases = [(judge.folder, *case) for case in itertools.product(NESTINGS, ENCODINGS, CODECS, PAGES) if is_worth_it(*case)]
    met = set()
    # Not forked: the engines have threads.
    with multiprocessing.get_context("spawn").Pool(initializer=be_quiet) as pool:
        for outcomes, exceptions_met in pool.imap_unordered(one_file, cases):
            met |= exceptions_met
            for name, fault in outcomes:
                judge.count(name, fault)
    for at, entry in enumerate(told):
        judge.count(f"readers.toml, entry {at + 1}", None if at in met else f"no column is like that: {entry}")


def is_worth_it(nesting, mode, codec, pages):
    """Each encoding in each nesting, and each codec around some of them: a codec does not know what it compresses."""
    with_all_codecs = nesting in ("flat", "list", "struct") and mode not in ("chosen", "modern")
    return with_all_codecs or codec in ("none", "zstd")


def be_quiet():
    """A panic of Polars, which is expected of some columns, says so there besides."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def exceptions():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "readers.toml"), "rb") as source:
        entries = tomllib.load(source)["otherwise"]
    for entry in entries:
        assert set(entry) <= KEYS and "readers" in entry and ("says" in entry) != ("reads" in entry), f"readers.toml: {entry}"
    return entries


def one_file(case):
    """What came of each engine, as (name, fault or None), and which exceptions held for a column."""
    folder, nesting, mode, codec, pages = case
    import engines  # Here, in the process that uses them.

    name = f"{nesting}, {mode}, {codec}, {pages}"
    source = os.path.join(folder, f"{nesting}.{mode}.arrow")
    path = os.path.join(folder, f"{nesting}-{mode}-{codec}-{pages}.parquet")
    rows = pa.ipc.open_file(source).read_all()
    leaves = {field.name + LEAF[nesting]: asked(mode, field.name.removesuffix("_null")) for field in rows.schema}
    if mode not in ("chosen", "modern") and nesting in BESIDE:  # What stands beside it must not spoil it.
        leaves |= {field.name + BESIDE[nesting]: "DICTIONARY" if mode == "dictionary" else "PLAIN" for field in rows.schema}
    options = ["--compression", codec, "--page-version", pages[1:], *SMALL, *ENCODINGS[mode]]
    options += [f"--encoding={leaf}={kind.lower().replace('_', '-')}" for leaf, kind in leaves.items() if kind]
    try:
        hypostyle("convert", source, path, *options)
        is_so(path, leaves)
    except Exception as error:
        return [(f"{name}: convert", f"{type(error).__name__}: {error}")], set()
    wanted = {field.name: raw(rows.column(field.name), field.type) for field in rows.schema}
    outcomes, met = [], set()
    for reader, read in engines.READERS.items():
        fault, held = judge_reader(engines, reader, read, path, rows.schema, wanted, (nesting, mode, codec, pages))
        outcomes.append((f"{name}: {reader}", fault))
        met |= held
    os.remove(path)
    return outcomes, met


def asked(mode, name):
    if mode in ("chosen", "modern") or name == "null":
        return None
    if mode == "dictionary":
        return None if name == "bool" else "DICTIONARY"
    return "PLAIN" if mode == "plain" else encoding(mode, name)


def is_so(path, leaves):
    """The encodings are those that were asked for, wherever there are values."""
    import pyarrow.parquet as pq

    metadata = pq.ParquetFile(path).metadata
    for group, at in itertools.product(range(metadata.num_row_groups), range(metadata.num_columns)):
        chunk = metadata.row_group(group).column(at)
        kind = leaves.get(chunk.path_in_schema)
        kind = {"ALP": "UNKNOWN", "DICTIONARY": "RLE_DICTIONARY"}.get(kind, kind)  # As PyArrow calls it.
        is_empty = chunk.statistics is not None and chunk.statistics.num_values == 0
        assert kind is None or is_empty or kind in chunk.encodings, f"{chunk.path_in_schema} is encoded as {chunk.encodings}, not {kind}"


def judge_reader(engines, reader, read, path, schema, wanted, place):
    faults, met, together = [], set(), []
    expected = dict(wanted)
    for field in schema:
        entries = [(at, entry) for at, entry in enumerate(exceptions.read) if holds(entry, reader, field.name, *place)]
        met |= {at for at, _ in entries}
        if any(entry.get("reads") == "unsteadily" for _, entry in entries):
            continue
        says = [entry["says"] for _, entry in entries if "says" in entry]
        if says:
            fault = outcome(read, path, field, wanted[field.name])
            if fault is None or not all(text in fault for text in says):
                faults.append(f"{field.name}: {fault or 'is read'}, where readers.toml has {says}")
            continue
        reads = [entry["reads"] for _, entry in entries]
        if "other values" in reads:
            if outcome(read, path, field, wanted[field.name]) is None:
                faults.append(f"{field.name}: is read, where readers.toml has other values")
            continue
        for name in reads:
            expected[field.name] = engines.READS[name](expected[field.name], field.type)
        together.append(field)
    try:
        found = read(path, pa.schema(together))
        differ = [field for field in together if first_difference(found[field.name], expected[field.name])]
    except engines.FAILURES:
        differ = together
    alone = [(field.name, outcome(read, path, field, expected[field.name])) for field in differ]
    faults += [f"{name}: {fault}" for name, fault in alone if fault]
    if differ and not any(fault for _, fault in alone):
        faults.append(f"{', '.join(name for name, _ in alone)}: read alone and not together")
    return "\n    ".join(faults) or None, met


def outcome(read, path, field, expected):
    """What is wrong with one column, if anything is."""
    from engines import FAILURES

    try:
        return first_difference(read(path, pa.schema([field]))[field.name], expected)
    except FAILURES as error:
        return f"{type(error).__name__}: {error}"


def holds(entry, reader, column, nesting, mode, codec, pages):
    kind, nulls = (column[:-5], "some") if column.endswith("_null") else (column, "none")
    facts = {"readers": reader, "nestings": nesting, "types": kind, "nulls": nulls, "encodings": mode, "codecs": codec, "pages": pages}
    return all(value in entry[key] for key, value in facts.items() if key in entry)


exceptions.read = exceptions()
