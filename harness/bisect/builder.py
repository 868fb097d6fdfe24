# SPDX-License-Identifier: GPL-2.0-only
"""Checks out and builds the kernels of candidates, with the lab that every verb uses."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import architectures, build, git, tree
from harness.errors import NotApplied, NotBuilt, NotConfigured, Untestable
from harness.lab import trial
from harness.lab.kernels import Built, Lab
from harness.model import (
    Candidate,
    Checkout,
    Kernel,
    Plan,
    Request,
    Series,
    Side,
    Source,
    Trial,
)
from harness.process import interrupt_all


@dataclasses.dataclass(frozen=True)
class CandidateSources:
    """The sources of the candidates, and the lab that builds and runs them.

    ``repo`` is the repository in our cache, which has all commits.  Its worktree is ``held`` only
    while it is needed, or throughout if ``slot`` is set.  ``series`` is applied on top of every
    candidate that does not choose patches of its own.
    """

    lab: Lab
    repo: Path
    source: Source
    series: Series | None = None
    slot: tree.Slot | None = None
    turn: threading.Lock = dataclasses.field(default_factory=threading.Lock)  # for our threads

    @contextlib.contextmanager
    def held(self, stop: Callable[[], bool] = bool) -> Iterator[tree.Slot]:
        """Lock the worktree while the context lasts.  See paths.lock for ``stop``."""
        if self.slot is not None:
            yield self.slot
            return
        with self.turn, tree.slot(self.source, self.lab.progress, stop) as slot:
            yield slot

    def checkout(self, candidate: Candidate) -> Checkout:
        """Return the sources of a candidate; the worktree must be held if they have patches.

        Raises NotApplied.
        """
        commit = candidate.commit or self.source.commit
        series = self.patches(candidate)
        after = series.after if series else ()
        start = dataclasses.replace(self.source, commit=commit, name=commit[:12], after=after)
        slot = tree.Slot(self.repo, start, self.lab.progress).after(tree.Slot.patched)
        return slot.base() if series is None else slot.patched(series)

    def patches(self, candidate: Candidate) -> Series | None:
        """Return the patches to apply on top of a candidate; None if there are none."""
        series = self.series
        if series is None or candidate.patches is None:
            return series
        chosen = tuple(patch for patch in series.patches if patch.number in candidate.patches)
        if len(chosen) == len(series.patches):
            return series
        digest = f"{series.digest}/{','.join(map(str, candidate.patches))}"
        return dataclasses.replace(series, patches=chosen, digest=digest) if chosen else None

    def may_use(self) -> Callable[[str], bool]:
        """Return a predicate: whether the last built kernel may depend on a source file."""
        base = tree.Slot(self.repo, self.source, self.lab.progress).base()
        return build.may_use(self.lab.folder(base), base.path)


@dataclasses.dataclass(frozen=True)
class BuiltCandidate:
    """A candidate's kernel, or the ``fault`` that explains why there is none.

    Two kernels with the same ``digest`` run the same code.
    """

    checkout: Checkout | None = None
    kernel: Kernel | None = None
    fault: Untestable | None = None
    digest: str = ""


class BuildDropped(Exception):
    """A build was stopped because its kernel is no longer needed."""


class CandidateBuilder:
    """Builds each candidate once, one at a time, in a separate thread.

    Builds that are no longer needed are dropped from the queue or stopped; make resumes a stopped
    build the next time.  ``sources_only``: no kernel is built.  ``lean``: a lean kernel is enough
    for candidates that do not need debug info.  ``workers``: how many machines of their own build
    and try candidates; 0 means that this one does.
    """

    workers = 0

    def __init__(
        self, sources: CandidateSources, *, sources_only: bool = False, lean: bool = False
    ) -> None:
        self.sources, self.sources_only, self._lean = sources, sources_only, lean
        self.built, self.stopped = 0, False
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._builds: dict[Candidate, concurrent.futures.Future[BuiltCandidate]] = {}
        self._near: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()
        self._current: tuple[Candidate, int] | None = None  # with the id of the thread
        self._interrupted = False  # whether to ignore the outcome of the current build

    def begin(self, candidate: Candidate) -> concurrent.futures.Future[BuiltCandidate]:
        """Queue the build of a candidate, unless that was done before."""
        with self._lock:
            future = self._builds.get(candidate)
            if future is None or future.cancelled() or _was_dropped(future):
                self._builds[candidate] = self._pool.submit(self._build, candidate)
            return self._builds[candidate]

    @property
    def idle(self) -> bool:
        """Whether no build is running or queued."""
        return all(future.done() for future in self._builds.values())

    def near(self, current: Candidate, other: Candidate) -> bool:
        """Whether building ``other`` after ``current`` recompiles little: no shared header differs.

        If one differs, building ahead costs more than it saves.  A cached kernel is always near.
        """
        pair = (current.commit, other.commit)
        if pair not in self._near:
            sources = self.sources
            arch = architectures.named(sources.lab.toolchain.arch).folder
            commits = (commit or sources.source.commit for commit in pair)
            argv = ("diff", "--quiet", *commits, "--", "include", f"arch/{arch}/include")
            same = git.run(sources.repo, *argv, check=False).ok
            self._near[pair] = same or self.kept(other) is not None
        return self._near[pair]

    def result(self, candidate: Candidate) -> BuiltCandidate:
        """Wait for the build of a candidate.  Raises BuildDropped if the bisection stops."""
        while not self.stopped:
            try:
                return self.begin(candidate).result()
            except (BuildDropped, concurrent.futures.CancelledError):
                continue  # it was dropped, but is needed again
        raise BuildDropped(candidate.name)

    def ready(self, candidate: Candidate) -> bool:
        """Whether a candidate is built."""
        future = self._builds.get(candidate)
        return bool(future and future.done() and not future.cancelled() and not future.exception())

    def kept(self, candidate: Candidate) -> BuiltCandidate | None:
        """Return the kernel if it is in the cache; the worktree need not be held."""
        if self.sources_only or self.sources.patches(candidate) is not None:
            return None  # patches can only be applied while the worktree is held
        checkout = self.sources.checkout(candidate)
        kernel = self.sources.lab.kept(
            checkout, request=candidate.request, lean=self._lean and not candidate.debug
        )
        return self._with_digest(checkout, kernel) if kernel else None

    def keep_only(self, needed: set[Candidate]) -> None:
        """Drop queued and running builds that are not ``needed``."""
        with self._lock:
            for candidate, future in self._builds.items():
                if candidate not in needed and not future.done():
                    future.cancel()
            if self._current and self._current[0] not in needed:
                self._interrupted = True
                interrupt_all(self._current[1])

    def _build(self, candidate: Candidate) -> BuiltCandidate:
        with self._lock:
            self._current, self._interrupted = (candidate, threading.get_ident()), False
        try:
            return self.kept(candidate) or self._from_sources(candidate)
        except Exception as error:
            if self._interrupted or self.stopped:
                raise BuildDropped(candidate.name) from None
            if isinstance(error, NotApplied | NotBuilt | NotConfigured):
                return BuiltCandidate(fault=error)
            raise
        finally:
            with self._lock:
                self._current = None

    def _from_sources(self, candidate: Candidate) -> BuiltCandidate:
        with self.sources.held(lambda: self._interrupted or self.stopped) as slot:
            checkout = self.sources.checkout(candidate)
            if self.sources_only:  # sources are checked out when the command runs
                return BuiltCandidate(checkout)
            kernel = self.sources.lab.kernel(
                slot,
                checkout,
                request=candidate.request,
                lean=self._lean and not candidate.debug,
            )
        self.built += not kernel.reused
        return self._with_digest(checkout, kernel)

    def _with_digest(self, checkout: Checkout, kernel: Kernel) -> BuiltCandidate:
        digest = build.loaded_digest(kernel, checkout, self.sources.lab.toolchain)
        return BuiltCandidate(checkout, kernel, digest=digest)

    def trial(self, built: BuiltCandidate, folder: Path, plan: Plan, request: Request) -> Trial:
        """Run the suites of a plan on a candidate's kernel."""
        assert built.kernel is not None
        assert built.checkout is not None
        lab = dataclasses.replace(self.sources.lab, plan=plan, request=request)
        return trial.run(lab, Built(Side.PATCHED, built.checkout, built.kernel), folder)

    def drop(self, candidate: Candidate) -> None:
        """Stop building and trying a candidate on a worker."""

    def drop_all(self) -> None:
        """Stop everything on workers."""

    def close(self) -> None:
        """Stop the current build and the thread."""
        self.stopped = True
        self.keep_only(set())
        self._pool.shutdown(wait=True, cancel_futures=True)


def _was_dropped(future: concurrent.futures.Future[BuiltCandidate]) -> bool:
    return future.done() and isinstance(future.exception(), BuildDropped)
