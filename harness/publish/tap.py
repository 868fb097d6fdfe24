# SPDX-License-Identifier: GPL-2.0-only
"""The judged kernel's tests as TAP 14 and as the kernel's own KTAP: a subtest for each file.

The plan comes first, so a reader notices a truncated file.  All points are ok if and only if
the verdict is good: results of the base are only in the diagnostics.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping

from harness.model import Outcome, Run, Test
from harness.publish import sentences
from harness.text import clean, clip, one_line

TEXT = 8 * 1024  # maximum number of characters of a message or a log
_LINES = 120  # maximum number of lines, half from the start, half from the end
_LINE = 400  # maximum number of characters of a line
EXPECTED = "TO" + "DO"  # TAP's word for a test that is known to fail

Values = Mapping[str, str | float | list[str]]


@dataclasses.dataclass(frozen=True)
class TestPoint:
    """One test point: ``directive`` is SKIP, EXPECTED or empty, ``values`` are diagnostics."""

    __test__ = False  # not for pytest to collect

    ok: bool
    name: str
    directive: str = ""
    reason: str = ""
    values: Values = dataclasses.field(default_factory=dict)


def tap(run: Run) -> str:
    """Return the run as TAP version 14; diagnostics are YAML."""
    subtests = _subtests(run)
    lines = ["TAP version 14", f"# {_title(run)}", f"1..{len(subtests)}"]
    for number, (name, points) in enumerate(subtests.items(), 1):
        lines.append(f"# Subtest: {_escaped(name)}")
        lines.append(f"    1..{len(points)}")
        for inner, point in enumerate(points, 1):
            # In TAP an expected failure is "not ok"; readers do not count it.
            word = _word(point.ok and point.directive != EXPECTED)
            end = _directive(point.directive, point.reason)
            lines.append(f"    {word} {inner} - {_escaped(point.name)}{end}")
            lines += (f"    {line}" for line in _yaml(point.values))
        lines.append(f"{_word(_all_ok(points))} {number} - {_escaped(name)}")
    return "\n".join(lines) + "\n"


def ktap(run: Run) -> str:
    """Return the run as KTAP version 1; diagnostics are comments before the result."""
    subtests = _subtests(run)
    lines = ["KTAP version 1", f"# {_title(run)}", f"1..{len(subtests)}"]
    for number, (name, points) in enumerate(subtests.items(), 1):
        lines += ["  KTAP version 1", f"  # Subtest: {_bare(name)}", f"  1..{len(points)}"]
        for inner, point in enumerate(points, 1):
            lines += (f"  # {line}" for line in _comments({} if point.ok else point.values))
            end = _directive(point.directive.replace(EXPECTED, "XFAIL"), point.reason)
            # In KTAP an expected failure is ok, as in kselftest.
            lines.append(f"  {_word(point.ok)} {inner} {_bare(point.name)}{end}")
        lines.append(f"{_word(_all_ok(points))} {number} {_bare(name)}")
    return "\n".join(lines) + "\n"


def _title(run: Run) -> str:
    kernel = f", {run.judged.side} kernel {run.judged.kernel.release}" if run.sides else ""
    return one_line(f"{sentences.title(run)} on {run.source.name}{kernel}", _LINE)


def _subtests(run: Run) -> dict[str, list[TestPoint]]:
    """Return the test points by file; failures outside the tests have their own points."""

    def failed(name: str, **values: str | list[str]) -> list[TestPoint]:
        return [TestPoint(False, name, values=values)]

    if not run.sides:
        return {"boot": failed("boot", message="no kernel was tested")}
    side = run.judged
    subtests: dict[str, list[TestPoint]] = {}
    if run.interrupted:
        subtests["run"] = failed("run", message="the run was interrupted")
    if titles := [*filter(None, [side.error]), *(splat.title for splat in run.boot_splats)]:
        subtests["boot"] = failed("boot", message=one_line(titles[0], _LINE))
    if run.warnings:
        lines = [one_line(warning.message, _LINE) for warning in run.warnings[:_LINES]]
        subtests["build"] = failed("build", message="new compiler warnings", details=lines)
    base = {test.id: test.outcome for other in run.sides[:-1] for test in other.tests}
    for test in side.tests:
        file = one_line(test.id.partition("::")[0], _LINE)
        subtests.setdefault(file, []).append(_point(run, test, base))
    return subtests


def _point(run: Run, test: Test, base: Mapping[str, Outcome]) -> TestPoint:
    file, _, name = test.id.partition("::")
    excuse = run.reason(test) if test.outcome.bad and not run.counts(test) else ""
    directive = {Outcome.SKIP: "SKIP", Outcome.XFAIL: EXPECTED}.get(test.outcome, "")
    values: dict[str, str | float | list[str]] = {
        "outcome": str(test.outcome),
        "base": str(base.get(test.id, "")),
        "duration_ms": round(test.seconds * 1000, 3),
    }
    if test.outcome.bad:
        values |= {
            "message": one_line(test.headline, _LINE),
            "details": _cut(test.message),
            "log": _cut(test.kernel_log),
            "reproduce": one_line(test.reproduce, 4096),
        }
    return TestPoint(
        not test.outcome.bad or bool(excuse),
        one_line(name or file, _LINE),
        EXPECTED if excuse else directive,
        excuse or (one_line(test.headline).replace("#", "") if directive else ""),
        {key: value for key, value in values.items() if value != "" and value != []},
    )


def _cut(raw: str) -> list[str]:
    text = clean(clip(raw, TEXT))
    lines = [line[:_LINE].rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) <= _LINES:
        return lines
    half = _LINES // 2
    return [*lines[:half], f"... ({len(lines) - _LINES} lines left out)", *lines[-half:]]


def _all_ok(points: list[TestPoint]) -> bool:
    return all(point.ok for point in points)


def _word(ok: bool) -> str:
    return "ok" if ok else "not ok"


def _directive(directive: str, reason: str) -> str:
    return f" # {directive} {reason}".rstrip() if directive else ""


def _yaml(values: Values) -> Iterator[str]:
    """Return the diagnostics as YAML; a JSON string is valid YAML."""
    if not values:
        return
    yield "  ---"
    for key, value in values.items():
        if isinstance(value, list):
            yield f"  {key}:"
            yield from (f"    - {json.dumps(line)}" for line in value)
        else:
            yield f"  {key}: {json.dumps(value)}"
    yield "  ..."


def _comments(values: Values) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, list):
            yield f"{key}:"
            yield from (f"  {line}" for line in value)
        else:
            yield f"{key}: {value}"


def _escaped(name: str) -> str:
    """Escape the two special characters of TAP 14 in a description."""
    return name.replace("\\", "\\\\").replace("#", "\\#")


def _bare(name: str) -> str:
    """Return a description for KTAP, where "#" would end it and cannot be escaped."""
    return name.replace("#", "_")
