# SPDX-License-Identifier: GPL-2.0-only
"""``harness check --b4`` as b4's own code calls it, and reads its answer."""

from __future__ import annotations

import email
import email.message
import email.policy
import json
import sys
from pathlib import Path

import b4
import fakescripts
import faketree
import pytest
from b4.review import checks
from fakeproject import Project

DIR = "fs/configfs/dir.c"
SIGNED = "Because.\n\nSigned-off-by: A Developer <dev@example.com>"
COMMAND = f"{sys.executable} -m harness check --b4 --only mail,scripts"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path)
    fakescripts.add(made.tree)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    return made


def answers(project: Project) -> dict[str, list[dict[str, str]]]:
    """Have b4 run the command on each patch of the newest two commits."""
    words = ("format-patch", "--quiet", "--output-directory", str(project.series))
    faketree.git(project.tree, *words, f"{faketree.TAG}..")
    faketree.git(project.tree, "reset", "--quiet", "--hard", faketree.TAG)
    patches = [
        (file.name[:4], email.message_from_bytes(file.read_bytes(), policy=email.policy.default))
        for file in sorted(project.series.glob("*.patch"))
    ]
    return checks.run_perpatch_checks(patches, [COMMAND], str(project.tree))


def test_b4_takes_our_answer(project: Project) -> None:
    old = (project.tree / DIR).read_text()
    faketree.commit(project.tree, f"fs/configfs: größer\n\n{SIGNED}", {DIR: f"{old}int x;\n"})
    ugly = f"{old}int x;\n/* UGLY */\n"
    faketree.commit(project.tree, f"fs/configfs: ugly\n\n{SIGNED}", {DIR: ugly})
    found = answers(project)
    for some in found.values():
        assert {one["tool"] for one in some} >= {"harness apply", "harness checkpatch"}
        assert {one["status"] for one in some} <= {"pass", "warn", "fail"}
    good, bad = ({one["tool"]: one for one in some} for some in found.values())
    assert good["harness checkpatch"]["status"] == good["harness apply"]["status"] == "pass"
    assert bad["harness checkpatch"]["status"] == "fail"
    assert f"{DIR}:" in bad["harness checkpatch"]["details"]
    assert bad["harness apply"]["status"] == "warn"  # the patch before it is not there


def test_the_whole_series_under_review(project: Project) -> None:
    """b4 pipes the cover letter alone, and says where it keeps what it knows."""
    old = (project.tree / DIR).read_text()
    faketree.git(project.tree, "checkout", "--quiet", "-b", "b4/review/x-1")
    faketree.commit(project.tree, f"fs/configfs: one\n\n{SIGNED}", {DIR: f"{old}int x;\n"})
    first = faketree.git(project.tree, "rev-parse", "HEAD")
    faketree.commit(project.tree, f"fs/configfs: two\n\n{SIGNED}", {DIR: f"{old}/* UGLY */\n"})
    faketree.git(project.tree, "commit", "--quiet", "--allow-empty", "--message", "b4's own")
    faketree.git(project.tree, "checkout", "--quiet", "master")
    kept = project.path / "tracking.json"
    kept.write_text(json.dumps({"series": {"first-patch-commit": first, "change-id": "x-1"}}))
    cover = email.message.EmailMessage()
    cover["Subject"], cover["From"] = "[PATCH 0/2] fs: all", "a@example.org"
    cover.set_content("text\n")
    env = {"B4_TRACKING_FILE": str(kept)}
    words = (("1", cover), [f"{COMMAND},build"], str(project.tree))
    found = {one["tool"]: one for one in checks.run_series_checks(*words, extra_env=env)}
    assert found["harness build"]["status"] == "pass", found
    assert found["harness checkpatch"]["status"] == "fail"
    assert "patch 2:" in found["harness checkpatch"]["details"]
    faketree.git(project.tree, "checkout", "--quiet", "b4/review/x-1")
    faketree.git(project.tree, "reset", "--quiet", "--hard", "HEAD~1")
    evil = {"Makefile": (project.tree / "Makefile").read_text() + "\nX := $(shell true)\n"}
    faketree.commit(project.tree, f"kbuild: x\n\n{SIGNED}", evil)
    faketree.git(project.tree, "commit", "--quiet", "--allow-empty", "--message", "b4's own")
    faketree.git(project.tree, "checkout", "--quiet", "master")
    found = {one["tool"]: one for one in checks.run_series_checks(*words, extra_env=env)}
    assert "--trust" in found["harness build"]["summary"]  # they are somebody's mails
    (alone,) = checks.run_series_checks(*words)
    assert "no diff" in alone["details"]


def test_what_goes_wrong_reaches_b4(project: Project) -> None:
    command = f"{sys.executable} -m harness check --b4 --only no-such-check"
    mail = email.message.EmailMessage()
    mail["Subject"], mail["From"] = "[PATCH] fs: x", "a@example.org"
    mail.set_content("text\n")
    (one,) = checks.run_perpatch_checks([("1", mail)], [command], str(project.tree))["1"]
    assert one["status"] == "fail"
    assert "no-such-check" in one["details"]
    assert b4.__VERSION__
