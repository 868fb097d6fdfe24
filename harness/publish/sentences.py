# SPDX-License-Identifier: GPL-2.0-only
"""Sentences about a run, shared by all kinds of reports."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from harness.history.histories import TestHistory
from harness.model import (
    BROKEN,
    Change,
    ChangeKind,
    FailureGroup,
    LineState,
    Run,
    SeriesLines,
    Splat,
    Test,
    Trial,
    Verdict,
)
from harness.progress import clock
from harness.results.regression import outcomes_text
from harness.text import clean, one_line, quantity

# Lines of a splat that are meaningless without the same kernel image: registers, addresses, the
# ends of stacks.
_NOISE = re.compile(
    r"(?:R[A-Z0-9]{1,2}|[FCDEG]S|CR\d|DR\d|x\d+ *|Code|CPU|Tainted|Hardware name|PKRU): "
    r"|PGD |Modules linked in|Call Trace:|Kernel Offset| *</?\w+>$|---\["
)
_UNRELIABLE = " ? "  # before a frame that may be left over from an earlier call


def title(run: Run) -> str:
    """Return the title of the series, or the name of the sources if there is no series."""
    if run.series is None:
        return one_line(run.source.name)
    return one_line(run.series.title or run.series.name)


def tally(tests: Sequence[Test]) -> str:
    """Return the number of tests by outcome: "133 pass, 2 fail"."""
    return outcomes_text(tests) or "no tests"


def built(seconds: float, warnings: int, *, reused: bool) -> str:
    """Describe how a kernel was built: "reused", "1m30, 2 warnings"."""
    more = f", {quantity(warnings, 'warning')}" if warnings else ""
    return f"{'reused' if reused else clock(seconds)}{more}"


def booted(times: Sequence[float | None], *, cached: bool) -> str:
    """Describe how many guests booted a kernel, and how many seconds the slowest boot took."""
    up = [seconds for seconds in times if seconds is not None]
    if cached:
        return "reused"
    return f"{len(times)} x {clock(max(up))}" if up else "none"


def left(side: Trial) -> str:
    """Describe how many tests were not run; empty if all were run."""
    if not side.left:
        return ""
    tests = quantity(len(side.tests), "test")
    return f"{side.left} of {tests} {'was' if side.left == 1 else 'were'} not run."


def missing(run: Run) -> int:
    """Count the tests that ran on the base but do not exist on the judged kernel."""
    tests = {test.id for test in run.judged.tests}
    gone = (change.test for change in run.changes if change.kind is ChangeKind.GONE)
    return sum(test not in tests for test in gone)


def tested(label: str, tests: Sequence[Test]) -> str:
    """Describe how many tests ran on a kernel and how they ended."""
    if not tests:
        return f"No test ran on the {label} kernel."
    return f"{quantity(len(tests), 'test')} on the {label} kernel: {tally(tests)}."


def history(test: TestHistory) -> str:
    """Summarise the other runs of a test in one line."""
    parts = [quantity(test.runs, "run")]
    parts += [f"{many} {outcome}" for outcome, many in test.counts.items()]
    if test.first_failed:
        parts.append(f"first failed {day(test.first_failed.at)}")
    if test.last_passed:
        parts.append(f"last passed {day(test.last_passed.at)}")
    if test.flakes.bad:
        parts.append(f"bad by chance in {test.flakes.bad} of {test.flakes.runs}")
    if test.trend.times:
        parts.append(f"takes {clock(test.trend.median)}")
    return ", ".join(parts)


def day(at: float) -> str:
    """Return the date of a time in seconds since 1970, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def moment(at: float) -> str:
    """Return the date and minute of a time in seconds since 1970, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))


def broken(run: Run) -> tuple[Change, ...]:
    """Return the changes of tests that the series broke."""
    return tuple(change for change in run.changes if change.broken)


def fixed(run: Run) -> tuple[Change, ...]:
    """Return the changes of tests that the series fixed."""
    return tuple(change for change in run.changes if change.fixed)


def compiled(lines: SeriesLines | None) -> str:
    """Describe how much of a series was compiled: "3 of 9 lines compiled"; empty if all of it."""
    if lines is None or not lines.partly:
        return ""
    return f"{lines.compiled} of {quantity(lines.code, 'line')} compiled"


def extent(lines: SeriesLines | None) -> str:
    """Return what limits a good verdict; empty if all code of the series was compiled."""
    text = compiled(lines)
    return f" as far as tested: {text}," if text else ""


def not_compiled(lines: SeriesLines | None, most: int) -> Iterator[str]:
    """Yield a line for each part of the series that was not compiled, with the reason."""
    ranges = list(lines.ranges(LineState.NOT_COMPILED)) if lines else []
    for part in ranges[:most]:
        yield f"not compiled: {part.where}: {part.why}"
    if len(ranges) > most:
        yield f"not compiled: {quantity(len(ranges) - most, 'more part')}"


def executed(lines: SeriesLines | None) -> str:
    """Describe how much of a series was executed; empty if that was not counted.

    "the tests execute 90 of 99 compiled lines, 5 more are executed at boot, 2 have no counter".
    """
    if lines is None or not lines.counted:
        return ""
    every = [line for file in lines.files for line in file.of(LineState.COMPILED)]
    tested = sum(bool(line.tests) for line in every)
    boot = sum(line.boot and not line.tests for line in every)
    uncounted = sum(line.tests is None for line in every)
    untaken = sum(bool(line.executed and line.untaken) for line in every)
    text = f"the tests execute {tested} of {quantity(len(every), 'compiled line')}"
    text += f", {boot} more {'is' if boot == 1 else 'are'} executed at boot" if boot else ""
    text += f", {uncounted} {'has' if uncounted == 1 else 'have'} no counter" if uncounted else ""
    text += f", {untaken} always {'goes' if untaken == 1 else 'go'} the same way" if untaken else ""
    return text


def unexecuted(lines: SeriesLines | None, most: int) -> Iterator[str]:
    """Yield a line for each part of the series that nothing executed, the longest first."""
    ranges = list(lines.unexecuted()) if lines else []
    for part in sorted(ranges, key=lambda part: part.first - part.last)[:most]:
        yield f"never executed: {part.where}" + (f", {part.why}" if part.why else "")
    if len(ranges) > most:
        yield f"never executed: {quantity(len(ranges) - most, 'more part')}"


def verdict(run: Run) -> str:
    """Explain the verdict in a few sentences."""
    if not run.sides:
        return "No kernel was tested."
    return " ".join(filter(None, _sentences(run)))


def _sentences(run: Run) -> Iterator[str]:
    side = run.judged
    if side.error:
        yield f"The {side.side} kernel could not be tested: {one_line(side.error)}."
        if run.verdict is Verdict.UNTESTABLE:
            yield "The base could not be tested either, so this says nothing about the series."
        return
    if extent := compiled(run.lines):
        yield f"Only {extent}."
    if text := executed(run.lines):
        yield f"{text[0].upper()}{text[1:]}."
    if run.interrupted:
        yield "The run was interrupted; these are the results up to that point."
    if run.compared:
        yield effect(run)
    elif len(run.sides) > 1:
        yield f"The base could not be tested: {one_line(run.sides[0].error)}."
    if side.boot_splats and not run.compared:
        yield f"The {side.side} kernel prints splats while booting."
    yield from _about_tests(run)


def _about_tests(run: Run) -> Iterator[str]:
    side = run.judged
    groups = [group for group in run.failure_groups if group.reason != BROKEN]
    if groups:
        strict = " With --strict they all count." if run.strict and run.compared else ""
        yield f"Of {quantity(len(side.tests), 'test')}, {'; '.join(map(_count, groups))}.{strict}"
    if side.left:
        yield left(side)
    elif run.verdict is Verdict.GOOD and not groups and not run.compared:
        yield f"Nothing failed: {tally(side.tests)}."
    if gone := missing(run):
        yield f"{quantity(gone, 'test')} of the base did not exist on the patched kernel."


def _count(group: FailureGroup) -> str:
    many = len(group.tests)
    return f"{many} {'is' if many == 1 else 'are'} {group.reason}"


def effect(run: Run) -> str:
    """Describe how the series affects tests, splats and warnings; empty if unknown."""
    good, bad = len(fixed(run)), len(broken(run))
    effects = [f"fixes {quantity(good, 'test')}"] if good else []
    if bad or not (run.interrupted or run.judged.left):
        effects.append(f"breaks {quantity(bad, 'test')}" if bad else "breaks no test")
    for many, what in ((len(run.splats), "new splat"), (len(run.warnings), "new compiler warning")):
        effects += [f"adds {quantity(many, what)}"] if many else []
    head, last = ", ".join(effects[:-1]), "".join(effects[-1:])
    sentence = f"{head} and {last}" if head else last
    return f"The series {sentence}." if sentence else ""


def trimmed(splat: Splat, most: int) -> Iterator[str]:
    """Return the lines of a splat that are meaningful on any machine, at most ``most`` of them."""
    lines = [clean(line).rstrip() for line in splat.lines]
    kept = [line for line in lines if line and not _NOISE.match(line)]
    reliable = [line for line in kept if not line.startswith(_UNRELIABLE)]
    # A stack of unreliable frames is better than none.
    kept = reliable if any(line.startswith(" ") for line in reliable) else kept
    yield from kept[:most]
    if len(kept) > most:
        yield f"... ({len(kept) - most} more lines)"
