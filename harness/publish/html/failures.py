# SPDX-License-Identifier: GPL-2.0-only
"""Tests that were not good, each with the evidence that a page has room for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.model import Outcome, Test
from harness.progress import clock
from harness.publish.html import splats
from harness.publish.html.columns import BASE, Column
from harness.publish.html.consoles import slices
from harness.publish.html.cutting import Budget, cut
from harness.publish.html.sections import Cut
from harness.publish.html.values import Failure, History

#: Who knows tests' other runs: gives those that have some.
Ask = Callable[[Sequence[str]], Mapping[str, History]]

SHOWN = 400  # failures of a kernel that are shown at all
ASKED = 60  # of which the history is asked for


@dataclasses.dataclass(frozen=True)
class Sources:
    """Where the evidence of one kernel is: its folder and its name in the table.

    ``patches`` lead from a subject to the patch on the page, ``changes`` from a test to what the
    series did to it.
    """

    folder: Path
    column: str
    patches: Mapping[str, str]
    changes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ask: Ask | None = None


def anchor(column: str, test: str) -> str:
    """Name a failure in links: the same test has the same in each report."""
    digest = hashlib.sha256(test.encode(errors="surrogatepass")).hexdigest()[:10]
    return f"f-{digest}" if column != BASE else f"b-{digest}"


def bad(side: Column) -> list[Test]:
    """Give the tests that went wrong, what hurts most first; that one did not run says nothing."""
    order = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.ERROR, Outcome.FAIL, Outcome.XPASS)
    rank = {outcome: n for n, outcome in enumerate(order)}
    told = (test for test in side.tests if test.message or test.outcome is not Outcome.NOTRUN)
    found = [test for test in told if test.outcome.bad]
    return sorted(found, key=lambda test: rank.get(test.outcome, len(rank)))


def view(tests: Sequence[Test], sources: Sources, budget: Budget) -> tuple[Failure, ...]:
    """Make the first SHOWN failures; those beyond the budget have their headline and command."""
    shown = tests[:SHOWN]
    known = splats.decoded(sources.folder)
    past = sources.ask([one.id for one in shown[:ASKED]]) if sources.ask and shown else {}
    around = _consoles(shown, sources.folder)
    found = []
    for test in shown:
        one = _brief(test, sources, past.get(test.id))
        if not budget.spent:
            console = around.get((test.guest, test.id), Cut()) or cut(test.kernel_log)
            one = dataclasses.replace(
                one,
                message=cut(test.message),
                console=console,
                output=cut(test.output, 20, 60),
                splats=tuple(splats.view(s, known, sources.patches) for s in test.splats[:8]),
                whole=True,
            )
            budget.spend(one.message, one.console, one.output, *(s.raw for s in one.splats))
        found.append(one)
    return tuple(found)


def _consoles(tests: Sequence[Test], folder: Path) -> dict[tuple[str, str], Cut]:
    """Read each guest's console once."""
    wanted: dict[str, set[str]] = {}
    for test in tests:
        wanted.setdefault(test.guest, set()).add(test.id)
    return {
        (guest, test): text
        for guest, names in wanted.items()
        for test, text in slices(_console(folder, guest), names).items()
    }


def _console(folder: Path, guest: str) -> Path:
    return folder / "guests" / guest.removeprefix("guest") / "console.log"


def _brief(test: Test, sources: Sources, history: History | None) -> Failure:
    facts = [("guest", test.guest), ("took", clock(test.seconds))]
    if len(test.attempts) > 1:
        facts.append(("attempts", ", ".join(test.attempts)))
    if any(test.taint):
        facts.append(("taint before, after", f"{test.taint[0]:#x}, {test.taint[1]:#x}"))
    return Failure(
        anchor=anchor(sources.column, test.id),
        test=test.id,
        column=sources.column,
        outcome=test.outcome.value,
        headline=test.headline[:300],
        change=sources.changes.get(test.id, ""),
        facts=tuple((name, value) for name, value in facts if value),
        reproduce=test.reproduce,
        history=history,
        whole=False,
    )
