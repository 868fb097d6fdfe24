# SPDX-License-Identifier: GPL-2.0-only
"""``harness check --b4`` as b4's own code calls it, and reads its answer."""

from __future__ import annotations

import email
import email.message
import email.policy
import sys
from pathlib import Path
from typing import cast

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
    read = [
        (file.name[:4], email.message_from_bytes(file.read_bytes(), policy=email.policy.default))
        for file in sorted(project.series.glob("*.patch"))
    ]
    patches = [(name, cast("email.message.EmailMessage", one)) for name, one in read]
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


def test_what_goes_wrong_reaches_b4(project: Project) -> None:
    command = f"{sys.executable} -m harness check --b4 --only no-such-check"
    mail = email.message.EmailMessage()
    mail["Subject"], mail["From"] = "[PATCH] fs: x", "a@example.org"
    mail.set_content("text\n")
    (one,) = checks.run_perpatch_checks([("1", mail)], [command], str(project.tree))["1"]
    assert one["status"] == "fail"
    assert "no-such-check" in one["details"]
    assert b4.__VERSION__
