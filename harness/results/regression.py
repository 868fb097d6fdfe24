# SPDX-License-Identifier: GPL-2.0-only
"""What differs between the base and the patched kernel: tests, splats, compiler warnings."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.model import Change, ChangeKind, CompilerWarning, Outcome, Run, SideResult, Splat, Test

# A number that stands alone may change with every edit: a line, a size.
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


def changes(base: Iterable[Test], patched: Iterable[Test]) -> tuple[Change, ...]:
    """Give the tests that two kernels do not agree on: worst kind first, else in their order."""
    old, new = ({one.id: one for one in some} for some in (base, patched))
    # The patched kernel's order, then those that only the base has.
    each = (_change(old.get(name), new.get(name)) for name in new | old)
    found = [one for one in each if one.kind is not ChangeKind.SAME]
    return tuple(sorted(found, key=lambda one: list(ChangeKind).index(one.kind)))


def _change(base: Test | None, patched: Test | None) -> Change:
    there = [one for one in (patched, base) if one is not None]
    # What ran has more to say than what did not.
    shown = min(there, key=lambda one: one.outcome is Outcome.NOTRUN)
    old, new = (one.outcome if one else Outcome.NOTRUN for one in (base, patched))
    return Change(shown.id, old, new, shown.headline)


def new_splats(base: Iterable[Splat], patched: Iterable[Splat]) -> tuple[Splat, ...]:
    """Give the splats that the base does not have, each once."""
    known = {one.name for one in base}
    found = {one.name: one for one in reversed(tuple(patched))}
    return tuple(one for name, one in reversed(found.items()) if name not in known)


def new_warnings(
    base: Iterable[CompilerWarning], patched: Iterable[CompilerWarning]
) -> tuple[CompilerWarning, ...]:
    """Give the warnings that the base does not have, wherever their lines went."""
    known = Counter(map(_same, base))
    found = []
    for one in patched:
        if known[_same(one)] > 0:
            known[_same(one)] -= 1
        else:
            found.append(one)
    return tuple(found)


def _same(warning: CompilerWarning) -> tuple[str, str]:
    return warning.file, unnumbered(warning.text)


def unnumbered(text: str) -> str:
    """Give a text without the numbers in it that may change with every edit."""
    return _NUMBER.sub("N", text)


def compared(run: Run) -> Run:
    """Give a run with what its kernels do not agree on; as it is where there is only one."""
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
    """Give a run as people are told of it: a test under way when it was stopped is no crash.

    It counts as one that did not run.  run.json says so itself, unless it is an older harness's.
    """
    if not run.interrupted:
        return run
    sides = tuple(side if side.cached else _settled(side) for side in run.sides)
    return compared(dataclasses.replace(run, sides=sides))


def _settled(side: SideResult) -> SideResult:
    tests = tuple(
        dataclasses.replace(one, outcome=Outcome.NOTRUN)
        if one.outcome is Outcome.CRASH and not one.message
        else one
        for one in side.tests
    )
    return dataclasses.replace(side, tests=tests)


def counts(tests: Sequence[Test]) -> dict[Outcome, int]:
    """Count outcomes, in the order Outcome lists them, zeros left out."""
    found = Counter(test.outcome for test in tests)
    return {outcome: found[outcome] for outcome in Outcome if found[outcome]}
