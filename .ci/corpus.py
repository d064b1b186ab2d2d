"""Runs the corpus check and fails on what this version must not do: panic, hang, or read wrong values.

    corpus.py CHECK_PY PROGRAM

Encrypted files are read with the keys that the corpus has for them. A file that is refused as `unsupported` is counted,
not failed; one that is refused for any other reason, although others read it, fails.
"""
import collections
import json
import os
import subprocess
import sys
import tempfile

check, program = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    lines = os.path.join(folder, "outcomes.jsonl")
    done = subprocess.run([sys.executable, check, program, "--key-args", "--keys {keys}", "--json", lines], stdout=subprocess.PIPE, text=True)
    if not os.path.exists(lines):
        sys.exit(f"{check} gave no outcomes:\n{done.stdout}")
    outcomes = [json.loads(line) for line in open(lines)]

counts, faults = collections.Counter(), []
for one in outcomes:
    outcome = one["outcome"]
    if outcome == "error-on-readable" and "unsupported" in one["detail"].lower():
        outcome = "unsupported"
    elif outcome in ("PANIC", "timeout", "mismatch", "error-on-readable"):
        faults.append(f"{outcome} {one['path']}: {one['detail']}")
    counts[outcome] += 1

print("  ".join(f"{name} {count}" for name, count in counts.most_common()))
print("\n".join(faults))
sys.exit(1 if faults or not counts["match"] else 0)
