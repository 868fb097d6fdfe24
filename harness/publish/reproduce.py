# SPDX-License-Identifier: GPL-2.0-only
"""The command that repeats a run on another machine: what was asked for, without local paths."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from harness.model import Run
from harness.text import one_line

# Options that change what is tested, with their value; all others are about this machine.
_KEPT = {
    *("--kernel", "--kconfig", "--arch", "--cpus", "--memory", "--test-timeout", "--repeat"),
    *("--retry", "--rerun", "--guest-env"),
}
_SWITCHES = {"--llvm", "--patched-only", "--strict", "--allow-flaky"}
_SELECTION = {"--suite", "-k"}  # left out where the command is for one test
_SOURCE = {"--tree", "--base"}
_OPTION = re.compile(r"(?:CONFIG_)?[A-Z0-9_]+=\S+")
_RELEASE = re.compile(r"v(\d+\.\d+[\w.-]*)")


def argv(run: Run, test: str = "") -> list[str]:
    """Return the command that repeats the run, or only ``test`` of it."""
    asked: list[str] = []
    if run.command[1:2] == ("run",):
        asked += _options(run.command[2:], _KEPT if test else _KEPT | _SELECTION)
    words = ["harness", "run", *_series(run), *asked]
    if "--kernel" not in asked:
        words += _base(run)
    words += ["--suite", one_line(test, 1000)] if test else []
    at = run.command.index("--") if "--" in run.command and not test else len(run.command)
    return [*words, *map(_without_folders, run.command[at:])]


def shell(run: Run, test: str = "", width: int = 0) -> str:
    """Return the same command for a shell, folded at ``width`` columns unless that is 0."""
    lines: list[str] = []
    for part in _unbreakable(argv(run, test)):
        if lines and not (width and len(lines[-1]) + len(part) + 3 > width):
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}" if lines else part)
    return " \\\n".join(lines)


def _unbreakable(words: Sequence[str]) -> Iterator[str]:
    """Return the parts that stay in one line: an option with its value is one."""
    rest = iter(words)
    for word in rest:
        takes_value = word in _KEPT | _SELECTION | _SOURCE
        yield shlex.join([word, next(rest, "")] if takes_value else [word])


def _series(run: Run) -> list[str]:
    """Name the series as anybody can get it: by message id or link, else by its local name."""
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


def _options(words: Sequence[str], kept: set[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        name, equals, value = word.partition("=")
        if name in kept:
            yield from (name, _without_folders(value if equals else next(rest, "")))
        elif word in _SWITCHES or _OPTION.fullmatch(word):
            yield word


def _without_folders(value: str) -> str:
    """Return the name of an absolute path: its folders exist only on this machine."""
    return PurePath(value).name if value.startswith("/") else one_line(value)
