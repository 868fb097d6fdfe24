# SPDX-License-Identifier: GPL-2.0-only
"""Run what looks broken again, on both kernels: only then is it a regression."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from harness import paths
from harness.model import Change, ChangeKind, Outcome, Splat
from harness.plugin import retries
from harness.progress import Progress
from harness.results import evidence, journal
from harness.results.journal import Journal

FOLDER = "rerun"  # in a run's or a check's folder
# Tests that are run again.  Where more look broken the kernel is, and it is no accident: then a few
# show it, since each costs a boot for each run.
MANY, FEW = 10, 3


@dataclasses.dataclass(frozen=True)
class Settled:
    """The changes with their outcomes on both kernels; ``splats`` are those the base then had."""

    changes: tuple[Change, ...]
    splats: tuple[Splat, ...] = ()


def settle(
    changes: Sequence[Change],
    folders: tuple[Path, Path],
    times: int,
    place: Path,
    progress: Progress,
) -> Settled:
    """Run suspects again, each alone in a fresh guest, ``times`` times on each kernel.

    ``folders`` hold what the base and the patched kernel did; they stay as they are, and what the
    new runs leave is in ``place``.  A suspect whose kernel is gone stays one, and so do those
    beyond the first MANY; of more than that only the first FEW are run.
    """
    suspects = [one for one in changes if one.kind is ChangeKind.SUSPECT]
    suspects = suspects if len(suspects) <= MANY else suspects[:FEW]
    if not (suspects and times):
        return Settled(tuple(changes))
    known: dict[str, Change] = {}
    with progress.stage("rerun", "what looks broken") as stage, paths.writing(place):
        names = ("base", "patched")
        base, patched = (
            _retries(folder, place / name) for folder, name in zip(folders, names, strict=True)
        )
        for number, one in enumerate(suspects):
            stage.update(number, len(suspects), one.test)
            here = _outcomes(patched, one.test, times, until=False)
            tried = dataclasses.replace(one, again=((), here))
            if tried.kind is ChangeKind.SUSPECT:  # else it is flaky, whatever the base does
                there = _outcomes(base, one.test, times, until=True)
                tried = dataclasses.replace(one, again=(there, here))
            known[one.test] = tried
        confirmed = sum(one.kind is ChangeKind.REGRESSION for one in known.values())
        stage.finish(f"{confirmed} of {len(suspects)} suspects confirmed as broken")
    return Settled(tuple(known.get(one.test, one) for one in changes), _splats(place / names[0]))


def _retries(folder: Path, place: Path) -> retries.Retries | None:
    """Make what runs a test of this folder again; None when its kernel is gone."""
    words, root = evidence.session(folder)
    kernel = words[words.index("--kernel") + 1] if "--kernel" in words[:-1] else ""
    if not kernel or not Path(kernel).exists():
        return None
    return retries.Retries(Journal(place), words, Path(root), None, lambda: False, lambda _: None)


def _outcomes(
    runner: retries.Retries | None, test: str, times: int, *, until: bool
) -> tuple[Outcome, ...]:
    """Run a test until it was bad (``until``) or good once, or has had its turns."""
    found: list[Outcome] = []
    for number in range(1, times + 1) if runner else ():
        assert runner is not None
        outcome = runner.again(test, number)
        if outcome is not None:
            found.append(outcome)
            if outcome.bad is until:
                break
    return tuple(found)


def _splats(place: Path) -> tuple[Splat, ...]:
    runs = (place / retries.FOLDER).glob("*")
    return tuple(splat for one in runs for test in journal.read(one) for splat in test.splats)
