# SPDX-License-Identifier: GPL-2.0-only
"""The command that repeats a run on another machine: the same options, without local paths."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from harness import options
from harness.model import Plan, Run
from harness.options import OPTIONS
from harness.text import one_line

_SHARED = tuple(option for option in OPTIONS if option.repeated)
_WITH_VALUE = {option.flag for option in OPTIONS if option.initial is not False}
_RELEASE = re.compile(r"v(\d+\.\d+[\w.-]*)")


def argv(run: Run, test: str = "") -> list[str]:
    """Return the command that repeats the run, or only one ``test`` of it.

    A run of an older version has no plan; the result is then the command as it was typed.
    """
    plan = run.plan
    if plan is None:
        return [*run.command, *(["--suite", one_line(test, 1000)] if test else [])]
    elsewhere = dataclasses.replace(
        plan,
        fragments=tuple(map(_without_folders, plan.fragments)),
        suites=() if test else tuple(map(_without_folders, plan.suites)),
        keyword="" if test else plan.keyword,
    )
    asked = map(one_line, [*plan.assignments, *options.words(elsewhere, _SHARED)])
    command = ["harness", "run", *_series(run), *asked]
    if not plan.kernel:
        command += _base(run, plan)
    if test:
        return [*command, "--suite", one_line(test, 1000)]
    return [
        *command,
        *(["--", *map(_without_folders, plan.pytest_args)] if plan.pytest_args else []),
    ]


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
    """Return the parts that must stay on one line, such as an option with its value."""
    rest = iter(words)
    for word in rest:
        both = [word, next(rest, "")] if word in _WITH_VALUE else [word]
        yield shlex.join(both)


def _series(run: Run) -> list[str]:
    """Identify the series so that anyone can get it: by message id or link, else by local name."""
    series = run.series
    if series is None:
        return ["--no-series"]
    link = series.link if series.link.startswith("https://") and " " not in series.link else ""
    first = series.patches[0].message_id if series.patches else ""
    return [one_line(series.cover_id or link or first or series.name)]


def _base(run: Run, plan: Plan) -> list[str]:
    if plan.tree:
        return ["--tree", "linux", "--base", run.source.commit[:16]]
    release = _RELEASE.fullmatch(run.source.name)
    return ["--kernel", release[1]] if release else []


def _without_folders(value: str) -> str:
    """Return the last part of an absolute path, because its folders only exist on this machine."""
    return PurePath(value).name if value.startswith("/") else one_line(value)
