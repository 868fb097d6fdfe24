# SPDX-License-Identifier: GPL-2.0-only
"""Held guests: who waits, who may go on, and what a person is told."""

from __future__ import annotations

import dataclasses
import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import PATIENCE

from harness.guest import attend, hold
from harness.guestside import held
from harness.plugin.fleet import Holding

HOURS = 36_000.0  # seconds of a hold that ends otherwise


def wait(what: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(what())


def why(place: Path) -> str:
    """Why a guest is held; empty if it is not."""
    found = hold.read(place)
    return found.why if found else ""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "guests" / "3").mkdir(parents=True)
    return tmp_path / "guests" / "3"


def test_removing_the_file_ends_the_hold(place: Path) -> None:
    hold.living(place, place, "test_x failed", HOURS)
    waiting = threading.Thread(target=hold.wait, args=[place, HOURS, lambda: False])
    waiting.start()
    assert why(place) == "test_x failed"
    hold.let_go(place)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert hold.read(place) is None


@pytest.mark.parametrize(("seconds", "gone"), [(0.1, False), (HOURS, True)])
def test_a_hold_ends_after_its_time_or_with_its_guest(
    place: Path, seconds: float, *, gone: bool
) -> None:
    hold.living(place, place, "test_x failed", seconds)
    hold.wait(place, seconds, lambda: gone)
    assert not (place / hold.FILE).exists()


def test_without_a_terminal_a_person_is_told_how_to_enter_and_to_continue(place: Path) -> None:
    said: list[str] = []
    with attend.Attendant(place.parent, said.append, None):
        hold.dead(place, place, Path("/k/vmlinux"), 9, "its kernel panicked")
        assert wait(lambda: len(said) == 3)
    assert said[0] == "guest3 is held: its kernel panicked"
    assert f"gdb /k/vmlinux -ex 'target remote {place}/gdb'" in said[1]
    assert said[2] == f"held for 9 s; to end it: rm {place}/held.json"
    assert (place / hold.FILE).exists()


def test_guests_are_announced_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in ("10", "2"):
        (tmp_path / number).mkdir()
        hold.dead(tmp_path / number, tmp_path / number, None, 9, "its kernel panicked")
    said: list[str] = []
    with attend.Attendant(tmp_path, said.append, None):
        assert wait(lambda: len(said) == 6)
    assert [line for line in said if "is held" in line] == [
        f"guest{n} is held: its kernel panicked" for n in (2, 10)
    ]


def test_enter_ends_the_hold_of_a_dead_guest(place: Path) -> None:
    ours, theirs = pty.openpty()
    with attend.Attendant(place.parent, lambda _line: None, theirs):
        hold.dead(place, place, None, HOURS, "its kernel panicked")
        os.write(ours, b"\n")
        assert wait(lambda: not (place / hold.FILE).exists())
    os.close(ours)
    os.close(theirs)


def test_a_shell_is_entered_and_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tty.setraw

    def slowly(fd: int) -> None:  # as on a busy machine
        time.sleep(0.2)
        raw(fd)

    monkeypatch.setattr(tty, "setraw", slowly)
    ours, theirs = pty.openpty()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / hold.SHELL))
        server.listen()
        heard: list[bytes] = []

        def serve() -> None:
            client, _ = server.accept()
            with client:
                while b"ls\n" not in b"".join(heard):
                    heard.append(client.recv(100))
                client.sendall(b"file\r\n" + held.LEFT[:5])
                client.sendall(held.LEFT[5:])
                client.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        with attend.Attendant(place.parent, lambda _line: None, theirs):
            hold.living(place, place, "test_x failed", HOURS)
            assert wait(lambda: heard)
            os.write(ours, b"ls\n")
            assert wait(lambda: not (place / hold.FILE).exists())
    assert heard[0].startswith(held.SHELL)
    assert b"file" in os.read(ours, 4096)


def test_a_guest_that_has_ended_need_not_be_told_to_continue(tmp_path: Path) -> None:
    hold.continue_tests(tmp_path)


def test_a_test_waits_until_it_may_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = tmp_path / "go"
    monkeypatch.setattr(held, "_MAY_GO", str(word))
    waiting = threading.Thread(target=held.wait)
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive()
    word.touch()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert not word.exists()


def test_a_partial_file_is_no_hold(place: Path) -> None:
    (place / hold.FILE).write_text("{")
    assert hold.read(place) is None
    value = hold.Hold("gdb", "its kernel panicked", "gdb", "/x/gdb", 9)
    hold.write(place, value)
    assert hold.read(place) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def test():\n>   assert 0\nE   assert 1 == 2\nE    +  where", "assert 1 == 2"),
        ("E   the test leaked:\nE   1 mount", "the test leaked: 1 mount"),
        ("\nKASAN: use-after-free in f\nCall Trace:", "KASAN: use-after-free in f"),
        ("", ""),
    ],
)
def test_a_hold_says_what_was_wrong(place: Path, text: str, said: str) -> None:
    class Report:
        nodeid, when, failed, longreprtext = "t.py::test_x", "call", True, text

    class Keeper:
        folder = place

    class Fleet:
        spec = dataclasses.make_dataclass("Spec", ["hold"])(60.0)

        def named(self, _guest: str) -> Keeper:
            return Keeper()

    class Watch:
        def finished(self, _guest: str) -> None:
            told.append(why(place))

        def started(self, _guest: str, _test: str) -> None:
            pass

    told: list[str] = []
    (place / "run").symlink_to(place)
    holding = Holding(Fleet(), Watch())  # type: ignore[arg-type]
    waits = threading.Thread(target=holding.reported, args=["guest3", Report()])
    waits.start()
    assert wait(lambda: why(place))
    assert why(place) == f"t.py::test_x failed in its call: {said}"
    holding.close()
    waits.join(PATIENCE)
    assert not waits.is_alive()
