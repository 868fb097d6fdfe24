# SPDX-License-Identifier: GPL-2.0-only
"""This revision against the one before, by git range-diff."""

from __future__ import annotations

import re
from pathlib import Path

from harness import git, tree
from harness.check.steps import Steps
from harness.errors import NotApplied
from harness.model import WHOLE_SERIES, Cell, CellState, Checkout, Finding, Series, Severity

NAME = "range-diff"
_PAIR = re.compile(r"^\s*(-|\d+):\s+\S+ ([=!<>]) \s*(-|\d+):\s+\S+ (.*)$")
_WORDS = {"=": "the same", "!": "changed", "<": "dropped", ">": "new"}


def compare(slot: tree.Slot, steps: Steps, previous: Series, place: Path) -> Cell:
    """Apply the previous revision, and say what became of each patch.

    The whole range-diff goes to the run's folder.
    """
    try:
        base, old = _applied(slot, previous)
    except NotApplied as error:
        return Cell(
            WHOLE_SERIES, "revision", CellState.UNKNOWN, note=f"the one before: {error.what}"
        )
    spans = (f"{base}..{old.commit}", f"{steps.base.commit}..{steps.tip.commit}")
    said = git.run(slot.path, "range-diff", "--no-color", *spans).stdout
    (place / NAME).write_text(said, encoding="utf-8")
    found = read(said)
    changed = sum(one.rule != "=" for one in found)
    return Cell.of(
        WHOLE_SERIES, "revision", found, f"{changed} of {len(found)} patches differ, see {NAME}"
    )


def _applied(slot: tree.Slot, previous: Series) -> tuple[str, Checkout]:
    """Apply to the same base, or to the series' own if it is made on another; gives it, too."""
    try:
        return slot.source.commit, slot.patched(previous)
    except NotApplied:
        own = tree.choose_base(slot.source.repo, previous, slot.source.commit)
        if own.commit == slot.source.commit:
            raise
        return own.commit, slot.on(own.commit, own.name).patched(previous)


def read(text: str) -> tuple[Finding, ...]:
    """Read the lines that pair patches; unchanged ones are told by their number alone."""
    found = []
    for match in filter(None, map(_PAIR.match, text.splitlines())):
        old, sign, new, subject = match.groups()
        where = f"patch {new}" if new != "-" else f"patch {old} before"
        moved = f" (was {old})" if "-" not in (old, new) and old != new else ""
        words = f"{where}{moved}, {_WORDS[sign]}: {subject}"
        found.append(Finding(Severity.NOTE, words, rule=sign))
    return tuple(found)
