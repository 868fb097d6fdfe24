# SPDX-License-Identifier: GPL-2.0-only
"""Every other form of a run on the command line, and what CI systems get by themselves."""

from __future__ import annotations

import email
import email.policy
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import faketree
import pytest
import warm
from fakeproject import Project

# Says who it is asked for, as the tree's own does: maintainers, or reviewers and lists.
SCRIPT = """\
die "no tree here" unless -d "fs" && -f "MAINTAINERS";
my %asked = map { $_ => 1 } grep { /^--/ } @ARGV;
my @patches = grep { !/^--/ } @ARGV;
-f $_ or die "no patch $_" for @patches;
exit !print "M\\xc3\\xa4x One <max\\@example.org>\\n" if $asked{"--no-l"};
print "list\\@example.org\\n<x\\@\\n";
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    one = Project(tmp_path_factory.mktemp("outputs"))
    before = {"scripts/get_maintainer.pl": SCRIPT, "MAINTAINERS": "nobody\n"}
    faketree.commit(one.tree, "scripts: who is asked", before)
    faketree.git(one.tree, "tag", "--force", faketree.TAG)
    one.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
    summary = one.path / "summary.md"
    code, _, err = one.run(
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary), GITLAB_CI="true", SPLAT="1"
    )
    assert code == 1, err
    (one.path / "err").write_text(err)
    return one


def report(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return warm.run(
        [sys.executable, "-m", "harness", "report", str(project.out), *words],
        cwd=project.path,
        env=project.environment(),
        text=True,
        capture_output=True,
        check=False,
    )


def test_github_gets_annotations_and_json_stays_clean(project: Project) -> None:
    lines = [one for one in (project.path / "err").read_text().splitlines() if one[:2] == "::"]
    assert [line.split(" ")[0] for line in lines] == ["::error"]
    assert "WARNING" in lines[0]
    text = (project.path / "summary.md").read_text()
    assert text.startswith("## ❌ BAD: A demo")
    assert "The series breaks 1" in text
    assert json.loads((project.out / "gl-code-quality-report.json").read_text()) == []


def test_all_outputs_are_written_at_once(project: Project) -> None:
    forms = ("mail", "junit", "tap", "ktap", "kcidb", "gitlab", "summary")
    words = [word for form in forms for word in (f"--{form}", f"{form}.out")]
    done = report(project, *words, "--origin", "me", "--side", "patched")
    assert done.returncode == 0, done.stderr
    texts = {form: (project.path / f"{form}.out").read_text() for form in forms}
    found = email.message_from_string(texts["mail"], policy=email.policy.default)
    assert found["To"] == "A Developer <dev@example.com>"
    assert [one.addr_spec for one in found["Cc"].addresses] == [
        "max@example.org",
        "list@example.org",
    ]
    assert found["Cc"].addresses[0].display_name == "Mäx One"
    assert "WARNING" in found.get_content()
    assert [suite.get("name", "").split()[0] for suite in ET.fromstring(texts["junit"])] == [
        "patched"
    ]
    assert "not ok" in texts["tap"]
    assert texts["ktap"].startswith("KTAP version 1")
    assert len(json.loads(texts["kcidb"])["builds"]) == 1
    assert texts["summary"] == (project.path / "summary.md").read_text()
    assert not (project.out / "report.html").exists()


def test_an_output_goes_to_standard_output(project: Project) -> None:
    assert report(project, "--tap", "-").stdout.startswith("TAP version 14\n")
    assert report(project, "--github").stdout.startswith("::error ")
    both = report(project, "--tap", "-", "--github")
    assert both.returncode == 129
    assert "standard output" in both.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--kcidb", "x"), 129, "--origin"),
        (("--kcidb", "x", "--origin", "A B"), 129, "origin"),
        (("--mail", "x", "--tested-by", "jane"), 129, "mail address"),
        (("--tap", "nowhere/x"), 128, "nowhere/x"),
        (("--tap", "-", "-o", "-"), 129, "standard output"),
        (("--tap", "-", "--json"), 129, "standard output"),
        (("--tested-by", "J D <j@example.org>", "-o", "x"), 129, "--mail"),
        (("--origin", "me", "--tap", "x"), 129, "--kcidb"),
        (("--side", "base", "--tap", "x"), 129, "--junit or --kcidb"),
        (("--mail", "x", "--tested-by", "J D <j@example.org>"), 0, "no Tested-by"),
    ],
)
def test_impossible_options_are_reported(
    project: Project, words: tuple[str, ...], code: int, says: str
) -> None:
    done = report(project, *words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_written_files_are_reported_as_json(project: Project) -> None:
    done = report(project, "--tap", "a.tap", "--github", "--json")
    assert json.loads(done.stdout) == {"tap": str(project.path / "a.tap")}
    assert "::error" in done.stderr
    done = report(project, "--tap", "a.tap", "-o", "a.html", "--json")
    assert json.loads(done.stdout).keys() == {"tap", "report", "bytes"}
    done = report(project, "--tap", "-", "-o", "a.html")
    assert "a.html" not in done.stdout
    assert str(project.path / "a.html") in done.stderr


def test_a_run_can_be_moved(project: Project, tmp_path: Path) -> None:
    words = ("--kcidb", "moved.json", "--origin", "me", "--junit", "-")
    report(project, *words)
    before = json.loads((project.path / "moved.json").read_text())
    shutil.copytree(project.out, tmp_path / "elsewhere")
    project.out, old = tmp_path / "elsewhere", project.out
    try:
        found = report(project, *words).stdout
        assert f"[[ATTACHMENT|{tmp_path}/elsewhere/patched/guests/0/console.log]]" in found
        assert json.loads((project.path / "moved.json").read_text()) == before
        mail = report(project, "--mail", "-").stdout
        assert "To: A Developer" in mail
    finally:
        project.out = old


def test_a_check_has_annotations_but_no_mail(project: Project, tmp_path: Path) -> None:
    (tmp_path / "check.json").write_text(
        json.dumps(
            {"schema": 1, "name": "x", "base": "v7.2", "rows": [], "checks": [], "cells": []}
        )
    )
    project.out, before = tmp_path, project.out
    try:
        assert report(project, "--summary", "-").stdout.startswith("## ✅ GOOD: x")
        refused = report(project, "--mail", "-")
        assert refused.returncode == 129
        assert "--mail" in refused.stderr
    finally:
        project.out = before
