# SPDX-License-Identifier: GPL-2.0-only
import pytest

from harness.model import GuestRecord, Outcome
from harness.plugin.phases import crash, judge


def report(when="call", outcome="passed", longrepr=None, **more):
    return pytest.TestReport("t.py::a", ("t.py", 1, "a"), {}, outcome, longrepr, when, **more)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (report(), Outcome.PASS),
        (report(outcome="failed", longrepr="assert"), Outcome.FAIL),
        (report("setup", "failed", "fixture"), Outcome.ERROR),
        (report("teardown", "failed", "leak"), Outcome.ERROR),
        (report("setup", "skipped", ("t.py", 1, "Skipped: needs fio")), Outcome.SKIP),
        (report(outcome="skipped", longrepr="", wasxfail="known"), Outcome.XFAIL),
        (report(outcome="passed", wasxfail="known"), Outcome.XPASS),
    ],
)
def test_outcomes(given, expected):
    assert judge(given).outcome is expected


def test_the_reason_of_a_skip_is_its_message():
    assert judge(report("setup", "skipped", ("t.py", 1, "Skipped: needs fio"))).message == (
        "Skipped: needs fio"
    )


def test_a_splat_fails_a_test_that_passed():
    log = "[    1.000000] WARNING: fs/a.c:1 at f+0x1/0x2\n[    1.000001] ---[ end trace 0 ]---"
    one = report(kernel_log=log)
    phase = judge(one)
    assert (phase.outcome, phase.splats[0].kind, phase.log) == (Outcome.ERROR, "warning", log)
    assert one.failed
    assert "fs/a.c:1" in one.longreprtext


def test_an_ordinary_kernel_message_fails_nothing():
    one = report(kernel_log="[    1.000000] nvmet: adding nsid 1 to subsystem a")
    assert judge(one).outcome is Outcome.PASS
    assert one.passed


def test_a_dead_guest_is_a_crash_and_a_late_one_a_timeout():
    record = GuestRecord("guest0", "panic", "tcg", 1.0, "console.log")
    died = crash(False, record, "the console", (), 60)
    assert (died.outcome, died.log) == (Outcome.CRASH, "the console")
    assert "panic" in died.message
    assert crash(True, record, "", (), 60).outcome is Outcome.TIMEOUT
    assert "lost" in crash(False, None, "", (), 60).message
