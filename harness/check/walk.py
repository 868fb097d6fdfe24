# SPDX-License-Identifier: GPL-2.0-only
"""What a check is, and what it sees of each commit of a series: mail, sources, kernel."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness import git, tree
from harness.check.builds import Build, Builder
from harness.check.commits import AppliedSeries
from harness.check.findings import TreeFindings
from harness.check.mail import Letter, PatchMail
from harness.check.scripts import Scripts
from harness.errors import HostFault
from harness.lab import affected
from harness.lab.kernels import Lab
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Checkout,
    Finding,
    Plan,
    Series,
    SeriesLines,
)
from harness.progress import Progress

if TYPE_CHECKING:
    from harness.cluster.driver import Cluster


class Needs(enum.IntEnum):
    """What a check needs of each commit.  From MAKE on, code from the series may run on the host.

    MAIL: the patch's mail.  SOURCES: a checkout of the commit.  MAKE: the check calls make itself.
    KERNEL: the kernel built from it.
    """

    MAIL = 0
    SOURCES = 1
    MAKE = 2
    KERNEL = 3


@dataclasses.dataclass(frozen=True)
class Step:
    """A commit of the walk: the base (number 0, no ``mail``) or a patch.

    ``checkout`` is None for a patch that does not apply, ``build`` if no kernels are needed.
    ``previous`` is the last earlier build with a kernel.  ``unchanged``: the kernel is identical to
    that of the previous commit.
    """

    number: int
    mail: PatchMail | None
    checkout: Checkout | None
    build: Build | None = None
    previous: Build | None = None
    unchanged: bool = False


class CheckColumn(Protocol):
    """A check that is running on one series and fills its column."""

    def take(self, step: Step) -> Iterable[Cell]:
        """Process the next commit, the base first; return the cells that are known now."""

    def finish(self) -> Iterable[Cell]:
        """Return the other cells, after the last commit."""


@dataclasses.dataclass(frozen=True)
class Check:
    """A column of the matrix; ``run`` starts it for a series, given its name.

    ``default``: it runs unless other checks are named.  ``program`` must be installed.
    """

    name: str
    group: str
    needs: Needs
    help: str
    run: RunCheck
    default: bool = True
    program: str = ""


@dataclasses.dataclass(frozen=True)
class CheckRequest:
    """What to check, and how.

    ``mails``: the series consists of mails, so their form is checked; else it consists of commits
    by ``committers``.  ``trust``: run scripts and build rules that the series changes.  ``first``
    are the tests that failed when the series was last tested.
    """

    checks: tuple[Check, ...]
    mails: bool = True
    committers: tuple[str, ...] = ()
    trust: bool = False
    strict: bool = False
    previous: Series | None = None
    first: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a check is wanted."""
        return any(check.name == name for check in self.checks)

    @property
    def builds(self) -> bool:
        """Whether anything is compiled."""
        return any(check.needs >= Needs.MAKE for check in self.checks)

    def of_commits(self, series: Series, *, trust: bool) -> CheckRequest:
        """Return the request for a series of unsent commits; unchanged for a series of mails."""
        if series.repo is None:
            return self
        words = ("log", "--no-walk=unsorted", "--format=%cn <%ce>", *series.commits, "--")
        names = git.run(series.repo, *words).stdout.splitlines()
        return dataclasses.replace(self, mails=False, committers=tuple(names), trust=trust)


@dataclasses.dataclass
class Walk:
    """Everything that the checks of a series share; ``exits`` is closed at the end.

    ``builds`` are those of the base and of each patch so far.  ``refused`` is why the series is not
    built; ``faults`` are host faults.  ``lines`` says which lines of the series are in the last
    kernel.  The workers of ``cluster``, if there are any, build and boot.
    """

    plan: Plan
    request: CheckRequest
    series: Series
    slot: tree.Slot
    applied: AppliedSeries
    scripts: Scripts
    mails: tuple[PatchMail, ...]
    cover: Letter | None
    folder: Path
    progress: Progress
    exits: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)
    cells: list[Cell] = dataclasses.field(default_factory=list)
    builds: list[Build] = dataclasses.field(default_factory=list)
    refused: str = ""
    faults: list[str] = dataclasses.field(default_factory=list)
    lines: SeriesLines | None = None
    cluster: Cluster | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the series touches."""
        return tuple(dict.fromkeys(file for patch in self.series.patches for file in patch.files))

    def write_diff(self, check: str, patch: int, diff: str) -> None:
        """Write the full diff of a check's output for one patch to the check's folder."""
        file = self.folder / check / f"{patch}.diff"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(diff, encoding="utf-8")

    @functools.cached_property
    def lab(self) -> Lab:
        """The lab that builds and boots; it prepares for guests only if tests are requested."""
        boots = self.request.wants("tests") and self.cluster is None
        lab = Lab.of(self.plan, self.progress, boots=boots)
        lab = lab.with_suites(self.slot.source)
        lab = lab.following(self.slot, self.applied.base, self.applied.tip, held=True) or lab
        if self.request.builds and self.cluster is None:
            lab = lab.buildable(self.slot)
        return affected.order(lab, self.applied.tip)

    @functools.cached_property
    def builder(self) -> Builder:
        """The builder of each commit; workers also run the tests, if they are wanted."""
        if self.cluster is None:
            return Builder(self.lab, self.slot, warn=self.request.wants("build"))
        from harness.check.remote import RemoteBuilder  # it needs Dask

        commits = (self.applied.base, *self.applied.patched)
        boots = self.request.wants("tests")
        return RemoteBuilder(self.cluster, self.lab, self.slot, commits, self.folder, boots=boots)


#: Starts a check of a series; its second argument is the check's name.
RunCheck = Callable[[Walk, str], CheckColumn]

#: Findings, or why there are none.
Found = Sequence[Finding] | str


@dataclasses.dataclass(frozen=True)
class _FunctionColumn:
    take: Callable[[Step], Iterable[Cell]] = lambda _: ()
    finish: Callable[[], Iterable[Cell]] = tuple


def each_patch(
    find: Callable[[Walk, PatchMail], Found],
    *,
    whole: Callable[[Walk], Sequence[Finding]] | None = None,
    note: Callable[[PatchMail], str] = lambda _: "",
) -> RunCheck:
    """Return a RunCheck that checks each patch alone; ``whole`` checks the series.

    After a HostFault there is no verdict.
    """

    def run(walk: Walk, check: str) -> CheckColumn:
        def take(step: Step) -> Iterator[Cell]:
            if step.mail is None:
                return
            try:
                found = find(walk, step.mail)
            except HostFault as error:
                walk.faults.append(error.what)
                found = error.what
            if isinstance(found, str):
                yield Cell(step.number, check, CellState.UNKNOWN, note=found)
            else:
                yield Cell.of(step.number, check, tuple(found), note(step.mail))

        def finish() -> Iterator[Cell]:
            if whole is not None:
                yield Cell.of(WHOLE_SERIES, check, tuple(whole(walk)))

        return _FunctionColumn(take, finish)

    return run


def each_tree(find: Callable[[Walk, Step], Found]) -> RunCheck:
    """Return a RunCheck that checks the tree of each commit; findings of the base do not count."""

    def run(walk: Walk, check: str) -> CheckColumn:
        trees: list[Found] = []

        def take(step: Step) -> Iterable[Cell]:
            if step.checkout is not None:
                trees.append(find(walk, step))
            return ()

        def finish() -> Iterable[Cell]:
            return TreeFindings.of(check, trees).cells(walk.applied.renames)

        return _FunctionColumn(take, finish)

    return run


def whole_series(cells: Callable[[Walk, str], Iterable[Cell]]) -> RunCheck:
    """Return a RunCheck that runs once, after the last commit."""
    return lambda walk, check: _FunctionColumn(finish=lambda: cells(walk, check))
