"""Encrypted files: hypostyle's are read by PyArrow and parquet-java, and theirs by hypostyle; DuckDB reads some, and it is checked which."""
import base64
import itertools
import json
import os

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

import java
from columns import first_difference, raw
from files import CONTENTS, assert_same
from program import hypostyle

CONTENTS_OF = ["integers.arrow", "texts.arrow", "nested.arrow"]
CIPHERS = {"gcm": "AES_GCM_V1", "gcm-ctr": "AES_GCM_CTR_V1"}
KEY, OTHER_KEY = b"0123456789012345", b"12345678901234567890123456789012"


def run(judge):
    for name, (cipher, algorithm), plain in itertools.product(CONTENTS_OF, CIPHERS.items(), [False, True]):
        expected = pa.ipc.open_file(os.path.join(CONTENTS, name)).read_all()
        label = f"{name}, {algorithm}, {'plain' if plain else 'encrypted'} footer"
        judge.check(f"{label}: PyArrow reads one key", pyarrow_reads, judge, name, expected, cipher, plain)
        judge.check(f"{label}: PyArrow reads column keys", pyarrow_reads_column_keys, judge, name, expected, cipher, plain)
        judge.check(f"{label}: PyArrow's with one key", reads_pyarrow, judge, name, expected, algorithm, plain)
        judge.check(f"{label}: PyArrow's with column keys", reads_pyarrow_column_keys, judge, name, expected, algorithm, plain)
        for version, given in itertools.product(["v1", "v2"], [False, True]):
            judge.check(f"{label}, {version} pages, column keys {given}: parquet-java reads", java_reads, judge, name, expected, cipher, plain, version, given)
        judge.check(f"{label}: parquet-java's", reads_java, judge, name, expected, algorithm, plain)
    expected = pa.ipc.open_file(os.path.join(CONTENTS, "integers.arrow")).read_all()
    judge.check("integers.arrow: DuckDB reads chunks of one page", duckdb_reads, judge, "integers.arrow", expected)
    judge.check("DuckDB reads no more, and is not read", duckdb_cannot, judge, "integers.arrow", expected)


def keys_file(judge, **keys):
    path = judge.path("keys.json")
    with open(path, "w") as out:
        json.dump(keys, out)
    return path


def encrypt(judge, name, keys, cipher, plain, *more):
    path = judge.path("encrypted.parquet")
    flags = ["--plain-footer"] if plain else []
    hypostyle("convert", os.path.join(CONTENTS, name), path, "--encrypt-keys", keys, "--encrypt-cipher", cipher,
              "--row-group-rows", "50", *flags, *(more or ["--page-bytes", "256"]))
    with open(path, "rb") as file:
        assert file.read(4) == (b"PAR1" if plain else b"PARE")
    return path


def read_back(judge, path, keys, expected):
    out = judge.path("decrypted.arrow")
    hypostyle("convert", path, out, "--keys", keys)
    assert_same(pa.ipc.open_file(out).read_all(), expected)


# ---- PyArrow, given keys ------------------------------------------------------------------------------------------


def pyarrow_reads(judge, name, expected, cipher, plain):
    for stored in [True, False]:
        keys = keys_file(judge, footer_key=OTHER_KEY.hex(), aad_prefix="file 7")
        path = encrypt(judge, name, keys, cipher, plain, "--page-bytes", "256", *([] if stored else ["--no-stored-aad-prefix"]))
        opening = pe.create_decryption_properties(OTHER_KEY, aad_prefix=b"file 7")
        assert_same(pq.read_table(path, decryption_properties=opening, page_checksum_verification=True), expected)
        read_back(judge, path, keys, expected)


def reads_pyarrow(judge, name, expected, algorithm, plain):
    for stored in [True, False]:
        path = judge.path("theirs.parquet")
        sealing = pe.create_encryption_properties(KEY, aad_prefix=b"file 7", store_aad_prefix=stored,
                                                  encryption_algorithm=algorithm, plaintext_footer=plain)
        pq.write_table(expected, path, encryption_properties=sealing, row_group_size=50, data_page_size=256,
                       write_page_index=True, write_page_checksum=True)
        read_back(judge, path, keys_file(judge, footer_key=KEY.hex(), aad_prefix="file 7"), expected)


# ---- PyArrow, by key management -----------------------------------------------------------------------------------


class Kms(pe.KmsClient):
    """Wraps keys in base64, and remembers them by the name of the master key."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys

    def wrap_key(self, key_bytes, master_key_identifier):
        self.keys[master_key_identifier] = key_bytes
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, master_key_identifier):
        return base64.b64decode(wrapped_key)


def material(key, master, is_footer):
    """Key metadata as PyArrow and parquet-java keep it."""
    fields = {"keyMaterialType": "PKMT1", "internalStorage": True, "isFooterKey": is_footer}
    if is_footer:
        fields |= {"kmsInstanceID": "DEFAULT", "kmsInstanceURL": "DEFAULT"}
    return json.dumps(fields | {"masterKeyID": master, "doubleWrapping": False, "wrappedDEK": base64.b64encode(key).decode()})


def leaves_of(path, **options):
    schema = pq.ParquetFile(path, **options).schema
    return [schema.column(at).path for at in range(len(schema))]


def pyarrow_reads_column_keys(judge, name, expected, cipher, plain):
    first = expected.schema.names[0]
    keys = keys_file(judge, footer_key=KEY.hex(), column_keys={first: OTHER_KEY.hex()},
                     footer_key_metadata=material(KEY, "footer", True),
                     column_key_metadata={first: material(OTHER_KEY, "column", False)})
    path = encrypt(judge, name, keys, cipher, plain)
    factory = pe.CryptoFactory(lambda _: Kms({}))
    opening = factory.file_decryption_properties(pe.KmsConnectionConfig(), pe.DecryptionConfiguration())
    assert_same(pq.read_table(path, decryption_properties=opening, page_checksum_verification=True), expected)
    read_back(judge, path, keys, expected)
    if plain:
        # Without any key, the other columns.
        others = expected.schema.names[1:]
        assert_same(pq.read_table(path, columns=others), expected.select(others))


def reads_pyarrow_column_keys(judge, name, expected, algorithm, plain):
    plain_path = judge.path("leaves.parquet")
    pq.write_table(expected, plain_path)
    leaves = leaves_of(plain_path)
    one, two = leaves[0], leaves[-1]
    wrapped = {}
    configuration = pe.EncryptionConfiguration(footer_key="footer", column_keys={"one": [one], "two": [two]},
                                               encryption_algorithm=algorithm, plaintext_footer=plain, double_wrapping=False)
    sealing = pe.CryptoFactory(lambda _: Kms(wrapped)).file_encryption_properties(pe.KmsConnectionConfig(), configuration)
    path = judge.path("theirs.parquet")
    pq.write_table(expected, path, encryption_properties=sealing, row_group_size=50, data_page_size=256,
                   write_page_index=True, write_page_checksum=True)
    given = {one: wrapped["one"].hex(), two: wrapped["two"].hex()}
    read_back(judge, path, keys_file(judge, footer_key=wrapped["footer"].hex(), column_keys=given), expected)
    # Without the footer's key, which only a plain footer does without.
    if plain:
        out = judge.path("some.arrow")
        some = expected.schema.names[1]
        hypostyle("convert", path, out, "--columns", some)
        assert_same(pa.ipc.open_file(out).read_all(), expected.select([some]))


# ---- parquet-java -------------------------------------------------------------------------------------------------


def java_reads(judge, name, expected, cipher, plain, version, with_column_key):
    import engines

    first = expected.schema.names[0]
    own = {first: OTHER_KEY.hex()} if with_column_key else {}
    keys = keys_file(judge, footer_key=KEY.hex(), column_keys=own, aad_prefix="file 7")
    path = encrypt(judge, name, keys, cipher, plain, "--page-bytes", "256", "--page-version", version[1:])
    # Of pages v2 it takes the levels for plain: the specification encrypts pages as a whole.
    encrypts_levels = version == "v2" and (not with_column_key or pa.types.is_nested(expected.schema.types[0]))
    given = {"footer": KEY.hex(), "columns": {leaf: key for leaf in leaves_of_arrow(expected, first) for key in own.values()}}
    if encrypts_levels:
        return fails(lambda: engines.the_bridge().ask(read=path, keys=given), "ParquetDecodingException")
    rows = engines.the_bridge().ask(read=path, keys=given)["rows"]
    for field in expected.schema:
        found = [java.from_java(row.get(field.name), field.type) for row in rows]
        fault = first_difference(found, raw(expected.column(field.name), field.type))
        assert fault is None, f"{field.name}: {fault}"


def leaves_of_arrow(table, name):
    """The paths of a column's leaves, as a file without keys has them."""
    sink = pa.BufferOutputStream()
    pq.write_table(table.select([name]), sink)
    return leaves_of(pa.BufferReader(sink.getvalue()))


def reads_java(judge, name, expected, algorithm, plain):
    import engines

    source, path = judge.path("source.parquet"), judge.path("theirs.parquet")
    pq.write_table(expected, source, compression="none")
    leaves = leaves_of(source)
    own = {leaves[0]: OTHER_KEY.hex(), leaves[-1]: KEY.hex()}
    for version, columns in itertools.product([1, 2], [{}, own]):
        given = {"footer": KEY.hex(), "columns": columns, "aad_prefix": b"file 7".hex()}
        engines.the_bridge().ask(copy=source, write=path, version=version, page_rows=8, row_group_rows=40, keys=given,
                                 cipher=algorithm, plain_footer=plain)
        with open(path, "rb") as file:
            assert file.read(4) == (b"PAR1" if plain else b"PARE")
        out = judge.path("decrypted.arrow")
        keys = keys_file(judge, footer_key=KEY.hex(), column_keys=columns, aad_prefix="file 7")
        # With column keys, parquet-java encrypts no other columns.
        hypostyle("convert", path, out, "--keys", keys)
        found = pa.ipc.open_file(out).read_all()
        for field in expected.schema:
            fault = first_difference(raw(found.column(field.name), field.type), raw(expected.column(field.name), field.type))
            assert fault is None, f"{field.name}: {fault}"


# ---- DuckDB -------------------------------------------------------------------------------------------------------


def duckdb_with_key():
    connection = duckdb.connect()
    connection.execute(f"PRAGMA add_parquet_key('key', '{KEY.decode()}')")
    return connection


def duckdb_reads(judge, name, expected):
    keys = keys_file(judge, footer_key=KEY.hex())
    path = encrypt(judge, name, keys, "gcm", False, "--page-rows", "1000", "--page-bytes", "1MiB")
    for column in expected.schema.names:
        assert_same(from_duckdb(path, column), expected.select([column]))


def duckdb_cannot(judge, name, expected):
    """DuckDB opens the first page of a chunk only, whoever wrote it; and what it writes without OpenSSL nobody else opens."""
    keys = keys_file(judge, footer_key=KEY.hex())
    column = expected.schema.names[0]
    pyarrows, duckdbs = judge.path("pyarrows.parquet"), judge.path("duckdbs.parquet")
    pq.write_table(expected, pyarrows, encryption_properties=pe.create_encryption_properties(KEY), data_page_size=64, write_batch_size=16)
    for path in [encrypt(judge, name, keys, "gcm", False, "--page-rows", "10"), pyarrows]:
        fails(lambda: from_duckdb(path, column), "AES tag differs")
    connection = duckdb_with_key()
    connection.execute("SET force_mbedtls_unsafe = 'true'")
    connection.execute(f"COPY (SELECT 1 AS a) TO '{duckdbs}' (FORMAT parquet, ENCRYPTION_CONFIG {{footer_key: 'key'}})")
    fails(lambda: pq.read_table(duckdbs, decryption_properties=pe.create_decryption_properties(KEY)), "decrypt")
    fails(lambda: hypostyle("convert", duckdbs, judge.path("decrypted.arrow"), "--keys", keys), "does not open")


def from_duckdb(path, column):
    rows = f"FROM read_parquet('{path}', encryption_config = {{footer_key: 'key'}})"
    return duckdb_with_key().sql(f'SELECT "{column}" {rows}').to_arrow_table()


def fails(test, says):
    try:
        test()
    except Exception as error:
        assert says.lower() in str(error).lower(), str(error)
        return
    raise AssertionError("it works now: say so")
