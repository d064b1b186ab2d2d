#!/usr/bin/env python3
"""Prints what the last `cargo bench` measured as a Markdown table: bytes (or rows) a second, and time beside others'.

    cargo bench && python3 benches/ratios.py [FILTER] > table.md

A row is what was measured under one name; its ratio is our time divided by the other's, so that less is better.
"""

import json
import os
import sys
from pathlib import Path

OURS = "hypostyle"


def measured(folder: Path):
    """Group, name, who, seconds, and what was worked on a call, of each bench."""
    for found in sorted(folder.rglob("new/benchmark.json")):
        bench = json.loads(found.read_text())
        seconds = json.loads((found.parent / "estimates.json").read_text())["median"]["point_estimate"] / 1e9
        names = [name for name in (bench["function_id"], bench["value_str"]) if name]
        others = [name for name in names if name in PEERS]
        rest = " ".join(name for name in names if name not in others)
        yield bench["group_id"], rest, (others or [OURS])[0], seconds, bench["throughput"]


PEERS = {OURS, "parquet-rs", "read, then filter"}


def speed(seconds, throughput):
    if not throughput:
        return f"{seconds * 1e6:,.1f} µs"
    [(kind, amount)] = throughput.items() if isinstance(throughput, dict) else throughput[0].items()
    per_second = amount / seconds
    return f"{per_second / 1e9:.2f} GB/s" if kind.startswith("Bytes") else f"{per_second / 1e6:,.0f} M rows/s"


def main():
    root = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parent.parent / "target")) / "criterion"
    if not root.is_dir():
        sys.exit(f"{root}: nothing was measured yet; run `cargo bench` first")
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    rows = {}
    for group, name, who, seconds, throughput in measured(root):
        rows.setdefault((group, name), {})[who] = (seconds, throughput)
    print("| bench | ours | ÷ parquet-rs | ÷ read, then filter |\n|---|---:|---:|---:|")
    for (group, name), of in rows.items():
        if OURS not in of or wanted not in f"{group} {name}":
            continue
        seconds, throughput = of[OURS]
        ratios = [f"{seconds / of[who][0]:.2f}" if who in of else "" for who in ("parquet-rs", "read, then filter")]
        print(f"| {group} {name} | {speed(seconds, throughput)} | " + " | ".join(ratios) + " |")


if __name__ == "__main__":
    main()
