# SPDX-License-Identifier: GPL-2.0-only
"""The commits of a series, one after another, as far as they apply."""

from __future__ import annotations

import dataclasses

from harness import git, tree
from harness.errors import NotApplied
from harness.model import Checkout, Series


@dataclasses.dataclass(frozen=True)
class Steps:
    """The base and a checkout for each patch that applies; ``trouble`` is that of the next one."""

    base: Checkout
    patched: tuple[Checkout, ...]
    trouble: NotApplied | None = None

    @property
    def tip(self) -> Checkout:
        """The last one that applies."""
        return self.patched[-1] if self.patched else self.base


def apply(slot: tree.Slot, series: Series) -> Steps:
    """Apply a series as far as it goes."""
    base = slot.base()
    try:
        return Steps(base, _each(slot, slot.patched(series)))
    except NotApplied as error:
        trouble = error
    done: tuple[Checkout, ...] = ()
    for number in range(1, len(series.patches)):
        part = dataclasses.replace(
            series, patches=series.patches[:number], digest=f"{series.digest}/{number}"
        )
        try:
            done = _each(slot, slot.patched(part))
        except NotApplied:
            break
    return Steps(base, done, trouble)


def _each(slot: tree.Slot, whole: Checkout) -> tuple[Checkout, ...]:
    commits = [commit for commit, _ in whole.patches]
    trees = git.line(slot.path, "show", "-s", "--format=%T", *commits).split()
    return tuple(
        Checkout(slot.path, commit, trees[number], whole.patches[: number + 1])
        for number, commit in enumerate(commits)
    )


def renames(slot: tree.Slot, steps: Steps) -> dict[str, str]:
    """Give the later name of each file that the series moves."""
    words = ("diff-tree", "-r", "-M", "-z", "--diff-filter=R", "--name-status")
    said = git.run(slot.path, *words, steps.base.commit, steps.tip.commit).stdout.split("\0")
    return dict(zip(said[1::3], said[2::3], strict=False))
