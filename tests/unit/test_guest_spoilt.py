# SPDX-License-Identifier: GPL-2.0-only
"""What a test may leave behind that no other can do with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.guest import relay
from harness.guestside import health, plugin


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all a guest counts on, in a kernel that is not tainted."""
    (tmp_path / "tainted").write_text("0\n")
    (tmp_path / "usr").mkdir()
    monkeypatch.setattr(health, "_TAINTED", str(tmp_path / "tainted"))
    monkeypatch.setattr(health, "_LOCKDEP", str(tmp_path / "no lockdep"))
    monkeypatch.setattr(health, "_PLACES", (str(tmp_path / "usr"),))
    monkeypatch.setattr(health, "_ROOMS", (str(tmp_path),))
    return tmp_path


def test_a_guest_without_changes_is_healthy(place: Path) -> None:
    known = health.Health()
    (place / "usr" / "more").touch()
    assert known.spent("WARNING: in f", 0, 0) == ""


@pytest.mark.parametrize("over", ["", "/proc"])
def test_a_replaced_folder_is_noticed(place: Path, over: str) -> None:
    known = health.Health()
    (place / "usr").rename(place / "old")
    if over:  # what a mount does: another file system is there
        (place / "usr").symlink_to(over)
    assert known.spent("", 0, 0) == f"{place / 'usr'} changed"


def test_a_full_file_system_is_noticed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = health.Health()
    there = os.statvfs(place)
    left = os.statvfs_result((there.f_bsize, 1, 100, 0, 0, *there[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: left)
    assert known.spent("", 0, 0) == f"{place} is full"
    assert health.Health().spent("", 0, 0) == "", "it always was"


@pytest.mark.parametrize("written", ["", "no number\n", "ours"])
def test_a_guest_with_a_living_keeper_is_waited_for(tmp_path: Path, written: str) -> None:
    if written:
        (tmp_path / "keeper.pid").write_text(written.replace("ours", f"{os.getpid()}\n"))
    assert not relay.unkept(str(tmp_path))


def test_a_guest_whose_keeper_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    (tmp_path / "keeper.pid").write_text(f"{child}\n")
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert relay.unkept(str(tmp_path)), "dead, but not collected"
    os.waitpid(child, 0)
    assert relay.unkept(str(tmp_path))
    assert relay.connect(str(tmp_path)) is None


class Item:
    """A test with or without the mark that it may set lockdep off itself."""

    def __init__(self, *, maybe: bool) -> None:
        kind = "lockdep" if maybe else "warning"
        self._marks = [pytest.mark.expects_splat("tcp", kind=kind, maybe=True).mark]

    def iter_markers(self, _name: str) -> list[pytest.Mark]:
        return self._marks


def ended(side: plugin.GuestSide, why: str, following: Item | None) -> str:
    """Give what a test's end says of its guest; ``following`` is the test after it."""
    side._next = following  # type: ignore[assignment]
    return side._lasting(why)


def test_tests_that_may_turn_lockdep_off_share_the_guest_in_which_one_did() -> None:
    side = plugin.GuestSide.__new__(plugin.GuestSide)
    side._blind = False
    assert ended(side, "", Item(maybe=True)) == ""
    assert ended(side, health.BLIND, Item(maybe=True)) == ""
    assert ended(side, "", Item(maybe=True)) == ""
    assert ended(side, "", Item(maybe=False)) == health.BLIND, "the next one needs lockdep"


@pytest.mark.parametrize("following", [None, Item(maybe=False)])
def test_no_other_test_gets_a_guest_without_lockdep(following: Item | None) -> None:
    side = plugin.GuestSide.__new__(plugin.GuestSide)
    side._blind = False
    assert ended(side, health.BLIND, following) == health.BLIND


def test_another_defect_replaces_the_guest_at_once() -> None:
    side = plugin.GuestSide.__new__(plugin.GuestSide)
    side._blind = True
    assert ended(side, "/usr changed", Item(maybe=True)).startswith("/usr")
