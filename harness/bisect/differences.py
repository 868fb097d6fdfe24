# SPDX-License-Identifier: GPL-2.0-only
"""What changed between the parent and the culprit, side by side: test, splats, console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.bisect import prober, signature
from harness.bisect.sequential import Decision
from harness.model import Contrast, Observation, SideResult

_LINES = 3  # of a console, its last ones


def between(before: Decision | None, after: Decision | None) -> Iterator[Contrast]:
    """Give what is seen on both sides; rows that are the same on both are left out."""
    if before is None or after is None or not (before.observations and after.observations):
        return
    one, two = _telling(before), _telling(after)
    yield Contrast("call", f"{before.call}: {before.why}", f"{after.call}: {after.why}")
    left, right = prober.result(one), prober.result(two)
    rows = []
    if left is not None and right is not None:
        rows = [
            ("test", _tests(left), _tests(right)),
            ("splat", _splats(left), _splats(right)),
            ("message", _messages(left), _messages(right)),
            ("console", _console(left), _console(right)),
        ]
    if one.value is not None or two.value is not None:
        rows.append(("number", _value(one), _value(two)))
    yield from (Contrast(*row) for row in rows if row[1] != row[2])


def _telling(decision: Decision) -> Observation:
    """Give the observation that made the decision: the first that says the same."""
    found = (one for one in decision.observations if one.call is decision.call)
    return next(found, decision.observations[-1])


def _tests(result: SideResult) -> str:
    words = [f"{test.id.rpartition('::')[2]}: {test.outcome}" for test in result.tests]
    return "\n".join([*([result.error] if result.error else []), *words])


def _splats(result: SideResult) -> str:
    return "\n".join(dict.fromkeys(splat.title for splat in signature.splats(result)))


def _messages(result: SideResult) -> str:
    return "\n".join(test.headline for test in result.tests if test.headline)


def _console(result: SideResult) -> str:
    """Give the last lines that the kernel wrote, without their times."""
    for guest in reversed(result.guests):
        file = Path(guest.console)
        if file.is_file():
            lines = file.read_text(errors="backslashreplace").splitlines()
            return "\n".join(line.partition("] ")[2] or line for line in lines[-_LINES:])
    return ""


def _value(one: Observation) -> str:
    return "" if one.value is None else f"{one.value:g}"
