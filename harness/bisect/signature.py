# SPDX-License-Identifier: GPL-2.0-only
"""What counts as bad: one failure, told apart from every other."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import re
from collections.abc import Iterable, Sequence

from harness.errors import HostFault, Untestable, UsageError
from harness.model import Call, Kernel, Outcome, SideResult, Splat, Test

# What a command's exit status means to `git bisect run`.
_UNTESTABLE, _ABORT = 125, 128
_LOST = ("left", "lost")  # how guests end that the host took away


class SignatureKind(enum.StrEnum):
    """What is looked at."""

    TEST = "test"
    SPLAT = "splat"
    BOOT = "boot"
    BUILD_ERROR = "build error"
    WARNING = "warning"
    BOOT_TIME = "boot time"
    MEASURE = "measure"
    COMMAND = "command"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A failure.

    ``pattern`` is a regular expression (for a splat also its fingerprint); ``test`` is what is
    run, as pytest names it; ``outcomes`` are the bad ones of it.  A number is bad above ``above``
    or below ``below`` (a boot's is in seconds).  ``command`` is run on the host.
    """

    kind: SignatureKind
    pattern: str = ""
    test: str = ""
    outcomes: frozenset[Outcome] = frozenset(one for one in Outcome if one.bad)
    above: float | None = None
    below: float | None = None
    command: tuple[str, ...] = ()

    @property
    def unknown(self) -> bool:
        """Whether it is still to be found out what fails."""
        return self.kind is SignatureKind.TEST and not self.test

    @property
    def boots(self) -> bool:
        """Whether a kernel must run for it."""
        return self.kind not in (
            SignatureKind.BUILD_ERROR,
            SignatureKind.WARNING,
            SignatureKind.COMMAND,
        )

    @property
    def plain(self) -> bool:
        """Whether a test says it: debug info is of no use."""
        return self.kind in (SignatureKind.TEST, SignatureKind.MEASURE, SignatureKind.BOOT_TIME)

    @property
    def steady(self) -> bool:
        """Whether one look is enough: compilers say the same each time."""
        return self.kind in (SignatureKind.BUILD_ERROR, SignatureKind.WARNING)

    def __str__(self) -> str:
        number = f"above {self.above:g}" if self.above is not None else f"below {self.below}"
        match self.kind:
            case SignatureKind.TEST if self.unknown:
                return "whatever fails"
            case SignatureKind.TEST:
                every = frozenset(one for one in Outcome if one.bad)
                named = "|".join(sorted(self.outcomes)) if self.outcomes != every else "bad"
                return f"{self.test} is {named}"
            case SignatureKind.BOOT:
                return "does not boot"
            case SignatureKind.BOOT_TIME:
                return f"boot time {number} s"
            case SignatureKind.MEASURE:
                return f"{self.pattern!r} {number}"
            case SignatureKind.COMMAND:
                return f"{' '.join(self.command)} fails"
            case _:
                return f"{self.kind} {self.pattern!r}"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What one trial gave; ``fault`` is why there is no kernel."""

    kernel: Kernel | None = None
    fault: Untestable | None = None
    result: SideResult | None = None
    status: int = 0
    said: str = ""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A call, why, and the number if one was measured."""

    call: Call
    why: str
    value: float | None = None


def judge(signature: Signature, evidence: Evidence) -> Judgement:
    """Say what the evidence means.  Raises HostFault when it is none of the kernel."""
    if evidence.fault is not None:
        return _unmade(signature, evidence.fault)
    match signature.kind:
        case SignatureKind.BUILD_ERROR:
            return Judgement(Call.GOOD, "builds")
        case SignatureKind.WARNING:
            return _warned(signature, evidence)
        case SignatureKind.COMMAND:
            return _commanded(evidence)
    result = evidence.result
    assert result is not None
    _see_that_it_ran(result)
    match signature.kind:
        case SignatureKind.BOOT:
            return Judgement(*((Call.BAD, result.error) if result.error else (Call.GOOD, "boots")))
        case SignatureKind.BOOT_TIME:
            boots = [one.boot_seconds for one in result.guests if one.boot_seconds is not None]
            return _number(signature, min(boots, default=None), result, "s to boot")
        case SignatureKind.MEASURE:
            return _number(signature, _measured(signature.pattern, result), result, "measured")
        case SignatureKind.SPLAT:
            return _splatted(signature, result)
        case _:
            return _tested(signature, result)


def judge_runs(signature: Signature, evidence: Evidence) -> tuple[Judgement, ...]:
    """Say it of each run of the test: a guest may have been asked for several (``--repeat``)."""
    result = evidence.result
    tests = result.tests if result and signature.kind is SignatureKind.TEST else ()
    if max((len(one.attempts) for one in tests), default=0) < 2:
        return (judge(signature, evidence),)
    assert result is not None
    runs = itertools.zip_longest(*(one.attempts for one in tests))
    ran = (dataclasses.replace(result, tests=_once(tests, run)) for run in runs)
    return tuple(_tested(signature, one) for one in ran)


def _once(tests: Sequence[Test], outcomes: Sequence[Outcome | None]) -> tuple[Test, ...]:
    """Give the tests as one run of them ended; None where a test was not run so often."""
    pairs = zip(tests, outcomes, strict=True)
    return tuple(dataclasses.replace(test, outcome=one) for test, one in pairs if one is not None)


def _unmade(signature: Signature, fault: Untestable) -> Judgement:
    text = f"{fault.what}\n{fault.details}"
    if signature.kind is not SignatureKind.BUILD_ERROR:
        return Judgement(Call.SKIP, fault.what)
    found = re.search(signature.pattern, text, re.MULTILINE)
    return Judgement(Call.BAD if found else Call.OTHER, _line(found) if found else fault.what)


def _line(found: re.Match[str]) -> str:
    """Give the whole line in which something was found."""
    begin = found.string.rfind("\n", 0, found.start()) + 1
    return found.string[begin:].partition("\n")[0].strip()


def _warned(signature: Signature, evidence: Evidence) -> Judgement:
    assert evidence.kernel is not None
    for one in evidence.kernel.warnings:
        line = f"{one.file}:{one.line}: {one.text}"
        if re.search(signature.pattern, line):
            return Judgement(Call.BAD, line)
    return Judgement(Call.GOOD, "builds without that warning")


def _commanded(evidence: Evidence) -> Judgement:
    """Take a status as `git bisect run` does: 125 is untestable, from 128 on it is no verdict."""
    status, last = evidence.status, (evidence.said.strip().splitlines() or [""])[-1]
    why = f"status {status}{f': {last}' if last else ''}"
    if status == _UNTESTABLE:
        return Judgement(Call.SKIP, why)
    if status >= _ABORT or status < 0:
        raise HostFault(
            f"the command ended with status {status}",
            hint="125 says that a kernel cannot be tested, 1 to 127 that it is bad",
            details=evidence.said,
        )
    return Judgement(Call.BAD if status else Call.GOOD, why)


def _see_that_it_ran(result: SideResult) -> None:
    """Raise HostFault when the host took the guest away and nothing was found before that."""
    ran = [one for one in result.tests if one.outcome is not Outcome.NOTRUN]
    lost = [one for one in result.guests if one.ended in _LOST]
    if lost and not ran:
        raise HostFault(
            f"the guest was lost: {lost[0].note or lost[0].ended}",
            hint="dmesg on this machine may say why; fewer --guests, less --memory",
        )


def _number(signature: Signature, value: float | None, result: SideResult, what: str) -> Judgement:
    if value is None:
        return _other(result) or Judgement(Call.OTHER, "there is no such number")
    above = signature.above is not None and value > signature.above
    below = signature.below is not None and value < signature.below
    return Judgement(Call.BAD if above or below else Call.GOOD, f"{value:g} {what}", value)


def _measured(pattern: str, result: SideResult) -> float | None:
    """Find the number in what the tests printed, or in what the kernel said meanwhile."""
    for test in result.tests:
        for text in (test.output, test.message, test.kernel_log):
            if found := re.search(pattern, text, re.MULTILINE):
                try:
                    return float(found[1] if found.groups() else found[0])
                except ValueError:
                    raise UsageError(
                        f"{found[0]!r} is no number", hint="put the number into (parentheses)"
                    ) from None
    return None


def splats(result: SideResult) -> Iterable[Splat]:
    """Give everything the kernel complained of, wherever it was seen."""
    yield from (splat for test in result.tests for splat in test.splats)
    yield from (splat for guest in result.guests for splat in guest.splats)


def _splatted(signature: Signature, result: SideResult) -> Judgement:
    for one in splats(result):
        titles = (one.title, one.panic)
        named = any(text and re.search(signature.pattern, text, re.IGNORECASE) for text in titles)
        if named or (one.fingerprint and one.fingerprint == signature.pattern):
            return Judgement(Call.BAD, one.title)
    return _other(result) or Judgement(Call.GOOD, "without that splat")


def _tested(signature: Signature, result: SideResult) -> Judgement:
    for one in result.tests:
        if one.outcome.bad and one.outcome in signature.outcomes:
            return Judgement(Call.BAD, _said(one))
    return _other(result) or _passed(result.tests)


def _other(result: SideResult) -> Judgement | None:
    """Give any other failure, which says nothing of the one that is looked for."""
    if result.error:
        return Judgement(Call.OTHER, result.error)
    bad = next((one for one in result.tests if one.outcome.bad), None)
    return Judgement(Call.OTHER, _said(bad)) if bad else None


def _passed(tests: Sequence[Test]) -> Judgement:
    if tests and all(one.outcome is Outcome.SKIP for one in tests):
        return Judgement(Call.SKIP, _said(tests[0]))
    return Judgement(Call.GOOD, "pass" if len(tests) == 1 else f"{len(tests)} tests pass")


def _said(test: Test) -> str:
    name = test.id.rpartition("::")[2]
    return f"{name}: {test.outcome}{f': {test.headline}' if test.headline else ''}"
