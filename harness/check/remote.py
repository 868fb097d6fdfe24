# SPDX-License-Identifier: GPL-2.0-only
"""The kernels of a check on workers: all commits at once, each worker going through neighbours.

A worker builds a commit and runs its tests in one trial, so the trial of a patch has begun before
the check asks for its kernel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from harness import tree
from harness.check.builds import Build, Builder, errors
from harness.check.extra_warnings import WARN
from harness.cluster.driver import Cluster
from harness.cluster.trials import RemoteLab, RemoteRetries, RequestedTrial
from harness.errors import NotBuilt, NotConfigured
from harness.lab.kernels import Lab
from harness.lab.plan import with_tests
from harness.model import Checkout, Side, Trial


class RemoteBuilder(Builder):
    """Builds the commits of a series on workers, and with ``boots`` runs their suites.

    ``place`` is the folder of the check, which has one folder for each commit.
    """

    def __init__(
        self,
        cluster: Cluster,
        lab: Lab,
        slot: tree.Slot,
        commits: Sequence[Checkout],
        place: Path,
        *,
        boots: bool,
    ) -> None:
        # A worker may get any of the commits first, so it builds each of them with W=1.
        compiler = dataclasses.replace(lab.toolchain, words=(*lab.toolchain.words, *WARN))
        lab = dataclasses.replace(lab, toolchain=compiler)
        super().__init__(lab, slot, warn=False)
        self._place, self._commits = place, commits
        own = dataclasses.replace(self.lab, plan=with_tests(self.lab.plan))
        # The check holds the worktree throughout, so workers have one of their own.
        self._remote = RemoteLab(cluster, own, slot.source, commits[0], shared=False)
        self._requested: dict[str, RequestedTrial] = {}
        for number, checkout in enumerate(commits):
            self._requested[checkout.commit] = self._remote.request(
                Side.PATCHED if number else Side.BASE,
                checkout,
                place / (str(number) if number else "base"),
                number,
                keep=number < len(commits) - 1,
                boots=boots,
            )

    def build(self, checkout: Checkout, previous: Checkout | None = None) -> Build:
        """Wait for a commit's kernel; if it cannot be configured or built, return the errors."""
        requested = self._requested[checkout.commit]
        reply = requested.reply()
        try:
            built = requested.built(reply)
        except (NotBuilt, NotConfigured) as error:
            return Build(checkout, None, errors(error))
        return Build(checkout, built.kernel, digest=reply.digest, lines=built.lines)

    def trial(self, checkout: Checkout) -> Trial:
        """Wait for the trial of a commit.  Raises the HarnessError that ended it."""
        return self._requested[checkout.commit].result()[1]

    def again(self, tests: Sequence[str], folder: Path) -> RequestedTrial:
        """Start running only ``tests`` on the last commit."""
        plan = dataclasses.replace(self._remote.lab.plan, suites=tuple(tests))
        last = self._commits[-1]
        return self._remote.request(Side.PATCHED, last, folder, len(self._commits), plan=plan)

    def runners(self, folder: Path, place: Path) -> RemoteRetries:
        """Return what reruns the tests of a commit's folder."""
        number = 0 if folder.name == "base" else int(folder.name)
        side = Side.PATCHED if number else Side.BASE
        return RemoteRetries(self._remote, side, self._commits[number], place)
