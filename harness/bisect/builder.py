# SPDX-License-Identifier: GPL-2.0-only
"""From a candidate to its kernel: what every trial of one bisection has in common."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import build, git, kbuild, tree
from harness.errors import NotApplied, NotBuilt, NotConfigured, Untestable
from harness.lab import kernels
from harness.lab.plan import Plan
from harness.model import (
    Accel,
    Candidate,
    Checkout,
    Commit,
    Kernel,
    Request,
    Series,
    Source,
    Toolchain,
)
from harness.process import interrupt_all
from harness.progress import Progress


@dataclasses.dataclass(frozen=True)
class Lab:
    """Where kernels are made, and how they are made and run.

    ``repo`` is our own repository, which has all commits; its worktree is ``held`` only while
    it is needed, or all the time, as ``slot``.  ``series`` goes on top of every candidate that
    does not say which of its patches it has.
    """

    plan: Plan
    repo: Path
    slot: tree.Slot | None
    source: Source
    request: Request
    toolchain: Toolchain
    accel: Accel
    series: Series | None
    progress: Progress
    turn: threading.Lock = dataclasses.field(default_factory=threading.Lock)  # of our threads

    @property
    def lab(self) -> kernels.Lab:
        """The lab that every verb uses."""
        return kernels.Lab(self.plan, self.request, self.toolchain, self.accel, self.progress)

    @contextlib.contextmanager
    def held(self, stop: Callable[[], bool] = bool) -> Iterator[tree.Slot]:
        """Hold the worktree; another run may have it in between.  See paths.lock for ``stop``."""
        if self.slot is not None:
            yield self.slot
            return
        with self.turn, tree.slot(self.source, self.progress, stop) as slot:
            yield slot

    def checkout(self, candidate: Candidate) -> Checkout:
        """Say what a candidate's sources are.  Raises NotApplied.

        The worktree must be held where patches are applied.
        """
        commit = candidate.commit or self.source.commit
        start = dataclasses.replace(self.source, commit=commit, name=commit[:12])
        slot = tree.Slot(self.repo, start, self.progress)
        wanted = self.patches(candidate)
        if wanted is None:
            return slot.base()
        return slot.patched(wanted)

    def used(self) -> Callable[[str], bool]:
        """Give what says whether the kernel that was built last was made from a file."""
        base = tree.Slot(self.repo, self.source, self.progress).base()
        return build.may_use(build.folder(base, self.request, self.toolchain), base.path)

    def patches(self, candidate: Candidate) -> Series | None:
        """Give the part of the series that goes on top; None when no patch does."""
        series = self.series
        if series is None or candidate.patches is None:
            return series
        some = tuple(one for one in series.patches if one.number in candidate.patches)
        if len(some) == len(series.patches):
            return series
        digest = f"{series.digest}/{','.join(map(str, candidate.patches))}"
        return dataclasses.replace(series, patches=some, digest=digest) if some else None


@dataclasses.dataclass(frozen=True)
class Made:
    """A candidate's kernel, or the ``fault`` why there is none; ``digest`` names what it runs."""

    checkout: Checkout | None = None
    kernel: Kernel | None = None
    fault: Untestable | None = None
    digest: str = ""


class Dropped(Exception):
    """A build that nobody wants any more was stopped."""


class Builder:
    """Builds candidates one at a time in a thread of its own, each once.

    What is no longer wanted is taken out of the line, or stopped: make goes on there another
    time.  ``sources_only``: none is built.  ``lean``: a lean one will do where a candidate does not
    ask for debug info.
    """

    def __init__(self, lab: Lab, *, sources_only: bool = False, lean: bool = False) -> None:
        self.lab, self.sources_only, self._lean = lab, sources_only, lean
        self.built, self.stopped = 0, False
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._made: dict[Candidate, concurrent.futures.Future[Made]] = {}
        self._near: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()
        self._now: tuple[Candidate, int] | None = None
        self._struck = False  # what is built now was interrupted: it must not be believed

    def begin(self, candidate: Candidate) -> concurrent.futures.Future[Made]:
        """Have a candidate built, now or when its turn comes."""
        with self._lock:
            known = self._made.get(candidate)
            if known is None or known.cancelled() or _was_dropped(known):
                self._made[candidate] = self._pool.submit(self._make, candidate)
            return self._made[candidate]

    @property
    def idle(self) -> bool:
        """Whether nothing is built or waits for it."""
        return all(future.done() for future in self._made.values())

    def near(self, one: Candidate, other: Candidate) -> bool:
        """Whether going from one to the other compiles little: no header for all differs.

        Where one does, building what may never be wanted costs more than waiting for it.  What
        is kept is always near.
        """
        pair = (one.commit, other.commit)
        if pair not in self._near:
            start = self.lab.source.commit
            headers = (
                "include",
                f"arch/{kbuild.architecture(self.lab.toolchain.arch).folder}/include",
            )
            words = ("diff", "--quiet", *(commit or start for commit in pair), "--", *headers)
            same = git.run(self.lab.repo, *words, check=False).ok
            self._near[pair] = same or self.kept(other) is not None
        return self._near[pair]

    def made(self, candidate: Candidate) -> Made:
        """Give what building a candidate gave; waits for it.  Raises Dropped when all stops."""
        while not self.stopped:
            try:
                return self.begin(candidate).result()
            except (Dropped, concurrent.futures.CancelledError):
                continue  # stopped while nobody wanted it, and wanted again
        raise Dropped(candidate.name)

    def ready(self, candidate: Candidate) -> bool:
        """Whether a candidate is built."""
        future = self._made.get(candidate)
        return bool(future and future.done() and not future.cancelled() and not future.exception())

    def kept(self, candidate: Candidate) -> Made | None:
        """Give a kernel that was built before; for that the worktree need not be held."""
        lab = self.lab
        if self.sources_only or lab.patches(candidate) is not None:
            return None  # to apply patches it must be
        checkout = lab.checkout(candidate)
        kernel = lab.lab.kept(
            checkout, request=candidate.request, lean=self._lean and not candidate.debug
        )
        if kernel is None:
            return None
        return Made(checkout, kernel, digest=build.loaded_digest(kernel, checkout, lab.toolchain))

    def keep_only(self, wanted: set[Candidate]) -> None:
        """Drop what is waiting or being built and not wanted."""
        with self._lock:
            for candidate, future in self._made.items():
                if candidate not in wanted and not future.done():
                    future.cancel()
            if self._now and self._now[0] not in wanted:
                self._struck = True
                interrupt_all(self._now[1])

    def _make(self, candidate: Candidate) -> Made:
        with self._lock:
            self._now, self._struck = (candidate, threading.get_ident()), False
        try:
            return self._kernel(candidate)
        except Exception as error:
            if self._struck or self.stopped:
                raise Dropped(candidate.name) from None
            if isinstance(error, NotApplied | NotBuilt | NotConfigured):
                return Made(fault=error)
            raise
        finally:
            with self._lock:
                self._now = None

    def _kernel(self, candidate: Candidate) -> Made:
        if kept := self.kept(candidate):
            return kept
        lab = self.lab
        with lab.held(lambda: self._struck or self.stopped) as slot:
            checkout = lab.checkout(candidate)
            if self.sources_only:  # checked out when they are looked at
                return Made(checkout)
            kernel = lab.lab.kernel(
                slot,
                checkout,
                request=candidate.request,
                lean=self._lean and not candidate.debug,
            )
        self.built += not kernel.reused
        return Made(checkout, kernel, digest=build.loaded_digest(kernel, checkout, lab.toolchain))

    def close(self) -> None:
        """End the thread, and what it runs."""
        self.stopped = True
        self.keep_only(set())
        self._pool.shutdown(wait=True, cancel_futures=True)


def _was_dropped(future: concurrent.futures.Future[Made]) -> bool:
    return future.done() and isinstance(future.exception(), Dropped)


def candidate(one: Commit) -> Candidate:
    """Make the candidate of a commit."""
    return Candidate(one.short, one.id)


def of_commit(lab: Lab, name: str, as_what: str = "") -> Candidate:
    """Make the candidate of a commit that is known by its id."""
    subject = git.line(lab.repo, "show", "--no-patch", "--format=%s", name)
    return Candidate(as_what or f'{name[:12]} ("{subject}")', name)
