# SPDX-License-Identifier: GPL-2.0-only
"""From nothing to the first test's result: `pytest --kernel IMAGE` against pytest under stock vng.

    bench_start.py [--image IMAGE] [--runs N] [--record]

Both are whole commands, same kernel, same test, taken in turns; what counts is the time until the
first test's result is there.  Without --image the main job's patched kernel is taken.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures

TEST = "def test_first():\n    pass\n"
PROMISE = 0.45
PATIENCE = 600.0  # seconds for one command


def first_result(argv: list[str], cwd: Path) -> float:
    """Run a command; give the seconds until it says that the test passed."""
    begin = time.monotonic()
    with subprocess.Popen(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        assert child.stdout is not None
        seen, found = [], 0.0
        for line in child.stdout:
            seen.append(line.decode(errors="replace"))
            if b"PASSED" in line and not found:
                found = time.monotonic() - begin
        child.wait(PATIENCE)
    if not found:
        sys.exit(f"{shlex.join(argv)} has no result:\n{''.join(seen[-40:])}")
    return found


def main_image() -> Path:
    """Have the main job make its kernel."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "harness", "run", "--json", "--out", f"{folder}/run"]
        argv += ["--suite", "tests/guest/configfs/test_mount.py"]
        done = subprocess.run(argv, cwd=figures.TOP, text=True, stdout=subprocess.PIPE, check=False)
    return Path(json.loads(done.stdout)["sides"][-1]["kernel"]["image"])


def main() -> int:
    """Measure in turns, print each and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="into docs/measurements.md")
    options = parser.parse_args()
    image = (options.image or main_image()).absolute()
    pytest = [str(Path(sys.executable).with_name("python")), "-u", "-m", "pytest", "-v"]
    pytest += ["-p", "no:cacheprovider"]
    vng = [str(Path(sys.executable).with_name("vng")), "--run", str(image), "--force-9p"]
    ours, stock = [], []
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        suite = Path(folder) / "test_first.py"
        suite.write_text(TEST)
        words = shlex.join([*pytest, str(suite)])
        kernel = ["--kernel", str(image), "--guests", "1", "--accel", "tcg"]
        own = [*pytest, *kernel, "--guest-folder", f"{folder}/guests", str(suite)]
        first_result(own, Path(folder))  # makes the bundle, once for many runs
        for number in range(options.runs):
            ours.append(first_result(own, Path(folder)))
            stock.append(first_result([*vng, "--disable-kvm", "--exec", words], Path(folder)))
            print(f"run {number + 1}: ours {ours[-1]:.1f} s, stock vng {stock[-1]:.1f} s")
    ratio = statistics.median(a / b for a, b in zip(ours, stock, strict=True))
    cells = (statistics.median(ours), statistics.median(stock))
    print(f"median: ours {cells[0]:.1f} s, stock vng {cells[1]:.1f} s, ratio {ratio:.0%}")
    if options.record:
        texts = [f"{cell:.1f}" for cell in cells]
        figures.row("Start of the guest", *texts, f"{ratio:.0%}", f"≤ {PROMISE:.0%}")
    return 0 if ratio <= PROMISE else 1


if __name__ == "__main__":
    sys.exit(main())
