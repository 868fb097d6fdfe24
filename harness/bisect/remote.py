# SPDX-License-Identifier: GPL-2.0-only
"""The candidates of a bisection on workers: as many at once as there are workers."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from harness import git
from harness.bisect.builder import (
    BuildDropped,
    BuiltCandidate,
    CandidateBuilder,
    CandidateSources,
)
from harness.cluster.driver import Cluster
from harness.cluster.trials import RemoteLab, RequestedTrial
from harness.errors import NotApplied, NotBuilt, NotConfigured
from harness.model import Candidate, Checkout, Plan, Request, Side, Trial


class RemoteCandidateBuilder(CandidateBuilder):
    """Builds candidates on workers, and tries them where they were built.

    The logs of builds go to ``place``.
    """

    def __init__(
        self, sources: CandidateSources, cluster: Cluster, place: Path, *, lean: bool
    ) -> None:
        super().__init__(sources, lean=lean)
        self.workers = len(cluster.workers)
        self._place = place
        self._pool = concurrent.futures.ThreadPoolExecutor(self.workers)
        source = sources.source
        tree = git.line(sources.repo, "rev-parse", f"{source.commit}^{{tree}}")
        base = sources.lab.base or Checkout(sources.repo, source.commit, tree)
        self._remote = RemoteLab(cluster, sources.lab, source, base)
        self._open: dict[RequestedTrial, str] = {}  # with the commit that it is about
        self._opening = threading.Lock()

    def near(self, current: Candidate, other: Candidate) -> bool:
        """Whether building ahead delays nothing: it is done on another machine."""
        return True

    def kept(self, candidate: Candidate) -> BuiltCandidate | None:
        """Return None: only the workers know what they have."""
        return None

    def keep_only(self, needed: set[Candidate]) -> None:
        """Drop queued builds that are not ``needed``."""
        with self._lock:
            for candidate, future in self._builds.items():
                if candidate not in needed:
                    future.cancel()

    def drop(self, candidate: Candidate) -> None:
        """Stop building and trying a candidate."""
        self._cancel(candidate.commit)

    def drop_all(self) -> None:
        """Stop everything on workers."""
        self._cancel(None)

    def trial(self, built: BuiltCandidate, folder: Path, plan: Plan, request: Request) -> Trial:
        """Run the suites of a plan on a candidate's kernel, preferably where it was built."""
        assert built.checkout is not None
        requested = self._remote.request(
            *(Side.PATCHED, built.checkout, folder, self._number(built.checkout)),
            plan=plan,
            lean=self._lean,
        )
        with self._tracked(requested, built.checkout.commit):
            return requested.result()[1]

    def _build(self, candidate: Candidate) -> BuiltCandidate:
        if self.stopped:
            raise BuildDropped(candidate.name)
        try:
            checkout = self._checkout(candidate)
        except NotApplied as error:
            return BuiltCandidate(fault=error)
        name = re.sub(r"[^\w.+-]+", "-", candidate.name).strip("-")[:60]
        requested = self._remote.request(
            *(Side.PATCHED, checkout, self._place / name, self._number(checkout)),
            lean=self._lean and not candidate.debug,
            boots=False,
        )
        with self._tracked(requested, checkout.commit):
            reply = requested.reply()
            try:
                built = requested.built(reply)
            except (NotBuilt, NotConfigured) as error:
                return BuiltCandidate(fault=error)
        self.built += not built.kernel.reused
        return BuiltCandidate(checkout, built.kernel, digest=reply.digest)

    def _checkout(self, candidate: Candidate) -> Checkout:
        if self.sources.patches(candidate) is None:
            return self.sources.checkout(candidate)
        with self.sources.held(lambda: self.stopped):
            return self.sources.checkout(candidate)

    def _number(self, checkout: Checkout) -> float:
        """Return a commit's place among the candidates, along the history."""
        span = f"{self.sources.source.commit}...{checkout.commit}"
        words = ("rev-list", "--left-right", "--count", span)
        older, newer = git.line(self.sources.repo, *words).split()
        return float(newer) - float(older)

    @contextlib.contextmanager
    def _tracked(self, requested: RequestedTrial, commit: str) -> Iterator[None]:
        """Let ``drop`` cancel a request during the context.  Raises BuildDropped if it does."""
        with self._opening:
            self._open[requested] = commit
        try:
            yield
        except concurrent.futures.CancelledError:
            raise BuildDropped(commit) from None
        finally:
            with self._opening:
                del self._open[requested]

    def _cancel(self, commit: str | None) -> None:
        with self._opening:
            found = [asked for asked, about in self._open.items() if commit in (None, about)]
        for requested in found:
            requested.cancel()
