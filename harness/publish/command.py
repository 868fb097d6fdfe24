# SPDX-License-Identifier: GPL-2.0-only
"""The command that does a run again on another machine: what was asked, without our own places."""

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


def words(run: Run, test: str = "") -> list[str]:
    """Return the command for the run, or for one test of it.

    Of a run by an older harness, which kept no plan, it is the command as it was typed.
    """
    plan = run.plan
    if plan is None:
        return [*run.command, *(["--suite", one_line(test, 1000)] if test else [])]
    near = dataclasses.replace(
        plan,
        fragments=tuple(map(_near, plan.fragments)),
        suites=() if test else tuple(map(_near, plan.suites)),
        keyword="" if test else plan.keyword,
    )
    asked = map(one_line, [*plan.assignments, *options.words(near, _SHARED)])
    command = ["harness", "run", *_series(run), *asked]
    if not plan.kernel:
        command += _base(run, plan)
    if test:
        return [*command, "--suite", one_line(test, 1000)]
    return [*command, *(["--", *map(_near, plan.pytest_args)] if plan.pytest_args else [])]


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
        both = [word, next(rest, "")] if word in _WITH_VALUE else [word]
        yield shlex.join(both)


def _series(run: Run) -> list[str]:
    """Name the series so that anybody can get it: by its message id, or as it is called here."""
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


def _near(value: str) -> str:
    """Give a path without the folders of this machine that lead to it."""
    return PurePath(value).name if value.startswith("/") else one_line(value)
