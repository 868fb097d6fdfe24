# SPDX-License-Identifier: GPL-2.0-only
"""Commands to type next, made from the one that was typed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from harness.model import Outcome, Run, SideResult, Test

_OUT = ("--out",)  # the folder is taken: the next run gets its own
_CHOICE = ("--suite", "-k", "--repeat", "--retry", "--rerun", "--patched-only", "--strict")
_ALONE = ("--patched-only", "--strict", "--no-series", "-q", "--quiet", "-v", "--verbose", "--json")


def the_same(command: Sequence[str]) -> str:
    """Give the command that does the same once more, with what is already made."""
    return shlex.join(_without(command, _OUT))


def alone(run: Run, test: str) -> str:
    """Give the command that runs one test on the kernel that was judged."""
    before, rest = _cut(_without(run.command, (*_OUT, *_CHOICE)))
    only = ["--patched-only"] if run.series is not None else []
    return shlex.join([*before, *only, "--suite", test, *rest]) if run.command else ""


def so_far(sides: Sequence[SideResult]) -> str:
    """Say how far the tests were: "base tested, patched 45 of 131 tests"."""
    parts = []
    for side in sides:
        ran = [test for test in side.tests if _ended(test)]
        whole = side.tests and len(ran) == len(side.tests)
        words = f"{side.side} tested" if whole else f"{side.side} {len(ran)} of {len(side.tests)}"
        parts.append(words if whole or side.tests else f"{side.side} not begun")
    return ", ".join(parts) + (" tests" if parts and "of" in parts[-1].split() else "")


def _ended(test: Test) -> bool:
    """Tell a test that came to an end from one that was under way: that says nothing yet."""
    return bool(test.attempts) and bool(test.message or test.outcome is not Outcome.CRASH)


def _without(command: Sequence[str], options: Sequence[str]) -> list[str]:
    """Leave options out, with their values; what stands behind -- is pytest's and stays."""
    before, rest = _cut(command)
    kept, skip = [], False
    for word in before:
        flag, equals, _ = word.partition("=")
        if not skip and flag not in options:
            kept.append(word)
        skip = not skip and flag in options and not equals and flag not in _ALONE
    return [*kept, *rest]


def _cut(command: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(command)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at:]
