# SPDX-License-Identifier: GPL-2.0-only
"""Splats that a test says it provokes (``@pytest.mark.expects_splat``), held against what came."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from harness.model import Splat


@dataclasses.dataclass(frozen=True)
class Expectation:
    """One mark: see the plugin's help for its words.

    ``count`` 0 is any number but none; with ``maybe`` none will do.
    """

    pattern: str
    kind: str = ""
    count: int = 0
    panic: bool = False
    maybe: bool = False

    def fits(self, splat: Splat) -> bool:
        """Whether a splat is such a one."""
        text = "\n".join((splat.title, splat.panic, *splat.lines))
        return (not self.kind or self.kind == splat.kind) and bool(re.search(self.pattern, text))

    def __str__(self) -> str:
        kind = f" of kind {self.kind}" if self.kind else ""
        return f"a splat like {self.pattern!r}{kind}"


class Ledger:
    """For each test what it expects and what of it has come."""

    def __init__(self) -> None:
        self._open: dict[str, dict[Expectation, list[str]]] = {}
        self._passed: set[str] = set()  # whose own part passed
        self._loud: set[str] = set()  # during which the kernel splatted at all

    def begin(self, test: str, marks: Iterable[dict[str, Any]]) -> None:
        """Take the marks of a test that begins, as ``harness.guestside.plugin.wish`` gives them."""
        self._open[test] = {Expectation(**mark): [] for mark in marks}
        self._passed.discard(test)
        self._loud.discard(test)

    def passed(self, test: str) -> None:
        """Note that a test's own part passed: only then what it expected is missed."""
        self._passed.add(test)

    def silent(self, test: str) -> bool:
        """Whether there was no splat at all during a test."""
        return test not in self._loud

    def unexpected(self, test: str, splats: Iterable[Splat]) -> tuple[Splat, ...]:
        """Note the splats that came during a test; gives those it did not expect."""
        wanted = self._open.get(test, {})
        rest = []
        for splat in splats:
            self._loud.add(test)
            fitting = [one for one in wanted if one.fits(splat)]
            for one in fitting:
                wanted[one].append(splat.title)
            if not fitting:
                rest.append(splat)
        return tuple(rest)

    def unmet(self, test: str) -> str:
        """Say what a test expected that did not come; empty when all did, or it had failed."""
        if test not in self._passed:
            return ""
        return "\n".join(filter(None, (_missing(*each) for each in self._open[test].items())))

    def dies(self, test: str) -> bool:
        """Whether a test expects the guest to die, and what it expected has come."""
        wanted = self._open.get(test, {})
        lacking = [one for one, came in wanted.items() if _miscounted(one, came)]
        return any(one.panic and came for one, came in wanted.items()) and not lacking


def _miscounted(one: Expectation, came: list[str]) -> bool:
    if not came:
        return not one.maybe
    return bool(one.count and len(came) != one.count)


def _missing(one: Expectation, came: list[str]) -> str:
    if one.panic and not one.maybe:
        return f"expected {one} to end the guest, which lives"
    if not _miscounted(one, came):
        return ""
    said = "the kernel said nothing of the sort" if not came else f"{len(came)} came"
    return f"expected {f'{one.count} of ' if one.count else ''}{one}: {said}"
