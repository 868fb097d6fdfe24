# SPDX-License-Identifier: GPL-2.0-only
"""What the plugin adds to pytest's summary: dead guests, bad tests, how to reproduce them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import vmcore
from harness.model import Outcome, Test
from harness.results.journal import AttemptLost, GuestNoted, events, read
from harness.results.regression import counts

SHOWN = 12  # of each kind
LONGEST = 160  # characters of a headline


def lines(folder: Path) -> Iterator[str]:
    """The summary of a session, from its journal; empty if all went well."""
    tests = read(folder)
    notes = [event for event in events(folder) if isinstance(event, GuestNoted | AttemptLost)]
    bad = [test for test in tests if test.outcome.bad]
    if not bad and not notes:
        return
    yield ", ".join(f"{number} {outcome}" for outcome, number in counts(tests).items())
    for event in notes[:SHOWN]:
        if isinstance(event, AttemptLost):
            yield f"{event.guest}: {event.why}"
        else:
            titles = "".join(f": {splat.title}" for splat in event.splats)
            yield f"{event.guest}: {event.note}{titles}"
    for test in bad[:SHOWN]:
        yield from _test(test)
    if len(bad) > SHOWN:
        yield f"... and {len(bad) - SHOWN} more"
    yield from vmcore.heads(folder / "guests")
    yield f"evidence: {folder}"


def _test(test: Test) -> Iterator[str]:
    yield f"{test.outcome} {test.id}: {test.headline[:LONGEST]}"
    if test.outcome is not Outcome.FLAKY and len(test.attempts) > 1:
        yield f"  {test.message.splitlines()[-1]}"
    if test.reproduce:
        yield f"  reproduce: {test.reproduce}"
