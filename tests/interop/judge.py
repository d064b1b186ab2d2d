"""What `tests/interop/run` starts: runs the parts and counts."""
import os
import sys
import tempfile
import traceback

import bloom
import encrypted
import files
import matrix
import peers
import queries
import splice
import tables

PARTS = {"files": files.run, "encrypted": encrypted.run, "bloom": bloom.run, "matrix": matrix.run, "peers": peers.run,
         "queries": queries.run, "splice": splice.run, "tables": tables.run, "year": tables.run_year}


class Judge:
    """Counts checks; a failed one is shown and does not stop the others."""

    def __init__(self, folder):
        self.folder = folder
        self.passed = self.failed = 0

    def check(self, name, test, *arguments):
        try:
            test(*arguments)
            self.passed += 1
        except Exception as error:
            self.failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = str(error) or type(error).__name__
            print(f"FAILED {name}: {text[:1000]} ({os.path.basename(where.filename)}:{where.lineno})", flush=True)

    def count(self, name, fault):
        """A check that was made elsewhere: what is wrong, or None."""
        if fault is None:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: {fault[:2000]}", flush=True)

    def path(self, name):
        return os.path.join(self.folder, name)


def main():
    parts = sys.argv[1:] or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        sys.exit(f"no part {unknown[0]}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="hypostyle-interop-") as folder:
        judge = Judge(folder)
        for part in parts:
            before = judge.passed
            PARTS[part](judge)
            print(f"{part}: {judge.passed - before} checks passed", flush=True)
    print(f"{judge.passed} passed, {judge.failed} failed")
    sys.exit(1 if judge.failed or not judge.passed else 0)


if __name__ == "__main__":
    main()
