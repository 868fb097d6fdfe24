# SPDX-License-Identifier: GPL-2.0-only
"""junit.xml of a run: a suite per kernel and guest suite, a case per test, with junitparser.

The form is that of the Jenkins xunit plugin and of Maven's surefire.  The kernel is part of a
case's class name: a CI system that knows tests by class and name only keeps them apart.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import junitparser
from junitparser import xunit2

from harness.model import ALLOWED, GuestRecord, Outcome, Run, SideResult, Splat, Test
from harness.text import clean, clip, one_line

BAD, GOOD = 64 * 1024, 4 * 1024  # characters of a text that are kept of a test, at most
ALL = 8 * 1024 * 1024  # characters that the good and the bad may have together: CI has limits
LEAST = 512  # but each of them has this
FIRST = 500  # characters of a message in one line
BOOT = "boot"

#: Says why a failure of a kernel's test does not count (None: of its boot); empty if it does.
Excuse = Callable[[SideResult, Test | None], str]

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


def of_run(path: Path, run: Run, sides: tuple[SideResult, ...]) -> Path:
    """Write junit.xml for ``sides`` of a run, with what is to be known of it as properties."""
    series = run.series
    properties = {
        **{f"about.{name}": value for name, value in run.about},
        "accel": run.accel,
        "source": f"{run.source.name} {run.source.origin}".strip(),
        "series": (series.title or series.name) if series else "none",
        "started": run.started,
    }
    return write(path, sides, properties, _faults(run, sides), functools.partial(_excuse, run))


def _excuse(run: Run, side: SideResult, test: Test | None) -> str:
    """Say why a failure does not count for the verdict; None is the boot."""
    if side.side is not run.judged.side:
        return "" if run.strict else "base kernel, not judged"
    if test is not None:
        return "" if run.counts(test) else run.reason(test)
    return "" if side.error or run.boot_splats else "the base complains of it too"


def _allowed(side: SideResult, test: Test | None) -> str:
    return ALLOWED if test and side.allows(test) else ""


def _faults(run: Run, sides: tuple[SideResult, ...]) -> Iterator[str]:
    """Say what no test shows: the run is not whole, or there are new warnings and splats."""
    if run.interrupted:
        yield "the run was interrupted"
    if not sides or sides[-1].side is not run.judged.side:
        return
    if left := run.judged.left * (not run.interrupted):
        yield f"{left} test{'s' if left > 1 else ''} of the {run.judged.side} kernel not run"
    for one in run.warnings:
        yield f"new warning: {one.file}:{one.line}: {one.text}"


def write(
    path: Path,
    sides: tuple[SideResult, ...],
    properties: Mapping[str, str],
    faults: Iterable[str] = (),
    excuse: Excuse | None = None,
) -> Path:
    """Write junit.xml for the kernels of a run; ``properties`` stand on each suite.

    The property "started" (ISO 8601) is the time of tests that do not know their own.  ``faults``
    say what is wrong with the whole.  A failure that ``excuse`` gives words for counts as skipped:
    a CI system adds up failures, and says bad where the verdict is good.
    """
    excuse = excuse or _allowed
    report = xunit2.JUnitXml("harness")
    for fault in faults:
        report.add_testsuite(_fault(fault))
    for result in sides:
        for suite in _suites(result, properties, excuse):
            report.add_testsuite(suite)
    report.update_statistics()  # type: ignore[no-untyped-call]
    # Its own pretty printing takes ten times the memory and the time.
    ElementTree.indent(report._elem)
    report.write(str(path))
    return path


def _fault(words: str) -> xunit2.TestSuite:
    suite = xunit2.TestSuite("run")  # type: ignore[no-untyped-call]
    case = xunit2.TestCase("run", "run", 0.0)
    case.result = [junitparser.Error(_line(words), "run")]
    suite.add_testcases([case])
    return suite


@dataclasses.dataclass(frozen=True)
class _Side:
    """A kernel's tests as they are written: how much of a text is kept of a bad one, of a good."""

    result: SideResult
    guests: Mapping[str, GuestRecord]
    bad: int
    good: int
    excuse: Excuse


def _side(result: SideResult, excuse: Excuse) -> _Side:
    bad = sum(test.outcome.bad for test in result.tests)
    good = len(result.tests) - bad
    return _Side(
        result,
        {guest.name: guest for guest in result.guests},
        min(BAD, max(LEAST, ALL // (2 * max(1, bad)))),  # a message and an output
        min(GOOD, max(LEAST, ALL // max(1, good))),
        excuse,
    )


def _suites(
    result: SideResult, properties: Mapping[str, str], excuse: Excuse
) -> Iterable[xunit2.TestSuite]:
    """Give a suite for each folder of tests, and one for the boot if that went wrong."""
    if wrong := _boot(result, excuse(result, None)):
        yield _suite(result, BOOT, [wrong], properties)
    folders: dict[str, list[Test]] = {}
    for test in result.tests:
        folders.setdefault(str(Path(test.id.partition("::")[0]).parent), []).append(test)
    side = _side(result, excuse)
    for folder, tests in folders.items():
        cases: list[junitparser.TestCase] = [_case(side, test) for test in tests]
        began = min((test.began for test in tests if test.began), default=0.0)
        yield _suite(result, folder, cases, properties, began)


def _suite(
    result: SideResult,
    folder: str,
    cases: list[junitparser.TestCase],
    properties: Mapping[str, str],
    began: float = 0.0,
) -> xunit2.TestSuite:
    name = f"{result.side} ({result.kernel.release}) {folder}"
    suite = xunit2.TestSuite(_line(name))  # type: ignore[no-untyped-call]
    start = (
        datetime.datetime.fromtimestamp(began, datetime.UTC).isoformat(timespec="seconds")
        if began
        else properties.get("started", "")
    )
    if start:
        suite.timestamp = _line(start[:19])  # the format knows no time zone: it is UTC
    own = {
        "kernel": result.side,
        "kernel.release": result.kernel.release,
        "kernel.commit": result.kernel.commit,
        "kernel.config": str(result.kernel.config),
        "kernel.key": result.kernel.key,
        "kernel.arch": result.kernel.arch,
        "suite": folder,
    }
    for key, value in {**properties, **own}.items():
        suite.add_property(_line(key), _line(value))
    suite.add_testcases(cases)  # one by one each would count all before it
    return suite


def _boot(result: SideResult, excuse: str) -> xunit2.TestCase | None:
    """Give a case for a kernel that did not boot, or complained of something while it did."""
    splats = result.boot_splats
    if not (result.error or splats):
        return None
    case = xunit2.TestCase(BOOT, f"{result.side}.{BOOT}", 0.0)
    kind = junitparser.Skipped if excuse else junitparser.Error
    words = result.error or splats[0].title
    error = kind(_line(f"{excuse}: {words}" if excuse else words), "boot")
    error.text = _text(result.error + "\n\n" + "\n\n".join(map(_splat, splats)), BAD)
    case.result = [error]
    case.system_out = _marks([Path(guest.console) for guest in result.guests if guest.console])
    return case


def _case(side: _Side, test: Test) -> xunit2.TestCase:
    result, room = side.result, side.bad if test.outcome.bad else side.good
    file, _, name = test.id.partition("::")
    classname = f"{result.side}.{file.removesuffix('.py').replace('/', '.')}"
    case = xunit2.TestCase(_line(name or file), _line(classname), round(test.seconds, 3))
    excuse = side.excuse(result, test) if test.outcome.bad else ""
    verdict = _verdict(test, room, excuse)
    if verdict is not None:
        case.result = [verdict]
    for again in _attempts(test):
        case.add_interim_result(again)
    parts = (_reproduce(test), _places(test), test.output, test.kernel_log)
    output = _text("\n\n".join(filter(None, parts)), room)
    if test.outcome.bad:
        output = f"{output}\n\n{_marks(_evidence(test, side.guests))}".strip()
    if output:
        case.system_out = output
    return case


def _evidence(test: Test, guests: Mapping[str, GuestRecord]) -> list[Path]:
    """Give the files that show more: the console of the guest, what its splats are decoded."""
    guest = guests.get(test.guest)
    if guest is None or not guest.console:
        return []
    console = Path(guest.console)
    decoded = console.parents[2:3]  # the side's folder
    return [console, *(side / "splats.txt" for side in decoded if test.splats)]


def _marks(files: Iterable[Path]) -> str:
    """Name files so that Jenkins (JUnit Attachments) and GitLab offer them with the case."""
    top = Path(os.environ.get("CI_PROJECT_DIR") or os.environ.get("WORKSPACE") or Path.cwd())
    found = [file.absolute() for file in files if file.is_file()]
    near = [file.relative_to(top) if file.is_relative_to(top) else file for file in found]
    return "\n".join(f"[[ATTACHMENT|{one_line(str(file), 4096)}]]" for file in near)


def _reproduce(test: Test) -> str:
    return f"reproduce: {test.reproduce}" if test.reproduce else ""


def _places(test: Test) -> str:
    """Say where in the sources the splats were, and which patches' lines they went through."""
    return "\n".join(map(_place, (splat for splat in test.splats if splat.place)))


def _place(splat: Splat) -> str:
    through = "".join(f"\n  through {one}" for one in splat.patches)
    return f"{splat.title}\n  at {splat.place}{through}"


def _splat(splat: Splat) -> str:
    return "\n".join((_place(splat) if splat.place else splat.title, *splat.lines))


def _attempts(test: Test) -> list[xunit2.InterimResult]:
    """Give the runs of a test beside the one that its verdict shows, as Maven's surefire does."""
    bad = [one for one in test.attempts if one.bad]
    kinds = _FLAKY if test.outcome is Outcome.FLAKY else _RERUN
    shown = bad if test.outcome is Outcome.FLAKY else bad[1:]
    return [kinds[one is Outcome.FAIL](f"attempt: {one}", str(one)) for one in shown]


def _verdict(test: Test, room: int, excuse: str) -> junitparser.junitparser.FinalResult | None:
    """Give JUnit's word for an outcome: it has failure, error and skipped only."""
    if test.outcome is Outcome.PASS:
        return None
    first = test.headline or str(test.outcome)
    kind = junitparser.Skipped if excuse else _WORDS.get(test.outcome, junitparser.Error)
    result = kind(_line(f"{excuse}: {first}" if excuse else first), str(test.outcome))
    raw = [splat for splat in test.splats if splat.title not in test.message]
    result.text = _text("\n\n".join((test.message, *map(_splat, raw))), room)
    return result


def _text(raw: str, most: int) -> str:
    """Give text for an element.  Only we name files: a guest must not have some attached."""
    return clean(clip(raw, most)).replace("[[ATTACHMENT|", "[[ATTACHMENT ").strip()


def _line(raw: str) -> str:
    """Give text for an attribute: one line, of a length that can be shown."""
    return one_line(raw, FIRST).replace("[[ATTACHMENT|", "[[ATTACHMENT ")
