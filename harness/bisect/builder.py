# SPDX-License-Identifier: GPL-2.0-only
"""From a candidate to its sources and its kernel, built by the lab that every verb uses."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import architectures, build, git, tree
from harness.errors import NotApplied, NotBuilt, NotConfigured, Untestable
from harness.lab.kernels import Lab
from harness.model import Candidate, Checkout, Kernel, Series, Source
from harness.process import interrupt_all


@dataclasses.dataclass(frozen=True)
class CandidateSources:
    """The sources of the candidates, and the lab that builds and runs them.

    ``repo`` is the repository in our cache, which has all commits; its worktree is ``held`` only
    while it is needed, or all the time, as ``slot``.  ``series`` goes on top of every candidate
    that does not choose patches of its own.
    """

    lab: Lab
    repo: Path
    source: Source
    series: Series | None = None
    slot: tree.Slot | None = None
    turn: threading.Lock = dataclasses.field(default_factory=threading.Lock)  # of our threads

    @contextlib.contextmanager
    def held(self, stop: Callable[[], bool] = bool) -> Iterator[tree.Slot]:
        """Hold the worktree; another run may take it in between.  See paths.lock for ``stop``."""
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
        start = dataclasses.replace(self.source, commit=commit, name=commit[:12])
        slot = tree.Slot(self.repo, start, self.lab.progress)
        series = self.patches(candidate)
        return slot.base() if series is None else slot.patched(series)

    def patches(self, candidate: Candidate) -> Series | None:
        """Return the part of the series that goes on top of a candidate; None for no patch."""
        series = self.series
        if series is None or candidate.patches is None:
            return series
        chosen = tuple(patch for patch in series.patches if patch.number in candidate.patches)
        if len(chosen) == len(series.patches):
            return series
        digest = f"{series.digest}/{','.join(map(str, candidate.patches))}"
        return dataclasses.replace(series, patches=chosen, digest=digest) if chosen else None

    def may_use(self) -> Callable[[str], bool]:
        """Return what tells whether the last built kernel may depend on a file of the sources."""
        base = tree.Slot(self.repo, self.source, self.lab.progress).base()
        return build.may_use(build.folder(base, self.lab.request, self.lab.toolchain), base.path)


@dataclasses.dataclass(frozen=True)
class BuiltCandidate:
    """A candidate's kernel, or the ``fault`` why there is none.

    Two kernels with the same ``digest`` run the same code.
    """

    checkout: Checkout | None = None
    kernel: Kernel | None = None
    fault: Untestable | None = None
    digest: str = ""


class BuildDropped(Exception):
    """A build was stopped because its kernel is not needed any more."""


class CandidateBuilder:
    """Builds candidates one at a time in a thread of its own, each once.

    Builds that are not needed any more leave the queue, or are stopped; make continues there the
    next time.  ``sources_only``: no kernel is built.  ``lean``: a lean kernel is enough for
    candidates that do not ask for debug info.
    """

    def __init__(
        self, sources: CandidateSources, *, sources_only: bool = False, lean: bool = False
    ) -> None:
        self.sources, self.sources_only, self._lean = sources, sources_only, lean
        self.built, self.stopped = 0, False
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._builds: dict[Candidate, concurrent.futures.Future[BuiltCandidate]] = {}
        self._near: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()
        self._current: tuple[Candidate, int] | None = None  # and its thread
        self._interrupted = False  # the current build, whose outcome means nothing then

    def begin(self, candidate: Candidate) -> concurrent.futures.Future[BuiltCandidate]:
        """Build a candidate, now or when its turn comes."""
        with self._lock:
            future = self._builds.get(candidate)
            if future is None or future.cancelled() or _was_dropped(future):
                self._builds[candidate] = self._pool.submit(self._build, candidate)
            return self._builds[candidate]

    @property
    def idle(self) -> bool:
        """Whether nothing is being built or waits for it."""
        return all(future.done() for future in self._builds.values())

    def near(self, current: Candidate, other: Candidate) -> bool:
        """Whether building ``other`` after ``current`` compiles little: no shared header differs.

        Otherwise a build ahead of its turn costs more than waiting for it.  A kernel in the cache
        is always near.
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
        """Wait for the build of a candidate.  Raises BuildDropped when everything stops."""
        while not self.stopped:
            try:
                return self.begin(candidate).result()
            except (BuildDropped, concurrent.futures.CancelledError):
                continue  # stopped while it was not needed, and needed again
        raise BuildDropped(candidate.name)

    def ready(self, candidate: Candidate) -> bool:
        """Whether a candidate is built."""
        future = self._builds.get(candidate)
        return bool(future and future.done() and not future.cancelled() and not future.exception())

    def kept(self, candidate: Candidate) -> BuiltCandidate | None:
        """Return a kernel from the cache; the worktree need not be held."""
        if self.sources_only or self.sources.patches(candidate) is not None:
            return None  # to apply patches it must be held
        checkout = self.sources.checkout(candidate)
        kernel = self.sources.lab.kept(
            checkout, request=candidate.request, lean=self._lean and not candidate.debug
        )
        return self._with_digest(checkout, kernel) if kernel else None

    def keep_only(self, needed: set[Candidate]) -> None:
        """Drop the builds that are waiting or running and not needed."""
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
            if self.sources_only:  # checked out when the command looks at them
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

    def close(self) -> None:
        """End the thread, and the build in it."""
        self.stopped = True
        self.keep_only(set())
        self._pool.shutdown(wait=True, cancel_futures=True)


def _was_dropped(future: concurrent.futures.Future[BuiltCandidate]) -> bool:
    return future.done() and isinstance(future.exception(), BuildDropped)
