# SPDX-License-Identifier: GPL-2.0-only
"""Differences between the base and the patched kernel: tests, splats, compiler warnings.

A single rule decides which difference is a regression: ``harness.model.change_kind``.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.model import (
    Change,
    ChangeKind,
    CompilerWarning,
    Outcome,
    Run,
    Splat,
    Test,
    Trial,
    looks_running,
)

# A standalone number, such as a line number or a size, may change with every edit.
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


def changes(base: Iterable[Test], patched: Iterable[Test]) -> tuple[Change, ...]:
    """Return the tests on which two kernels differ: worst kind first, then in test order."""
    old, new = ({test.id: test for test in tests} for tests in (base, patched))
    # The patched kernel's order, then the tests that only the base has.
    compared = (_change(old.get(name), new.get(name)) for name in new | old)
    differing = [change for change in compared if change.kind is not ChangeKind.SAME]
    return tuple(sorted(differing, key=lambda change: list(ChangeKind).index(change.kind)))


def _change(base: Test | None, patched: Test | None) -> Change:
    tests = [test for test in (patched, base) if test is not None]
    # Prefer the kernel on which the test ran.
    shown = min(tests, key=lambda test: test.outcome is Outcome.NOTRUN)
    old, new = (test.outcome if test else Outcome.NOTRUN for test in (base, patched))
    return Change(shown.id, old, new, shown.headline)


def new_splats(base: Iterable[Splat], patched: Iterable[Splat]) -> tuple[Splat, ...]:
    """Return each splat that the base does not have, once."""
    known = {splat.name for splat in base}
    first: dict[str, Splat] = {}
    for splat in patched:
        first.setdefault(splat.name, splat)
    return tuple(splat for name, splat in first.items() if name not in known)


def new_warnings(
    base: Iterable[CompilerWarning], patched: Iterable[CompilerWarning]
) -> tuple[CompilerWarning, ...]:
    """Return the warnings that the base does not have, even if lines have moved."""
    known = Counter(map(_same_anywhere, base))
    new = []
    for warning in patched:
        if known[_same_anywhere(warning)] > 0:
            known[_same_anywhere(warning)] -= 1
        else:
            new.append(warning)
    return tuple(new)


def _same_anywhere(warning: CompilerWarning) -> tuple[str, str]:
    return warning.file, unnumbered(warning.text)


def unnumbered(text: str) -> str:
    """Return a text without the numbers that may change with every edit."""
    return _NUMBER.sub("N", text)


def compared(run: Run) -> Run:
    """Return a run with the differences of its kernels added, if there are two."""
    if len(run.sides) < 2:
        return dataclasses.replace(run, changes=(), splats=(), warnings=())
    base, patched = run.sides[0], run.judged
    return dataclasses.replace(
        run,
        changes=changes(base.tests, patched.tests),
        splats=new_splats(base.splats, patched.splats),
        warnings=new_warnings(base.kernel.warnings, patched.kernel.warnings),
    )


def settled(run: Run) -> Run:
    """Return an interrupted run without crashes of tests that were still running.

    Such a test counts as not run.  The run.json of older harnesses lists it as a crash.
    """
    if not run.interrupted:
        return run
    sides = tuple(side if side.cached else _without_running(side) for side in run.sides)
    return compared(dataclasses.replace(run, sides=sides))


def _without_running(side: Trial) -> Trial:
    tests = tuple(
        dataclasses.replace(test, outcome=Outcome.NOTRUN)
        if looks_running(test.outcome, test.message)
        else test
        for test in side.tests
    )
    return dataclasses.replace(side, tests=tests)


def outcomes_text(tests: Sequence[Test]) -> str:
    """Return the number of tests by outcome: "133 pass, 2 fail"; empty for no tests."""
    return ", ".join(f"{number} {outcome}" for outcome, number in counts(tests).items())


def counts(tests: Sequence[Test]) -> dict[Outcome, int]:
    """Count outcomes, in the order of Outcome, omitting zeros."""
    counted = Counter(test.outcome for test in tests)
    return {outcome: counted[outcome] for outcome in Outcome if counted[outcome]}
