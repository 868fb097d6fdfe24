# SPDX-License-Identifier: GPL-2.0-only
"""How guests' reports are judged: splats, taints, expected splats, missing variables."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model import Outcome
from harness.plugin import taint
from harness.plugin.expected_splats import SplatLedger
from harness.plugin.reports import explain_variables
from harness.plugin.reports import judge as judge_with
from harness.results.journal import Phase

LOG = "[    1.000000] WARNING: fs/a.c:1 at f+0x1/0x2\n[    1.000001] ---[ end trace 0 ]---"
W = 1 << 9


def judge(report: pytest.TestReport) -> Phase:
    return judge_with(report, SplatLedger())


def report(
    when: Any = "call", outcome: Any = "passed", longrepr: Any = None, **extra: Any
) -> pytest.TestReport:
    return pytest.TestReport("t.py::a", ("t.py", 1, "a"), {}, outcome, longrepr, when, **extra)


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
def test_outcomes(given: pytest.TestReport, expected: Outcome) -> None:
    assert judge(given).outcome is expected


def test_the_reason_of_a_skip_is_its_message() -> None:
    assert judge(report("setup", "skipped", ("t.py", 1, "Skipped: needs fio"))).message == (
        "Skipped: needs fio"
    )


def test_a_splat_fails_a_test_that_passed() -> None:
    log = "[    1.000000] WARNING: fs/a.c:1 at f+0x1/0x2\n[    1.000001] ---[ end trace 0 ]---"
    failing = report(kernel_log=log)
    phase = judge(failing)
    assert (phase.outcome, phase.splats[0].kind, phase.log) == (Outcome.ERROR, "warning", log)
    assert failing.failed
    assert "fs/a.c:1" in failing.longreprtext


def test_an_ordinary_kernel_message_fails_nothing() -> None:
    passing = report(kernel_log="[    1.000000] nvmet: adding nsid 1 to subsystem a")
    assert judge(passing).outcome is Outcome.PASS
    assert passing.passed


def test_a_splat_in_a_test_that_is_expected_to_fail_fails_it() -> None:
    failing = report(outcome="skipped", longrepr="", wasxfail="known", kernel_log=LOG)
    assert judge(failing).outcome is Outcome.ERROR
    assert failing.failed
    assert not hasattr(failing, "wasxfail")


def test_the_message_begins_with_the_title() -> None:
    assert judge(report(kernel_log=LOG)).message.startswith("WARNING in f\n")


class Run:
    """A test with marks, whose kernel says ``log`` during its call."""

    def __init__(self, *marks: dict[str, object]) -> None:
        self.ledger = SplatLedger()
        self.ledger.begin("t.py::a", [{"pattern": "", **mark} for mark in marks])

    def phases(self, log: str = "", taint: tuple[int, int] = (0, 0), **call: Any) -> list[Phase]:
        before_after: dict[str, Any] = {"taint": list(taint)}
        reports = [
            report("setup", taint=[taint[0], taint[0]]),
            report(kernel_log=log, **call, **before_after),
            report("teardown", **before_after),
        ]
        return [judge_with(report, self.ledger) for report in reports]

    def outcomes(self, log: str = "", **more: Any) -> list[str]:
        return [str(phase.outcome) for phase in self.phases(log, **more)]


def test_an_expected_splat_fails_nothing() -> None:
    (_, call, teardown) = Run({"pattern": "WARNING"}).phases(LOG, taint=(0, W))
    assert (call.outcome, call.splats, teardown.outcome) == (Outcome.PASS, (), Outcome.PASS)


def test_another_splat_than_expected_fails_the_test() -> None:
    assert Run({"pattern": "KASAN"}).outcomes(LOG)[1] == "error"


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ({"pattern": "KASAN"}, "expected a splat like 'KASAN': the kernel reported no such splat"),
        ({"pattern": "W", "kind": "kasan"}, "of kind kasan: the kernel reported no such splat"),
        ({"pattern": "W", "count": 2}, "expected a splat like 'W' exactly 2 times"),
        ({"pattern": "W", "panic": True}, "to kill the guest, but it is still running"),
    ],
)
def test_an_expected_splat_that_does_not_come_fails_the_test(
    mark: dict[str, object], complaint: str
) -> None:
    teardown = Run(mark).phases()[2]
    assert teardown.outcome is Outcome.FAIL
    assert complaint in teardown.message


def test_a_count_is_exact() -> None:
    twice = LOG + "\n" + LOG.replace("1.000000", "2.000000")
    assert Run({"count": 2}).outcomes(twice)[2] == "pass"
    assert Run({"count": 1}).outcomes(twice)[2] == "fail"


def test_a_test_that_failed_by_itself_needs_no_splat() -> None:
    assert Run({}).outcomes(outcome="failed", longrepr="assert") == ["pass", "fail", "pass"]


def test_a_death_is_expected_only_with_the_right_splat() -> None:
    run = Run({"pattern": "WARNING", "panic": True})
    assert not run.ledger.dies("t.py::a")
    run.phases(LOG)
    assert run.ledger.dies("t.py::a")


def test_a_taint_without_a_splat_fails_the_test() -> None:
    teardown = Run().phases(taint=(0, W))[2]
    assert teardown.outcome is Outcome.FAIL
    assert "W: a warning was printed" in teardown.message
    assert Run().outcomes(taint=(0, 1 << 12)) == ["pass"] * 3, "a module of one's own is no fault"


def test_an_earlier_taint_is_mentioned() -> None:
    call = Run().phases(taint=(W, W), outcome="failed", longrepr="assert")[1]
    assert "tainted before the test (W:" in call.message
    assert call.message.endswith("assert")


def test_taint_has_letters() -> None:
    assert taint.letters(W | 1 << 7) == "DW"
    assert taint.letters(1 << 30) == "?"
    assert taint.explain(1 << 14) == "L: a soft lockup was seen"


def test_a_failure_names_the_variables_that_guests_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GADGET", "1")
    monkeypatch.setenv("PASSED_IN", "1")
    monkeypatch.delenv("NOWHERE", raising=False)
    line = "GADGET is set on this machine but not in the guest; pass it in with --guest-env GADGET"
    for text in (
        '>   assert os.environ.get("GADGET") == "1"',
        "E   os.getenv('GADGET')",
        '>   place = os.environ["GADGET"] + os.environ["PASSED_IN"] + os.environ["NOWHERE"]',
        ">   os.environ[NAME]\n<frozen os>:679: KeyError\nE   KeyError: 'GADGET'",
    ):
        given = report(outcome="failed", longrepr=text)
        explain_variables(given, ["PASSED_IN"])
        assert given.longreprtext == f"{text}\n{line}"


@pytest.mark.parametrize(
    "text", ["E   KeyError: 'GADGET'", 'myenviron["GADGET"]', 'os.environ.get("GADGETS")', "GADGET"]
)
def test_a_failure_that_reads_no_variable_is_unchanged(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("GADGET", "1")
    given = report(outcome="failed", longrepr=text)
    explain_variables(given, [])
    assert given.longrepr == text


def test_an_ignored_kind_of_splat_fails_no_test_and_explains_its_taint() -> None:
    ledger = SplatLedger(frozenset({"warning"}))
    phase = judge_with(report("teardown", kernel_log=LOG, taint=(0, W)), ledger)
    assert (phase.outcome, phase.splats) == (Outcome.PASS, ())
    other = SplatLedger(frozenset({"oom"}))
    assert judge_with(report(kernel_log=LOG), other).outcome is Outcome.ERROR
