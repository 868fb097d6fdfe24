# SPDX-License-Identifier: GPL-2.0-only
"""junit.xml of a run: a suite per kernel and folder of tests, a case per test.

The format is that of the Jenkins xunit plugin and of Maven's surefire.  The kernel is part of a
case's class name: many CI systems identify a test only by class and name.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import junitparser
from junitparser import xunit2

from harness.model import Outcome, Run, Splat, Test, Trial
from harness.text import clean, clip, one_line, quantity

BAD, GOOD = 64 * 1024, 4 * 1024  # maximum characters of a text, for bad and for good tests
ALL = 8 * 1024 * 1024  # the same for all good tests and for all bad tests: CI systems have limits
LEAST = 512  # number of characters that each test gets in any case
FIRST = 500  # maximum number of characters of a failure's headline
BOOT = "boot"

_RESULTS: Mapping[Outcome, type[junitparser.junitparser.FinalResult]] = {
    Outcome.SKIP: junitparser.Skipped,
    Outcome.XFAIL: junitparser.Skipped,
    Outcome.NOTRUN: junitparser.Skipped,
    Outcome.FAIL: junitparser.Failure,
    Outcome.XPASS: junitparser.Failure,
    Outcome.FLAKY: junitparser.Failure,
}


def write(path: Path, run: Run, sides: Sequence[Trial] | None = None) -> Path:
    """Write junit.xml for ``sides`` of a run (all by default); return its path.

    A failure that does not affect the verdict is written as skipped, with the reason, because a CI
    system adds up failures and would show a good run as bad.
    """
    sides = run.sides if sides is None else sides
    report = xunit2.JUnitXml("harness")
    for fault in _faults(run, sides):
        case = xunit2.TestCase("run", "run", 0.0)
        case.result = [junitparser.Error(_line(fault), "run")]
        suite = xunit2.TestSuite("run")  # type: ignore[no-untyped-call]
        suite.add_testcases([case])
        report.add_testsuite(suite)
    for side in sides:
        for suite in _Kernel(run, side).suites():
            report.add_testsuite(suite)
    report.update_statistics()  # type: ignore[no-untyped-call]
    # junitparser's own pretty printing takes ten times the memory and the time.
    ElementTree.indent(report._elem)
    report.write(str(path))
    return path


def _faults(run: Run, sides: Sequence[Trial]) -> Iterator[str]:
    """Yield problems that no test shows: an incomplete run, new compiler warnings."""
    if run.interrupted:
        yield "the run was interrupted"
    if not sides or sides[-1].side is not run.judged.side:
        return
    if left := run.judged.left * (not run.interrupted):
        yield f"{quantity(left, 'test')} of the {run.judged.side} kernel not run"
    for warning in run.warnings:
        yield f"new warning: {warning.message}"


@dataclasses.dataclass(frozen=True)
class _Kernel:
    """The suites of one kernel of a run."""

    run: Run
    side: Trial

    def suites(self) -> Iterator[xunit2.TestSuite]:
        """Return a suite for each folder of tests, and one for the boot if that failed."""
        if self.side.error or self.side.boot_splats:
            yield self._suite(BOOT, [self._boot()])
        folders: dict[str, list[Test]] = {}
        for test in self.side.tests:
            folders.setdefault(str(Path(test.id.partition("::")[0]).parent), []).append(test)
        bad = sum(test.outcome.bad for test in self.side.tests)
        good = len(self.side.tests) - bad
        rooms = {
            True: min(BAD, max(LEAST, ALL // (2 * max(1, bad)))),  # a message and an output
            False: min(GOOD, max(LEAST, ALL // max(1, good))),
        }
        for folder, tests in folders.items():
            cases = [self._case(test, rooms[test.outcome.bad]) for test in tests]
            began = min((test.began for test in tests if test.began), default=0.0)
            yield self._suite(folder, cases, began)

    def _suite(
        self, folder: str, cases: Sequence[junitparser.TestCase], began: float = 0.0
    ) -> xunit2.TestSuite:
        run, kernel, series = self.run, self.side.kernel, self.run.series
        name = _line(f"{self.side.side} ({kernel.release}) {folder}")
        suite = xunit2.TestSuite(name)  # type: ignore[no-untyped-call]
        start = datetime.datetime.fromtimestamp(began, datetime.UTC).isoformat() if began else ""
        suite.timestamp = _line((start or run.started)[:19])  # the format has no time zone: UTC
        properties = {
            **{f"about.{name}": value for name, value in run.about},
            "accel": run.accel,
            "source": f"{run.source.name} {run.source.origin}".strip(),
            "series": (series.title or series.name) if series else "none",
            "started": run.started,
            "kernel": self.side.side,
            "kernel.release": kernel.release,
            "kernel.commit": kernel.commit,
            "kernel.config": str(kernel.config),
            "kernel.key": kernel.key,
            "kernel.arch": kernel.arch,
            "suite": folder,
            **self._coverage,
        }
        for key, value in properties.items():
            suite.add_property(_line(key), _line(value))
        suite.add_testcases(list(cases))  # one by one, it would be quadratic
        return suite

    @property
    def _coverage(self) -> dict[str, str]:
        """How many lines of the series were compiled, counted and executed, if that is known."""
        lines = self.run.lines
        if self.side.side is not self.run.judged.side or lines is None or not lines.counted:
            return {}
        never = ", ".join(part.where for part in lines.unexecuted())
        return {
            "lines.compiled": str(lines.compiled),
            "lines.counted": str(lines.counted),
            "lines.executed": str(lines.executed),
            "lines.never_executed": never,
        }

    def _boot(self) -> xunit2.TestCase:
        """Return a case for a kernel that did not boot or printed a splat while booting."""
        side, run = self.side, self.run
        excuse = ""
        if side.side is not run.judged.side:
            excuse = self._not_judged
        elif not (side.error or run.boot_splats):
            excuse = "the base reports it too"
        headline = side.error or side.boot_splats[0].title
        kind = junitparser.Skipped if excuse else junitparser.Error
        result = kind(_line(f"{excuse}: {headline}" if excuse else headline), BOOT)
        result.text = _text("\n\n".join((side.error, *map(_splat, side.boot_splats))), BAD)
        case = xunit2.TestCase(BOOT, f"{side.side}.{BOOT}", 0.0)
        case.result = [result]
        consoles = [Path(guest.console) for guest in side.guests if guest.console]
        case.system_out = _attachments(consoles)
        return case

    @property
    def _not_judged(self) -> str:
        return "" if self.run.strict else "base kernel, not judged"

    def _case(self, test: Test, room: int) -> xunit2.TestCase:
        file, _, name = test.id.partition("::")
        classname = f"{self.side.side}.{file.removesuffix('.py').replace('/', '.')}"
        case = xunit2.TestCase(_line(name or file), _line(classname), round(test.seconds, 3))
        if test.outcome is not Outcome.PASS:
            case.result = [self._result(test, room)]
        for attempt in _other_attempts(test):
            case.add_interim_result(attempt)
        reproduce = f"reproduce: {test.reproduce}" if test.reproduce else ""
        places = "\n".join(_place(splat) for splat in test.splats if splat.place)
        parts = (reproduce, places, test.output, test.kernel_log)
        output = _text("\n\n".join(filter(None, parts)), room)
        if test.outcome.bad:
            output = f"{output}\n\n{_attachments(self._evidence(test))}".strip()
        if output:
            case.system_out = output
        return case

    def _result(self, test: Test, room: int) -> junitparser.junitparser.FinalResult:
        """Return JUnit's result for an outcome: only failure, error and skipped exist."""
        run, excuse = self.run, ""
        if test.outcome.bad and self.side.side is not run.judged.side:
            excuse = self._not_judged
        elif test.outcome.bad and not run.counts(test):
            excuse = run.reason(test)
        headline = test.headline or str(test.outcome)
        kind = junitparser.Skipped if excuse else _RESULTS.get(test.outcome, junitparser.Error)
        result = kind(_line(f"{excuse}: {headline}" if excuse else headline), str(test.outcome))
        splats = [_splat(splat) for splat in test.splats if splat.title not in test.message]
        result.text = _text("\n\n".join((test.message, *splats)), room)
        return result

    def _evidence(self, test: Test) -> list[Path]:
        """Return files with additional evidence: the guest's console, the decoded splats."""
        guests = {guest.name: guest for guest in self.side.guests}
        if test.guest not in guests or not guests[test.guest].console:
            return []
        console = Path(guests[test.guest].console)
        side_folder = console.parents[2:3]
        return [console, *(folder / "splats.txt" for folder in side_folder if test.splats)]


def _attachments(files: Iterable[Path]) -> str:
    """Return the text that makes Jenkins (JUnit Attachments) and GitLab attach files to a case."""
    top = Path(os.environ.get("CI_PROJECT_DIR") or os.environ.get("WORKSPACE") or Path.cwd())
    paths = [file.absolute() for file in files if file.is_file()]
    paths = [path.relative_to(top) if path.is_relative_to(top) else path for path in paths]
    return "\n".join(f"[[ATTACHMENT|{one_line(str(path), 4096)}]]" for path in paths)


def _splat(splat: Splat) -> str:
    return "\n".join((_place(splat) if splat.place else splat.title, *splat.lines))


def _place(splat: Splat) -> str:
    """Return a splat's title, its source line, and the patches with lines in its stacks."""
    through = "".join(f"\n  through {subject}" for subject in splat.patches)
    return f"{splat.title}\n  at {splat.place}{through}"


def _other_attempts(test: Test) -> list[xunit2.InterimResult]:
    """Return the attempts other than the one in the result, as Maven's surefire does."""
    flaky = test.outcome is Outcome.FLAKY
    failure, error = (
        (xunit2.FlakyFailure, xunit2.FlakyError)
        if flaky
        else (xunit2.RerunFailure, xunit2.RerunError)
    )
    bad = [attempt for attempt in test.attempts if attempt.bad]
    return [
        (failure if attempt is Outcome.FAIL else error)(f"attempt: {attempt}", str(attempt))
        for attempt in (bad if flaky else bad[1:])
    ]


def _text(raw: str, most: int) -> str:
    """Sanitise the text of an element: a guest must not be able to attach files."""
    return clean(clip(raw, most)).replace("[[ATTACHMENT|", "[[ATTACHMENT ").strip()


def _line(raw: str) -> str:
    """Sanitise the text of an attribute: one line, not too long to show."""
    return one_line(raw, FIRST).replace("[[ATTACHMENT|", "[[ATTACHMENT ")
