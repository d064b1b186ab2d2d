"""Runs the program under judgement."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def hypostyle(*arguments, input=None):
    """Its standard output; an error when it fails."""
    done = subprocess.run([os.environ["HYPOSTYLE"], *map(str, arguments)], capture_output=True, text=True, input=input, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"hypostyle {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def peak_memory_bytes(*arguments):
    """The most memory that a run of the program held at a time (its resident set)."""
    # Started by a process of a few megabytes: what a child held before its own program began counts as its own.
    small = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); " \
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-S", "-c", small, os.environ["HYPOSTYLE"], *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"hypostyle {' '.join(map(str, arguments))}: {done.stderr.strip()[-600:]}")
    return int(done.stdout) * 1024


def summary(*arguments, input=None):
    """The last line of `ingest --json`."""
    return json.loads(hypostyle(*arguments, "--json", input=input).strip().splitlines()[-1])
