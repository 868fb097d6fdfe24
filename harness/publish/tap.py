# SPDX-License-Identifier: GPL-2.0-only
"""The judged kernel's tests as TAP 14 and as the kernel's own KTAP: a subtest for each file.

The plan stands first, so a reader sees when something was cut off.  All is well there exactly
when it is here: the base's tests are left to the diagnostics.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from harness.model import Outcome, Run, Test
from harness.publish import sentences
from harness.text import clean, clip, one_line

MESSAGE, LOG = 8 * 1024, 8 * 1024  # characters of what a failure says
_LINES = 120  # and lines, half from the start, half from the end
_LINE = 400  # characters of a line
EXPECTED = "TO" + "DO"  # TAP's word for what is known to fail


@dataclasses.dataclass(frozen=True)
class Point:
    """One test point: ``directive`` is SKIP, EXPECTED or empty, ``values`` what else is known."""

    ok: bool
    name: str
    directive: str = ""
    reason: str = ""
    values: tuple[tuple[str, str | float | list[str]], ...] = ()


Groups = dict[str, list[Point]]


def tap(run: Run) -> str:
    """Write TAP version 14; diagnostics are YAML."""
    lines = ["TAP version 14", f"# {_about(run)}"]
    groups = _groups(run)
    lines.append(f"1..{len(groups)}")
    for number, (name, points) in enumerate(groups.items(), 1):
        lines.append(f"# Subtest: {_escaped(name)}")
        lines.append(f"    1..{len(points)}")
        for inner, point in enumerate(points, 1):
            lines.append(f"    {_status(point)} {inner} - {_escaped(point.name)}{_end(point)}")
            lines += (f"    {line}" for line in _yaml(point))
        ok = Point(all(point.ok for point in points), name)
        lines.append(f"{_status(ok)} {number} - {_escaped(name)}")
    return "\n".join(lines) + "\n"


def ktap(run: Run) -> str:
    """Write KTAP version 1; diagnostics are comments before the result."""
    groups = _groups(run)
    lines = ["KTAP version 1", f"# {_about(run)}", f"1..{len(groups)}"]
    for number, (name, points) in enumerate(groups.items(), 1):
        lines += ["  KTAP version 1", f"  # Subtest: {_bare(name)}", f"  1..{len(points)}"]
        for inner, point in enumerate(points, 1):
            lines += (f"  # {line}" for line in _comments(point))
            directive = point.directive.replace(EXPECTED, "XFAIL")
            end = f" # {directive} {point.reason}".rstrip() if directive else ""
            # What is known to fail is ok in KTAP, as kselftest has it.
            word = "ok" if point.ok else "not ok"
            lines.append(f"  {word} {inner} {_bare(point.name)}{end}")
        ok = Point(all(point.ok for point in points), name)
        lines.append(f"{_status(ok)} {number} {_bare(name)}")
    return "\n".join(lines) + "\n"


def _about(run: Run) -> str:
    kernel = f", {run.judged.side} kernel {run.judged.kernel.release}" if run.sides else ""
    return one_line(f"{sentences.title(run)} on {run.source.name}{kernel}", _LINE)


def _groups(run: Run) -> Groups:
    """Give the test points by file; the boot is one of its own when it went wrong."""
    groups: Groups = {}
    if not run.sides:
        return {"boot": [Point(False, "boot", values=(("message", "no kernel was tested"),))]}
    side = run.judged
    if run.interrupted:
        groups["run"] = [Point(False, "run", values=(("message", "it was interrupted"),))]
    if titles := [*filter(None, [side.error]), *(splat.title for splat in run.boot_splats)]:
        message = one_line(titles[0], _LINE)
        groups["boot"] = [Point(False, "boot", values=(("message", message),))]
    if run.warnings:
        lines = [one_line(f"{w.file}:{w.line}: {w.text}", _LINE) for w in run.warnings[:_LINES]]
        values = (("message", "new compiler warnings"), ("details", lines))
        groups["build"] = [Point(False, "build", values=values)]
    base = {t.id: t.outcome for other in run.sides[:-1] for t in other.tests}
    for test in side.tests:
        file = test.id.partition("::")[0]
        groups.setdefault(one_line(file, _LINE), []).append(_point(run, test, base))
    return groups


def _point(run: Run, test: Test, base: dict[str, Outcome]) -> Point:
    file, _, name = test.id.partition("::")
    excuse = run.reason(test) if test.outcome.bad and not run.counts(test) else ""
    directive = {Outcome.SKIP: "SKIP", Outcome.XFAIL: EXPECTED}.get(test.outcome, "")
    values: list[tuple[str, str | float | list[str]]] = [("outcome", str(test.outcome))]
    if test.id in base:
        values.append(("base", str(base[test.id])))
    values.append(("duration_ms", round(test.seconds * 1000, 3)))
    if test.outcome.bad:
        values += (
            ("message", one_line(test.headline, _LINE)),
            ("details", _lines(test.message, MESSAGE)),
            ("log", _lines(test.kernel_log, LOG)),
            ("reproduce", one_line(test.reproduce, 4096)),
        )
    return Point(
        not test.outcome.bad or bool(excuse),
        one_line(name or file, _LINE),
        EXPECTED if excuse else directive,
        excuse or (one_line(test.headline).replace("#", "") if directive else ""),
        tuple((key, value) for key, value in values if value != "" and value != []),
    )


def _lines(raw: str, most: int) -> list[str]:
    text = clean(clip(raw, most))
    lines = [line[:_LINE].rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) <= _LINES:
        return lines
    half = _LINES // 2
    return [*lines[:half], f"... ({len(lines) - _LINES} lines left out)", *lines[-half:]]


def _status(point: Point) -> str:
    """TAP counts what is known to fail by itself: there it is "not ok"."""
    return "ok" if point.ok and point.directive != EXPECTED else "not ok"


def _end(point: Point) -> str:
    return f" # {point.directive} {point.reason}".rstrip() if point.directive else ""


def _yaml(point: Point) -> Iterator[str]:
    """Write the diagnostics; a string of JSON is one of YAML as well."""
    if not point.values:
        return
    yield "  ---"
    for key, value in point.values:
        if isinstance(value, list):
            yield f"  {key}:"
            yield from (f"    - {json.dumps(one)}" for one in value)
        else:
            yield f"  {key}: {json.dumps(value)}"
    yield "  ..."


def _comments(point: Point) -> Iterator[str]:
    for key, value in point.values if not point.ok else ():
        if isinstance(value, list):
            yield f"{key}:"
            yield from (f"  {line}" for line in value)
        else:
            yield f"{key}: {value}"


def _escaped(name: str) -> str:
    """Write a description: TAP 14 escapes these two."""
    return name.replace("\\", "\\\\").replace("#", "\\#")


def _bare(name: str) -> str:
    """Write a description of KTAP, which ends at the first "#" and knows no escape."""
    return name.replace("#", "_")
