# SPDX-License-Identifier: GPL-2.0-only
"""Builds ahead of their turn: never across a header that everything includes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import faketree
import pytest

from harness.bisect.builder import CandidateBuilder
from harness.model import Candidate, Source


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    tree = faketree.make(tmp_path / "linux")
    return [
        faketree.commit(tree, name, {name: f"/* {number} */\n"})
        for number, name in enumerate(("fs/a.c", "include/linux/a.h", "Documentation/a.rst"))
    ]


@pytest.fixture
def builder(tmp_path: Path, commits: list[str]) -> Iterator[CandidateBuilder]:
    sources = SimpleNamespace(
        repo=tmp_path / "linux",
        source=Source(tmp_path / "linux", faketree.TAG, "it"),
        lab=SimpleNamespace(toolchain=SimpleNamespace(arch="x86_64")),
    )
    made = CandidateBuilder(sources)  # type: ignore[arg-type]
    yield made
    made.close()


def test_commits_with_a_shared_header_between_them_are_not_near(
    builder: CandidateBuilder, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Candidate] = []
    monkeypatch.setattr(builder, "kept", lambda one: one if one in kept else None)
    base, *some = (Candidate(name, name) for name in ("", *commits))
    near = [builder.near(one, other) for one, other in zip((base, *some), some, strict=False)]
    assert near == [True, False, True]
    assert builder.near(some[2], base) is False
    kept.append(some[0])
    assert builder.near(some[1], some[0]) is True  # nothing to compile at all
