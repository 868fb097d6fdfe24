# SPDX-License-Identifier: GPL-2.0-only
"""Builds the kernels of mutants, one after another, ahead of the guests that run them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import threading
import time
from pathlib import Path

from harness import git, tree
from harness.build import MOST_OBJECTS, ChangedBuilds
from harness.errors import HostFault, NotBuilt
from harness.model import Kernel, Mutant, MutantState
from harness.mutate import mutants
from harness.mutate.prepare import Prepared
from harness.process import interrupt_all


@dataclasses.dataclass(frozen=True)
class MutantBuild:
    """A mutant's kernel; without one, ``state`` and ``message`` say why there is none."""

    kernel: Kernel | None = None
    state: MutantState | None = None
    message: str = ""
    seconds: float = 0.0


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
        prepared = self.prepared
        with tree.slot(prepared.source, prepared.lab.progress, lambda: self._stopped) as slot:
            # Another run may have used the worktree.
            if git.object_of(slot.path, "HEAD") != prepared.tip.commit:
                slot.check_out(prepared.tip)
            found = self._compile_and_link(mutant, self.place / name, link)
        seconds = round(time.monotonic() - begin, 3)
        return dataclasses.replace(found, seconds=seconds)

    def _compile_and_link(self, mutant: Mutant, folder: Path, link: bool) -> MutantBuild:
        prepared, lab = self.prepared, self.prepared.lab
        if self._builds is None:
            self._builds = ChangedBuilds(prepared.tip, prepared.out, lab.toolchain, prepared.kernel)
        builds = self._builds
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
            jobs = lab.plan.jobs or len(os.sched_getaffinity(0))
            kernel = builds.link(changed.names, folder, jobs)
        except NotBuilt as error:
            return MutantBuild(state=MutantState.NOT_COMPILED, message=error.what)
        finally:
            builds.restore()
        self.built += 1
        return MutantBuild(kernel)
