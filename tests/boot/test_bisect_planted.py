# SPDX-License-Identifier: GPL-2.0-only
"""`harness bisect` finds bugs that were planted in real kernels, and proves it.

tests/data/bisect/plant.py plants them.  CI runs what needs no other kernels than the main job's
and a few that differ from them in one file; the rest is nightly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import KCONFIG, TOP, Job, harness

sys.path.append(str(TOP / "tests" / "data" / "bisect"))
import plant

SERIES = TOP / "patches" / "configfs-ns"
DEBUG = ("--kconfig", "debug", "--kconfig", "lkdtm")
# Options that nobody misses, each a few files; together two of them bring the bug out.
SMALL = ("MINIX_FS", "ROMFS_FS", "CRAMFS", "OMFS_FS", "BFS_FS", "QNX4FS_FS")
Bisect = Callable[..., dict[str, Any]]


@pytest.fixture
def bisect(main_job: Job, tmp_path: Path) -> Bisect:
    """Bisect and return what bisect.json holds; the kernels of the main job are in the cache."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        out = str(tmp_path / "bisect")
        found = harness("bisect", "--json", "--guests", "2", "--out", out, *words)
        assert found[0] == code, found[2]
        return found[1]

    return run


def planted(folder: Path, bug: str, at: int) -> tuple[str, str]:
    return "--series", str(plant.series(SERIES, plant.BUGS[bug], at, folder / bug))


def signature(bug: str) -> tuple[str, str]:
    return "--test", plant.BUGS[bug].test


def is_patch(found: dict[str, Any], number: int, file: str = plant.FILE) -> None:
    """Check that the answer is this patch, and that every proof that was tried holds."""
    total = len([*SERIES.glob("*.patch")]) - 1  # without the cover letter
    assert (found["patch"], found["total"]) == (number, total), found["steps"]
    assert found["proven"]
    proofs = {one["what"]: one["found"] for one in found["proofs"]}
    assert proofs["the culprit"] == "bad"
    assert proofs["its parent"] == "good"
    assert file in found["culprit"]["files"]
    assert found["confidence"] >= 0.98


def test_a_build_break(bisect: Bisect, tmp_path: Path) -> None:
    found = bisect(*planted(tmp_path, "build", 8), "--build-error", plant.BUGS["build"].says)
    is_patch(found, 8)
    assert found["booted"] == 0


def test_a_wrong_errno(bisect: Bisect, tmp_path: Path) -> None:
    found = bisect(*planted(tmp_path, "errno", 8), *signature("errno"))
    is_patch(found, 8)
    assert any(plant.BUGS["errno"].says in step["why"] for step in found["steps"])


@pytest.mark.nightly
def test_two_workers_find_it_too(bisect: Bisect, tmp_path: Path) -> None:
    words = (*planted(tmp_path, "errno", 8), *signature("errno"), "--on", "local:2")
    is_patch(bisect(*words), 8)


def test_a_panic_at_boot(bisect: Bisect, tmp_path: Path) -> None:
    found = bisect(*planted(tmp_path, "panic", 8), "--boot")
    is_patch(found, 8)
    assert any(plant.BUGS["panic"].says in step["why"] for step in found["steps"])


@pytest.mark.nightly  # fs/namespace.c's tests are built first
def test_a_bug_that_a_self_test_finds(bisect: Bisect, tmp_path: Path) -> None:
    found = bisect(*planted(tmp_path, "selftest", 8), *signature("selftest"))
    is_patch(found, 8, plant.BUGS["selftest"].file)
    assert any(plant.BUGS["selftest"].says in step["why"] for step in found["steps"])


@pytest.mark.nightly  # kernels with KUnit and ext4
def test_a_bug_that_a_parameter_of_kunit_finds(bisect: Bisect, tmp_path: Path) -> None:
    found = bisect(*planted(tmp_path, "kunit", 8), *signature("kunit"), "EXT4_FS=y")
    is_patch(found, 8, plant.BUGS["kunit"].file)
    assert any(plant.BUGS["kunit"].says in step["why"] for step in found["steps"])


@pytest.mark.nightly
def test_a_leak(bisect: Bisect, tmp_path: Path) -> None:
    is_patch(bisect(*planted(tmp_path, "leak", 6), *signature("leak")), 6)


@pytest.mark.nightly
def test_a_race_that_fails_three_times_in_ten(bisect: Bisect, tmp_path: Path) -> None:
    found = bisect(*planted(tmp_path, "race", 6), *signature("race"), "--repeat", "20")
    is_patch(found, 6)
    low, high = found["interval"]
    assert low < 0.3 < high


@pytest.mark.nightly
def test_a_use_after_free_that_only_kasan_sees(bisect: Bisect, tmp_path: Path) -> None:
    bug = plant.BUGS["freed"]
    words = (*planted(tmp_path, "freed", 7), *signature("freed"), "--splat", bug.says)
    is_patch(bisect(*words, *DEBUG), 7)


@pytest.mark.nightly
def test_a_deadlock_that_only_lockdep_sees(bisect: Bisect, tmp_path: Path) -> None:
    bug = plant.BUGS["deadlock"]
    words = (*planted(tmp_path, "deadlock", 6), *signature("deadlock"), "--splat", bug.says)
    is_patch(bisect(*words, *DEBUG), 6)


@pytest.mark.nightly
def test_a_failure_of_two_options_together(bisect: Bisect, tmp_path: Path) -> None:
    fragment = tmp_path / "small.config"
    fragment.write_text("".join(f"CONFIG_{name}=y\n" for name in SMALL))
    words = (*planted(tmp_path, "config", 8), *signature("config"), "--config-bad", str(fragment))
    found = bisect(*words)
    assert {one["name"] for one in found["options"]} == {"MINIX_FS", "ROMFS_FS"}
    assert found["total"] == len(SMALL)


@pytest.fixture
def repo(main_job: Job) -> Path:
    """The copy of the sources in the cache, where commits may be added."""
    return Path(main_job[1]["source"]["repo"])


@pytest.mark.nightly
@pytest.mark.parametrize(("bug", "at"), [("errno", 37), ("leak", 12), ("panic", 64)])
def test_in_a_history_of_64_commits(
    bisect: Bisect, main_job: Job, repo: Path, bug: str, at: int
) -> None:
    start = main_job[1]["source"]["commit"]
    commits = plant.history(repo, start, plant.BUGS[bug], at)
    looked_for = signature(bug) if plant.BUGS[bug].test else ("--boot",)
    span = ("--tree", str(repo), "--good", start, "--bad", commits[-1])
    found = bisect(*span, *KCONFIG, *looked_for)
    assert found["culprit"]["id"] == commits[at - 1], found["steps"]
    assert found["proven"]
    assert f"Fixes: {commits[at - 1][:12]}" in found["mail"]


@pytest.mark.nightly
def test_what_fixed_it(bisect: Bisect, main_job: Job, repo: Path) -> None:
    start = main_job[1]["source"]["commit"]
    commits = plant.history(repo, start, plant.BUGS["errno"], 3, length=16, until=11)
    words = ("--tree", str(repo), "--good", commits[-1], "--bad", commits[5], "--find-fix")
    found = bisect(*words, *KCONFIG, *signature("errno"))
    assert found["culprit"]["id"] == commits[10], found["steps"]
    assert found["proven"]
