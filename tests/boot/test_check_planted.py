# SPDX-License-Identifier: GPL-2.0-only
"""``harness check`` on real kernels, with faults put into a series on purpose.

1 only adds a comment; 2 brings a warning of W=1 and a failing test; 3 mends both; 4 does not
build; 5 mends that.  At the tip nothing is wrong.
"""

from __future__ import annotations

import difflib
from typing import Any

import pytest
from conftest import KCONFIG, Job, harness

from harness import git, source
from harness.progress import Progress

pytestmark = pytest.mark.nightly  # five builds that link a whole kernel

FILE = "fs/configfs/mount.c"
SUITE = """\
# SPDX-License-Identifier: GPL-2.0-only
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    subprocess.run(["mount", "-t", "configfs", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_it_is_a_folder(place: Path) -> None:
    assert place.is_dir()


def test_everybody_may_enter(place: Path) -> None:
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
"""


def steps(text: str) -> list[tuple[str, str]]:
    """Give each patch's subject and what it makes of the file."""

    def changed(old: str, new: str, of: str) -> str:
        assert of.count(old) == 1
        return of.replace(old, new)

    begin = "static int configfs_fill_super("
    said = changed(begin, f"/* Every instance begins\n * here.\n */\n{begin}", text)
    wrong = changed("S_IRWXU | S_IRUGO | S_IXUGO", "S_IRWXU | S_IRUGO", said)
    wrong = changed(
        "\tstruct dentry *root;\n\n\tsb->",
        "\tstruct dentry *root;\n\tint mode;\n\n\tmode = S_IXUGO;\n\tsb->",
        wrong,
    )
    broken = changed("&configfs_root, sb);", "&configfs_root, super);", said)
    return [
        ("say where it begins", said),
        ("be stricter", wrong),
        ("be as before", said),
        ("name it better", broken),
        ("name it as it is called", said),
    ]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    place = tmp_path_factory.mktemp("planted")
    (place / "series").mkdir()
    release = source.release("7.2", Progress(quiet=True))
    text = git.run(release.repo, "show", f"{release.commit}:{FILE}").stdout
    made = steps(text)
    for number, (subject, new) in enumerate(made, 1):
        lines = (text.splitlines(keepends=True), new.splitlines(keepends=True))
        diff = "".join(difflib.unified_diff(*lines, f"a/{FILE}", f"b/{FILE}"))
        (place / "series" / f"{number:04}.patch").write_text(
            f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: A Developer <dev@example.com>\n"
            f"Date: Mon, 1 Jun 2026 12:00:00 +0000\n"
            f"Subject: [PATCH {number}/{len(made)}] fs/configfs: {subject}\n\nBecause.\n\n"
            f"Signed-off-by: A Developer <dev@example.com>\n---\n\n"
            f"diff --git a/{FILE} b/{FILE}\n{diff}-- \n2.39\n"
        )
        text = new
    (place / "test_planted.py").write_text(SUITE)
    suite = str(place / "test_planted.py")
    kernel = ("--kernel", "7.2", *KCONFIG)
    words = (*kernel, "--only", "build,tests", "--suite", suite)  # the main job's kernel
    return harness("check", "--json", str(place / "series"), *words, "--out", str(place / "run"))


def cells(job: Job, check: str) -> dict[int, dict[str, Any]]:
    return {one["patch"]: one for one in job[1]["cells"] if one["check"] == check}


def test_a_comment_alone_is_not_booted_again(job: Job) -> None:
    first = cells(job, "tests")[1]
    assert first["state"] == "same", job[2]
    assert "not booted" in first["note"]


def test_a_warning_enters_and_goes_away(job: Job) -> None:
    (found,) = cells(job, "build")[2]["findings"]
    assert (found["file"], found["enters"], found["leaves"]) == (FILE, 2, 3)
    assert "mode" in found["text"]
    assert cells(job, "build")[3]["findings"] == []


def test_a_test_fails_at_one_patch_only(job: Job) -> None:
    states = {patch: one["state"] for patch, one in cells(job, "tests").items()}
    assert (states[2], states[3], states[5]) == ("bad", "good", "good")
    (found,) = cells(job, "tests")[2]["findings"]
    assert found["rule"].endswith("test_everybody_may_enter")
    assert (found["enters"], found["leaves"]) == (2, 3)


def test_what_does_not_build_is_known_by_its_patch(job: Job) -> None:
    assert cells(job, "build")[4]["state"] == "bad"
    assert cells(job, "tests")[4]["state"] == "unknown"
    found = [one for one in cells(job, "build")[4]["findings"] if one["rule"] == "error"]
    assert {(one["file"], one["enters"], one["leaves"]) for one in found} == {(FILE, 4, 5)}


def test_holes_make_it_bad_though_the_tip_is_good(job: Job) -> None:
    assert job[0] == 1
    assert [cells(job, check)[0]["state"] for check in ("build", "tests")] == ["good", "good"]
