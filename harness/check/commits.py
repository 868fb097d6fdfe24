# SPDX-License-Identifier: GPL-2.0-only
"""The commits of a series: applied one after another, compared with the previous revision."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import git, tree
from harness.errors import NotApplied
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Checkout,
    Finding,
    Series,
    Severity,
)

RANGE_DIFF = "range-diff"  # in the folder of the check
_PAIR = re.compile(r"^\s*(-|\d+):\s+\S+ ([=!<>]) \s*(-|\d+):\s+\S+ (.*)$")
_SIGNS = {"=": "unchanged", "!": "changed", "<": "dropped", ">": "new"}


@dataclasses.dataclass(frozen=True)
class AppliedSeries:
    """The base and a checkout per patch that applies; ``trouble``: why the next patch does not.

    ``renames`` has the new name of each file that the series moves.
    """

    base: Checkout
    patched: tuple[Checkout, ...]
    renames: Mapping[str, str]
    trouble: NotApplied | None = None

    @property
    def tip(self) -> Checkout:
        """The last commit that applies."""
        return self.patched[-1] if self.patched else self.base

    def trouble_with(self, patch: int) -> Sequence[Finding] | str:
        """Return why a patch does not apply; a str if an earlier patch already does not."""
        if patch <= len(self.patched):
            return ()
        if self.trouble is None or patch > len(self.patched) + 1:
            return "an earlier patch does not apply"
        details = (" ".join(self.trouble.because.split()), self.trouble.hint)
        notes = (Finding(Severity.NOTE, text, rule="apply") for text in details if text)
        return Finding(Severity.ERROR, self.trouble.what, rule="apply"), *notes


def apply(slot: tree.Slot, series: Series) -> AppliedSeries:
    """Apply a series as far as it goes."""
    base = slot.base()
    patched: tuple[Checkout, ...] = ()
    trouble: NotApplied | None = None
    try:
        patched = _checkouts(slot, slot.patched(series))
    except NotApplied as error:
        trouble = error
        patched = _as_far_as_possible(slot, series)
    words = ("diff-tree", "-r", "-M", "-z", "--diff-filter=R", "--name-status")
    tip = patched[-1] if patched else base
    fields = git.run(slot.path, *words, base.commit, tip.commit).stdout.split("\0")
    renames = dict(zip(fields[1::3], fields[2::3], strict=False))
    return AppliedSeries(base, patched, renames, trouble)


def _as_far_as_possible(slot: tree.Slot, series: Series) -> tuple[Checkout, ...]:
    patched: tuple[Checkout, ...] = ()
    for number in range(1, len(series.patches)):
        part = dataclasses.replace(
            series, patches=series.patches[:number], digest=f"{series.digest}/{number}"
        )
        try:
            patched = _checkouts(slot, slot.patched(part))
        except NotApplied:
            break
    return patched


def _checkouts(slot: tree.Slot, tip: Checkout) -> tuple[Checkout, ...]:
    """Return a checkout of each patch up to ``tip``."""
    commits = [commit for commit, _ in tip.patches]
    trees = git.line(slot.path, "show", "-s", "--format=%T", *commits).split()
    return tuple(
        Checkout(slot.path, commit, trees[number], tip.patches[: number + 1])
        for number, commit in enumerate(commits)
    )


def compare_revisions(
    slot: tree.Slot, applied: AppliedSeries, previous: Series, folder: Path, check: str
) -> Cell:
    """Apply the previous revision and report how each patch changed.

    It is applied to the same base, or else to its own base.  The full range-diff goes to
    ``folder``.
    """
    try:
        base, old = _previous(slot, previous)
    except NotApplied as error:
        note = f"the previous revision: {error.what}"
        return Cell(WHOLE_SERIES, check, CellState.UNKNOWN, note=note)
    ranges = (f"{base}..{old.commit}", f"{applied.base.commit}..{applied.tip.commit}")
    text = git.run(slot.path, "range-diff", "--no-color", *ranges).stdout
    (folder / RANGE_DIFF).write_text(text, encoding="utf-8")
    findings = read_range_diff(text)
    changed = sum(finding.rule != "=" for finding in findings)
    note = f"{changed} of {len(findings)} patches differ, see {RANGE_DIFF}"
    return Cell.of(WHOLE_SERIES, check, findings, note)


def _previous(slot: tree.Slot, previous: Series) -> tuple[str, Checkout]:
    try:
        return slot.source.commit, slot.patched(previous)
    except NotApplied:
        own = tree.choose_base(slot.source.repo, previous, slot.source.commit)
        if own.commit == slot.source.commit:
            raise
        return own.commit, slot.on(own.commit, own.name).patched(previous)


def read_range_diff(text: str) -> tuple[Finding, ...]:
    """Parse the lines of a range-diff that pair the patches of two revisions."""
    findings = []
    for match in filter(None, map(_PAIR.match, text.splitlines())):
        old, sign, new, subject = match.groups()
        where = f"patch {new}" if new != "-" else f"previous patch {old}"
        moved = f" (was {old})" if "-" not in (old, new) and old != new else ""
        text = f"{where}{moved}, {_SIGNS[sign]}: {subject}"
        findings.append(Finding(Severity.NOTE, text, rule=sign))
    return tuple(findings)


def reviewed_by_b4(tracking: Path) -> str:
    """Return the range of the series that b4 has under review, from b4's tracking file.

    Empty if the file does not record the range.  The last commit of b4's branch is b4's own.
    """
    try:
        series = json.loads(tracking.read_text())["series"]
        return f"{series['first-patch-commit']}~1..refs/heads/b4/review/{series['change-id']}~1"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
