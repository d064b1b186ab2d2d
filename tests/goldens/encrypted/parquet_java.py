#!/usr/bin/env python3
"""Makes the encrypted golden files that parquet-java writes, and `java.json` with the keys that open them.

    ../../interop/.venv/bin/python parquet_java.py     (after `../../interop/run encrypted`, whose environments it uses)

Each file holds the rows of `contents.arrow`, in pages v1 or v2: of the latter parquet-java encrypts the values and not the levels.
Nonces are random, so every run makes other files.
"""
import itertools
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "..", "interop"))
import engines  # noqa: E402

FOOTER_KEY, OTHER_KEY = b"0123456789012345".hex(), b"12345678901234567890123456789012".hex()


def main():
    rows = pa.ipc.open_file(os.path.join(FOLDER, "contents.arrow")).read_all()
    source = os.path.join(FOLDER, "source.parquet")
    pq.write_table(rows, source, compression="none")
    files = []
    for cipher, plain, version in itertools.product(["AES_GCM_V1", "AES_GCM_CTR_V1"], [False, True], [1, 2]):
        columns = {"id": OTHER_KEY, "text": FOOTER_KEY, "list.list.element": OTHER_KEY} if plain else {}
        name = f"java.{'ctr' if 'CTR' in cipher else 'gcm'}.{'plain' if plain else 'encrypted'}-footer.v{version}.parquet"
        engines.the_bridge().ask(copy=source, write=os.path.join(FOLDER, name), cipher=cipher, plain_footer=plain, version=version,
                                 page_rows=10, row_group_rows=48, codec="ZSTD",
                                 keys={"footer": FOOTER_KEY, "columns": columns, "aad_prefix": b"golden".hex()})
        files.append({"file": name, "keys": {"footer_key": FOOTER_KEY, "column_keys": columns, "aad_prefix": "golden"}})
    os.remove(source)
    with open(os.path.join(FOLDER, "java.json"), "w") as out:
        lines = ",\n".join("  " + json.dumps(entry) for entry in files)
        out.write(f'{{"made_with": "parquet-java 1.18.1", "files": [\n{lines}\n]}}\n')
    print(f"{len(files)} files")


if __name__ == "__main__":
    main()
