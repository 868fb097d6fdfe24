# SPDX-License-Identifier: GPL-2.0-only
"""What GitHub and GitLab get: annotations, summaries, code quality."""

from __future__ import annotations

import json
import re
from pathlib import Path

import outputruns
import pytest

from harness.cli import ci as cli_ci
from harness.decode import Decoded, Frame, SourcePlace
from harness.errors import NotBuilt
from harness.model import CheckMatrix, Outcome, Test
from harness.publish import code_annotations, markdown
from harness.results import evidence, store
from harness.results.evidence import DecodedSplat
from harness.serial import from_json

COMMAND = re.compile(r"::(error|warning|notice) ((?:\w+=[^,:\s][^,:]*)(?:,\w+=[^,:]+)*)::(.+)")


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Parse a workflow command as GitHub's runner does."""
    match = COMMAND.fullmatch(line)
    assert match, line
    values = dict(part.split("=", 1) for part in match[2].split(","))
    return match[1], {key: unescaped(value) for key, value in values.items()}, unescaped(match[3])


def unescaped(text: str) -> str:
    for code, letter in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, letter)
    return text


def test_a_splat_is_annotated_at_its_line(tmp_path: Path) -> None:
    found = [
        read(line)
        for line in code_annotations.github(code_annotations.of_run(outputruns.bad(tmp_path)))
    ]
    level, values, text = found[0]
    assert level == "error"
    assert values["file"] == "fs/configfs/dir.c"
    assert values["line"] == "451"
    assert values["title"] == outputruns.SPLAT.title
    assert 'through code changed by "configfs: free it early"' in text
    # Its test is not told again, and a warning of the compiler stands at its line.
    assert not [one for one in found if "test_b" in one[1]["title"]]
    assert [one[1]["line"] for one in found if one[0] == "warning"] == ["12"]
    assert "pass -> crash, broken by the series" in next(
        text for _, values, text in found if "test_c" in values["title"]
    )


def test_a_splat_is_annotated_at_the_line_that_a_patch_added(tmp_path: Path) -> None:
    run = outputruns.bad(tmp_path)

    def frame(line: int, patch: str) -> Frame:
        return Frame("f", (SourcePlace("f", "fs/a.c", line, patch=patch),))

    frames = (frame(1, "left out"), frame(2, ""), frame(3, "configfs: more"), frame(4, "other"))
    decoded = Decoded("", frames, guilty=1)
    splat = DecodedSplat(outputruns.SPLAT.title, outputruns.SPLAT.frames, decoded)
    evidence.write_decoded(tmp_path / "patched", (splat,))
    first = code_annotations.of_run(run)[0]
    assert (first.file, first.line) == ("fs/a.c", 3)
    assert "at fs/configfs/dir.c:451" in first.text
    for damaged in ("{", "[1]", '[{"title": 1}]'):
        (tmp_path / "patched" / evidence.SPLATS).write_text(damaged)
        assert code_annotations.of_run(run)[0].line == 451


def test_one_splat_of_many_tests_is_one_annotation(tmp_path: Path) -> None:
    many = [
        Test(f"t::{n}", Outcome.ERROR, message=outputruns.SPLAT.title, splats=(outputruns.SPLAT,))
        for n in range(20)
    ]
    found = code_annotations.of_run(
        outputruns.run(tmp_path, *many, base=(Test("t::0", Outcome.PASS),))
    )
    assert [mark.level for mark in found] == [
        code_annotations.AnnotationLevel.ERROR,
        code_annotations.AnnotationLevel.WARNING,
    ]


def test_github_gets_no_more_than_it_shows(tmp_path: Path) -> None:
    many = [Test(f"t::{n}", Outcome.FAIL) for n in range(1000)]
    run = outputruns.run(tmp_path, *many, base=(Test("t::0", Outcome.PASS),))
    assert len(code_annotations.github(code_annotations.of_run(run))) == code_annotations.SHOWN + 1
    text = markdown.of_run(run)
    assert "and 949 more" in text
    assert len(text.encode()) < 1 << 20


def test_hostile_text_becomes_no_command_and_no_markup(tmp_path: Path) -> None:
    run = outputruns.hostile(tmp_path)
    for line in code_annotations.github(code_annotations.of_run(run)):
        read(line)
        assert not line.startswith("::error file=/etc/passwd")
    text = markdown.of_run(run)
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "@everyone" not in outside
    assert "<b>" not in outside
    assert "```" not in outside
    assert not re.search(r"[\x00-\x08\x1b\ud800-\udfff\u202e]", text)
    text.encode()


def test_code_quality_has_what_gitlab_requires(tmp_path: Path) -> None:
    for name in ("good", "bad", "hostile"):
        issues = json.loads(
            code_annotations.gitlab(
                code_annotations.of_run(getattr(outputruns, name)(tmp_path / name))
            )
        )
        assert len({issue["fingerprint"] for issue in issues}) == len(issues) > 0
        for issue in issues:
            assert set(issue) == {
                *("description", "check_name", "fingerprint", "severity", "location"),
            }
            assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
            assert issue["location"]["lines"]["begin"] >= 1
            assert "\n" not in issue["location"]["path"] + issue["description"]


CHECK = from_json(
    CheckMatrix,
    {
        "schema": 1,
        "name": "a|b",
        "base": "v7.2",
        "rows": [{"number": 1, "commit": "c", "subject": "it | does"}],
        "checks": ["apply", "checkpatch", "never"],
        "cells": [
            {"patch": 1, "check": "apply", "state": "good", "findings": [], "note": ""},
            {
                "patch": 1,
                "check": "checkpatch",
                "state": "bad",
                "note": "",
                "findings": [
                    {
                        "level": level,
                        "text": f"a {level}\n::error::x",
                        "file": "fs/a.c",
                        "line": 7,
                        "rule": "R",
                        "enters": enters,
                        "leaves": 0,
                        "same": "",
                    }
                    for level, enters in (("note", 1), ("error", 1), ("warning", 3))
                ],
            },
        ],
        "strict": False,
        "untestable": "",
        "bad": True,
        "exit_code": 1,
    },
)


def test_findings_of_a_check_are_annotated_at_their_lines() -> None:
    found = [read(line) for line in code_annotations.github(code_annotations.of_check(CHECK))]
    # What a patch inherits is told at the patch that brought it.
    assert [(level, values["line"]) for level, values, _ in found] == [
        ("error", "7"),
        ("notice", "7"),
    ]
    text = markdown.of_check(CHECK)
    assert "| patch | apply | checkpatch |" in text
    assert "| 1 it &#124; does | ok | bad (2) |" in text
    assert "- **error** `fs/a.c:7`" in text


def test_ci_systems_are_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    store.save_run(outputruns.bad(tmp_path))
    cli_ci.tell(tmp_path)
    cli_ci.annotate_error(NotBuilt("it does not build"))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITLAB_CI", "true")
    (tmp_path / "summary.md").write_text("before\n")
    cli_ci.tell(tmp_path)
    cli_ci.annotate_error(NotBuilt("it does not build", details="a\nb"))
    out, err = capsys.readouterr()
    assert out == ""
    assert [read(line)[0] for line in err.splitlines()][-1] == "error"
    assert "it does not build%0Aa%0Ab" in err
    assert (tmp_path / "summary.md").read_text().startswith("before\n## ❌ BAD")
    assert json.loads((tmp_path / cli_ci.QUALITY).read_text())
