# SPDX-License-Identifier: GPL-2.0-only
"""What every kind of report says of a run, in the same words."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.model import BROKEN, Change, ChangeKind, Outcome, Run, SideResult, Splat, Test, Verdict
from harness.progress import clock
from harness.text import clean, one_line

# Lines of a splat that say nothing to who has not the same kernel at hand: registers, places in
# memory, the ends of stacks.
_NOISE = re.compile(
    r"(?:R[A-Z0-9]{1,2}|[FCDEG]S|CR\d|DR\d|x\d+ *|Code|CPU|Tainted|Hardware name|PKRU): "
    r"|PGD |Modules linked in|Call Trace:|Kernel Offset| *</?\w+>$|---\["
)
_UNSURE = " ? "  # before a frame that may be left from an earlier call


def title(run: Run) -> str:
    """Name what was tested: the series, or the sources where there is none."""
    if run.series is None:
        return one_line(run.source.name)
    return one_line(run.series.title or run.series.name)


@dataclasses.dataclass(frozen=True)
class Failures:
    """Tests of the judged kernel that are not good for one reason; ``counts``: they make it bad."""

    title: str
    tests: tuple[Test, ...]
    counts: bool


def failures(run: Run) -> tuple[Failures, ...]:
    """Give the tests that are not good by reason, what counts first.

    One that did not run has nothing to tell.
    """
    if not run.sides:
        return ()
    found: dict[tuple[bool, str], list[Test]] = {}
    for test in run.failing:
        found.setdefault((run.counts(test), run.reason(test)), []).append(test)
    order = sorted(found, key=lambda key: (not key[0], key[1] != BROKEN))
    return tuple(Failures(why, tuple(found[counts, why]), counts) for counts, why in order)


def wrong(run: Run) -> tuple[Test, ...]:
    """Give the tests that make the run bad."""
    return tuple(test for some in failures(run) if some.counts for test in some.tests)


def missing(run: Run) -> int:
    """Count the tests that ran on the base and that the judged kernel does not have."""
    there = {test.id for test in run.judged.tests}
    return sum(one.kind is ChangeKind.GONE and one.test not in there for one in run.changes)


def left(side: SideResult) -> str:
    """Say how many tests were not run; empty when all were."""
    some = f"{side.left} of {number(len(side.tests), 'test')}"
    return f"{some} {'was' if side.left == 1 else 'were'} not run." if side.left else ""


def tally(tests: Sequence[Test]) -> str:
    """Count outcomes: "133 pass, 2 fail"."""
    found = Counter(test.outcome for test in tests)
    return ", ".join(f"{found[one]} {one}" for one in Outcome if found[one]) or "no tests"


def number(many: int, word: str) -> str:
    """Count: "1 test", "2 tests"."""
    return f"{many} {word}{'s' if many != 1 else ''}"


def built(seconds: float, warnings: int, *, reused: bool) -> str:
    """Say how a kernel was made: "reused", "1m30, 2 warnings"."""
    more = f", {number(warnings, 'warning')}" if warnings else ""
    return f"{'reused' if reused else clock(seconds)}{more}"


def booted(times: Sequence[float | None], *, cached: bool) -> str:
    """Say how many guests of a kernel there were and how long the slowest boot took."""
    up = [one for one in times if one is not None]
    if cached:
        return "reused"
    return f"{len(times)} x {clock(max(up))}" if up else "none"


def broken(run: Run) -> tuple[Change, ...]:
    """Give what the series broke."""
    return tuple(change for change in run.changes if change.broken)


def fixed(run: Run) -> tuple[Change, ...]:
    """Give what the series fixed."""
    return tuple(change for change in run.changes if change.fixed)


def verdict(run: Run) -> str:
    """Say in a few sentences how it went."""
    if not run.sides:
        return "No kernel was tested."
    return " ".join(filter(None, _sentences(run)))


def _sentences(run: Run) -> Iterator[str]:
    """Say what is to be said of the kernels, and of the tests if there were any."""
    side = run.judged
    if side.error:
        yield f"The {side.side} kernel could not be tested: {one_line(side.error)}."
        if run.verdict is Verdict.UNTESTABLE:
            yield "Neither could the base, so this says nothing about the series."
        return
    if run.interrupted:
        yield "The run was interrupted; what it had found by then follows."
    if run.compared:
        yield effect(run)
    elif len(run.sides) > 1:
        yield f"The base could not be tested: {one_line(run.sides[0].error)}."
    if side.boot_splats and not run.compared:
        yield f"The {side.side} kernel reports problems while booting."
    yield from _of_tests(run)


def _of_tests(run: Run) -> Iterator[str]:
    side = run.judged
    found = [one for one in failures(run) if one.title != BROKEN]
    if found:
        strict = " With --strict all of them count." if run.strict and run.compared else ""
        yield f"Of {number(len(side.tests), 'test')}, {'; '.join(map(_counted, found))}.{strict}"
    if side.left:
        yield left(side)
    elif run.verdict is Verdict.GOOD and not found and not run.compared:
        yield f"All is well: {tally(side.tests)}."
    if gone := missing(run):
        yield f"{number(gone, 'test')} of the base did not exist on the patched kernel."


def _counted(some: Failures) -> str:
    many = len(some.tests)
    return f"{many} {'is' if many == 1 else 'are'} {some.title}"


def effect(run: Run) -> str:
    """Say in a sentence what the series does to tests, splats and warnings; empty if unknown."""
    good, bad = len(fixed(run)), len(broken(run))
    words = [f"fixes {number(good, 'test')}"] if good else []
    if bad or not (run.interrupted or run.judged.left):
        words.append(f"breaks {number(bad, 'test')}" if bad else "breaks no test")
    for many, what in ((len(run.splats), "new splat"), (len(run.warnings), "new compiler warning")):
        words += [f"brings {number(many, what)}"] if many else []
    head, last = ", ".join(words[:-1]), "".join(words[-1:])
    told = f"{head} and {last}" if head else last
    return f"The series {told}." if told else ""


def trimmed(splat: Splat, most: int) -> Iterator[str]:
    """Give the lines of a splat that say something anywhere, at most ``most`` of them."""
    lines = [clean(one).rstrip() for one in splat.lines]
    kept = [one for one in lines if one and not _NOISE.match(one)]
    sure = [one for one in kept if not one.startswith(_UNSURE)]
    # A stack of unsure frames only is better than none.
    kept = sure if any(one.startswith(" ") for one in sure) else kept
    yield from kept[:most]
    if len(kept) > most:
        yield f"... ({len(kept) - most} more lines)"
