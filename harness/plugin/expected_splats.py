# SPDX-License-Identifier: GPL-2.0-only
"""Splats that a test declares (``@pytest.mark.expects_splat``), compared with what came."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from harness.model import Splat


@dataclasses.dataclass(frozen=True)
class ExpectedSplat:
    """One mark; the plugin's help describes its arguments.

    ``count`` 0: any number, at least one.  ``maybe``: or none at all.
    """

    pattern: str
    kind: str = ""
    count: int = 0
    panic: bool = False
    maybe: bool = False

    def matches(self, splat: Splat) -> bool:
        """Whether a splat is the expected one."""
        text = "\n".join((splat.title, splat.panic, *splat.lines))
        return (not self.kind or self.kind == splat.kind) and bool(re.search(self.pattern, text))

    def fulfilled(self, titles: list[str]) -> bool:
        """Whether the splats with these ``titles``, which all match, are as many as expected."""
        if not titles:
            return self.maybe
        return not self.count or len(titles) == self.count

    def complaint(self, titles: list[str]) -> str:
        """What is wrong about the splats that came during a test that ended; empty if nothing."""
        if self.panic and not self.maybe:
            return f"expected {self} to end the guest, which lives"
        if self.fulfilled(titles):
            return ""
        came = f"{len(titles)} came" if titles else "the kernel reported no such splat"
        return f"expected {f'{self.count} of ' if self.count else ''}{self}: {came}"

    def __str__(self) -> str:
        kind = f" of kind {self.kind}" if self.kind else ""
        return f"a splat like {self.pattern!r}{kind}"


class SplatLedger:
    """For each test: what it expects, and what of it has come."""

    def __init__(self) -> None:
        self._titles: dict[str, dict[ExpectedSplat, list[str]]] = {}
        self._passed: set[str] = set()  # tests whose own part passed
        self._loud: set[str] = set()  # tests with any splat

    def begin(self, test: str, marks: Iterable[dict[str, Any]]) -> None:
        """Take the marks of a test that begins, as ``guestside.plugin.expected`` sends them."""
        self._titles[test] = {ExpectedSplat(**mark): [] for mark in marks}
        self._passed.discard(test)
        self._loud.discard(test)

    def passed(self, test: str) -> None:
        """Note that a test's own part passed: only then an expected splat is missed."""
        self._passed.add(test)

    def silent(self, test: str) -> bool:
        """Whether there was no splat at all during a test."""
        return test not in self._loud

    def unexpected(self, test: str, splats: Iterable[Splat]) -> tuple[Splat, ...]:
        """Note the splats that came during a test; return those it did not expect."""
        titles = self._titles.get(test, {})
        unexpected = []
        for splat in splats:
            self._loud.add(test)
            matching = [expected for expected in titles if expected.matches(splat)]
            for expected in matching:
                titles[expected].append(splat.title)
            if not matching:
                unexpected.append(splat)
        return tuple(unexpected)

    def unmet(self, test: str) -> str:
        """What a test expected that did not come; empty if everything did, or the test failed."""
        if test not in self._passed:
            return ""
        complaints = (expected.complaint(came) for expected, came in self._titles[test].items())
        return "\n".join(filter(None, complaints))

    def dies(self, test: str) -> bool:
        """Whether a test expects its guest to die, and everything it expected has come."""
        titles = self._titles.get(test, {})
        complete = all(expected.fulfilled(came) for expected, came in titles.items())
        return complete and any(expected.panic and came for expected, came in titles.items())
