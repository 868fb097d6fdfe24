# SPDX-License-Identifier: GPL-2.0-only
"""What the leak guard counts, read from what kernels say; the suites' classes for each point."""

import re
import time
from pathlib import Path

import pytest

from guestlib.leftovers import GUARD
from harness.guestside import kernelfiles, kmemleak, leaks

GUEST = Path(__file__).parents[1] / "guest"
REPORT = """unreferenced object 0xff1100000cfb8c80 (size 64):
  comm "python3", pid 151, jiffies 4294903296
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace (crc 0):
    __kmalloc_cache_noprof+0x1e3/0x5d0
unreferenced object (percpu) 0x607ee0e0a1d8 (size 8):
  comm "modprobe", pid 7, jiffies 4294904296
"""


def test_references_of_other_modules_are_no_leaks() -> None:
    lines = (
        "nvmet 300 3 nvme_loop,nvmet_tcp, Live 0x0\nnvme_loop 20 0 - Live 0x0\nx 1 - - Live 0x0\n"
    )
    assert list(leaks.module_references(lines)) == ["nvmet 1"]


def test_what_is_counted_is_reported_as_a_number() -> None:
    things = frozenset(
        {("slab object", f"mnt_cache {n}") for n in range(3)} | {("mount", "1 /x t")}
    )
    assert GUARD.text(things) == "  mount: 1 /x t\n  slab object: 3 more of mnt_cache"


ITEM = ("configfs item", "/c/nvmet/hosts/a")
SLAB = ("slab object", "configfs_dir_cache 1")
NETWORK = ("network namespace", "7")


class Guest:
    """What is found in a guest, one look after another, and how long it had nothing to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: list[set[tuple[str, str]]]) -> None:
        self.looks, self.seen, self.idle = looks, 0, 0.0
        monkeypatch.setattr(GUARD, "found", self.found)
        monkeypatch.setattr(leaks, "_idle", lambda: self.idle)
        monkeypatch.setattr(time, "sleep", lambda _: None)

    def found(self) -> leaks.Things:
        self.seen += 1
        return frozenset(self.looks[min(self.seen, len(self.looks)) - 1])


def test_what_goes_away_by_itself_is_waited_for_while_the_guest_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guest = Guest(monkeypatch, [{NETWORK, SLAB}] * 1000 + [set()])
    assert GUARD.settled(frozenset()) == frozenset()
    assert guest.seen == 1001


def test_what_stays_while_the_guest_is_idle_is_a_leak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guest = Guest(monkeypatch, [{NETWORK}])
    monkeypatch.setattr(time, "sleep", lambda _: setattr(guest, "idle", guest.idle + 1))
    assert GUARD.settled(frozenset()) == {NETWORK}
    assert guest.seen == leaks.IDLE + 1


def test_what_never_goes_away_by_itself_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(monkeypatch, [{ITEM, SLAB}])
    assert GUARD.settled(frozenset()) == {ITEM, SLAB}
    assert guest.seen == 1


def test_a_kmemleak_report_is_parsed() -> None:
    first, second = kmemleak.parse(REPORT)
    assert (first.size, first.comm, first.pid, first.jiffies) == (64, "python3", 151, 4294903296)
    assert first.text.endswith("0x1e3/0x5d0")
    assert (second.size, second.comm) == (8, "modprobe")
    assert kmemleak.parse("") == []


def test_a_leak_is_blamed_on_the_test_that_ran_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(kmemleak, "jiffies", lambda: 1_000_000)
    monkeypatch.setattr(kernelfiles, "options", lambda: {"CONFIG_HZ": "250"})
    diary = kmemleak.Diary()
    for test in ("one", "two", "three"):
        now[0] += 10
        diary.begins(test, loses=test == "three")
    assert diary.who(1_000_000 + 250 * 25) == "two"
    assert diary.who(1_000_000 + 250 * 99) == "three"
    assert diary.who(999_999) == "(before the first test)"
    mine, purpose = (kmemleak.MemoryLeak(1_000_000 + 250 * when, 8, "", 1, "") for when in (25, 99))
    assert diary.blamed([mine, purpose]) == [mine]


# The leak guard's own tests, a kill at a part of a turn, and kmemleak, which wants objects to age.
TIMED = {"test_guard.py", "test_killed.py", "conftest.py"}


def test_no_suite_counts_seconds() -> None:
    word = re.compile(r"\bseconds=(?!wait\.ENDLESS)|\btimeout=|\btime\.(sleep|monotonic)\(")
    suites = (file for file in GUEST.rglob("*.py") if file.parent.name != "guestlib")
    timed = {file.name for file in suites if word.search(file.read_text())}
    assert timed == TIMED


@pytest.mark.parametrize("point", range(1, 12))
def test_every_point_of_the_specification_has_a_class(point: int) -> None:
    named = re.compile(rf"^class TestPoint{point}[A-Z]", re.MULTILINE)
    assert any(named.search(file.read_text()) for file in GUEST.rglob("test_*.py"))


class Control:
    """kmemleak's file: an object is believed when it is looked at for the second time."""

    def __init__(self) -> None:
        self.lost = {"old": 1, "new": 0}  # how often each was looked at
        self.scans = 0

    def write_text(self, word: str) -> None:
        if word == "clear":
            self.lost = {name: seen for name, seen in self.lost.items() if seen < 2}
            return
        self.scans += 1
        self.lost = {name: seen + 1 for name, seen in self.lost.items()}

    def read_text(self) -> str:
        head = 'unreferenced object 0x1 (size 32):\n  comm "{}", pid 1, jiffies 1\n'
        return "".join(head.format(name) for name, seen in self.lost.items() if seen > 1)


@pytest.mark.parametrize(
    ("fresh", "lost", "found", "scans"),
    [
        (False, ["old"], {"old"}, 2),
        (False, ["new"], set(), 1),
        (True, ["new"], {"new"}, 3),
        (True, [], set(), 2),
    ],
)
def test_what_was_allocated_since_the_last_scan_needs_another_scan(
    monkeypatch: pytest.MonkeyPatch, fresh: bool, lost: list[str], found: set[str], scans: int
) -> None:
    control = Control()
    control.lost = {name: control.lost[name] for name in lost}
    monkeypatch.setattr(kmemleak, "CONTROL", control)
    assert {leak.comm for leak in kmemleak.scan(fresh=fresh)} == found
    assert control.scans == scans
    assert kmemleak.scan() == [] or not fresh, "it is told once"
