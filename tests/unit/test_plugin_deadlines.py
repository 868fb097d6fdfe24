# SPDX-License-Identifier: GPL-2.0-only
"""The deadlines of tests and of the run."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from patience import PATIENCE

from harness.guest import GuestHandle, GuestSpec
from harness.plugin.deadlines import DeadlineWatch
from harness.plugin.fleet import Fleet
from harness.plugin.host import HostSide


@pytest.fixture
def reported() -> list[object]:
    return []


def watch(
    reported: list[object], test_deadline: float, run_deadline: float = 0.0
) -> tuple[DeadlineWatch, threading.Event]:
    came = threading.Event()

    def late(guest: str, test: str) -> None:
        reported.append((guest, test))
        came.set()

    def over() -> None:
        reported.append("over")
        came.set()

    return DeadlineWatch(test_deadline, run_deadline, late, over), came


def test_a_late_test_is_reported_once(reported: list[object]) -> None:
    clock, came = watch(reported, 0.01)
    clock.started("guest0", "a")
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == [("guest0", "a")]
    assert clock.late == {("guest0", "a"): 0.01}


def test_a_test_can_have_a_shorter_deadline_of_its_own(reported: list[object]) -> None:
    came = threading.Event()

    def late(*guest_and_test: str) -> None:
        reported.append(guest_and_test)
        came.set()

    own = {"a": 0.01}
    clock = DeadlineWatch(PATIENCE, 0.0, late, reported.clear, own=lambda test: own.get(test, 0.0))
    clock.started("guest0", "b")
    clock.started("guest1", "a")
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == [("guest1", "a")]


def test_a_finished_test_is_never_late(reported: list[object]) -> None:
    clock, _ = watch(reported, PATIENCE)
    clock.started("guest0", "a")
    clock.finished("guest0")
    clock.started("guest1", "b")
    clock.finished("guest1")
    assert (clock.at("guest0"), clock.before["guest0"]) == ("", "a")
    clock.close()
    assert reported == []


def test_the_run_has_a_deadline_too(reported: list[object]) -> None:
    clock, came = watch(reported, 0.0, 0.01)
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == ["over"]


def test_collecting_has_a_deadline_too(reported: list[object]) -> None:
    came = threading.Event()

    def late(guest: str, test: str) -> None:
        reported.append((guest, test))
        came.set()

    clock = DeadlineWatch(0.0, 0.0, late, came.set, 0.01)
    clock.busy("guest0")
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == [("guest0", "")]


def test_the_end_of_collecting_may_arrive_after_the_first_start(reported: list[object]) -> None:
    clock, came = watch(reported, 0.01)
    clock.busy("guest0")
    clock.started("guest0", "a")
    clock.idle("guest0")
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == [("guest0", "a")]


def test_the_time_that_a_guest_waits_for_a_processor_does_not_count(
    reported: list[object],
) -> None:
    came = threading.Event()
    waited = {"guest0": 5.0, "guest1": 5.0}

    def late(*guest_and_test: str) -> None:
        reported.append(guest_and_test)
        came.set()

    clock = DeadlineWatch(0.01, 0.0, late, reported.clear, waited=waited.__getitem__)
    clock.started("guest0", "a")
    waited["guest0"] += PATIENCE
    clock.started("guest1", "b")
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == [("guest1", "b")]


def test_after_an_oops_a_test_has_less_time(
    reported: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 1 / PATIENCE
    monkeypatch.setattr("harness.plugin.deadlines.HURT", part)
    came = threading.Event()

    def late(*guest_and_test: str) -> None:
        reported.append(guest_and_test)
        came.set()

    clock = DeadlineWatch(PATIENCE, 0.0, late, reported.clear, hurt="guest0".__eq__)
    clock.started("guest0", "a")
    clock.started("guest1", "b")
    assert came.wait(PATIENCE)
    clock.close()
    assert reported == [("guest0", "a")]
    assert clock.late == {("guest0", "a"): PATIENCE * part}


OOPS = "     1.000 | [    1.000000] Oops: Oops: 0000 [#1] SMP\n"
START = "     0.900 | [    0.900000] harness: start test_it.py::test_it\n"


@pytest.mark.parametrize(
    ("console", "hurt"),
    [
        (START + OOPS, True),
        (START + OOPS.replace("Oops: Oops: 0000", "Internal error: Oops: 96000004"), True),
        (OOPS + START, False),
        (START, False),
        (START + "     1.000 | a test says Oops: nothing\n", False),
    ],
)
def test_an_oops_counts_for_the_test_it_came_in(console: str, hurt: bool, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "console.log").write_text(console)
    fleet = Fleet.__new__(Fleet)
    fleet.spec = GuestSpec(image=tmp_path / "image", folder=tmp_path)
    assert fleet.hurt("guest0") is hurt
    assert not fleet.hurt("guest1")  # it has no console yet


def test_guests_that_start_while_the_run_ends_do_not_outlive_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadline passes after the fleet's guests were listed, and before the next one is."""
    side = HostSide.__new__(HostSide)
    side.fleet, side.over = Fleet.__new__(Fleet), threading.Event()
    side.watch = DeadlineWatch(0.0, PATIENCE, lambda *_: None, lambda: None)
    side.fleet.started = []

    def boot(_count: int, *, ahead: bool) -> list[GuestHandle]:
        side._over()
        side.fleet.started.append(GuestHandle(Path("0")))
        return side.fleet.started

    monkeypatch.setattr(side.fleet, "boot", boot)
    monkeypatch.setattr(side, "_tell_trouble", lambda: None)
    with pytest.raises(pytest.exit.Exception, match="the run is over its deadline"):
        side._boot(1)
    side.watch.close()
