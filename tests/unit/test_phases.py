# SPDX-License-Identifier: GPL-2.0-only
import pytest

from harness.model import Outcome
from harness.plugin import taint
from harness.plugin.expected_splats import SplatLedger
from harness.plugin.reports import explain_variables
from harness.plugin.reports import judge as judge_with

LOG = "[    1.000000] WARNING: fs/a.c:1 at f+0x1/0x2\n[    1.000001] ---[ end trace 0 ]---"
W = 1 << 9


def judge(report):
    return judge_with(report, SplatLedger())


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


def test_a_splat_in_a_test_that_is_expected_to_fail_fails_it():
    one = report(outcome="skipped", longrepr="", wasxfail="known", kernel_log=LOG)
    assert judge(one).outcome is Outcome.ERROR
    assert one.failed
    assert not hasattr(one, "wasxfail")


def test_the_title_is_the_message():
    assert judge(report(kernel_log=LOG)).message.startswith("WARNING in f\n")


class Run:
    """A test with marks, whose kernel says ``log`` during its call."""

    def __init__(self, *marks):
        self.ledger = SplatLedger()
        self.ledger.begin("t.py::a", [{"pattern": "", **mark} for mark in marks])

    def phases(self, log="", taint=(0, 0), **call):
        around = {"taint": list(taint)}
        reports = [
            report("setup", taint=[taint[0], taint[0]]),
            report(kernel_log=log, **call, **around),
            report("teardown", **around),
        ]
        return [judge_with(one, self.ledger) for one in reports]

    def outcomes(self, *words, **more):
        return [str(phase.outcome) for phase in self.phases(*words, **more)]


def test_an_expected_splat_fails_nothing():
    (_, call, teardown) = Run({"pattern": "WARNING"}).phases(LOG, taint=(0, W))
    assert (call.outcome, call.splats, teardown.outcome) == (Outcome.PASS, (), Outcome.PASS)


def test_an_expected_splat_excuses_no_other():
    assert Run({"pattern": "KASAN"}).outcomes(LOG)[1] == "error"


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ({"pattern": "KASAN"}, "expected a splat like 'KASAN': the kernel reported no such splat"),
        ({"pattern": "W", "kind": "kasan"}, "of kind kasan: the kernel reported no such splat"),
        ({"pattern": "W", "count": 2}, "expected 2 of a splat like 'W'"),
        ({"pattern": "W", "panic": True}, "to end the guest, which lives"),
    ],
)
def test_an_expected_splat_that_does_not_come_fails_the_test(mark, said):
    teardown = Run(mark).phases()[2]
    assert teardown.outcome is Outcome.FAIL
    assert said in teardown.message


def test_a_count_is_exact():
    twice = LOG + "\n" + LOG.replace("1.000000", "2.000000")
    assert Run({"count": 2}).outcomes(twice)[2] == "pass"
    assert Run({"count": 1}).outcomes(twice)[2] == "fail"


def test_a_test_that_failed_by_itself_misses_no_splat():
    assert Run({}).outcomes(outcome="failed", longrepr="assert") == ["pass", "fail", "pass"]


def test_a_death_is_as_expected_only_with_the_right_splat():
    run = Run({"pattern": "WARNING", "panic": True})
    assert not run.ledger.dies("t.py::a")
    run.phases(LOG)
    assert run.ledger.dies("t.py::a")


def test_a_taint_without_a_splat_is_told():
    teardown = Run().phases(taint=(0, W))[2]
    assert teardown.outcome is Outcome.FAIL
    assert "W: a warning was printed" in teardown.message
    assert Run().outcomes(taint=(0, 1 << 12)) == ["pass"] * 3, "a module of one's own is no fault"


def test_a_guest_that_was_tainted_says_so():
    call = Run().phases(taint=(W, W), outcome="failed", longrepr="assert")[1]
    assert "tainted before the test began (W:" in call.message
    assert call.message.endswith("assert")


def test_taint_has_letters():
    assert taint.letters(W | 1 << 7) == "DW"
    assert taint.letters(1 << 30) == "?"
    assert taint.words(1 << 14) == "L: a soft lockup was seen"


def test_a_failure_names_the_variables_that_did_not_go_along(monkeypatch):
    monkeypatch.setenv("GADGET", "1")
    monkeypatch.setenv("ALONG", "1")
    monkeypatch.delenv("NOWHERE", raising=False)
    line = "GADGET is set on this machine but not in the guest; pass it in with --guest-env GADGET"
    for text in (
        '>   assert os.environ.get("GADGET") == "1"',
        "E   os.getenv('GADGET')",
        '>   place = os.environ["GADGET"] + os.environ["ALONG"] + os.environ["NOWHERE"]',
        ">   os.environ[NAME]\n<frozen os>:679: KeyError\nE   KeyError: 'GADGET'",
    ):
        given = report(outcome="failed", longrepr=text)
        explain_variables(given, ["ALONG"])
        assert given.longreprtext == f"{text}\n{line}"


@pytest.mark.parametrize(
    "text", ["E   KeyError: 'GADGET'", 'myenviron["GADGET"]', 'os.environ.get("GADGETS")', "GADGET"]
)
def test_a_failure_that_reads_no_variable_is_left_as_it_is(monkeypatch, text):
    monkeypatch.setenv("GADGET", "1")
    given = report(outcome="failed", longrepr=text)
    explain_variables(given, [])
    assert given.longrepr == text
