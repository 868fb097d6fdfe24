# SPDX-License-Identifier: GPL-2.0-only
"""pytest's side of an adapted suite: its items, which run in the guest like any other test."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import adaptors
from harness.adaptors import AdaptedSuite, Entry, ItemResult
from harness.model import Outcome

#: What a report of such an item carries besides pytest's own fields.
SUBTESTS, EXPLAINED = "subtests", "explained_by_subtests"
_MOST = 20_000  # subtests of an item that are reported


def install(config: pytest.Config) -> None:
    """Take the adapted suites out of pytest's arguments and collect them ourselves."""
    places = adaptors.places(config.getoption("suite_folder"))
    words = [str(word) for word in config.args]
    suites = [suite for suite in map(adaptors.parse, words) if suite]
    if suites:
        config.args[:] = [word for word in words if adaptors.parse(word) is None]
        config.pluginmanager.register(AdaptedSuites(suites, places), "harness-adaptors")


class AdaptedSuites:
    """Adds the suites to what pytest collects from its arguments."""

    def __init__(self, suites: list[AdaptedSuite], places: Mapping[str, Path]) -> None:
        self.suites, self.places = suites, places

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add a collector for each suite to the session."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            named: dict[str, list[AdaptedSuite]] = {}
            for suite in self.suites:
                named.setdefault(suite.name, []).append(suite)
            report.result += [
                SuiteCollector.of(collector, chosen, self.places) for chosen in named.values()
            ]
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add an item's subtests to the report of its call."""
        report = yield
        if call.when == "call" and isinstance(item, AdaptedItem) and item.result:
            tests = [dataclasses.astuple(test)[:3] for test in item.result.subtests[:_MOST]]
            more: dict[str, Any] = {SUBTESTS: [[n, str(o), m] for n, o, m in tests]}
            vars(report).update(more | {EXPLAINED: item.result.explained})
        return report


class SuiteCollector(pytest.Collector):
    """The items of one suite.

    ``chosen`` are the suite's names, each perhaps with one item, or with the folder of several.
    """

    chosen: list[AdaptedSuite]
    place: Path

    @classmethod
    def of(
        cls, session: pytest.Session, chosen: list[AdaptedSuite], places: Mapping[str, Path]
    ) -> SuiteCollector:
        """Make the collector of a suite."""
        name = chosen[0].name
        collector: SuiteCollector = cls.from_parent(session, name=name, nodeid=name)
        collector.chosen = chosen
        collector.place = places.get(name, session.config.rootpath)
        return collector

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the chosen items."""
        first = self.chosen[0]
        everything = any(not suite.item for suite in self.chosen)
        wanted = {suite.item for suite in self.chosen}
        for entry in adaptors.adaptor(first.kind).collect(first.what, self.place):
            if everything or wanted & {entry.name, *entry.groups}:
                item: AdaptedItem = AdaptedItem.from_parent(self, name=entry.name)
                item.entry, item.kind = entry, first.kind
                item.only = {s.subtest for s in self.chosen if s.item == entry.name and s.subtest}
                yield item


class ItemFailed(Exception):
    """An item is bad; the text says why."""


class AdaptedItem(pytest.Item):
    """One item: its entry, and the result once it has run.

    ``only``: the subtests to report, empty for all.
    """

    entry: Entry
    kind: str
    only: set[str]
    result: ItemResult | None = None

    def runtest(self) -> None:
        """Run it in the guest."""
        self.result = None
        result = adaptors.adaptor(self.kind).run(self.entry)
        self.result = result = _only(result, self.only) if self.only else result
        if result.output:
            self.add_report_section("call", "stdout", result.output)
        if result.outcome is Outcome.SKIP:
            pytest.skip(result.message)
        if result.outcome is Outcome.XFAIL:
            pytest.xfail(result.message)
        if result.outcome.bad:
            raise ItemFailed(result.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the reason alone: no line of Python code is at fault."""
        if isinstance(excinfo.value, ItemFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[str, None, str]:
        """Return where pytest's output says that it is."""
        parent = self.parent.name if self.parent else ""
        return parent, None, self.name


def _only(result: ItemResult, names: set[str]) -> ItemResult:
    """Restrict a result to some subtests, or to those of a case that has parameters.

    An item that failed because of others passes; one that has none of them is skipped.
    """
    below = tuple(f"{name}::" for name in names)
    chosen = tuple(t for t in result.subtests if t.name in names or t.name.startswith(below))
    if not chosen and (result.explained or not result.outcome.bad):
        message = f"{adaptors.NO_SUBTEST} {', '.join(sorted(names))}"
        return ItemResult(Outcome.SKIP, message, result.output)
    if result.explained and not any(test.outcome.bad for test in chosen):
        return ItemResult(Outcome.PASS, "", result.output, chosen)
    return dataclasses.replace(result, subtests=chosen)
