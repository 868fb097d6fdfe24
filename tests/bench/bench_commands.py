# SPDX-License-Identifier: GPL-2.0-only
"""What short commands cost: their CPU time against that of `pytest --version`.

    bench_commands.py [--runs N] [--record]

Taken in turns; the figure is the median of the ratios.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
from pathlib import Path

import figures

#: A command, and the ratio that it may have.
PROMISES = {
    "harness --help": 0.83,
    "harness --version": 0.83,
    "harness completion bash": 0.63,
    "harness run --kern<TAB>": 0.63,
    "harness series": 1.67,
    "harness show RUN": 1.67,
}


def cpu(command: str) -> float:
    """Run a command; return its CPU time in seconds."""
    name, *words = command.split()
    program, env = str(Path(sys.executable).with_name(name)), {}
    words = [ended_run() if word == "RUN" else word for word in words]
    if command.endswith("<TAB>"):
        line, words = command.removesuffix("<TAB>"), []
        env = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
        env["_ARGCOMPLETE_STDOUT_FILENAME"] = "/dev/null"
    return figures.cost([program, *words], figures.TOP, env).cpu


@functools.cache
def ended_run() -> str:
    """Return the id of the newest run that ended and whose folder is there."""
    argv = [str(Path(sys.executable).with_name("harness")), "runs", "--json"]
    done = subprocess.run(argv, cwd=figures.TOP, text=True, stdout=subprocess.PIPE, check=True)
    runs = json.loads(done.stdout)["runs"]
    return next(str(run["id"]) for run in runs if run["there"] and run["ended"] == "done")


def main() -> int:
    """Measure in turns, print and record the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--record", action="store_true", help="into docs/measurements.md")
    options = parser.parse_args()
    peer = "pytest --version"
    failed = False
    for command, promise in PROMISES.items():
        cpu(command), cpu(peer)  # compiles and caches
        pairs = [(cpu(command), cpu(peer)) for _ in range(options.runs)]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        seconds = [f"{statistics.median(column):.2f}" for column in zip(*pairs, strict=True)]
        print(f"{command}: {ratio:.2f} of {peer} ({seconds[0]} s, {seconds[1]} s)")
        failed |= ratio > promise
        if options.record:
            cell = command.replace("<", "&lt;")
            figures.row(
                "Start of a short command", cell, *seconds, f"{ratio:.2f}", f"≤ {promise:.2f}"
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())
