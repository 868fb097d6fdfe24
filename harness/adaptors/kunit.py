# SPDX-License-Identifier: GPL-2.0-only
"""KUnit: the unit tests that are built into the kernel under test.

What identifies a suite is a glob of the names of KUnit's suites; an item is one of KUnit's suites,
and its cases are subtests.  The kernel does not run them at boot: each is started by a write to its
file in debugfs, so that a crash costs one guest and not all of them.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.adaptors import (
    AdaptedSuite,
    Adaptor,
    Entry,
    InterruptedItem,
    ItemResult,
    Sources,
    ktap,
)
from harness.adaptors.ktap import KtapTest
from harness.errors import UsageError
from harness.model import Option, Outcome

_TOP = Path("/sys/kernel/debug/kunit")


def _collect(what: str, _place: Path) -> Iterator[Entry]:
    for folder in sorted(_TOP.glob("*/")):
        if fnmatch.fnmatchcase(folder.name, what):
            yield Entry(folder.name, folder=folder)


def _run(entry: Entry) -> ItemResult:
    run = entry.folder / "run"
    if not run.exists():
        return ItemResult(Outcome.SKIP, "it uses code that exists only during boot")
    run.write_text("run\n")  # returns when all cases have ended
    return judge((entry.folder / "results").read_text())


def judge(output: str) -> ItemResult:
    """Return the result of a suite of KUnit's, as debugfs shows it."""
    results = ktap.parse(output)
    if not results.tests:
        return ItemResult(Outcome.FAIL, "E   KUnit shows no results", output)
    suite = results.tests[0]
    cases = tuple(leaf for case in suite.subtests for leaf in case.leaves())
    bad = [case.name for case in cases if case.outcome.bad]
    if bad:
        message = f"{len(bad)} of {len(cases)} cases failed: {', '.join(bad)}"
        return ItemResult(Outcome.FAIL, message, output, cases, explained=True)
    if suite.outcome.bad:  # its own setup failed
        return ItemResult(Outcome.FAIL, suite.message or "E   not ok", output, cases)
    return ItemResult(suite.outcome, suite.message, output, cases)


def _check(suite: AdaptedSuite, _folder: Path) -> None:
    what = suite.what
    if "/" in what or " " in what:
        raise UsageError(
            f"--kunit {what}: not the name of a KUnit suite", hint="a glob, such as 'ext4*'"
        )


def _options(whats: Sequence[str], sources: Sources) -> tuple[Option, ...]:
    from harness.adaptors import kunit_sources  # guests do without

    return kunit_sources.options(whats, sources)


def _boot_arguments(item: str, subtest: str) -> tuple[str, ...]:
    """Return the argument that leaves only the selected case, so that it runs alone."""
    case = subtest.partition("::")[0]
    return (f"kunit.filter_glob={item}.{case}",) if case else ()


def interrupted(messages: str, cases: Sequence[str]) -> InterruptedItem | None:
    """Return how far a suite got before its guest died, from the guest's last messages.

    ``cases`` are the suite's cases in their order.  None if it is not known in which one it died.
    """
    tests = ktap.parse(messages).tests
    finished = [test for test in tests if test.name in cases and not _is_cut(test)]
    names = {test.name for test in finished}
    left = [case for case in cases if case not in names]
    if not left:
        return None
    leaves = tuple(leaf for test in finished for leaf in test.leaves())
    return InterruptedItem(leaves, left[0], tuple(left[1:]))


def _is_cut(test: KtapTest) -> bool:
    """Whether a case with parameters began and has no result."""
    return test.outcome is Outcome.CRASH


def _interrupted(item: str, messages: str, vmlinux: Path | None) -> InterruptedItem | None:
    from harness.adaptors import kunit_symbols

    cases = kunit_symbols.suites(vmlinux).get(item, []) if vmlinux else []
    return interrupted(messages, cases)


ADAPTOR = Adaptor(
    collect=_collect,
    run=_run,
    check=_check,
    options=_options,
    boot_arguments=_boot_arguments,
    interrupted=_interrupted,
    from_tree=True,
)
