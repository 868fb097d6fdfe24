# SPDX-License-Identifier: GPL-2.0-only
"""Splats that a test expects (``@pytest.mark.expects_splat``), compared with actual ones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from harness.model import Splat


@dataclasses.dataclass(frozen=True)
class ExpectedSplat:
    """The arguments of one mark, as described in the plugin's help."""

    pattern: str
    kind: str = ""
    count: int = 0
    panic: bool = False
    maybe: bool = False

    def matches(self, splat: Splat) -> bool:
        """Return whether a splat is the expected one."""
        text = "\n".join((splat.title, splat.panic, *splat.lines))
        return (not self.kind or self.kind == splat.kind) and bool(re.search(self.pattern, text))

    def fulfilled(self, titles: list[str]) -> bool:
        """Return whether the number of matching splats, with these ``titles``, is as expected."""
        if not titles:
            return self.maybe
        return not self.count or len(titles) == self.count

    def complaint(self, titles: list[str]) -> str:
        """Return what is wrong with the splats of a test that has ended; empty if nothing."""
        if self.panic and not self.maybe:
            return f"expected {self} to kill the guest, but it is still running"
        if self.fulfilled(titles):
            return ""
        reported = f"{len(titles)} of them" if titles else "no such splat"
        count = f" exactly {self.count} times" if self.count else ""
        return f"expected {self}{count}: the kernel reported {reported}"

    def __str__(self) -> str:
        kind = f" of kind {self.kind}" if self.kind else ""
        return f"a splat like {self.pattern!r}{kind}"


class SplatLedger:
    """The expected splats of each test, and which of them the kernel has reported.

    ``ignored`` are kinds of splats that never count (--ignore-splat).
    """

    def __init__(self, ignored: frozenset[str] = frozenset()) -> None:
        self.ignored = ignored
        self._titles: dict[str, dict[ExpectedSplat, list[str]]] = {}
        self._passed: set[str] = set()  # tests whose own code passed
        self._loud: set[str] = set()  # tests with any splat

    def begin(self, test: str, marks: Iterable[dict[str, Any]]) -> None:
        """Record the marks of a starting test, as sent by ``guestside.plugin.expected``."""
        self._titles[test] = {ExpectedSplat(**mark): [] for mark in marks}
        self._passed.discard(test)
        self._loud.discard(test)

    def passed(self, test: str) -> None:
        """Record that a test's own code passed: only then does a missing splat fail the test."""
        self._passed.add(test)

    def silent(self, test: str) -> bool:
        """Return whether a test caused no splat at all."""
        return test not in self._loud

    def unexpected(self, test: str, splats: Iterable[Splat]) -> tuple[Splat, ...]:
        """Record the splats during a test; return the unexpected ones."""
        titles = self._titles.get(test, {})
        unexpected = []
        for splat in splats:
            self._loud.add(test)
            matching = [expected for expected in titles if expected.matches(splat)]
            for expected in matching:
                titles[expected].append(splat.title)
            if not matching and splat.kind not in self.ignored:
                unexpected.append(splat)
        return tuple(unexpected)

    def unmet(self, test: str) -> str:
        """Return complaints about missing splats; empty if none are missing or the test failed."""
        if test not in self._passed:
            return ""
        complaints = (expected.complaint(titles) for expected, titles in self._titles[test].items())
        return "\n".join(filter(None, complaints))

    def dies(self, test: str) -> bool:
        """Return whether a test expects its guest to die, and all expected splats were reported."""
        reported = self._titles.get(test, {})
        complete = all(expected.fulfilled(titles) for expected, titles in reported.items())
        return complete and any(expected.panic and titles for expected, titles in reported.items())
