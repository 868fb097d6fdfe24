# SPDX-License-Identifier: GPL-2.0-only
"""The table of checks: a new check is an entry there and a module, and is seen everywhere."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
import rich.console

from harness import cli
from harness.check import CheckRequest, checks, pipeline, report
from harness.check.commits import AppliedSeries
from harness.check.mail import Letter, PatchMail
from harness.check.walk import Check, Needs, Step, Walk, each_patch, each_tree, whole_series
from harness.cli import check_matrix as verb
from harness.cli.parser import verbs
from harness.errors import HostFault
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    CheckMatrix,
    Checkout,
    Finding,
    Patch,
    Series,
    Severity,
    Source,
)
from harness.publish import code_annotations, html, markdown
from harness.results import store

SUBJECT = "fs/demo: do it"
NOTHING = cast(Any, None)


def magic(_: Walk, mail: PatchMail) -> list[Finding]:
    """Find what is magic in a patch."""
    return [Finding(Severity.WARNING, "abracadabra", "fs/demo.c", 7, mail.patch.subject)]


MAGIC = Check("magic", "spells", Needs.MAIL, "nothing is magic", each_patch(magic))


def walked(tmp_path: Path, *wanted: Check) -> CheckMatrix:
    """Check a series of one patch that needs neither git nor a kernel."""
    patch = Patch(1, SUBJECT, "A <a@example.org>", tmp_path / "0001.patch", ("fs/demo.c",))
    series = Series("demo", tmp_path, (patch,), "digest", title="A demo")
    letter = Letter(SUBJECT, "[PATCH]", False, "", "", frozenset(), "", "")
    base, tip = (Checkout(tmp_path, commit, "tree") for commit in ("base", "tip"))
    walk = Walk(
        plan=NOTHING,
        request=CheckRequest(wanted),
        series=series,
        slot=NOTHING,
        applied=AppliedSeries(base, (tip,), {}),
        scripts=NOTHING,
        mails=(PatchMail(patch, letter, "tip"),),
        cover=None,
        folder=tmp_path,
        progress=NOTHING,
    )
    pipeline.run_checks(walk)
    return pipeline.matrix_of(walk, Source(tmp_path, "base", "v7.2"), 1.0)


def test_a_new_entry_is_in_the_help_and_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS", (*checks.CHECKS, MAGIC))
    text = verbs(cli.parser("check"))["check"].format_help()
    assert "magic        nothing is magic" in text
    assert "spells       magic" in text
    assert MAGIC in checks.choose([], [])
    assert [check.name for check in checks.choose(["spells"], [])] == ["apply", "magic"]


def test_one_that_is_made_by_name_only_has_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Check("magic", "spells", Needs.MAIL, "nothing is magic", MAGIC.run, default=False)
    monkeypatch.setattr(checks, "CHECKS", (*checks.CHECKS, quiet))
    assert cli.parser("check").parse_args(["check", "--magic"]).magic is True
    assert quiet not in checks.choose([], [])
    assert quiet in checks.choose([], [], ["magic"])


def test_a_new_entry_is_in_the_matrix_and_in_all_outputs(tmp_path: Path) -> None:
    matrix = walked(tmp_path, MAGIC)
    assert matrix.checks == matrix.made == ("magic",)
    assert [(cell.check, finding.text) for cell, finding in matrix.findings] == [
        ("magic", "abracadabra")
    ]
    report.write(matrix, tmp_path)
    assert store.load_check(tmp_path) == matrix
    (case,) = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert case.get("name") == "magic"
    assert report.b4(matrix)[0]["tool"] == "harness magic"
    console = rich.console.Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(verb.table(matrix, 80))
    assert "magic" in console.export_text()
    html.write(html.page(tmp_path), tmp_path / "report.html")
    assert '<th scope="col">magic</th>' in (tmp_path / "report.html").read_text()
    assert "| patch | magic |" in markdown.of_check(matrix)
    (annotation,) = code_annotations.github(code_annotations.of_check(matrix))
    assert "magic" in annotation


def test_a_check_that_cannot_be_made_is_no_verdict(tmp_path: Path) -> None:
    def broken(_: Walk, __: PatchMail) -> list[Finding]:
        raise HostFault("the wand broke")

    check = Check("magic", "spells", Needs.MAIL, "", each_patch(broken))
    matrix = walked(tmp_path, check)
    assert matrix.fault == "the wand broke"
    assert matrix.cell(1, "magic") == Cell(1, "magic", CellState.UNKNOWN, note="the wand broke")


def test_what_the_tree_of_the_base_has_does_not_count(tmp_path: Path) -> None:
    def look(_: Walk, step: Step) -> list[Finding]:
        return [Finding(Severity.ERROR, text) for text in ("old", "new")[: step.number + 1]]

    matrix = walked(tmp_path, Check("magic", "spells", Needs.MAIL, "", each_tree(look)))
    assert [finding.text for _, finding in matrix.findings] == ["new"]


def test_a_check_of_the_whole_series_comes_after_the_last_commit(tmp_path: Path) -> None:
    def look(walk: Walk, check: str) -> Iterable[Cell]:
        assert walk.cells  # those of the patch
        yield Cell.of(WHOLE_SERIES, check, ())

    whole = Check("whole", "spells", Needs.MAIL, "", whole_series(look))
    matrix = walked(tmp_path, whole, MAGIC)
    assert matrix.cell(WHOLE_SERIES, "whole").state is CellState.GOOD
