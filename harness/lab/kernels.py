# SPDX-License-Identifier: GPL-2.0-only
"""From a plan to built kernels: source, tree, kconfig and build in a row, each only if needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from harness import build, git, kconfig, source, tree
from harness.errors import BreaksBuild, NotBuilt, UsageError
from harness.lab.plan import Plan
from harness.model import Checkout, Kernel, Request, Series, Side, Source, Toolchain
from harness.progress import Progress

_Known = TypeVar("_Known", bound=Checkout | None)


@dataclasses.dataclass(frozen=True)
class Built:
    """A side's kernel and the checkout it was made from."""

    side: Side
    checkout: Checkout
    kernel: Kernel


def find_source(plan: Plan, progress: Progress) -> Source:
    """Get the commit to start from: a user's tree at a ref, or a release."""
    if plan.tree is not None:
        return source.from_tree(plan.tree, _base(plan, plan.tree, progress))
    if not plan.kernel:
        raise UsageError(
            "no kernel was named", hint="--kernel 7.2 for a release, --tree DIR for a git tree"
        )
    return source.release(plan.kernel, progress, refresh=plan.refresh)


def _base(plan: Plan, repo: Path, progress: Progress) -> str:
    """Name the commit of a person's tree to start from; where nobody did, it is looked for."""
    if plan.series is None or not plan.search_base or not git.run(
        repo, "rev-parse", "--verify", "HEAD^{commit}", check=False
    ).ok:  # fmt: skip
        return plan.base
    with progress.stage("base", plan.series.name) as stage:
        found = tree.choose_base(repo, plan.series)
        stage.finish(str(found))
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{found.name}^{{commit}}")
    known = git.run(repo, *words, check=False).stdout.strip()
    return found.name if known == found.commit else found.commit


def ask(plan: Plan, toolchain: Toolchain) -> Request:
    """Read the options asked for."""
    return kconfig.request(
        plan.fragments, plan.assignments, plan.fragment_folders, arch=toolchain.arch
    )


def make(
    plan: Plan, start: Source, request: Request, toolchain: Toolchain, progress: Progress
) -> tuple[Built, ...]:
    """Give the kernels of the plan's sides, built where the cache does not have them.

    The patched one is built after the base in the same folder, so that only what the series
    touches is compiled again.  Kernels that are all kept wait for nobody who builds.
    """
    known = _kept(plan, start, request, toolchain, progress)
    if known:
        return known
    with tree.slot(start, progress) as slot:
        found: list[Built] = []
        for side, checkout in list(_sides(plan, slot.base, slot.patched)):
            try:
                made = kernel(plan, slot, checkout, request, toolchain, progress)
            except NotBuilt as error:
                if not found:
                    raise
                what = f"BAD: the series breaks the build: {error.what}"
                raise BreaksBuild(what, hint=error.hint, details=error.details) from error
            found.append(Built(side, checkout, made))
        return tuple(found)


def _sides(
    plan: Plan, base: Callable[[], _Known], patched: Callable[[Series], _Known]
) -> Iterator[tuple[Side, _Known]]:
    """Give the plan's sides in their order, each with what its function says of it."""
    if plan.with_base or plan.series is None:
        yield Side.BASE, base()
    if plan.series is not None:
        yield Side.PATCHED, patched(plan.series)


def _kept(
    plan: Plan, start: Source, request: Request, toolchain: Toolchain, progress: Progress
) -> tuple[Built, ...]:
    """Give the kernels of the plan's sides if earlier runs made all of them, else none."""
    slot = tree.peek(start, progress)
    if slot is None:
        return ()
    found = []
    for side, checkout in _sides(plan, slot.base, slot.applied):
        kept = checkout and find(checkout, request, toolchain)
        if not checkout or not kept:
            return ()
        found.append(Built(side, checkout, kept))
    return tuple(found)


def kernel(
    plan: Plan,
    slot: tree.Slot,
    checkout: Checkout,
    request: Request,
    toolchain: Toolchain,
    progress: Progress,
    *,
    near: Request | None = None,
    lean: bool = False,
) -> Kernel:
    """Give the kernel of one checkout: a kept one, or built now.  The slot must be held.

    With ``near`` it is built in that request's folder, where only what differs is compiled.  With
    ``lean`` a lean one will do, where there can be one.
    """
    kept = find(checkout, request, toolchain, lean=lean)
    if kept is not None:
        return kept
    slot.check_out(checkout)
    out = build.folder(checkout, near or request, toolchain)
    kconfig.configure(checkout.path, out, request, toolchain, progress)
    key = build.key(checkout, request, toolchain)
    if lean and build.can_be_lean(out, toolchain):
        key = build.lean(key)
    return build.build(checkout, out, key, toolchain, progress, plan.jobs or None)


def find(
    checkout: Checkout, request: Request, toolchain: Toolchain, *, lean: bool = False
) -> Kernel | None:
    """Give the kept kernel of one checkout; with ``lean`` also a lean one."""
    key = build.key(checkout, request, toolchain)
    kept = build.find(key) or (build.find(build.lean(key)) if lean else None)
    return _at(kept, checkout) if kept else None


def _at(kept: Kernel, checkout: Checkout) -> Kernel:
    # The same tree may have been built at another commit.
    return dataclasses.replace(kept, commit=checkout.commit, reused=True)
