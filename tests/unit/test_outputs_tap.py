# SPDX-License-Identifier: GPL-2.0-only
"""TAP and KTAP, read by parsers that are not ours."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import outputruns
import pytest
from tap.parser import Parser

from harness.model import Run, Verdict
from harness.publish import tap

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def parsed(text: str) -> list[Any]:
    # tap.py knows the newer version's lines by the older one's name.
    return list(Parser().parse_text(text.replace("TAP version 14", "TAP version 13")))


def points(text: str) -> list[Any]:
    return [line for line in parsed(text) if line.category == "test"]


def subtests(run: Run) -> dict[str, list[Any]]:
    """Parse each subtest as a TAP document of its own."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in tap.tap(run).splitlines():
        if line.startswith("# Subtest: "):
            name = line.removeprefix("# Subtest: ")
            found[name] = ["TAP version 13"]
        elif line.startswith("    "):
            found[name].append(line[4:])
    return {name: parsed("\n".join(lines)) for name, lines in found.items()}


@pytest.mark.parametrize("name", ["good", "bad", "hostile"])
def test_every_line_is_valid_tap(tmp_path: Path, name: str) -> None:
    run = getattr(outputruns, name)(tmp_path)
    outer = parsed(tap.tap(run))
    assert {line.category for line in outer} <= {"version", "diagnostic", "plan", "test", "unknown"}
    assert not [line for line in tap.tap(run).splitlines() if "\x1b" in line]
    plan = next(line for line in outer if line.category == "plan")
    assert plan.expected_tests == len(points(tap.tap(run)))
    for lines in subtests(run).values():
        kinds = [line.category for line in lines]
        assert set(kinds) <= {"version", "plan", "test"}, kinds
        assert lines[1].expected_tests == kinds.count("test")
    assert all(point.ok for point in points(tap.tap(run))) is (run.verdict is Verdict.GOOD)


def test_outcomes_become_points(tmp_path: Path) -> None:
    found = subtests(outputruns.bad(tmp_path))
    (lines,) = found.values()
    by_name = {
        line.description.removeprefix("- "): line for line in lines if line.category == "test"
    }
    assert [name for name, line in by_name.items() if line.ok] == ["test_a[x]", "test_i"]
    assert by_name["test_i"].skip
    assert by_name["test_i"].directive.text == "SKIP needs fio"
    values = by_name["test_b"].yaml_block
    assert values["outcome"] == "error"
    assert values["base"] == "pass"
    assert values["message"] == outputruns.SPLAT.title
    assert values["duration_ms"] == 1500
    assert values["log"] == ["[    1.0] it"]


def test_an_expected_failure_is_not_a_failure(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    found = subtests(run)["tests/guest/nvmet/test_tcp.py"]
    skipped, known = (line for line in found if line.category == "test")
    assert skipped.directive.text == "SKIP needs 1 nvme"  # no "#", which begins a directive
    assert not known.ok
    assert known.todo
    assert "ok 2 test_d # XFAIL known" in tap.ktap(run)
    assert all(point.ok for point in points(tap.tap(run)))


def test_a_kernel_that_does_not_boot_fails(tmp_path: Path) -> None:
    run = outputruns.hostile(tmp_path)
    first = points(tap.tap(run))[0]
    assert (first.ok, first.description) == (False, "- boot")


def ktap(text: str, indent: int = 0) -> list[tuple[bool, str]]:
    """Parse KTAP strictly; return the results of the outermost level."""
    lines = textwrap.dedent(text).splitlines()
    assert lines[0] == "KTAP version 1"
    rest = [line for line in lines[1:] if not line.startswith(("# ", "  "))]
    assert rest[0].startswith("1..")
    results = rest[1:]
    assert len(results) == int(rest[0].removeprefix("1.."))
    found = []
    for number, line in enumerate(results, 1):
        word = "not ok" if line.startswith("not ok") else "ok"
        head = f"{word} {number} "
        assert line.startswith(head), line
        found.append((word == "ok", line.removeprefix(head)))
    return found


@pytest.mark.parametrize("name", ["good", "bad", "hostile"])
def test_ktap_is_complete_on_both_levels(tmp_path: Path, name: str) -> None:
    run = getattr(outputruns, name)(tmp_path)
    text = tap.ktap(run)
    outer = ktap(text)
    assert all(ok for ok, _ in outer) is (run.verdict is Verdict.GOOD)
    inner = [line for line in text.splitlines() if line.startswith("  ")]
    starts = [n for n, line in enumerate(inner) if line == "  KTAP version 1"]
    for (ok, title), begin, end in zip(outer, starts, [*starts[1:], len(inner)], strict=True):
        assert inner[begin + 1] == f"  # Subtest: {title}"
        assert all(one for one, _ in ktap("\n".join(inner[begin:end]))) is ok
