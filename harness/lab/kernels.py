# SPDX-License-Identifier: GPL-2.0-only
"""The lab: how the kernels of a run, a check or a bisection are found, built and run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import build, git, kbuild, kconfig, paths, source, tree
from harness.adaptors import Sources
from harness.errors import BreaksBuild, NotBuilt, NotConfigured, UsageError
from harness.guest import accel
from harness.lab import coverage, follow, suites
from harness.lab.plan import BOOTS, make_jobs
from harness.model import (
    NOTHING_FOLLOWED,
    Accel,
    Checkout,
    Followed,
    Kernel,
    Key,
    Plan,
    Request,
    SeriesLines,
    Side,
    Source,
    Toolchain,
)
from harness.progress import Progress


@dataclasses.dataclass(frozen=True)
class Built:
    """A side's kernel and the checkout it was built from.

    ``lines``: which lines of the series were compiled into it, if that is known.
    """

    side: Side
    checkout: Checkout
    kernel: Kernel
    lines: SeriesLines | None = None


@dataclasses.dataclass(frozen=True)
class Lab:
    """What all trials have in common: the plan, the options, the compiler, how guests run.

    ``request`` includes the options that ``followed`` from the series, which lies between the
    commits ``base`` and ``tip``; ``counted`` are the tip's objects that get counters.  ``accel`` is
    TCG if no guest will be booted.
    """

    plan: Plan
    request: Request
    toolchain: Toolchain
    accel: Accel
    progress: Progress
    followed: Followed = NOTHING_FOLLOWED
    base: Checkout | None = None
    tip: Checkout | None = None
    counted: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: Plan, progress: Progress, *, boots: bool = True) -> Lab:
        """Prepare the lab for a plan.  Raises a HarnessError if the machine cannot run it."""
        kbuild.check_place(paths.cache())
        toolchain = build.toolchain(plan.arch or None, plan.llvm)
        request = kconfig.request(
            plan.fragments, plan.assignments, plan.fragment_folders, arch=toolchain.arch
        )
        if plan.coverage:
            request = coverage.with_counters(plan, request)
        for note in kconfig.overridden(plan.fragments, plan.fragment_folders, toolchain.arch):
            progress.say(note)
        kind = accel.choose(plan.accel, progress)[0] if boots else Accel.TCG
        return cls(plan, request, toolchain, kind, progress)

    @property
    def folder_request(self) -> Request:
        """The options that build folders are named after.

        What follows from a series is left out, so that all series share a folder, unless most of
        that folder would be compiled again for it, and again for the next series.
        """
        followed = {option.name for option in self.followed.options}
        return self.request.without(followed.difference(self.followed.pervasive))

    def request_for(self, checkout: Checkout) -> Request:
        """Return the request without options that the checkout's Kconfig cannot have."""
        return self.request if checkout.patches else self.request.without(self.followed.new)

    def folder(self, checkout: Checkout) -> Path:
        """Return the build folder, in which only what differs is compiled."""
        return build.folder(checkout, self.folder_request, self.toolchain)

    def following(
        self, slot: tree.Slot, base: Checkout, tip: Checkout, *, held: bool
    ) -> Lab | None:
        """Return the lab for the commits from ``base`` to ``tip``, with the options they need.

        Without a ``held`` slot this may be unknown: None.
        """
        series, lab = self.plan.series, dataclasses.replace(self, base=base, tip=tip)
        if self.plan.coverage:
            tree_at_tip = functools.partial(slot.check_out, tip) if held else None
            counted = follow.counted(base, tip, self.toolchain, tree_at_tip)
            if counted is None:
                return None
            lab = dataclasses.replace(lab, counted=counted)
        if self.plan.no_follow or series is None:
            return lab

        return lab._follow(slot, held=held)

    def _follow(
        self, slot: tree.Slot, *, held: bool, left_out: tuple[tuple[str, str], ...] = ()
    ) -> Lab | None:
        """Return the lab with what its series needs, but for the files ``left_out``.

        Without a ``held`` slot this may be unknown: None.
        """
        series, base, tip = self.plan.series, self.base, self.tip
        assert series
        assert base
        assert tip

        def config() -> Mapping[str, str] | None:
            if kept := self.kept(base):
                return kconfig.values(kept.config.read_text())
            return self._configured(slot, base, tip) if held else None

        found = follow.followed(
            base, tip, self.request, self.toolchain, series.follow, config, left_out
        )
        if found is None:
            return None
        if held and not left_out:
            follow.show(found, self.progress)
        names = [option.name for option in found.options]
        found = dataclasses.replace(found, pervasive=build.pervasive(self.folder(base), names))
        request = Request((*self.request.options, *found.options))
        return dataclasses.replace(self, request=request, followed=found)

    def buildable(self, slot: tree.Slot, *, lean: bool = False) -> Lab:
        """Return the lab without the options that followed and with which the base does not build.

        Kconfig allows more than it should: a driver of another architecture may be compiled for a
        test, and not be linked.  Any other fault of the base is left to whoever builds it.  The
        slot must be held.
        """
        lab = self
        while lab.followed.options and lab.base and lab.tip:
            try:
                lab.kernel(slot, lab.base, lean=lean)
            except NotConfigured:
                break
            except NotBuilt as error:
                messages = error.details or error.what
                changed = [file.path for file in follow.changed(lab.base, lab.tip)]
                files = follow.unbuildable(changed, lab.followed, messages)
                if not files:
                    break
                why = f"the base does not build with its options: {follow.main_message(messages)}"
                lab = lab._without(slot, tuple((file, why) for file in files))
            else:
                break
        return lab

    def _without(self, slot: tree.Slot, files: tuple[tuple[str, str], ...]) -> Lab:
        """Return the lab without what follows from these files, which come with the reason."""
        for file, why in files:
            self.progress.say(f"{file} is left out: {why}")
        names = {option.name for option in self.followed.options}
        plain = dataclasses.replace(
            self, request=self.request.without(names), followed=NOTHING_FOLLOWED
        )
        left_out = (*self.followed.left_out, *files)
        return plain._follow(slot, held=True, left_out=left_out) or plain

    def _configured(self, slot: tree.Slot, base: Checkout, tip: Checkout) -> dict[str, str]:
        """Configure the base, or the tip if an option only exists there; return the values.

        What was requested may need options that the series needs too, and so be missing yet: if it
        is in the end, the build says why.
        """
        found: dict[str, str] = {}
        for checkout in (base, tip):
            slot.check_out(checkout)
            with contextlib.suppress(NotConfigured):
                out = self.folder(checkout)
                found = kconfig.attempt(checkout.path, out, self.request, self.toolchain)
                missing = kconfig.compare(self.request, (out / ".config").read_text())
                if all(difference.option.optional for difference in missing):
                    break
        return found

    def with_suites(self, source: Source, *, test: str = "", suggesting: bool = False) -> Lab:
        """Add the Kconfig options that the plan's suites need of the tree to the request.

        ``test`` is run too; it may be of another suite.  ``suggesting``: a series without suites of
        its own gets those of the tree that fit it.
        """
        sources, plan = Sources(source.repo, source.commit, self.toolchain), self.plan
        words = (*plan.suites, test) if test else plan.suites
        request = suites.with_options(self.request, words, sources)
        if suggesting:
            found = suites.for_plan(plan, sources, self.progress)
            names = tuple(suite.name for suite in found)
            plan = dataclasses.replace(plan, suites=(*plan.suites, *names) or (str(BOOTS),))
            request = suites.with_more(request, [o for suite in found for o in suite.options])
        return dataclasses.replace(self, plan=plan, request=request)

    def _key(self, checkout: Checkout, request: Request) -> Key:
        """Return the key of a checkout's kernel; with --coverage, that of the tip has counters."""
        is_tip = self.tip is not None and self.tip.tree == checkout.tree
        return build.key(checkout, request, self.toolchain, self.counted if is_tip else ())

    def kept(
        self, checkout: Checkout, *, request: Request | None = None, lean: bool = False
    ) -> Kernel | None:
        """Return the kernel of a checkout from the cache, or None; ``lean``: a lean one will do."""
        key = self._key(checkout, request or self.request_for(checkout))
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
        wanted = request or self.request_for(checkout)
        kept = self.kept(checkout, request=wanted, lean=lean)
        if kept is not None and (lean or not self._lacks_lines(checkout, kept)):
            return kept
        return self.build(slot, checkout, wanted, lean=lean)

    def build(
        self, slot: tree.Slot, checkout: Checkout, wanted: Request, *, lean: bool = False
    ) -> Kernel:
        """Build the kernel of a checkout with these options.  The slot must be held."""
        slot.check_out(checkout)
        # A kernel takes minutes, and is useless if its tests cannot be built.
        suites.build(self.plan, checkout, self.toolchain, self.progress)
        out = self.folder(checkout)
        kconfig.configure(checkout.path, out, wanted, self.toolchain, self.progress)
        key = self._key(checkout, wanted)
        if lean and build.can_be_lean(out, self.toolchain):
            key = build.lean(key)
        kernel = build.build(
            checkout, out, key, self.toolchain, self.progress, make_jobs(self.plan)
        )
        if self.base and self.tip and self.tip.tree == checkout.tree:
            follow.find_lines(self.base, checkout, kernel, out, self.toolchain)
        return kernel

    def _lacks_lines(self, checkout: Checkout, kernel: Kernel) -> bool:
        """Whether a kept kernel is the tip's and nobody knows which lines are compiled in it.

        Only a build folder with that very build can tell, so it has to be made again.
        """
        is_tip = self.base and self.tip and self.tip.tree == checkout.tree
        return bool(is_tip) and self.lines(kernel) is None

    def lines(self, kernel: Kernel) -> SeriesLines | None:
        """Return which lines of the series are in the kernel of the tip; None if not known."""
        return follow.kept_lines(self.base, kernel) if self.base else None

    def kernels(self, start: Source) -> tuple[Lab, tuple[Built, ...]]:
        """Return the kernels of the plan's sides, from the cache or newly built, and their lab.

        The patched kernel is built after the base in the same folder, so that only what the series
        touches is recompiled.  If all kernels are in the cache, this does not wait for other
        builds.  Raises BreaksBuild if only the patched kernel does not build.
        """
        slot = tree.peek(start, self.progress)
        kept = self._all_kept(slot) if slot else None
        if kept:
            follow.show(kept[0].followed, self.progress)
            return kept
        with tree.slot(start, self.progress) as slot:
            return self._built(slot)

    def _all_kept(self, slot: tree.Slot) -> tuple[Lab, tuple[Built, ...]] | None:
        series, base = self.plan.series, slot.base()
        tip = slot.applied(series) if series else None
        if series and not tip:
            return None
        lab = self.following(slot, base, tip, held=False) if tip else self
        if lab is None:
            return None
        built = []
        for side, checkout in lab._sides(base, tip):
            kernel = lab.kept(checkout)
            if kernel is None or lab._lacks_lines(checkout, kernel):
                return None
            built.append(lab._with_lines(side, checkout, kernel))
        return lab, tuple(built)

    def checkouts(self, start: Source) -> tuple[Lab, tuple[tuple[Side, Checkout], ...]]:
        """Return the commits of the plan's sides, whose kernels others build, and their lab."""
        with tree.slot(start, self.progress) as slot:
            base = slot.base()
            tip = slot.patched(self.plan.series) if self.plan.series else None
            lab = (self.following(slot, base, tip, held=True) if tip else None) or self
        return lab, tuple(lab._sides(base, tip))

    def _built(self, slot: tree.Slot) -> tuple[Lab, tuple[Built, ...]]:
        base = slot.base()
        tip = slot.patched(self.plan.series) if self.plan.series else None
        lab = (self.following(slot, base, tip, held=True) if tip else None) or self
        if not self.plan.patched_only:
            lab = lab.buildable(slot)
        built: list[Built] = []
        for side, checkout in lab._sides(base, tip):
            try:
                kernel = lab.kernel(slot, checkout)
            except NotBuilt as error:
                if not built:
                    raise
                raise breaks_build(error) from error
            built.append(lab._with_lines(side, checkout, kernel))
        return lab, tuple(built)

    def _with_lines(self, side: Side, checkout: Checkout, kernel: Kernel) -> Built:
        lines = self.lines(kernel) if side is Side.PATCHED else None
        return Built(side, checkout, kernel, lines)

    def _sides(self, base: Checkout, tip: Checkout | None) -> Iterator[tuple[Side, Checkout]]:
        if tip is None or not self.plan.patched_only:
            yield Side.BASE, base
        if tip is not None:
            yield Side.PATCHED, tip


def breaks_build(error: NotBuilt) -> BreaksBuild:
    """Return the error for a patched kernel that does not build, although its base does."""
    what = f"BAD: the series breaks the build: {error.what}"
    return BreaksBuild(what, hint=error.hint, details=error.details)


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
