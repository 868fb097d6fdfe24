# SPDX-License-Identifier: GPL-2.0-only
"""Which tests are run again, and how often: each run costs a boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.lab import rerun
from harness.model import Change, ChangeKind, Outcome
from harness.progress import Progress

PASS, FAIL = Outcome.PASS, Outcome.FAIL


class Runner:
    """Stands in for what boots a guest for one test, and notes it."""

    def __init__(self, outcome: Outcome, asked: list[str]) -> None:
        self.outcome, self.asked = outcome, asked

    def rerun(self, test: str) -> Outcome:
        self.asked.append(test)
        return self.outcome


@pytest.mark.parametrize(
    ("many", "base", "patched", "base_runs", "patched_runs", "kinds"),
    [
        (1, PASS, FAIL, 2, 2, [ChangeKind.REGRESSION]),
        (1, PASS, PASS, 0, 1, [ChangeKind.FLAKY]),  # good once: the base need not be asked
        (1, FAIL, FAIL, 1, 2, [ChangeKind.FLAKY]),
        (rerun.MANY, PASS, FAIL, 2 * rerun.MANY, 2 * rerun.MANY, [ChangeKind.REGRESSION]),
        (
            rerun.MANY + 1,
            PASS,
            FAIL,
            2 * rerun.FEW,
            2 * rerun.FEW,
            [ChangeKind.REGRESSION, ChangeKind.SUSPECT],
        ),
    ],
)
def test_suspects_are_run_until_it_is_clear(
    many: int,
    base: Outcome,
    patched: Outcome,
    base_runs: int,
    patched_runs: int,
    kinds: list[ChangeKind],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, list[str]] = {"base": [], "patched": []}
    outcomes = {"base": base, "patched": patched}

    def runner(folder: Path, place: Path) -> Runner:
        return Runner(outcomes[place.name], asked[place.name])

    monkeypatch.setattr(rerun, "_retries", runner)
    suspects = [Change(f"t{n}", PASS, FAIL) for n in range(many)]
    folders = (tmp_path / "base", tmp_path / "patched")
    found = rerun.settle(suspects, folders, 2, tmp_path / "rerun", Progress(quiet=True))
    assert (len(asked["base"]), len(asked["patched"])) == (base_runs, patched_runs)
    assert list(dict.fromkeys(one.kind for one in found.changes)) == kinds
    assert [one.test for one in found.changes] == [one.test for one in suspects]


def test_nothing_is_run_where_nobody_wants_it(tmp_path: Path) -> None:
    suspects = (Change("t", PASS, FAIL), Change("u", FAIL, PASS))
    found = rerun.settle(suspects, (tmp_path, tmp_path), 0, tmp_path / "x", Progress(quiet=True))
    assert found.changes == suspects
    assert not (tmp_path / "x").exists()
