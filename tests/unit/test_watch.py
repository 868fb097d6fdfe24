# SPDX-License-Identifier: GPL-2.0-only
import threading

import pytest

from harness.plugin.watch import Watch


@pytest.fixture
def told():
    return []


def watch(told, test_deadline, run_deadline=0.0):
    came = threading.Event()

    def late(guest, test):
        told.append((guest, test))
        came.set()

    def over():
        told.append("over")
        came.set()

    return Watch(test_deadline, run_deadline, late, over), came


def test_a_late_test_is_told_once(told):
    clock, came = watch(told, 0.01)
    clock.started("guest0", "a")
    assert came.wait(10)
    clock.close()
    assert told == [("guest0", "a")]
    assert clock.late == {("guest0", "a"): 0.01}


def test_a_finished_test_is_never_late(told):
    clock, _ = watch(told, 0.2)
    clock.started("guest0", "a")
    clock.finished("guest0")
    clock.started("guest1", "b")
    clock.finished("guest1")
    assert (clock.at("guest0"), clock.before["guest0"]) == ("", "a")
    clock.close()
    assert told == []


def test_the_run_has_a_deadline_too(told):
    clock, came = watch(told, 0.0, 0.01)
    assert came.wait(10)
    clock.close()
    assert told == ["over"]


def test_collecting_has_a_deadline_too(told):
    came = threading.Event()

    def late(guest, test):
        told.append((guest, test))
        came.set()

    clock = Watch(0.0, 0.0, late, came.set, 0.01)
    clock.collects("guest0")
    assert came.wait(10)
    clock.close()
    assert told == [("guest0", "")]


def test_the_end_of_collecting_may_be_heard_after_the_first_start(told):
    clock, came = watch(told, 0.01)
    clock.collects("guest0")
    clock.started("guest0", "a")
    clock.collected("guest0")
    assert came.wait(10)
    clock.close()
    assert told == [("guest0", "a")]
