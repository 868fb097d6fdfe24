# SPDX-License-Identifier: GPL-2.0-only
"""Signatures: a signature is the one failure that counts as bad in a bisection.

To add a kind of signature, add an entry to KINDS with a function that judges its evidence.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator

from harness import adaptors
from harness.errors import HostFault, Untestable, UsageError
from harness.model import Call, Kernel, Outcome, Splat, Test, Trial

# What a command's exit status means to `git bisect run`.
_UNTESTABLE, _ABORT = 125, 128
_LOST = ("left", "lost")  # how a guest ends if the host is at fault
_BAD = frozenset(outcome for outcome in Outcome if outcome.bad)


@dataclasses.dataclass(frozen=True)
class SignatureKind:
    """A kind of failure: its command line option, what it needs, how its evidence is judged.

    ``option`` is its option of `harness bisect`, with ``metavar`` ("" for a flag) and ``help``.
    The value is converted by ``convert`` and stored in ``field`` of the Signature ("": not
    stored).  ``bounds``: it also takes --above or --below.

    ``boots``: a guest is needed; ``lean``: its kernel needs no debug info; ``boot_only``: it runs
    no suite.  ``steady``: the result is the same every time, so one trial is enough.
    ``each_run``: every run of a repeated test is judged separately.

    ``text`` is the signature in messages and mails; see Signature.__str__ for its fields.
    ``judge_fault`` judges a kernel that does not apply, configure or build; by default, such a
    kernel is untestable.
    """

    name: str
    judge: Callable[[Signature, TrialEvidence], Judgement]
    text: str
    option: str = ""
    metavar: str = ""
    help: str = ""
    convert: Callable[[str], object] = str
    field: str = "pattern"
    bounds: bool = False
    boots: bool = True
    lean: bool = False
    boot_only: bool = False
    steady: bool = False
    each_run: bool = False
    judge_fault: Callable[[Signature, Untestable], Judgement] | None = None

    @classmethod
    def by_name(cls, name: str) -> SignatureKind:
        """Return the kind with this name.  Raises ValueError if there is none."""
        for kind in KINDS:
            if kind.name == name:
                return kind
        raise ValueError(f"unknown kind of signature {name!r}")

    @property
    def dest(self) -> str:
        """The attribute in which argparse stores the value of the option."""
        return self.option.removeprefix("--").replace("-", "_")


@dataclasses.dataclass(frozen=True)
class Signature:
    """A failure.

    ``pattern`` is a regular expression, or the fingerprint of a splat; ``test`` is the pytest ID of
    the test to run; ``outcomes`` are its outcomes that count as bad.  A number is bad above
    ``above`` or below ``below`` (seconds for a boot).  ``command`` runs on the host.
    """

    kind: SignatureKind
    pattern: str = ""
    test: str = ""
    outcomes: frozenset[Outcome] = _BAD
    above: float | None = None
    below: float | None = None
    command: tuple[str, ...] = ()

    @property
    def unknown(self) -> bool:
        """Whether the suites must be run first to learn what fails."""
        return self.kind is TEST and not self.test

    def __str__(self) -> str:
        if self.unknown:
            return "whatever fails"
        return self.kind.text.format(
            pattern=self.pattern,
            test=self.test,
            outcomes="bad" if self.outcomes == _BAD else "|".join(sorted(self.outcomes)),
            bounds=f"below {self.below}" if self.above is None else f"above {self.above:g}",
            command=" ".join(self.command),
        )


@dataclasses.dataclass(frozen=True)
class TrialEvidence:
    """The evidence of one trial.

    ``fault`` is why there is no kernel; ``status`` and ``output`` are those of the command.
    """

    kernel: Kernel | None = None
    fault: Untestable | None = None
    result: Trial | None = None
    status: int = 0
    output: str = ""

    @property
    def tested(self) -> Trial:
        """The result of the guest; there must have been a guest."""
        assert self.result is not None
        return self.result


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A call, its reason, and the measured number if there is one."""

    call: Call
    why: str
    value: float | None = None


def judge(signature: Signature, evidence: TrialEvidence) -> Judgement:
    """Judge the evidence.  Raises HostFault if the host failed, not the kernel."""
    kind = signature.kind
    if evidence.fault is not None:
        if kind.judge_fault is not None:
            return kind.judge_fault(signature, evidence.fault)
        return Judgement(Call.SKIP, evidence.fault.what)
    if kind.boots:
        _check_not_lost(evidence.tested)
    return kind.judge(signature, evidence)


def judge_runs(signature: Signature, evidence: TrialEvidence) -> tuple[Judgement, ...]:
    """Judge each run of the test: with --repeat, a guest runs it several times."""
    tests = evidence.result.tests if evidence.result and signature.kind.each_run else ()
    if max((len(test.attempts) for test in tests), default=0) < 2:
        return (judge(signature, evidence),)
    judgements = []
    for outcomes in itertools.zip_longest(*(test.attempts for test in tests)):
        ran = tuple(
            dataclasses.replace(test, outcome=outcome)
            for test, outcome in zip(tests, outcomes, strict=True)
            if outcome is not None  # None if this test had fewer runs
        )
        run = dataclasses.replace(evidence, result=dataclasses.replace(evidence.tested, tests=ran))
        judgements.append(signature.kind.judge(signature, run))
    return tuple(judgements)


def splats(result: Trial) -> Iterator[Splat]:
    """Yield every splat, whether it was seen during a test or not."""
    yield from (splat for test in result.tests for splat in test.splats)
    yield from (splat for guest in result.guests for splat in guest.splats)


def _check_not_lost(result: Trial) -> None:
    """Raise HostFault if the host lost the guest before any test ran."""
    ran = [test for test in result.tests if test.outcome is not Outcome.NOTRUN]
    lost = [guest for guest in result.guests if guest.ended in _LOST]
    if lost and not ran:
        raise HostFault(
            f"the guest was lost: {lost[0].note or lost[0].ended}",
            hint="look at dmesg on this machine; try fewer --guests or less --memory",
        )


def _judge_test(signature: Signature, evidence: TrialEvidence) -> Judgement:
    tests = evidence.tested.tests
    for test in tests:
        if test.outcome.bad and test.outcome in signature.outcomes:
            return Judgement(Call.BAD, _outcome(test))
    if other := _other_failure(evidence.tested):
        return other
    if tests and all(test.outcome is Outcome.SKIP for test in tests):
        # Some self-tests name a result only if it is a failure.
        missing = f"Skipped: {adaptors.NO_SUBTEST}" in tests[0].headline
        return Judgement(Call.GOOD if missing else Call.SKIP, _outcome(tests[0]))
    return Judgement(Call.GOOD, "pass" if len(tests) == 1 else f"{len(tests)} tests pass")


def _judge_splat(signature: Signature, evidence: TrialEvidence) -> Judgement:
    for splat in splats(evidence.tested):
        titles = (splat.title, splat.panic)
        named = any(text and re.search(signature.pattern, text, re.IGNORECASE) for text in titles)
        if named or (splat.fingerprint and splat.fingerprint == signature.pattern):
            return Judgement(Call.BAD, splat.title)
    return _other_failure(evidence.tested) or Judgement(Call.GOOD, "the splat was not seen")


def _judge_boot(_: Signature, evidence: TrialEvidence) -> Judgement:
    error = evidence.tested.error
    return Judgement(Call.BAD, error) if error else Judgement(Call.GOOD, "boots")


def _judge_boot_time(signature: Signature, evidence: TrialEvidence) -> Judgement:
    guests = evidence.tested.guests
    boots = [guest.boot_seconds for guest in guests if guest.boot_seconds is not None]
    return _judge_number(signature, evidence, min(boots, default=None), "s to boot")


def _judge_measure(signature: Signature, evidence: TrialEvidence) -> Judgement:
    """Judge the number in the output of the tests or in their kernel log."""
    tests = evidence.tested.tests
    texts = (text for test in tests for text in (test.output, test.message, test.kernel_log))
    matches = (re.search(signature.pattern, text, re.MULTILINE) for text in texts)
    match = next((match for match in matches if match), None)
    try:
        value = float(match[1] if match.groups() else match[0]) if match else None
    except ValueError:
        raise UsageError(
            f"{match and match[0]!r} is not a number",
            hint="put the part of REGEX that matches the number in (parentheses)",
        ) from None
    return _judge_number(signature, evidence, value, "measured")


def _judge_number(
    signature: Signature, evidence: TrialEvidence, value: float | None, what: str
) -> Judgement:
    if value is None:
        return _other_failure(evidence.tested) or Judgement(Call.OTHER, "no number was found")
    above = signature.above is not None and value > signature.above
    below = signature.below is not None and value < signature.below
    return Judgement(Call.BAD if above or below else Call.GOOD, f"{value:g} {what}", value)


def _judge_built(_: Signature, __: TrialEvidence) -> Judgement:
    return Judgement(Call.GOOD, "builds")


def _judge_build_error(signature: Signature, fault: Untestable) -> Judgement:
    text = f"{fault.what}\n{fault.details}"
    match = re.search(signature.pattern, text, re.MULTILINE)
    if match is None:
        return Judgement(Call.OTHER, fault.what)
    line_start = text.rfind("\n", 0, match.start()) + 1
    return Judgement(Call.BAD, text[line_start:].partition("\n")[0].strip())


def _judge_warning(signature: Signature, evidence: TrialEvidence) -> Judgement:
    assert evidence.kernel is not None
    for warning in evidence.kernel.warnings:
        line = f"{warning.file}:{warning.line}: {warning.text}"
        if re.search(signature.pattern, line):
            return Judgement(Call.BAD, line)
    return Judgement(Call.GOOD, "builds without that warning")


def _judge_command(_: Signature, evidence: TrialEvidence) -> Judgement:
    """Judge a status as `git bisect run` does: 125 is untestable, 128 and above is no verdict."""
    status, last = evidence.status, (evidence.output.strip().splitlines() or [""])[-1]
    why = f"status {status}{f': {last}' if last else ''}"
    if status == _UNTESTABLE:
        return Judgement(Call.SKIP, why)
    if status >= _ABORT or status < 0:
        raise HostFault(
            f"the command ended with status {status}",
            hint="exit with 125 if the kernel cannot be tested, else 1 to 127 if it is bad",
            details=evidence.output,
        )
    return Judgement(Call.BAD if status else Call.GOOD, why)


def _other_failure(result: Trial) -> Judgement | None:
    """Return OTHER with the first failure, if there is one."""
    if result.error:
        return Judgement(Call.OTHER, result.error)
    bad = next((test for test in result.tests if test.outcome.bad), None)
    return Judgement(Call.OTHER, _outcome(bad)) if bad else None


def _outcome(test: Test) -> str:
    name = test.id.rpartition("::")[2]
    return f"{name}: {test.outcome}{f': {test.headline}' if test.headline else ''}"


TEST = SignatureKind(
    "test",
    _judge_test,
    "{test} is {outcomes}",
    option="--test",
    metavar="ID[=OUTCOME,...]",
    help="this test fails (or ends with one of these outcomes)",
    field="test",
    lean=True,
    each_run=True,
)
SPLAT = SignatureKind(
    "splat",
    _judge_splat,
    "splat {pattern!r}",
    option="--splat",
    metavar="TITLE|FINGERPRINT",
    help="the kernel reports this (TITLE is a regular expression)",
)
BOOT = SignatureKind(
    "boot",
    _judge_boot,
    "does not boot",
    option="--boot",
    help="the kernel does not boot",
    field="",
    boot_only=True,
)
BUILD_ERROR = SignatureKind(
    "build error",
    _judge_built,
    "build error {pattern!r}",
    option="--build-error",
    metavar="REGEX",
    help="the build fails with an error matching REGEX",
    boots=False,
    steady=True,
    judge_fault=_judge_build_error,
)
WARNING = SignatureKind(
    "warning",
    _judge_warning,
    "warning {pattern!r}",
    option="--warning",
    metavar="REGEX",
    help="the compiler prints a warning matching REGEX",
    boots=False,
    steady=True,
)
BOOT_TIME = SignatureKind(
    "boot time",
    _judge_boot_time,
    "boot time {bounds} s",
    option="--boot-time",
    metavar="S",
    help="the boot takes more than S seconds",
    convert=float,
    field="above",
    lean=True,
    boot_only=True,
)
MEASURE = SignatureKind(
    "measure",
    _judge_measure,
    "{pattern!r} {bounds}",
    option="--measure",
    metavar="REGEX",
    help="a number that the test prints is out of bounds:",
    bounds=True,
    lean=True,
)
COMMAND = SignatureKind(  # the command is given after --
    "command",
    _judge_command,
    "{command} fails",
    boots=False,
)
KINDS = (TEST, SPLAT, BOOT, BUILD_ERROR, WARNING, BOOT_TIME, MEASURE, COMMAND)
