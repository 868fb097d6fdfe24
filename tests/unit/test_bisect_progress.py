# SPDX-License-Identifier: GPL-2.0-only
"""The progress shown during a search."""

from __future__ import annotations

import time

import pytest

from harness.bisect.flaky import Decision, RunCount
from harness.bisect.hunt import SearchProgress
from harness.bisect.search import GraphSearch, chain
from harness.model import Call, Candidate
from harness.progress import Progress, RowProgress, Stage


def test_the_remaining_time_is_estimated_from_the_steps_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = Progress(quiet=True)
    stage = Stage(progress, "bisect")
    shown = SearchProgress(progress, RowProgress(progress), stage, "commits")
    search = GraphSearch(chain(f"c{n}" for n in range(16)))
    search.take("c15", Call.BAD)
    clock[0] = 100  # the ends took this long
    now = Candidate("c7")
    shown.searching(search, now)
    assert stage.note == "16 commits, step 1 of 4: c7"
    assert stage.to_go == ""
    clock[0] = 280
    shown.decided(now, Decision(Call.BAD, (), RunCount(1, 1), 1.0))
    search.take("c7", Call.BAD)
    shown.searching(search, Candidate("c3"))
    assert stage.note == "8 commits, step 2 of 4: c3"
    assert stage.to_go == "about 9 minutes to go"
