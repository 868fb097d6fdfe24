# SPDX-License-Identifier: GPL-2.0-only
"""``harness mutate`` on real kernels: a series of three lines, and what a test notices of them.

One line is a check that the test depends on, one is never executed, and nobody looks at the third.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import KCONFIG, harness

from harness import git, source
from harness.progress import Progress

pytestmark = pytest.mark.nightly  # two links of a whole kernel before the first mutant

FILE = "fs/configfs/mount.c"
LAST = "\tsb->s_time_gran = 1;\n"
ADDED = f"""\
{LAST}
	if (!sb->s_type)
		return -EINVAL;
	sb->s_max_links = 100;
"""
SUITE = """\
# SPDX-License-Identifier: GPL-2.0-only
import subprocess
from pathlib import Path


def test_it_can_be_mounted(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "configfs", "none", tmp_path], check=True)
    subprocess.run(["umount", tmp_path], check=True)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mutants")
    release = source.release("7.2", Progress(quiet=True))
    text = git.run(release.repo, "show", f"{release.commit}:{FILE}").stdout
    assert text.count(LAST) == 1
    new = text.replace(LAST, ADDED)
    old, lines = text.splitlines(keepends=True), new.splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(old, lines, f"a/{FILE}", f"b/{FILE}"))
    mail = (
        f"From: A <a@b.example>\nSubject: [PATCH] configfs: three lines\n\nText.\n---\n{diff}--\n"
    )
    (place / "series.patch").write_text(mail)
    (place / "test_mount.py").write_text(SUITE)
    return place


def mutate(project: Path, name: str, *words: str) -> tuple[int, dict[str, Any]]:
    code, found, said = harness(
        *("mutate", str(project / "series.patch"), "--kernel", "7.2", *KCONFIG, "--json"),
        *("--suite", str(project / "test_mount.py"), "--at-least", "90"),
        *("--out", str(project / name), *words),
    )
    assert found, said
    return code, found


@pytest.fixture(scope="module")
def tried(project: Path) -> tuple[int, dict[str, Any]]:
    return mutate(project, "out")


def states(found: dict[str, Any]) -> dict[str, str]:
    return {one["mutant"]["kind"]: one["state"] for one in found["results"]}


def test_each_planted_fault_is_what_it_is(tried: tuple[int, dict[str, Any]]) -> None:
    code, found = tried
    assert states(found) == {
        "condition": "killed",
        "error-code": "not executed",
        "constant": "survived",
    }
    assert (found["score"]["killed"], found["score"]["percent"]) == (1, 33.3)
    assert code == 1  # less than 90 %


def test_the_killer_is_the_test_that_mounts(tried: tuple[int, dict[str, Any]]) -> None:
    (killed,) = (one for one in tried[1]["results"] if one["state"] == "killed")
    assert killed["test"].endswith("test_it_can_be_mounted")
    assert killed["killer"] == "assertion"
    assert "if (sb->s_type)" in killed["mutant"]["diff"]


def test_nothing_is_tried_twice(tried: tuple[int, dict[str, Any]], project: Path) -> None:
    code, again, said = harness("mutate", "--resume", str(project / "out"), "--json")
    assert code == 1, said
    assert again["results"] == tried[1]["results"]


def test_the_report_shows_them(tried: tuple[int, dict[str, Any]], project: Path) -> None:
    code, made, said = harness("report", str(project / "out"), "--json")
    assert code == 0, said
    page = Path(made["report"]).read_text()
    assert "Not noticed" in page
    assert json.loads((project / "out/mutate.json").read_text())["series"] in page


def test_two_workers_find_the_same(tried: tuple[int, dict[str, Any]], project: Path) -> None:
    code, found = mutate(project, "workers", "--on", "local:2")
    assert (code, states(found)) == (1, states(tried[1]))
