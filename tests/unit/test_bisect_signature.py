# SPDX-License-Identifier: GPL-2.0-only
"""What counts as bad, what counts as another failure, and how to add a kind of signature."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest

from harness import cli, model
from harness.bisect import signature as kinds
from harness.bisect.signature import (
    Judgement,
    Signature,
    SignatureKind,
    TrialEvidence,
    judge,
    judge_runs,
)
from harness.cli import bisect
from harness.cli.parser import verbs
from harness.errors import HostFault, NotApplied, NotBuilt, UsageError
from harness.model import Call, GuestRecord, Kernel, Outcome, Side, Splat, Test, Trial

PLACE = Path("kernel")
WARNING = model.CompilerWarning("fs/configfs/dir.c", 7, "unused variable 'x'")
KERNEL = Kernel("key", PLACE, PLACE, PLACE, "7.2.13", "c0ffee", "x86_64", warnings=(WARNING,))
KASAN = Splat("kasan", "KASAN: slab-use-after-free in configfs_rmdir", fingerprint="abc123")
UP = GuestRecord("0", "done", "tcg", 3.5, "console.log")


def result(*tests: Test, error: str = "", guests: tuple[GuestRecord, ...] = (UP,)) -> TrialEvidence:
    return TrialEvidence(KERNEL, result=Trial(Side.PATCHED, KERNEL, tests, guests, error))


def ended(outcome: Outcome, **more: object) -> Test:
    return Test("t.py::test_x", outcome, **more)  # type: ignore[arg-type]


TEST = Signature(kinds.TEST, test="t.py::test_x")
TIMEOUT = Signature(kinds.TEST, test="t.py::test_x", outcomes=frozenset({Outcome.TIMEOUT}))
SPLAT = Signature(kinds.SPLAT, "use-after-free")


@pytest.mark.parametrize(
    ("signature", "evidence", "call"),
    [
        (TEST, result(ended(Outcome.FAIL)), Call.BAD),
        (TEST, result(ended(Outcome.CRASH)), Call.BAD),
        (TEST, result(ended(Outcome.PASS)), Call.GOOD),
        (TEST, result(ended(Outcome.XFAIL)), Call.GOOD),
        (TEST, result(ended(Outcome.SKIP)), Call.SKIP),
        (TEST, result(ended(Outcome.SKIP, message="Skipped: no device")), Call.SKIP),
        (TEST, result(ended(Outcome.SKIP, message="Skipped: it has no subtest x")), Call.GOOD),
        (TEST, result(error="did not boot (panic)"), Call.OTHER),
        (TEST, result(ended(Outcome.PASS), ended(Outcome.FAIL)), Call.BAD),
        (TIMEOUT, result(ended(Outcome.TIMEOUT)), Call.BAD),
        (TIMEOUT, result(ended(Outcome.FAIL)), Call.OTHER),
        (TIMEOUT, result(ended(Outcome.PASS)), Call.GOOD),
        (SPLAT, result(ended(Outcome.ERROR, splats=(KASAN,))), Call.BAD),
        (SPLAT, result(ended(Outcome.PASS)), Call.GOOD),
        (SPLAT, result(ended(Outcome.FAIL)), Call.OTHER),
        (SPLAT, result(error="did not boot (panic)"), Call.OTHER),
        (
            Signature(kinds.SPLAT, "abc123"),
            result(ended(Outcome.ERROR, splats=(KASAN,))),
            Call.BAD,
        ),
        (
            Signature(kinds.SPLAT, "abc12"),
            result(ended(Outcome.PASS, splats=(KASAN,))),
            Call.GOOD,
        ),
        (Signature(kinds.BOOT), result(error="did not boot (panic)"), Call.BAD),
        (Signature(kinds.BOOT), result(ended(Outcome.FAIL)), Call.GOOD),
        (Signature(kinds.WARNING, "unused variable"), TrialEvidence(KERNEL), Call.BAD),
        (Signature(kinds.WARNING, r"dir\.c:\d+: unused"), TrialEvidence(KERNEL), Call.BAD),
        (Signature(kinds.WARNING, "overflow"), TrialEvidence(KERNEL), Call.GOOD),
        (Signature(kinds.BUILD_ERROR, "no member"), TrialEvidence(KERNEL), Call.GOOD),
    ],
)
def test_judgement(signature: Signature, evidence: TrialEvidence, call: Call) -> None:
    assert judge(signature, evidence).call is call


def test_a_splat_outside_of_tests_counts() -> None:
    guest = GuestRecord("0", "panic", "tcg", None, "console.log", (KASAN,))
    assert judge(SPLAT, result(error="did not boot", guests=(guest,))).call is Call.BAD


@pytest.mark.parametrize(
    ("pattern", "call"), [("no member named .pages.", Call.BAD), ("undeclared", Call.OTHER)]
)
def test_a_build_error_is_the_searched_one_or_another(pattern: str, call: Call) -> None:
    details = "fs/configfs/file.c:12:3: error: 'struct x' has no member named 'pages'"
    fault = NotBuilt("the kernel does not build", details=details)
    found = judge(Signature(kinds.BUILD_ERROR, pattern), TrialEvidence(fault=fault))
    assert found.call is call
    assert call is Call.OTHER or "file.c:12" in found.why


def test_without_a_kernel_other_signatures_are_untestable() -> None:
    for fault in (NotBuilt("it does not build"), NotApplied("0001 does not apply")):
        for signature in (TEST, SPLAT, Signature(kinds.WARNING, "x")):
            assert judge(signature, TrialEvidence(fault=fault)).call is Call.SKIP


def test_numbers_have_a_threshold() -> None:
    took = Signature(kinds.MEASURE, r"took (\d+) ms", above=50)
    for number, call in ((51, Call.BAD), (50, Call.GOOD)):
        found = judge(took, result(ended(Outcome.PASS, output=f"it took {number} ms")))
        assert (found.call, found.value) == (call, number)
    less = Signature(kinds.MEASURE, r"[\d.]+ MB/s", below=1.5)
    with pytest.raises(UsageError):
        judge(less, result(ended(Outcome.PASS, output="1.2 MB/s")))
    assert judge(took, result(ended(Outcome.FAIL))).call is Call.OTHER
    slow = Signature(kinds.BOOT_TIME, above=3)
    assert judge(slow, result(ended(Outcome.PASS))).call is Call.BAD
    assert judge(slow, result(error="did not boot", guests=())).call is Call.OTHER


@pytest.mark.parametrize(("status", "call"), [(0, Call.GOOD), (1, Call.BAD), (127, Call.BAD)])
def test_exit_codes_of_a_command_mean_what_they_mean_to_git(status: int, call: Call) -> None:
    command = Signature(kinds.COMMAND, command=("mine.sh",))
    assert judge(command, TrialEvidence(KERNEL, status=status)).call is call
    assert judge(command, TrialEvidence(KERNEL, status=125)).call is Call.SKIP
    for broken in (128, 130, -9):
        with pytest.raises(HostFault):
            judge(command, TrialEvidence(KERNEL, status=broken))


def test_a_guest_that_the_host_lost_is_no_verdict() -> None:
    lost = GuestRecord("0", "lost", "tcg", 3.0, "console.log", note="QEMU was killed")
    with pytest.raises(HostFault, match="QEMU was killed"):
        judge(TEST, result(Test("t.py::test_x", Outcome.NOTRUN), guests=(lost,)))


FAIL, PASS = Outcome.FAIL, Outcome.PASS


@pytest.mark.parametrize(
    ("signature", "attempts", "calls"),
    [
        (TEST, (PASS, FAIL, PASS), [Call.GOOD, Call.BAD, Call.GOOD]),
        (TEST, (PASS, PASS), [Call.GOOD, Call.GOOD]),
        (TEST, (PASS,), [Call.BAD]),  # a single run: the outcome of the test counts
        (TIMEOUT, (FAIL, Outcome.TIMEOUT), [Call.OTHER, Call.BAD]),
        (SPLAT, (FAIL, PASS), [Call.OTHER]),
    ],
)
def test_each_run_counts(
    signature: Signature, attempts: tuple[Outcome, ...], calls: list[Call]
) -> None:
    found = judge_runs(signature, result(ended(Outcome.FLAKY, attempts=attempts)))
    assert [judgement.call for judgement in found] == calls


def test_repeated_runs_of_several_tests_are_judged_together() -> None:
    one, two = ended(Outcome.FLAKY, attempts=(PASS, FAIL)), ended(PASS, attempts=(PASS,))
    found = judge_runs(TEST, result(one, two))
    assert [judgement.call for judgement in found] == [Call.GOOD, Call.BAD]
    assert found[1].why.startswith("test_x: fail")


def judge_slow_build(signature: Signature, evidence: TrialEvidence) -> Judgement:
    assert evidence.kernel is not None
    assert signature.above is not None
    seconds = evidence.kernel.seconds
    return Judgement(Call.BAD if seconds > signature.above else Call.GOOD, f"{seconds} s", seconds)


def test_a_new_kind_is_one_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line gets the option, and the evidence is judged."""
    slow = SignatureKind(
        "build time",
        judge_slow_build,
        "build time {bounds} s",
        option="--build-time",
        metavar="S",
        help="the build takes more than S seconds",
        convert=float,
        field="above",
        boots=False,
    )
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, slow))
    monkeypatch.chdir(tmp_path)
    parser = verbs(cli.parser("bisect"))["bisect"]
    assert slow.help in parser.format_help()
    argv = ["--good", "v7.1", "--tree", ".", "--build-time", "9"]
    options = parser.parse_args(argv, argparse.Namespace(verb="bisect", rest=(), command=()))
    signature = bisect.bisect_plan(options).signature
    assert (signature.kind, str(signature)) == (slow, "build time above 9 s")
    for seconds, call in ((9.5, Call.BAD), (9, Call.GOOD)):
        kernel = dataclasses.replace(KERNEL, seconds=seconds)
        assert judge(signature, TrialEvidence(kernel)).call is call
    assert judge(signature, TrialEvidence(fault=NotBuilt("no"))).call is Call.SKIP


def test_no_two_kinds_share_an_option() -> None:
    options = [kind.option for kind in kinds.KINDS if kind.option]
    assert len(options) == len(set(options)) == len(kinds.KINDS) - 1
    assert all(kind.help for kind in kinds.KINDS if kind.option)
