# SPDX-License-Identifier: GPL-2.0-only
"""The driver of workers with a scheduler that fails."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from patience import PATIENCE

from harness.cluster.driver import Cluster
from harness.cluster.placement import KnownWorker
from harness.cluster.request import TrialRequest
from harness.model import Toolchain
from harness.progress import Progress


class Unforeseen(Exception):
    pass


class Broken:
    """A client of Dask that fails in a way that nobody foresaw."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None

    @property
    def status(self) -> str:
        """Whether it is connected."""
        raise Unforeseen("of the client")


@pytest.fixture
def wanted() -> TrialRequest:
    plan = types.SimpleNamespace(memory=0)
    made = types.SimpleNamespace(
        text="{}", plan=plan, toolchain=Toolchain("x86_64", "gcc", "12"), boots=False, config="c"
    )
    return cast(TrialRequest, made)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with Cluster(Broken(), Progress(quiet=True), {}).working() as one:
        yield one


def test_what_nobody_foresaw_reaches_whoever_waits(
    cluster: Cluster, wanted: TrialRequest, tmp_path: Path
) -> None:
    first = cluster.submit(wanted, (b"", b""), 0, tmp_path / "first")
    with pytest.raises(Unforeseen, match="of the client"):
        first.result(PATIENCE)
    later = cluster.submit(wanted, (b"", b""), 0, tmp_path / "later")
    with pytest.raises(Unforeseen, match="of the client"):
        later.result(PATIENCE)


class Silent:
    """A client of Dask whose scheduler does not answer."""

    status = "running"

    def run_on_scheduler(self, *_: object) -> set[str]:
        raise AttributeError("'NoneType' object has no attribute 'run_function'")


def test_a_scheduler_that_does_not_answer_has_lost_no_workers() -> None:
    client = Silent()
    cluster = Cluster(client, Progress(quiet=True), {})
    cluster.workers["tcp://a"] = KnownWorker("tcp://a", "w0", {"trial": 1.0})
    for _ in range(20):
        cluster._forget_lost()
    assert "tcp://a" in cluster.workers
    client.status = "closed"
    for _ in range(20):
        cluster._forget_lost()
    assert not cluster.workers


def test_what_nobody_foresaw_reaches_whoever_waits_for_workers(cluster: Cluster) -> None:
    with pytest.raises(Unforeseen, match="of the client"):
        cluster.wait(1)
