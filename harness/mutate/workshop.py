# SPDX-License-Identifier: GPL-2.0-only
"""Builds the kernels of mutants, one after another, ahead of the guests that run them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness import git, tree
from harness.build import MOST_OBJECTS, ChangedBuilds
from harness.errors import HostFault, NotBuilt
from harness.lab.plan import make_jobs
from harness.model import Kernel, Mutant, MutantState
from harness.mutate import mutants
from harness.mutate.prepare import Prepared
from harness.mutate.switched import Switch, switched
from harness.process import interrupt_all

_MOST_TRIES = 8  # to compile a file with all its mutants; each try leaves some out


@dataclasses.dataclass(frozen=True)
class MutantBuild:
    """A mutant's kernel; without one, ``state`` and ``message`` say why there is none.

    If the ``kernel`` holds other mutants as well, ``switch`` chooses this one.
    """

    kernel: Kernel | None = None
    state: MutantState | None = None
    message: str = ""
    seconds: float = 0.0
    switch: Switch | None = None


class Workshop:
    """Builds mutants in a thread of its own; kernels are put into folders below ``place``.

    The worktree is locked for one mutant at a time, so that other runs need not wait for all.
    """

    def __init__(self, prepared: Prepared, place: Path) -> None:
        self.prepared, self.place = prepared, place
        self.built = 0
        self._builds: ChangedBuilds | None = None
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._thread = 0
        self._stopped = False
        self._together: Kernel | None = None  # the kernel that holds many mutants
        self._switches: dict[str, Switch] = {}  # of its mutants, by their names

    def build_together(self, found: Iterable[Mutant]) -> int:
        """Build one kernel with all mutants that can be chosen at run time; return how many it has.

        If it cannot be built, each mutant gets a kernel of its own.
        """
        by_file: dict[str, list[Mutant]] = {}
        for mutant in found:
            by_file.setdefault(mutant.file, []).append(mutant)
        with self._held() as builds:
            objects: list[str] = []
            try:
                for index, (path, own) in enumerate(sorted(by_file.items()), 1):
                    if path.endswith(".c") and builds.is_built_in(path):
                        objects += self._compile_together(builds, path, own, index)
                if objects:
                    self._together = self._link(builds, tuple(objects), self.place / "together")
            except NotBuilt:
                self._switches.clear()
            finally:
                builds.restore()
        return len(self._switches)

    def _compile_together(
        self, builds: ChangedBuilds, path: str, own: Sequence[Mutant], index: int
    ) -> tuple[str, ...]:
        """Compile a file with all its mutants, without those that the compiler refuses."""
        data = (self.prepared.tip.path / path).read_bytes()
        without: frozenset[int] = frozenset()
        for _ in range(_MOST_TRIES):
            file = switched(path, data, own, index, without)
            changed = builds.compile(path, file.content)
            if not changed.error and file.numbers:
                self._switches |= {
                    name: Switch(file.parameter, number) for name, number in file.numbers.items()
                }
                return changed.names
            if not changed.lines - without:
                break
            without |= changed.lines
        return ()

    def _link(self, builds: ChangedBuilds, objects: tuple[str, ...], folder: Path) -> Kernel:
        jobs = make_jobs(self.prepared.lab.plan)
        return builds.link(objects, folder, jobs)

    def begin(
        self, mutant: Mutant, name: str, *, link: bool
    ) -> concurrent.futures.Future[MutantBuild]:
        """Queue the build of a mutant; without ``link`` only find out whether it is one."""
        return self._pool.submit(self.build, mutant, name, link=link)

    def close(self) -> None:
        """Stop the current build and the thread."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread:
            interrupt_all(self._thread)
        self._pool.shutdown(wait=True)

    def build(self, mutant: Mutant, name: str, *, link: bool) -> MutantBuild:
        """Build a mutant in this thread."""
        self._thread, begin = threading.get_ident(), time.monotonic()
        with self._held() as builds:
            found = self._compile_and_link(builds, mutant, self.place / name, link)
        seconds = round(time.monotonic() - begin, 3)
        return dataclasses.replace(found, seconds=seconds)

    @contextlib.contextmanager
    def _held(self) -> Iterator[ChangedBuilds]:
        """Lock the worktree, with the sources of the series in it."""
        prepared, lab = self.prepared, self.prepared.lab
        with tree.slot(prepared.source, lab.progress, lambda: self._stopped) as slot:
            # Another run may have used the worktree.
            if git.object_of(slot.path, "HEAD") != prepared.tip.commit:
                slot.check_out(prepared.tip)
            if self._builds is None:
                arguments = (prepared.tip, prepared.out, lab.toolchain, prepared.kernel)
                self._builds = ChangedBuilds(*arguments)
            yield self._builds

    def _compile_and_link(
        self, builds: ChangedBuilds, mutant: Mutant, folder: Path, link: bool
    ) -> MutantBuild:
        prepared = self.prepared
        if (many := len(builds.objects(mutant.file))) > MOST_OBJECTS:
            why = f"{many} objects include {mutant.file}, which is too many to compile for each"
            return MutantBuild(state=MutantState.UNDECIDED, message=why)
        source = (prepared.tip.path / mutant.file).read_bytes()
        if mutant.before.encode() not in source:  # a mutant of other lines would prove nothing
            what = f"{prepared.tip.path / mutant.file} is not that of the series"
            raise HostFault(what, hint="does something else write to the cache?")
        try:
            changed = builds.compile(mutant.file, mutants.applied(mutant, source))
            if changed.error:
                return MutantBuild(state=MutantState.NOT_COMPILED, message=changed.error)
            if not changed.names:
                return MutantBuild(state=MutantState.SAME_CODE)
            if not link:
                return MutantBuild(state=MutantState.NOT_EXECUTED)
            if switch := self._switches.get(mutant.name):
                return MutantBuild(self._together, switch=switch)
            kernel = self._link(builds, changed.names, folder)
        except NotBuilt as error:
            return MutantBuild(state=MutantState.NOT_COMPILED, message=error.what)
        finally:
            builds.restore()
        self.built += 1
        return MutantBuild(kernel)
