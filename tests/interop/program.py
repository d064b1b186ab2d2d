"""Runs the program under judgement."""
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def hypostyle(*arguments, input=None):
    """Its standard output; an error when it fails."""
    done = subprocess.run([os.environ["HYPOSTYLE"], *map(str, arguments)], capture_output=True, text=True, input=input, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"hypostyle {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def summary(*arguments, input=None):
    """The last line of `ingest --json`."""
    return json.loads(hypostyle(*arguments, "--json", input=input).strip().splitlines()[-1])
