# SPDX-License-Identifier: GPL-2.0-only
"""Find which patch introduces a problem and which one fixes it.  Pure.

A check of the whole tree finds the same problem after each patch, at shifting line numbers.
Problems that the base already has are not the series' fault.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.model import WHOLE_SERIES, Cell, CellState, Finding, Severity
from harness.results.regression import unnumbered

Key = tuple[str, str, str]

#: A check's findings in the tree of the base and then of each patch; None: not known.
Trees = Sequence[Sequence[Finding] | None]


def identity(finding: Finding) -> Key:
    """Return the key of a finding, which stays the same when lines shift."""
    return finding.rule, finding.file, finding.same or unnumbered(finding.text)


def _by_key(
    findings: Iterable[Finding], renames: Mapping[str, str]
) -> dict[tuple[str, str, str, int], Finding]:
    """Return findings by identity and a count, so that a second equal finding counts as new."""
    count: Counter[Key] = Counter()
    by_key = {}
    for finding in sorted(findings, key=lambda finding: (finding.file, finding.line)):
        rule, file, text = identity(finding)
        key = (rule, renames.get(file, file), text)
        by_key[(*key, count[key])] = finding
        count[key] += 1
    return by_key


def new_findings(
    trees: Trees, renames: Mapping[str, str] | None = None
) -> dict[int, tuple[Finding, ...]]:
    """Return, by patch, the findings that the base lacks, with ``enters`` and ``leaves`` set.

    A patch without results (it does not build) is left out, and neither introduces nor fixes a
    problem.  ``renames`` maps a file to its later name: a move introduces nothing.
    """
    base, *patches = (None if tree is None else _by_key(tree, renames or {}) for tree in trees)
    known = [(number, tree) for number, tree in enumerate(patches, 1) if tree is not None]
    result: dict[int, list[Finding]] = {number: [] for number, _ in known}
    new_keys = dict.fromkeys(key for _, tree in known for key in tree if key not in (base or {}))
    for key in new_keys:
        present: list[tuple[int, Finding]] = []
        for number, tree in [*known, (0, {})]:
            if key in tree:
                present.append((number, tree[key]))
                continue
            for at, finding in present:
                span = dataclasses.replace(finding, enters=present[0][0], leaves=number)
                result[at].append(span)
            present = []
    return {number: tuple(findings) for number, findings in result.items()}


@dataclasses.dataclass(frozen=True)
class TreeFindings:
    """The column of a check that looks at the whole tree after each patch.

    ``unchanged`` are the patches that change nothing that the check can see.
    """

    check: str
    trees: Trees
    notes: Mapping[int, str] = dataclasses.field(default_factory=dict)
    unchanged: frozenset[int] = frozenset()

    @classmethod
    def of(cls, check: str, trees: Sequence[Sequence[Finding] | str]) -> TreeFindings:
        """Make a column from the findings of each tree; a str is the reason why there are none."""
        notes = {number: tree for number, tree in enumerate(trees) if isinstance(tree, str)}
        return cls(check, [None if isinstance(tree, str) else tree for tree in trees], notes)

    def cells(self, renames: Mapping[str, str]) -> list[Cell]:
        """Return a cell for each patch, and one for the whole series: the findings at the tip.

        If there are no results for the base, the first patch with results takes its place.
        """
        patches = self.trees[1:]
        if not patches:
            return []
        base = next((tree for tree in self.trees if tree is not None), None)
        new = new_findings((base, *patches), renames) if base is not None else {}
        cells = []
        for number in range(1, len(patches) + 1):
            cell = self._cell(number, new.get(number), self.notes.get(number, ""))
            if number in self.unchanged and number in new:
                cell = dataclasses.replace(cell, state=CellState.SAME)
            cells.append(cell)
        tip = len(patches)
        note = self.notes.get(WHOLE_SERIES) or ("" if tip in new else self.notes.get(tip, ""))
        return [*cells, self._cell(WHOLE_SERIES, new.get(tip), note)]

    def _cell(self, number: int, findings: tuple[Finding, ...] | None, note: str) -> Cell:
        if findings is None:
            return Cell(number, self.check, CellState.UNKNOWN, (), note)
        return Cell.of(number, self.check, findings, note)


_WORST_LAST = (
    CellState.NONE,
    CellState.SAME,
    CellState.GOOD,
    CellState.UNKNOWN,
    CellState.WARN,
    CellState.BAD,
)


def merged(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return one cell for each patch and check, with all findings and the worst state."""
    groups: dict[tuple[int, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.patch, cell.check), []).append(cell)
    return tuple(
        Cell(
            patch,
            check,
            max((cell.state for cell in group), key=_WORST_LAST.index),
            tuple(finding for cell in group for finding in cell.findings),
            "; ".join(cell.note for cell in group if cell.note),
        )
        for (patch, check), group in groups.items()
    )


def shortened(findings: Sequence[Finding], most: int, what: str) -> tuple[Finding, ...]:
    """Return the first findings, and a note with the number of the others."""
    more = len(findings) - most
    rest = [Finding(Severity.NOTE, f"{more} more {what}", rule="more")] if more > 0 else []
    return (*findings[:most], *rest)


def diff_of_texts(
    before: Mapping[str, str], after: Mapping[str, str], sides: tuple[str, str], context: int = 3
) -> str:
    """Return one unified diff of all texts, paired by name."""
    lines: list[str] = []
    for name in dict.fromkeys((*before, *after)):
        texts = (before.get(name, "").splitlines(), after.get(name, "").splitlines())
        old, new = sides[0] + name, sides[1] + name
        lines += difflib.unified_diff(*texts, old, new, n=context, lineterm="")
    return "".join(f"{line}\n" for line in lines)
