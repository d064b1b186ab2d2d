"""Licences and sources of every package in Cargo.lock, on all platforms and with all features, against what we allow.

    cargo metadata --locked --all-features --format-version 1 | python3 .ci/licenses.py

It looks for no advisories: that needs a data base of them (`cargo deny check advisories`, where that can be installed).
"""
import json
import re
import sys

# May be linked into a program of any licence, and ask for no more than their text.
ALLOWED = {"0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0",
           "Unicode-3.0", "Unlicense", "Zlib"}
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def allows(expression):
    """Whether an SPDX expression can be met. `A/B` is the old way to say `A OR B`."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = either()
            assert tokens.pop(0) == ")", expression
            return met
        if tokens[:1] == ["WITH"]:
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in ALLOWED

    met = either()
    assert not tokens, expression
    return met


def main():
    for expression, expected in [("MIT", True), ("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False), ("GPL-3.0-only OR MIT", True),
                                 ("(MIT OR GPL-2.0) AND Unicode-3.0", True), ("MIT/GPL-2.0", True), ("MIT AND (GPL-2.0 OR LGPL-3.0)", False),
                                 ("Apache-2.0 WITH LLVM-exception", True), ("GPL-2.0 WITH Classpath-exception-2.0", False)]:
        assert allows(expression) == expected, expression
    packages = json.load(sys.stdin)["packages"]
    assert len(packages) > 100, f"{len(packages)} packages: was this all?"
    faults = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        licence = package.get("license")
        if not licence:
            faults.append(f"{name}: says no licence")
        elif not allows(licence):
            faults.append(f"{name}: {licence} is not allowed")
        if package["source"] not in (None, CRATES_IO):
            faults.append(f"{name}: comes from {package['source']}")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(packages)} packages, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
