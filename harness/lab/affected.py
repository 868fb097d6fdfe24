# SPDX-License-Identifier: GPL-2.0-only
"""Choose tests by what they executed when a series, or an earlier revision, was counted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import build, diff, git, history
from harness.diff import FileDiff
from harness.errors import HarnessError, UsageError
from harness.lab.kernels import Lab
from harness.model import Checkout, Coverage
from harness.results import store
from harness.text import quantity

_CODE = (".c", ".h")
_MOST = 300  # files that differ; with more, it is another base
_SHOWN = 3  # places whose tests are not known


@dataclasses.dataclass(frozen=True)
class AffectedTests:
    """The tests that executed what differs from the recorded revision.

    ``series`` are the others that executed a line of the series.  ``unknown`` are the places that
    differ and of which nothing is recorded.
    """

    changed: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def order(lab: Lab, tip: Checkout) -> Lab:
    """Return the lab with a plan that runs the affected tests first, or only them.

    Raises UsageError if only these are wanted and nothing is recorded.
    """
    plan, found = lab.plan, None
    if plan.series is None:
        return lab
    try:
        found = recorded(history.folders(plan.series, db=plan.db), tip)
    except HarnessError as error:  # without a history, tests run in their usual order
        lab.progress.say(f"past runs are unknown: {error.what}")
    if found is None:
        if plan.only_affected:
            raise UsageError(
                "no past run of this series has counted what its tests execute",
                hint="harness run --coverage",
            )
        if plan.affected:
            lab.progress.say("tests run in their usual order: no past run has counted them")
        return lab
    tests = affected(found, tip)
    only = plan.only_affected and not tests.unknown
    if plan.only_affected and tests.unknown:
        places = ", ".join(tests.unknown[:_SHOWN])
        more = len(tests.unknown) - _SHOWN
        places += f" and {more} more" if more > 0 else ""
        lab.progress.say(f"all tests run, since what executes {places} is not known")
    # If nothing differs, whoever executes the series is what there is to test.
    chosen = tests.changed or tests.series
    first = chosen if only else tuple(dict.fromkeys((*tests.changed, *tests.series)))
    if plan.affected or plan.only_affected:
        what = "what differs from the last counted revision"
        what = what if tests.changed else "the series, which has not changed since it was counted"
        lab.progress.say(f"{quantity(len(chosen), 'test')} executed {what}")
    return dataclasses.replace(lab, plan=dataclasses.replace(plan, first=first, only_first=only))


def recorded(folders: Sequence[Path], tip: Checkout) -> Coverage | None:
    """Return the newest coverage in these folders of runs whose commit the tree still has."""
    for folder in folders:
        for file in sorted(folder.glob(f"*/{store.COVERAGE}"), reverse=True):
            try:
                found = store.load_coverage(file.parent)
            except UsageError:
                continue
            if found and git.commit_of(tip.path, found.commit):
                return found
    return None


def affected(found: Coverage, tip: Checkout) -> AffectedTests:
    """Return which tests what differs between the recorded commit and ``tip`` can affect."""
    changed: dict[str, None] = {}
    unknown: list[str] = []
    for file in _differences(found.commit, tip, unknown):
        if not file.path.endswith(_CODE):
            continue
        for first, last, where in _differing(file, found.commit, tip):
            tests = _tests(found, file.old, first, last)
            if tests is None:
                unknown.append(where)
            changed.update(dict.fromkeys(tests or ()))
    series = (
        test
        for file in found.files
        for count in file.lines
        for test in found.tests_of(file.path, count.first, count.last)
    )
    rest = tuple(test for test in dict.fromkeys(series) if test not in changed)
    return AffectedTests(tuple(changed), rest, tuple(dict.fromkeys(unknown)))


def _differences(commit: str, tip: Checkout, unknown: list[str]) -> Sequence[FileDiff]:
    """Return what differs in the sources; if that is another kernel, say so in ``unknown``."""
    names = git.run(tip.path, "diff", "--name-only", commit, tip.commit, "--").stdout.splitlines()
    if len(names) > _MOST:
        unknown.append(f"a base that differs in {len(names)} files")
        return ()
    argv = ("diff", "--unified=0", "--find-renames", commit, tip.commit, "--")
    return diff.parse(git.run(tip.path, *argv).stdout)


def _tests(found: Coverage, path: str, first: int, last: int) -> tuple[str, ...] | None:
    """Return the tests that executed the lines, then those that called the function around them.

    None if the lines are in no function that was counted.
    """
    file = found.file(path)
    around = [f for f in file.functions if f.first <= last and first <= f.last] if file else []
    if not around:
        return None
    calls = (test for function in around for test, _ in function.tests)
    exact = found.tests_of(path, first, last)
    return tuple(dict.fromkeys((*exact, *(found.tests[test] for test in calls))))


def _differing(file: FileDiff, commit: str, tip: Checkout) -> Iterator[tuple[int, int, str]]:
    """Yield the first and last old line of each hunk that changes code, and its place."""
    old, new = (
        git.run(tip.path, "show", f"{at}:{name}", check=False).stdout if name else ""
        for at, name in ((commit, file.old), (tip.commit, file.new))
    )
    for hunk in file.hunks:
        removed = {line.source_line_no for line in hunk if line.is_removed}
        added = {line.target_line_no for line in hunk if line.is_added}
        if not (_code(old, removed) or _code(new, added)):
            continue
        # Nothing is removed where lines are only inserted: they stand behind this line.
        first = hunk.source_start
        last = first + max(hunk.source_length - 1, 0)
        yield first, last, f"{file.path}:{hunk.target_start}"


def _code(text: str, lines: set[int | None]) -> bool:
    numbers = {number for number in lines if number}
    return bool(numbers - build.without_code(text, numbers, is_c=True).keys())
