# SPDX-License-Identifier: GPL-2.0-only
"""What a run was made with: source, series, compiler, machine, options asked for and got."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from harness.model import Run
from harness.publish.html.sections import OptionView

_SET = re.compile(r"^(CONFIG_\w+)=(.*)$|^# (CONFIG_\w+) is not set$", re.MULTILINE)
_COMPILER = re.compile(r'^CONFIG_CC_VERSION_TEXT="(.*)"$', re.MULTILINE)


def about(run: Run, side: Path) -> Iterator[tuple[str, str]]:
    """Give (what, its value); ``side`` is the folder of the kernel that is judged."""
    yield "source", f"{run.source.name} {run.source.commit[:12]} {run.source.origin}".strip()
    if run.series:
        yield "series", f"{run.series.name}, {len(run.series.patches)} patches"
        if run.series.link:
            yield "link", run.series.link
    yield "guests", f"{run.accel}: {'hardware' if run.accel == 'kvm' else 'emulated'}"
    found = _COMPILER.search(_config(side))
    if found:
        yield "compiler", found[1]
    yield from run.about


def options(side: Path) -> tuple[OptionView, ...]:
    """Say what options were asked for, and what the kernel's .config has."""
    try:
        asked: dict[str, str] = json.loads((side / "options.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    got = {one[1] or one[3]: one[2] or "n" for one in _SET.finditer(_config(side))}
    return tuple(OptionView(key, value, got.get(key, "n")) for key, value in sorted(asked.items()))


def moment(started: str) -> str:
    """Write when a run began for people: the minute, in UTC."""
    return f"{started[:16].replace('T', ' ')} UTC" if started.endswith("+00:00") else started


def _config(side: Path) -> str:
    try:
        return (side / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
