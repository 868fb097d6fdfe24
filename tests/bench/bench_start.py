# SPDX-License-Identifier: GPL-2.0-only
"""Start of a guest to the first test's result: ours against vng's stock boot, same kernel.

Run as a script: bench_start.py IMAGE [--runs N].  The two take turns; the figure is the median of
the ratios, so a machine that slows down for a while does not decide it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures

from harness.guest import accel
from harness.model import Accel
from harness.process import Group
from harness.progress import Progress

PROMISE = 0.45
TEST = "def test_first():\n    pass\n"
QUIET = ["-p", "no:cacheprovider", "test_first.py"]


def ours(image: Path, kind: Accel, folder: Path) -> float:
    """Give the seconds until the journal has the first result."""
    with tempfile.TemporaryDirectory() as out:
        journal = Path(out) / "tests.jsonl"
        argv = [sys.executable, "-m", "pytest", "--kernel", str(image), "--accel", kind]
        begin = time.monotonic()
        with Group(
            [*argv, "--guests", "1", "--guest-folder", out, *QUIET],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as group:
            while not (journal.exists() and '"call"' in journal.read_text()):
                if group.popen.poll() is not None:
                    raise SystemExit("pytest ended without a result")
                time.sleep(0.005)
            took = time.monotonic() - begin
            group.popen.wait()
    return took


def stock(image: Path, kind: Accel, folder: Path) -> float:
    """Give the seconds until pytest under a stock `vng --run` has printed its first result."""
    vng = str(Path(sys.executable).with_name("vng"))
    argv = [vng, "--run", str(image), "--force-9p", "--verbose"]
    argv += ["--disable-kvm"] if kind is Accel.TCG else []
    argv += ["--exec", f"{sys.executable} -m pytest -v {' '.join(QUIET)}"]
    # vng looks for virtme-run in PATH.
    path = {"PATH": f"{Path(vng).parent}:{os.environ['PATH']}"}
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    begin = time.monotonic()
    with Group(argv, cwd=folder, env=path, **pipe) as group:
        assert group.popen.stdout is not None
        said = []
        for line in group.popen.stdout:
            said.append(line.decode(errors="replace"))
            if b"PASSED" in line:
                return time.monotonic() - begin
    raise SystemExit(f"vng ended without a result:\n{''.join(said[-20:])}")


def main() -> int:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, help="a kernel image")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    kind, _ = accel.choose("auto", Progress(quiet=True))
    with tempfile.TemporaryDirectory(dir=Path.home()) as name:
        folder = Path(name)
        (folder / "test_first.py").write_text(TEST)
        for one in (ours, stock):  # not counted: both leave warm caches behind
            one(options.image, kind, folder)
        pairs = [
            (ours(options.image, kind, folder), stock(options.image, kind, folder))
            for _ in range(options.runs)
        ]
    for mine, theirs in pairs:
        print(f"{mine:6.2f} {theirs:6.2f} {mine / theirs:5.0%}")
    middle = [statistics.median(values) for values in zip(*pairs, strict=True)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    figures.row("Start", f"{middle[0]:.1f}", f"{middle[1]:.1f}", f"{ratio:.0%}", f"{PROMISE:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
