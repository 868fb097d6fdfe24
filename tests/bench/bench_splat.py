# SPDX-License-Identifier: GPL-2.0-only
"""What CPU time finding splats takes in 100 MB: of a log, noise full of their words, splats only.

Run as a script.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import figures

from harness.splat import find

SIZE = 100_000_000
DATA = figures.TOP / "tests" / "data"


def stamped(lines: Iterator[str]) -> Iterator[str]:
    """Give each line a time of its own, as the kernel does."""
    for number, line in enumerate(lines):
        body = line.split("] ", 1)[-1]
        yield f"{number / 1000:10.3f} | [{number / 1000:12.6f}] {body}\n"


def ordinary() -> Iterator[str]:
    """A boot again and again, with a splat now and then."""
    boot = (DATA / "boot.log").read_text().splitlines()
    splat = (DATA / "splats" / "written" / "kasan-uaf.log").read_text().splitlines()
    return itertools.chain.from_iterable(itertools.cycle([*[boot] * 200, splat]))


WORDS = """\
BUG: my own words, WARNING: too
INFO: all is well
harness: not a mark [#1]
BUG: KASAN: see it in here
WARNING: at least one thing is at foo.c:1
Kernel panic is what we want
INFO: task is hung
BUG: I think that something is wrong here: 12
Oops: who did it
list_add is a word, refcount_t: another
Unable to handle kernel things
general protection fault, or so
UBSAN: enabled in main.c
------------[ cut here ]------------
cat invoked oom-killer? no
"""


def hostile() -> Iterator[str]:
    """Words of splats on every line, and no splat."""
    return itertools.cycle(WORDS.splitlines())


def bare() -> Iterator[str]:
    """The same, as a program prints it."""
    return hostile()


def splats() -> Iterator[str]:
    """Nothing but splats."""
    logs = sorted((DATA / "splats").glob("written/*.log"))
    return itertools.cycle([line for log in logs for line in log.read_text().splitlines()])


def measure(name: str, make: Callable[[], Iterator[str]], folder: Path) -> tuple[float, int]:
    """Write a log of SIZE bytes; give the CPU seconds find() takes on it, and the splats."""
    path, size = folder / name, 0
    with path.open("w", encoding="utf-8") as file:
        for line in (f"{one}\n" for one in make()) if make is bare else stamped(make()):
            size += file.write(line)
            if size > SIZE:
                break
    begin = time.process_time()
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        found = find(file)
    seconds = time.process_time() - begin
    path.unlink()
    return seconds, len(found)


def main() -> int:
    """Measure all, print and record them."""
    with tempfile.TemporaryDirectory() as name:
        makers = (ordinary, hostile, bare, splats)
        taken = [measure(make.__name__, make, Path(name)) for make in makers]
    cells = [f"{seconds:.1f} ({count})" for seconds, count in taken]
    figures.row("Splats in 100 MB", *cells, "< 10")
    return 0


if __name__ == "__main__":
    sys.exit(main())
