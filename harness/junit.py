# SPDX-License-Identifier: GPL-2.0-only
"""junit.xml of a run: a suite per kernel, a case per test, made with junitparser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import junitparser
from junitparser import xunit2

from harness.model import Outcome, SideResult, Test

# XML 1.0 cannot hold these at all, escaped or not; consoles are full of them.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_WORDS: Mapping[Outcome, type[junitparser.junitparser.FinalResult]] = {
    Outcome.SKIP: junitparser.Skipped,
    Outcome.XFAIL: junitparser.Skipped,
    Outcome.NOTRUN: junitparser.Skipped,
    Outcome.FAIL: junitparser.Failure,
    Outcome.XPASS: junitparser.Failure,
    Outcome.FLAKY: junitparser.Failure,
}
# By whether the attempt was a plain failure; anything else is an error.
_FLAKY = (xunit2.FlakyError, xunit2.FlakyFailure)
_RERUN = (xunit2.RerunError, xunit2.RerunFailure)


def write(path: Path, sides: tuple[SideResult, ...], properties: Mapping[str, str]) -> Path:
    """Write junit.xml for the kernels of a run; ``properties`` stand on each suite."""
    report = junitparser.JUnitXml("harness")
    for result in sides:
        report.add_testsuite(_suite(result, properties))
    report.update_statistics()  # type: ignore[no-untyped-call]
    report.write(str(path), pretty=True)
    return path


def _suite(result: SideResult, properties: Mapping[str, str]) -> junitparser.TestSuite:
    suite = junitparser.TestSuite(f"{result.side} ({result.kernel.release})")
    own = {
        "kernel.release": result.kernel.release,
        "kernel.commit": result.kernel.commit,
        "kernel.config": str(result.kernel.config),
        "kernel.key": result.kernel.key,
    }
    for name, value in {**properties, **own}.items():
        suite.add_property(name, _clean(value))
    suite.add_testcases([_case(test, result.allow_flaky) for test in result.tests])
    return suite


def _case(test: Test, allow_flaky: bool) -> junitparser.TestCase:
    file, _, name = test.id.partition("::")
    classname = file.removesuffix(".py").replace("/", ".")
    case = xunit2.TestCase(_clean(name or file), _clean(classname), test.seconds)
    verdict = None if allow_flaky and test.outcome is Outcome.FLAKY else _verdict(test)
    if verdict is not None:
        case.result = [verdict]
    for again in _attempts(test):
        case.add_interim_result(again)
    parts = (_reproduce(test), _places(test), test.output, test.kernel_log)
    output = "\n\n".join(part for part in parts if part)
    if output:
        case.system_out = _clean(output)
    return case


def _reproduce(test: Test) -> str:
    return f"reproduce: {test.reproduce}" if test.reproduce else ""


def _places(test: Test) -> str:
    """Say where in the sources the splats were, and which patches' lines they went through."""
    return "\n".join(
        f"{splat.title}\n  at {splat.place}"
        + "".join(f"\n  through {one}" for one in splat.patches)
        for splat in test.splats
        if splat.place
    )


def _attempts(test: Test) -> list[xunit2.InterimResult]:
    """Give the runs of a test beside the one that its verdict shows, as Maven's surefire does."""
    bad = [one for one in test.attempts if one.bad]
    kinds = _FLAKY if test.outcome is Outcome.FLAKY else _RERUN
    shown = bad if test.outcome is Outcome.FLAKY else bad[1:]
    return [kinds[one is Outcome.FAIL](f"attempt: {one}") for one in shown]


def _verdict(test: Test) -> junitparser.junitparser.FinalResult | None:
    """Give JUnit's word for an outcome: it has failure, error and skipped only."""
    if test.outcome is Outcome.PASS:
        return None
    first = test.headline or str(test.outcome)
    result = _WORDS.get(test.outcome, junitparser.Error)(_clean(first), str(test.outcome))
    result.text = _clean(test.message)
    return result


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
