# SPDX-License-Identifier: GPL-2.0-only
"""The command that does a run again on another machine: what was asked, without our own places."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from harness.model import Run
from harness.text import one_line

# Options that change what is tested, with their value; the rest is about this machine.
_KEPT = {
    *("--kernel", "--kconfig", "--arch", "--cpus", "--memory", "--test-timeout", "--repeat"),
    *("--retry", "--rerun", "--guest-env"),
}
_SWITCHES = {"--llvm", "--patched-only", "--no-series", "--strict", "--allow-flaky"}
_WHICH = {"--suite", "-k"}  # left out where one test is asked for
_OWN = {"--tree", "--base"}
_OPTION = re.compile(r"(?:CONFIG_)?[A-Z0-9_]+=\S+")
_RELEASE = re.compile(r"v(\d+\.\d+[\w.-]*)")


def words(run: Run, test: str = "") -> list[str]:
    """Give the command for the run, or for one test of it."""
    asked = list(_asked(run.command[2:], bool(test))) if run.command[1:2] == ("run",) else []
    made = ["harness", "run", *_series(run), *asked]
    if "--kernel" not in asked:
        made += _base(run)
    made += ["--suite", one_line(test, 1000)] if test else []
    at = run.command.index("--") if "--" in run.command and not test else len(run.command)
    return [*made, *map(_near, run.command[at:])]


def shell(run: Run, test: str = "", width: int = 0) -> str:
    """Give the same as a line for a shell, folded at ``width`` columns if that is not 0."""
    lines: list[str] = []
    for part in _parts(words(run, test)):
        if lines and not (width and len(lines[-1]) + len(part) + 3 > width):
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}" if lines else part)
    return " \\\n".join(lines)


def _parts(given: Sequence[str]) -> Iterator[str]:
    """Give what stays in one line: an option with its value."""
    rest = iter(given)
    for word in rest:
        both = [word, next(rest, "")] if word in _KEPT | _WHICH | _OWN else [word]
        yield shlex.join(both)


def _series(run: Run) -> list[str]:
    """Name the series so that anybody can get it: by its message id, or as it is called here."""
    series = run.series
    if series is None:
        return ["--no-series"]
    link = series.link if series.link.startswith("https://") and " " not in series.link else ""
    first = series.patches[0].message_id if series.patches else ""
    return [one_line(series.cover_id or link or first or series.name)]


def _base(run: Run) -> list[str]:
    if "--tree" in run.command:
        return ["--tree", "linux", "--base", run.source.commit[:16]]
    release = _RELEASE.fullmatch(run.source.name)
    return ["--kernel", release[1]] if release else []


def _asked(given: Sequence[str], one: bool) -> Iterator[str]:
    kept = _KEPT if one else _KEPT | _WHICH
    rest = iter(given)
    for word in rest:
        if word == "--":
            return
        name, equals, value = word.partition("=")
        if name in kept:
            yield from (name, _near(value if equals else next(rest, "")))
        elif (word in _SWITCHES and word != "--no-series") or _OPTION.fullmatch(word):
            yield word


def _near(value: str) -> str:
    """Give a path without the folders of this machine that lead to it."""
    return PurePath(value).name if value.startswith("/") else one_line(value)
