# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that were unwell before any test: they complained while booting, or did not come up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness import vmcore
from harness.model import Run
from harness.publish.html import splats
from harness.publish.html.columns import Column
from harness.publish.html.cutting import cut
from harness.publish.html.sections import Cut
from harness.publish.html.values import SplatView

_MOST = 8  # splats of one kernel
_END = 1 << 16  # bytes of a console's end that are read


def complaints(
    run: Run, columns: Sequence[Column], patches: Mapping[str, str]
) -> Iterator[tuple[str, SplatView]]:
    """Give (kernel, splat) of what was said before the first test."""
    for side, column in zip(run.sides, columns, strict=True):
        known = splats.decoded(column.folder)
        dead = [one for guest in side.guests if side.error for one in guest.splats]
        found = {one.title: one for one in (*side.boot_splats, *dead)}
        for one in list(found.values())[:_MOST]:
            yield column.label, splats.view(one, known, patches)


def unborn(run: Run, columns: Sequence[Column]) -> Iterator[tuple[str, str, Cut]]:
    """Give (kernel, why, its last words) of kernels that did not come up."""
    for side, column in zip(run.sides, columns, strict=True):
        if side.error:
            first = next(iter(side.guests), None)
            number = first.name.removeprefix("guest") if first else "0"
            yield column.label, side.error, _end(column.folder / "guests" / number / "console.log")


def dumps(columns: Sequence[Column]) -> tuple[str, ...]:
    """Say what dumps there are of kernels that died or hung, and what was read in them."""
    return tuple(line for one in columns for line in vmcore.heads(one.folder / "guests"))


def _end(console: Path) -> Cut:
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - _END))
            return cut(file.read().decode(errors="backslashreplace"), 0, 40)
    except OSError:
        return Cut()
