# SPDX-License-Identifier: GPL-2.0-only
"""What every kind of report says of a run, in the same words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from harness import plain
from harness.model import Change, Outcome, Run, SideResult, Splat, Test
from harness.progress import clock

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
        return plain.line(run.source.name)
    return plain.line(run.series.title or run.series.name)


def excused(side: SideResult, test: Test) -> bool:
    """Whether a test that is not good does not count: a flaky one with --allow-flaky."""
    return side.allow_flaky and test.outcome is Outcome.FLAKY


def wrong(side: SideResult) -> tuple[Test, ...]:
    """Give the tests that went wrong; one that did not run has nothing to tell."""
    ran = (test for test in side.tests if test.outcome is not Outcome.NOTRUN)
    return tuple(test for test in ran if test.outcome.bad and not excused(side, test))


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


def regressions(run: Run) -> tuple[Change, ...]:
    """Give what the series broke."""
    return tuple(change for change in run.changes if change.regression)


def fixes(run: Run) -> tuple[Change, ...]:
    """Give what the series fixed."""
    return tuple(change for change in run.changes if change.fix)


def verdict(run: Run) -> str:
    """Say in a sentence or two how it went."""
    if not run.sides:
        return "No kernel was tested."
    side = run.judged
    if side.error:
        return f"The {side.side} kernel could not be tested: {plain.line(side.error)}."
    if run.interrupted:
        return _and(left(side), "The run was interrupted; what it found until then follows")
    if side.boot_splats:
        return f"The {side.side} kernel complains while it boots."
    bad, broken = len(wrong(side)), len(regressions(run))
    if not bad:
        return left(side) or f"All is well: {tally(side.tests)}."
    words = f"{bad} of {number(len(side.tests), 'test')} {'is' if bad == 1 else 'are'} not good"
    if broken and run.series is not None:
        words += f"; {broken} of them {'is' if broken == 1 else 'are'} good without the series"
    return _and(left(side), words)


def _and(more: str, words: str) -> str:
    return f"{words}. {more}".rstrip()


def trimmed(splat: Splat, most: int) -> Iterator[str]:
    """Give the lines of a splat that say something anywhere, at most ``most`` of them."""
    lines = [plain.text(one).rstrip() for one in splat.lines]
    kept = [one for one in lines if one and not _NOISE.match(one)]
    sure = [one for one in kept if not one.startswith(_UNSURE)]
    # A stack of unsure frames only is better than none.
    kept = sure if any(one.startswith(" ") for one in sure) else kept
    yield from kept[:most]
    if len(kept) > most:
        yield f"... ({len(kept) - most} lines more)"
