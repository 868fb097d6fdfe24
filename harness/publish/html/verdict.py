# SPDX-License-Identifier: GPL-2.0-only
"""What a page says first: good or bad, in a few sentences and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model import Outcome, Run, SideResult, Test, Verdict
from harness.progress import clock
from harness.publish import sentences
from harness.publish.html.values import KernelView, Row, Tile
from harness.results.regression import counts

_KINDS = {
    **dict.fromkeys((Verdict.GOOD, Verdict.FOUND), "good"),
    **dict.fromkeys((Verdict.BAD, Verdict.UNPROVEN), "bad"),
}


def word(verdict: Verdict) -> tuple[str, str]:
    """Give a verdict's word, and its colour."""
    return verdict.upper(), _KINDS.get(verdict, "warn")


def lead(run: Run) -> tuple[str, ...]:
    """Say in sentences what was found."""
    if not run.sides:
        return ("The run ended before any kernel was tested.",)
    return sentences.verdict(run), tested(str(run.judged.side), run.judged.tests)


def tested(label: str, tests: Sequence[Test]) -> str:
    """Say how many tests ran and how they ended."""
    if not tests:
        return f"No test ran on the {label} kernel."
    words = ", ".join(f"{number} {outcome}" for outcome, number in counts(tests).items())
    return f"{sentences.number(len(tests), 'test')} on the {label} kernel: {words}."


def tiles(tests: Sequence[Test], rows: Sequence[Row], warnings: int, run: Run) -> list[Tile]:
    """Give the numbers."""
    left = sum(test.outcome is Outcome.NOTRUN for test in tests)
    bad = sum(test.outcome.bad for test in tests) - left
    good = sum(test.outcome is Outcome.PASS for test in tests)
    skipped = sum(test.outcome is Outcome.SKIP for test in tests)
    change = [row.change for row in rows]
    broken, fixed = change.count("broken"), change.count("fixed")
    dead = [Tile("0", "guests booted", "fail", "failures")] if _dead(run) else []
    bad_kind = "fail" if run.blamed else "skip" if bad else "pass" if good else ""
    warned = "fail" if run.warnings else "skip"
    found = [
        *dead,
        Tile(str(bad), "not good", bad_kind, "failures" if bad else ""),
        Tile(str(good), "passed", "pass" if good else "", "tests"),
        Tile(str(broken), "broken by the series", "fail" if broken else "pass", "changes"),
        Tile(str(fixed), "fixed by the series", "pass" if fixed else "", "changes"),
        Tile(str(skipped), "skipped", "skip" if skipped else "", "tests"),
        *([Tile(str(left), "not run", "skip", "tests")] if left else []),
        Tile(str(warnings), "compiler warnings", *((warned, "warnings") if warnings else ("",))),
        Tile(clock(run.seconds), "in all", "", "timeline"),
    ]
    many = any(len(row.marks) > 1 for row in rows[:1])
    return [one for one in found if many or "series" not in one.label]


def _dead(run: Run) -> bool:
    return bool(run.sides and run.judged.error)


def kernel(side: SideResult) -> KernelView:
    """Describe a kernel in words."""
    made = side.kernel
    return KernelView(
        label=str(side.side),
        about=f"{made.arch}, key {made.key}",
        release=made.release,
        commit=made.commit[:12],
        build=sentences.built(made.seconds, len(made.warnings), reused=made.reused),
        boot=sentences.booted([one.boot_seconds for one in side.guests], cached=side.cached),
        tests=tuple((str(o), n) for o, n in counts(side.tests).items()),
        trouble=side.error or (side.boot_splats[0].title if side.boot_splats else ""),
    )
