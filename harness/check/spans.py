# SPDX-License-Identifier: GPL-2.0-only
"""Where a problem enters and where it goes away.  Pure.

A check that looks at the tree after each patch finds the same problem again and again, on lines
that shift.  What the base has already is nobody's fault here.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.model import Finding
from harness.results.regression import unnumbered

Key = tuple[str, str, str]
Seen = Mapping[tuple[str, str, str, int], Finding]


def identity(finding: Finding) -> Key:
    """Return what makes it the same finding although lines have shifted."""
    return finding.rule, finding.file, finding.same or unnumbered(finding.text)


def numbered(findings: Iterable[Finding], renames: Mapping[str, str] | None = None) -> Seen:
    """Give findings by key and by how many with that key came before: two alike stay two.

    ``renames`` gives the later name of a file, so that a moved file brings nothing new.
    """
    count: Counter[Key] = Counter()
    seen = {}
    for one in sorted(findings, key=lambda one: (one.file, one.line)):
        file = (renames or {}).get(one.file, one.file)
        rule, _, text = identity(one)
        seen[(rule, file, text, count[(rule, file, text)])] = one
        count[(rule, file, text)] += 1
    return seen


def place(
    base: Iterable[Finding],
    rows: Sequence[tuple[int, Iterable[Finding] | None]],
    renames: Mapping[str, str] | None = None,
) -> dict[int, tuple[Finding, ...]]:
    """Give for each row what is new against the base, with ``enters`` and ``leaves`` set.

    ``rows`` are (patch, findings) in the series' order; None where nothing is known (it did not
    build): such a row neither brings a problem nor takes it away.
    """
    old = numbered(base, renames).keys()
    known = [(n, numbered(found, renames)) for n, found in rows if found is not None]
    result: dict[int, list[Finding]] = {number: [] for number, _ in known}
    for key in dict.fromkeys(key for _, seen in known for key in seen if key not in old):
        enters = 0
        run: list[tuple[int, Finding]] = []
        for number, seen in [*known, (0, {})]:
            if key in seen:
                enters = enters or number
                run.append((number, seen[key]))
                continue
            for at, one in run:
                result[at].append(dataclasses.replace(one, enters=enters, leaves=number))
            run, enters = [], 0
    return {number: tuple(found) for number, found in result.items()}
