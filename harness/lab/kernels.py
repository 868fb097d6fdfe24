# SPDX-License-Identifier: GPL-2.0-only
"""The lab: how the kernels of a run, a check or a bisection are found, built and run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from harness import build, git, kbuild, kconfig, paths, source, tree
from harness.adaptors import Sources
from harness.errors import BreaksBuild, NotBuilt, UsageError
from harness.guest import accel
from harness.lab import suites
from harness.model import Accel, Checkout, Kernel, Plan, Request, Series, Side, Source, Toolchain
from harness.progress import Progress

_Checkout = TypeVar("_Checkout", bound=Checkout | None)


@dataclasses.dataclass(frozen=True)
class Built:
    """A side's kernel and the checkout it was built from."""

    side: Side
    checkout: Checkout
    kernel: Kernel


@dataclasses.dataclass(frozen=True)
class Lab:
    """What all trials have in common: the plan, the options, the compiler, how guests run.

    ``accel`` is TCG if no guest will be booted.
    """

    plan: Plan
    request: Request
    toolchain: Toolchain
    accel: Accel
    progress: Progress

    @classmethod
    def of(cls, plan: Plan, progress: Progress, *, boots: bool = True) -> Lab:
        """Prepare the lab for a plan.  Raises a HarnessError if the machine cannot run it."""
        kbuild.check_place(paths.cache())
        toolchain = build.toolchain(plan.arch or None, plan.llvm)
        request = kconfig.request(
            plan.fragments, plan.assignments, plan.fragment_folders, arch=toolchain.arch
        )
        for note in kconfig.overridden(plan.fragments, plan.fragment_folders, toolchain.arch):
            progress.say(note)
        kind = accel.choose(plan.accel, progress)[0] if boots else Accel.TCG
        return cls(plan, request, toolchain, kind, progress)

    def with_suites(self, source: Source) -> Lab:
        """Add the Kconfig options that the plan's suites need of the tree to the request."""
        sources = Sources(source.repo, source.commit, self.toolchain)
        request = suites.with_options(self.request, self.plan, sources)
        return dataclasses.replace(self, request=request)

    def kept(
        self, checkout: Checkout, *, request: Request | None = None, lean: bool = False
    ) -> Kernel | None:
        """Return the kernel of a checkout from the cache, or None; ``lean``: a lean one will do."""
        key = build.key(checkout, request or self.request, self.toolchain)
        kernel = build.find(key) or (build.find(build.lean(key)) if lean else None)
        if kernel is None:
            return None
        # The same tree may have been built at another commit.
        return dataclasses.replace(kernel, commit=checkout.commit, reused=True)

    def kernel(
        self,
        slot: tree.Slot,
        checkout: Checkout,
        *,
        request: Request | None = None,
        lean: bool = False,
    ) -> Kernel:
        """Return the kernel of a checkout, from the cache or newly built.  The slot must be held.

        If ``request`` differs from the lab's, it is built in the lab's folder, where only what
        differs is compiled.  ``lean``: a lean kernel is enough, if one can be built.
        """
        wanted = request or self.request
        kept = self.kept(checkout, request=wanted, lean=lean)
        if kept is not None:
            return kept
        slot.check_out(checkout)
        # A kernel takes minutes, and is useless if its tests cannot be built.
        suites.build(self.plan, checkout, self.toolchain, self.progress)
        out = build.folder(checkout, self.request, self.toolchain)
        kconfig.configure(checkout.path, out, wanted, self.toolchain, self.progress)
        key = build.key(checkout, wanted, self.toolchain)
        if lean and build.can_be_lean(out, self.toolchain):
            key = build.lean(key)
        return build.build(
            checkout, out, key, self.toolchain, self.progress, self.plan.jobs or None
        )

    def kernels(self, start: Source) -> tuple[Built, ...]:
        """Return the kernels of the plan's sides, from the cache or newly built.

        The patched kernel is built after the base in the same folder, so that only what the series
        touches is recompiled.  If all kernels are in the cache, this does not wait for other
        builds.  Raises BreaksBuild if only the patched kernel does not build.
        """
        slot = tree.peek(start, self.progress)
        built = self._all_kept(slot) if slot else ()
        if built:
            return built
        with tree.slot(start, self.progress) as slot:
            return self._built(slot)

    def _all_kept(self, slot: tree.Slot) -> tuple[Built, ...]:
        built = []
        for side, checkout in self._sides(slot.base, slot.applied):
            kernel = checkout and self.kept(checkout)
            if not checkout or not kernel:
                return ()
            built.append(Built(side, checkout, kernel))
        return tuple(built)

    def _built(self, slot: tree.Slot) -> tuple[Built, ...]:
        built: list[Built] = []
        for side, checkout in list(self._sides(slot.base, slot.patched)):
            try:
                kernel = self.kernel(slot, checkout)
            except NotBuilt as error:
                if not built:
                    raise
                what = f"BAD: the series breaks the build: {error.what}"
                raise BreaksBuild(what, hint=error.hint, details=error.details) from error
            built.append(Built(side, checkout, kernel))
        return tuple(built)

    def _sides(
        self, base: Callable[[], _Checkout], patched: Callable[[Series], _Checkout]
    ) -> Iterator[tuple[Side, _Checkout]]:
        plan = self.plan
        if plan.series is None or not plan.patched_only:
            yield Side.BASE, base()
        if plan.series is not None:
            yield Side.PATCHED, patched(plan.series)


def find_source(plan: Plan, progress: Progress) -> Source:
    """Find the commit to start from: a user's tree at a ref, or a release."""
    if plan.tree is not None:
        start = source.from_tree(plan.tree, _base(plan, plan.tree, progress))
    elif not plan.kernel:
        raise UsageError(
            "no kernel was given", hint="--kernel 7.2 for a release, --tree DIR for a git tree"
        )
    else:
        start = source.release(plan.kernel, progress, refresh=plan.refresh)
    return dataclasses.replace(start, after=plan.series.after if plan.series else ())


def _base(plan: Plan, repo: Path, progress: Progress) -> str:
    """Return the commit of a user's tree to start from; search for it if none was given."""
    if plan.series is None or not plan.search_base or not git.commit_of(repo, "HEAD"):
        return plan.base
    with progress.stage("base", plan.series.name) as stage:
        base = tree.choose_base(repo, plan.series)
        stage.finish(str(base))
    return base.name if git.commit_of(repo, base.name) == base.commit else base.commit
