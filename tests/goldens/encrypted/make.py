#!/usr/bin/env python3
"""Makes the encrypted golden files of this folder with PyArrow, and `manifest.json` with the keys that open them.

    python3 make.py [FOLDER]     (FOLDER: this one; PyArrow 26 made the files that are committed)

Each file holds the rows of `contents.arrow`. Keys and nonces are random, so every run makes other files.
"""
import base64
import itertools
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

FOLDER = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
ROWS = 70
SMALL = dict(row_group_size=48, data_page_size=128, write_batch_size=16, write_page_index=True, write_page_checksum=True)


class Kms(pe.KmsClient):
    """Remembers the keys that it wraps, by the name of the master key."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys

    def wrap_key(self, key_bytes, master_key_identifier):
        self.keys[master_key_identifier] = key_bytes
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, master_key_identifier):
        return base64.b64decode(wrapped_key)


def main():
    table = pa.table({
        "id": pa.array([row * 3 for row in range(ROWS)], pa.int64()),
        "text": pa.array([None if row % 5 == 0 else f"text {row // 3}" for row in range(ROWS)]),
        "list": pa.array([None if row % 7 == 0 else list(range(row % 4)) for row in range(ROWS)], pa.list_(pa.int32())),
        "point": pa.array([{"x": row / 2} for row in range(ROWS)], pa.struct([("x", pa.float64())])),
    })
    with pa.ipc.new_file(os.path.join(FOLDER, "contents.arrow"), table.schema) as out:
        out.write_table(table)
    files = []
    for algorithm, plain, bits in itertools.product(["AES_GCM_V1", "AES_GCM_CTR_V1"], [False, True], [128, 256]):
        name = f"{'ctr' if 'CTR' in algorithm else 'gcm'}.{'plain' if plain else 'encrypted'}-footer"
        if bits == 128:
            # Keys of their own for some columns, the others in the clear.
            keys = {}
            configuration = pe.EncryptionConfiguration(
                footer_key="footer", column_keys={"ids": ["id"], "lists": ["list.list.element"]}, data_key_length_bits=bits,
                encryption_algorithm=algorithm, plaintext_footer=plain, double_wrapping=False)
            factory = pe.CryptoFactory(lambda _: Kms(keys))
            properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), configuration)
            given = {"footer_key": "footer", "column_keys": {"id": "ids", "list.list.element": "lists"}, "aad_prefix": None}
            file = f"{name}.column-keys.parquet"
        else:
            keys = {"footer": os.urandom(32)}
            properties = pe.create_encryption_properties(
                keys["footer"], aad_prefix=b"golden", store_aad_prefix=plain, encryption_algorithm=algorithm,
                plaintext_footer=plain)
            given = {"footer_key": "footer", "column_keys": {}, "aad_prefix": "golden"}
            file = f"{name}.one-key.parquet"
        pq.write_table(table, os.path.join(FOLDER, file), encryption_properties=properties, **SMALL)
        given["footer_key"] = keys[given["footer_key"]].hex()
        given["column_keys"] = {path: keys[key].hex() for path, key in given["column_keys"].items()}
        files.append({"file": file, "keys": given})
    with open(os.path.join(FOLDER, "manifest.json"), "w") as out:
        lines = ",\n".join("  " + json.dumps(entry) for entry in files)
        out.write(f'{{"made_with": "pyarrow {pa.__version__}", "files": [\n{lines}\n]}}\n')
    print(f"{len(files)} files")


if __name__ == "__main__":
    main()
