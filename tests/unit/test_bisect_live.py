# SPDX-License-Identifier: GPL-2.0-only
"""What is said while a search goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.bisect import live
from harness.bisect.search import Search, chain
from harness.bisect.sequential import Count, Decision
from harness.bisect.values import Call, Candidate


def test_the_time_to_go_is_that_of_steps_and_not_of_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    stage = SimpleNamespace(update=lambda done, total, words: said.append(words))
    progress = SimpleNamespace(live=False, event=lambda *_: None)
    one = live.Live(cast(Any, progress), cast(Any, SimpleNamespace()), cast(Any, stage), "commits")
    search = Search(chain(f"c{n}" for n in range(16)))
    search.take("c15", Call.BAD)
    clock[0] = 100  # so long the ends took
    now = Candidate("c7")
    one.searching(search, now)
    assert said == ["16 commits, step 1 of 4: c7"]
    clock[0] = 110
    one.decided(now, Decision(Call.BAD, (), Count(1, 1), 1.0))
    search.take("c7", Call.BAD)
    one.searching(search, Candidate("c3"))
    assert said[1] == "8 commits, step 2 of 4, about 30s to go: c3"
