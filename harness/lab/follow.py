# SPDX-License-Identifier: GPL-2.0-only
"""What a series changes, which options it needs to be compiled, and which of its lines were.

Both answers take seconds, so they are kept in the cache: the options under what they were found
from, the lines with the kernel that they are about.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness import architectures, build, diff, git, kconfig, paths, serial
from harness.model import Checkout, Followed, Kernel, Request, SeriesLines, Toolchain
from harness.progress import Progress

# Increment these when the same inputs start to give another answer: other options, other lines.
_OPTIONS_GENERATION = "3"
_GENERATION = "1"
_NAMED_FILE = re.compile(r"([\w.+/-]+)\.[chSo]\b")
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
    left_out: tuple[tuple[str, str], ...] = (),
) -> Followed | None:
    """Return the options that the commits from ``base`` to ``tip`` need, from the cache or new.

    ``config`` returns the values in a .config of the request alone.  If it returns None, nothing
    new can be found out, and the result may be None.  ``left_out`` are files whose options are not
    wanted, each with the reason: the result is new, and stays in the cache.
    """
    place, trees = paths.cache("follow"), (base.tree, tip.tree)
    inputs = (_OPTIONS_GENERATION, request.digest, str(toolchain), *more)
    kept = place / f"{_digest(*trees, *inputs)}.json"
    if not left_out:
        with contextlib.suppress(OSError, serial.DamagedError):
            return serial.read(kept, Followed)
    values = config()
    if values is None:
        return None
    # What keeps the base from being built does so for the next revision of the series too.
    broken, known = place / f"broken-{_digest(base.tree, *inputs)}.json", dict(left_out)
    with contextlib.suppress(OSError, serial.DamagedError):
        known = serial.read(broken, dict[str, str]) | known
    files = changed(base, tip)
    left_out = tuple((file.path, known[file.path]) for file in files if file.path in known)
    files = [file for file in files if file.path not in known]
    sources = kconfig.SeriesSources(tip.path, tip.tree, files, more)
    found = kconfig.follow(sources, values, request, toolchain.arch)
    missed = (*(f"{file}: {why}" for file, why in left_out), *found.missed)
    found = dataclasses.replace(found, missed=missed, left_out=left_out)
    with paths.writing(kept):
        serial.write(kept, found)
        if known:
            serial.write(broken, known)
    return found


def _digest(*inputs: str) -> str:
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:24]


def counted(
    base: Checkout, tip: Checkout, toolchain: Toolchain, check_out: Callable[[], object] | None
) -> tuple[str, ...] | None:
    """Return the objects that get counters to tell what executes the lines of the series.

    Without ``check_out``, which puts the tip's files into its worktree, only an answer from the
    cache is returned, or None.
    """
    name = _digest(_GENERATION, base.tree, tip.tree, toolchain.arch)
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


def unbuildable(changed: Sequence[str], found: Followed, messages: str) -> list[str]:
    """Return which of the changed files have options that keep the base from being built.

    Those are the ones that make's messages name, or whose folder they name.  If a linker only names
    the whole kernel, all that options were added for.
    """
    words = {word for option in found.options for word in option.reason.replace(":", " ").split()}
    files = [file for file in changed if file in words]
    named = [match[1] for match in _NAMED_FILE.finditer(messages)]
    stems = [file for file in files if posixpath.splitext(file)[0] in named]
    folders = {posixpath.dirname(name) for name in named}
    near = [file for file in files if posixpath.dirname(file) in folders]
    return stems or near or (files if folders <= {""} else [])


def main_message(messages: str) -> str:
    """Return the line of make's messages that says why: a linker says first where."""
    lines = [line.strip() for line in messages.splitlines()]
    telling = (line for line in lines if "error:" in line or "undefined reference" in line)
    return next(telling, lines[0] if lines else "")


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
