# SPDX-License-Identifier: GPL-2.0-only
"""The table of tests by kernels: by file, and many tests of a file in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.model import ChangeKind, Outcome, Test, change_kind
from harness.publish.html.values import Group, Mark, Row

PART = 250  # tests in one table: a browser lays out only those that are open

_NOTRUN, _ABSENT = Mark(Outcome.NOTRUN.value), Mark("")


# How the table calls what became of a test; "other" where it is none of these.
_WORDS = {
    **dict.fromkeys((ChangeKind.REGRESSION, ChangeKind.SUSPECT), "broken"),
    ChangeKind.FIX: "fixed",
    **{one: one.value for one in (ChangeKind.FLAKY, ChangeKind.NEW, ChangeKind.GONE)},
    ChangeKind.SAME: "",
}


def make(
    columns: Sequence[tuple[str, Sequence[Test]]],
    links: Mapping[tuple[str, str], str],
    kinds: Mapping[str, ChangeKind] | None = None,
) -> tuple[Row, ...]:
    """Lay the tests of kernels, (label, tests), beside one another; the last is the judged one.

    ``links`` lead from (label, test) to its failure, ``kinds`` from a test to what became of it
    where that was settled by more than one run.  A test that the first or the last kernel does
    not have was not run there; those between may have been tested with less.
    """
    marks = [
        {one.id: Mark(one.outcome.value, one.seconds, links.get((label, one.id), "")) for one in t}
        for label, t in columns
    ]
    names = dict.fromkeys(one.id for _, tests in columns for one in tests)
    last = len(marks) - 1
    lacking = [_NOTRUN if n in (0, last) else _ABSENT for n in range(len(marks))]
    both = list(zip(marks, lacking, strict=True))
    each = ((test, tuple(some.get(test, none) for some, none in both)) for test in names)
    return tuple(_row(test, marks, (kinds or {}).get(test)) for test, marks in each)


def _row(test: str, marks: tuple[Mark, ...], settled: ChangeKind | None) -> Row:
    name = test.partition("::")[2] or test
    word = change(settled or change_kind(Outcome(marks[0].outcome), Outcome(marks[-1].outcome)))
    hole = not word and any(one.outcome not in (marks[0].outcome, "") for one in marks)
    return Row(test, name, marks, "other" if hole else word)


def change(what: ChangeKind) -> str:
    """Say what became of a test from the first kernel to the last."""
    return _WORDS.get(what, "other")


def groups(rows: Sequence[Row]) -> tuple[Group, ...]:
    """Put rows together by their tests' files, at most PART in one."""
    files: dict[str, list[Row]] = {}
    for row in rows:
        files.setdefault(row.test.partition("::")[0], []).append(row)
    return tuple(group for file, some in files.items() for group in _parts(file, some))


def _parts(file: str, rows: list[Row]) -> list[Group]:
    found = []
    for begin in range(0, len(rows), PART):
        some = rows[begin : begin + PART]
        counts = Counter(row.outcome for row in some)
        ordered = tuple((o.value, counts[o.value]) for o in Outcome if counts[o.value])
        part = f"{begin + 1} to {begin + len(some)}" if len(rows) > PART else ""
        bad = any(Outcome(row.outcome).bad for row in some)
        found.append(Group(file, tuple(some), ordered, part, bad and len(rows) <= PART))
    return found
