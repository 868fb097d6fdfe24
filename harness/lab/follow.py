# SPDX-License-Identifier: GPL-2.0-only
"""What a series changes, which options it needs to be compiled, and which of its lines were.

Both answers take seconds, so they are kept in the cache: the options under what they were found
from, the lines with the kernel that they are about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import architectures, build, diff, git, kconfig, paths, serial
from harness.model import Checkout, Followed, Kernel, Request, SeriesLines, Toolchain
from harness.progress import Progress

# Increment these when the same inputs start to give another answer: other options, other lines.
_OPTIONS_GENERATION = "3"
_GENERATION = "1"
_SHOWN = 8  # lines about what cannot be compiled; the summary of the lines has all


def changed(base: Checkout, tip: Checkout) -> list[diff.FileDiff]:
    """Return the difference between two commits."""
    argv = ("diff", "--unified=0", "--find-renames", base.commit, tip.commit, "--")
    return diff.parse(git.run(tip.path, *argv).stdout)


def followed(
    base: Checkout,
    tip: Checkout,
    request: Request,
    toolchain: Toolchain,
    more: tuple[str, ...],
    config: Callable[[], Mapping[str, str] | None],
) -> Followed | None:
    """Return the options that the commits from ``base`` to ``tip`` need, from the cache or new.

    ``config`` returns the values in a .config of the request alone.  If it returns None, nothing
    new can be found out, and the result may be None.
    """
    inputs = (_OPTIONS_GENERATION, base.tree, tip.tree, request.digest, str(toolchain), *more)
    name = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:24]
    kept = paths.cache("follow") / f"{name}.json"
    try:
        return serial.read(kept, Followed)
    except (OSError, serial.DamagedError):
        values = config()
    if values is None:
        return None
    sources = kconfig.SeriesSources(tip.path, tip.tree, changed(base, tip), more)
    found = kconfig.follow(sources, values, request, toolchain.arch)
    with paths.writing(kept):
        serial.write(kept, found)
    return found


def counted(
    base: Checkout, tip: Checkout, toolchain: Toolchain, check_out: Callable[[], object] | None
) -> tuple[str, ...] | None:
    """Return the objects that get counters to tell what executes the lines of the series.

    Without ``check_out``, which puts the tip's files into its worktree, only an answer from the
    cache is returned, or None.
    """
    inputs = (_GENERATION, base.tree, tip.tree, toolchain.arch)
    name = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:24]
    kept = paths.cache("follow") / f"counted-{name}.json"
    try:
        return serial.read(kept, tuple[str, ...])
    except (OSError, serial.DamagedError):
        if check_out is None:
            return None
    check_out()
    folder = architectures.named(toolchain.arch).folder
    found = build.counted_objects(tip, changed(base, tip), folder)
    with paths.writing(kept):
        serial.write(kept, found)
    return found


def show(followed: Followed, progress: Progress) -> None:
    """Say which options are added and why, and what none can bring into the kernel."""
    for option in followed.options:
        progress.say(f"CONFIG_{option.name}={option.value} is added: it {option.reason}")
    for line in followed.missed[:_SHOWN]:
        progress.say(f"not compiled: {line}")
    if len(followed.missed) > _SHOWN:
        progress.say(f"not compiled: {len(followed.missed) - _SHOWN} more")


def kept_lines(base: Checkout, kernel: Kernel) -> SeriesLines | None:
    """Return what became of a series' lines in a kept kernel; None if that is not known."""
    try:
        return serial.read(_lines_file(base, kernel), SeriesLines)
    except (OSError, serial.DamagedError):
        return None


def find_lines(
    base: Checkout, tip: Checkout, kernel: Kernel, out: Path, toolchain: Toolchain
) -> SeriesLines:
    """Find out which lines were compiled into the kernel just built in ``out``, and keep that."""
    found = build.series_lines(tip, out, toolchain, changed(base, tip))
    with paths.writing(kernel.folder):
        serial.write(_lines_file(base, kernel), found)
    return found


def _lines_file(base: Checkout, kernel: Kernel) -> Path:
    return kernel.folder / f"lines-{_GENERATION}-{base.tree[:20]}.json"
