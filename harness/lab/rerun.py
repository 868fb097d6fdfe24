# SPDX-License-Identifier: GPL-2.0-only
"""Rerun suspected regressions on both kernels: only tests that stay broken are regressions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from harness import paths
from harness.model import Change, ChangeKind, Outcome, Splat
from harness.plugin import retries
from harness.progress import Progress
from harness.results import evidence, journal
from harness.results.journal import Journal

FOLDER = "rerun"  # in a run's or a check's folder
# How many tests are rerun.  If more than MANY look broken, the kernel itself is broken: a few
# reruns are enough to show that, and each costs a boot.
MANY, FEW = 10, 3


@dataclasses.dataclass(frozen=True)
class Settled:
    """The changes with the outcomes of their reruns; ``splats`` are from reruns on the base."""

    changes: tuple[Change, ...]
    splats: tuple[Splat, ...] = ()


class TestRunner(Protocol):
    """Runs single tests of a trial again."""

    def rerun(self, test: str) -> Outcome | None:
        """Run a test in its own guest; return None in case of a host fault."""


def settle(
    changes: Sequence[Change],
    folders: tuple[Path, Path],
    times: int,
    place: Path,
    progress: Progress,
    runners: Callable[[Path, Path], TestRunner | None] | None = None,
) -> Settled:
    """Rerun each suspect alone in a fresh guest, ``times`` times on each kernel.

    ``folders`` hold the evidence of the base and the patched kernel and are not changed; the
    evidence of the reruns goes to ``place``.  A suspect whose kernel is gone stays a suspect.  If
    there are more than MANY suspects, only the first FEW are rerun; the others stay suspects.
    ``runners`` returns what reruns the tests of a folder, with its evidence in another one; None
    if its kernel is gone.  By default that is this machine.
    """
    suspects = [change for change in changes if change.kind is ChangeKind.SUSPECT]
    suspects = suspects if len(suspects) <= MANY else suspects[:FEW]
    if not (suspects and times):
        return Settled(tuple(changes))
    rerun: dict[str, Change] = {}
    with progress.stage("rerun", "suspected regressions") as stage, paths.writing(place):
        on_base = (runners or _retries)(folders[0], place / "base")
        on_patched = (runners or _retries)(folders[1], place / "patched")
        for number, suspect in enumerate(suspects):
            stage.update(number, len(suspects), suspect.test)
            patched = _outcomes(on_patched, suspect.test, times, until_bad=False)
            change = dataclasses.replace(suspect, again=((), patched))
            if change.kind is ChangeKind.SUSPECT:  # otherwise it is flaky, regardless of the base
                base = _outcomes(on_base, suspect.test, times, until_bad=True)
                change = dataclasses.replace(suspect, again=(base, patched))
            rerun[suspect.test] = change
        confirmed = sum(change.kind is ChangeKind.REGRESSION for change in rerun.values())
        stage.finish(f"{confirmed} of {len(suspects)} suspects confirmed as broken")
    return Settled(
        tuple(rerun.get(change.test, change) for change in changes), _splats(place / "base")
    )


def _retries(folder: Path, place: Path) -> retries.Retries | None:
    """Prepare reruns of the tests in a trial's folder; None if its kernel is gone."""
    started = evidence.session(folder)
    if started is None or started.kernel is None or not started.kernel.exists():
        return None
    argv, root = evidence.rerun_command(folder, started), Path(started.root)
    return retries.Retries(Journal(place), argv, root, None, lambda: False, lambda _: None)


def _outcomes(
    runner: TestRunner | None, test: str, times: int, *, until_bad: bool
) -> tuple[Outcome, ...]:
    """Run a test at most ``times`` times, until it is bad (or good) once."""
    outcomes: list[Outcome] = []
    if runner is not None:
        for _ in range(times):
            outcome = runner.rerun(test)
            if outcome is not None:
                outcomes.append(outcome)
                if outcome.bad is until_bad:
                    break
    return tuple(outcomes)


def _splats(place: Path) -> tuple[Splat, ...]:
    trials = (place / retries.FOLDER).glob("*")
    return tuple(splat for trial in trials for test in journal.read(trial) for splat in test.splats)
