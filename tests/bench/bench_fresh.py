# SPDX-License-Identifier: GPL-2.0-only
"""What copies of a saved guest save: to the first result, after a crash, and with --fresh.

    bench_fresh.py --image IMAGE [--tests N] [--runs N] [--record]

Each is a whole command, taken in turns with the same command and --no-snapshot (with --fresh: the
same command without it); what counts is the ratio of the wall times.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import figures

PASSES = "import pytest\n@pytest.mark.parametrize('n', range({}))\ndef test_passes(n):\n    pass\n"
PANICS = """
import pathlib

def test_panics():
    pathlib.Path("/proc/sysrq-trigger").write_text("c")

def test_after():
    pass
"""
PROMISE = 1.5  # times as long with --fresh


def main() -> int:
    """Measure in turns, print each and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--tests", type=int, default=200, help="tests with --fresh")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="into docs/measurements.md")
    options = parser.parse_args()
    many = f"{options.tests} tests, --fresh test, against without"
    comparisons = {
        "first result": (PASSES.format(1), 0, [], ["--no-snapshot"]),
        "a crash and its replacement": (PANICS, 1, [], ["--no-snapshot"]),
        many: (PASSES.format(options.tests), 0, ["--fresh", "test"], []),
    }
    kept = True
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        top = Path(folder)
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--accel", "tcg"]
        pytest += ["--kernel", str(options.image.absolute()), "--retry", "0"]
        for name, (suite, status, one, other) in comparisons.items():
            (top / "test_bench.py").write_text(suite)
            argv = [*pytest, *([] if name == many else ["--guests", "1"]), "test_bench.py"]
            figures.cost(argv, top)  # makes the snapshot
            pairs = []
            for _ in range(1 if name == many else options.runs):
                pairs.append([figures.cost([*argv, *words], top) for words in (one, other)])
                if any(cost.status != status for cost in pairs[-1]):
                    sys.exit(f"{name}: unexpected exit status")
            wall = [statistics.median(pair[n].wall for pair in pairs) for n in (0, 1)]
            ratio = statistics.median(pair[0].wall / pair[1].wall for pair in pairs)
            texts = [f"{figure:.1f}" for figure in wall]
            print(f"{name}: {texts[0]} and {texts[1]} s, ratio {ratio:.2f}")
            kept = kept and (name != many or ratio <= PROMISE)
            if options.record:
                figures.row("Copies of a saved guest", name, *texts, f"{ratio:.2f}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
