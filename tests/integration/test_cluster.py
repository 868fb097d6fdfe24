# SPDX-License-Identifier: GPL-2.0-only
"""Trials on workers: real Dask processes on this machine, with a fake tree and fake guests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faketree
import pytest
from fakeproject import Project, ended, outcomes
from patience import PATIENCE
from test_bisect_verb import GREP, ID, LOOK, Bisect, plain, proven
from test_check import DIR, HOLE, Check, findings, states

from harness import git, source
from harness.cluster import parcels
from harness.errors import LacksRelease
from harness.model import Checkout, Source
from harness.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    one = Project(tmp_path)
    one.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
    return one


def eventually(true: Callable[[], bool], process: object = None) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        if process is not None:
            assert process.poll() is None, process.communicate()  # type: ignore[attr-defined]
        time.sleep(0.1)


def test_workers_find_what_this_machine_finds(project: Project) -> None:
    code, run, err = project.run("--on", "local:2", BREAK="1")
    assert code == 1, err
    assert "2 on local:2: local-1, local-2" in err
    kinds = {c["test"].split("::")[1]: (c["kind"], c["again"]) for c in run["changes"]}
    assert kinds == {
        "test_fixed": ("fix", [[], []]),
        "test_broken": ("regression", [["pass", "pass"], ["fail", "fail"]]),
    }
    assert outcomes(run)["test_skipped"] == "skip"
    assert [name for name, _ in run["about"] if name.startswith("worker")]
    for side in ("base", "patched"):
        names = ("config", "build.log", "tests.jsonl", "pytest.log", "guests/0/console.log")
        assert all((project.out / side / name).is_file() for name in names)
    for kernel in (side["kernel"] for side in run["sides"]):
        assert Path(kernel["config"]).read_bytes()
    assert not list((project.cache / "trials").iterdir())
    assert not list(project.cache.glob(".cluster-*"))


def test_the_live_view_names_the_worker(project: Project) -> None:
    code, _, err = project.run("--on", "local:1", "--patched-only", BREAK="1")
    assert code == 1, err
    lines = [line for line in err.splitlines() if "(local-1)" in line]
    assert [line for line in lines if " build " in line]
    assert [line for line in lines if "test_broken" in line]
    assert [line for line in lines if "patched 7.2.13: 7 tests" in line]


def test_a_series_that_breaks_the_build_is_bad(project: Project) -> None:
    for mail in project.series.glob("*.patch"):
        mail.unlink()
    project.patch("fs/configfs/dir.c", "\nthis is no C\n")
    code, run, err = project.run("--on", "local:2")
    assert code == 1, err
    assert "breaks the build" in run["error"]["what"]
    assert "fs/configfs/dir.c" in run["error"]["details"]


def test_ctrl_c_ends_guests_on_workers_and_keeps_what_was_found(project: Project) -> None:
    process = project.start("--on", "local:2", "--patched-only", WAIT="36000")
    journal = project.out / "patched" / "tests.jsonl"
    begun = '"started", "id": "suite/test_it.py::test_waits"'
    eventually(lambda: journal.exists() and begun in journal.read_text(), process)
    process.send_signal(signal.SIGINT)
    _, err = ended(process)
    assert process.returncode == 130, err
    run = json.loads((project.out / "run.json").read_text())
    assert run["interrupted"]
    assert outcomes(run)["test_same"] == "pass"
    eventually(lambda: not left_over(project))


def left_over(project: Project) -> list[str]:
    """Give the command lines of processes that still use a project's cache."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(project.cache) in words and folder.name != str(os.getpid()):
            found.append(words.decode(errors="replace"))
    return found


def test_workers_end_when_the_driver_is_killed(project: Project) -> None:
    process = project.start("--on", "local:2", "--patched-only", WAIT="36000")
    journal = project.out / "patched" / "tests.jsonl"
    eventually(lambda: journal.exists() and "test_waits" in journal.read_text(), process)
    process.kill()
    process.communicate()
    eventually(lambda: not left_over(project))


def test_without_dask_the_error_says_what_to_install(project: Project, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "distributed.py").write_text("raise ImportError('not there')\n")
    path = os.pathsep.join([str(tmp_path / "broken"), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [*project.argv, "--on", "local:2"],
        cwd=project.path,
        env={**project.environment(), "PYTHONPATH": path},
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 129, done.stderr
    assert json.loads(done.stdout)["error"]["hint"] == "pip install 'kernel-harness[cluster]'"


def test_an_unsafe_address_is_refused_at_once(project: Project) -> None:
    code, run, _ = project.run("--on", "192.0.2.1:8786")
    assert code == 129
    assert "can run code" in run["error"]["what"]
    assert "--tls" in run["error"]["hint"]


# Packs


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give a function that changes to the cache of the driver, or of a worker."""

    def use(name: str) -> None:
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / name))

    use("driver")
    return use


def series_of_two(tree: Path) -> tuple[Checkout, Checkout]:
    base = faketree.checkout(tree)
    faketree.commit(tree, "one", {"fs/namespace.c": "int one;\n"})
    faketree.commit(tree, "two", {"fs/configfs/new.c": "int two;\n"})
    return base, faketree.checkout(tree)


def files(repo: Path, commit: str) -> str:
    git.run(repo, "fsck", "--connectivity-only", commit)
    return git.run(repo, "ls-tree", "-r", commit).stdout


def test_a_small_tree_travels_whole(tmp_path: Path, caches: Callable[[str], None]) -> None:
    tree = faketree.make(tmp_path / "linux")
    base, tip = series_of_two(tree)
    packer = parcels.Packer(Source(tree, base.commit, "v7.2.13"))
    parcel, pack = packer.parcel(tree, base.commit, tip)
    assert parcel.release == ""
    caches("worker")
    start = parcels.ready(parcel, pack, "", QUIET)
    assert start.commit == base.commit
    assert files(start.repo, tip.commit) == files(tree, tip.commit)
    log = git.line(start.repo, "log", "--format=%s", f"{base.commit}..{tip.commit}")
    assert log.split() == ["two", "one"]
    assert parcels.ready(parcel, b"", "", QUIET) == start, "what is there need not travel"


def test_a_thin_pack_is_completed_from_the_release(
    tmp_path: Path, caches: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = faketree.make(tmp_path / "linux")
    # The worker has the release from elsewhere: other commits, the same files.
    release = faketree.make(tmp_path / "release")
    faketree.git(release, "commit", "--quiet", "--amend", "--message", "Linux 7.2.13")
    base, tip = series_of_two(tree)
    packer = parcels.Packer(Source(tree, base.commit, "v7.2.13"))
    whole = packer.parcel(tree, base.commit, tip)[1]
    monkeypatch.setattr(parcels, "SMALL", 1)
    packer = parcels.Packer(Source(tree, base.commit, "v7.2.13"))
    parcel, pack = packer.parcel(tree, base.commit, tip)
    assert parcel.release == "7.2.13"
    assert len(pack) < len(whole) / 4
    caches("worker")
    head = faketree.git(release, "rev-parse", "HEAD")
    found = Source(release / ".git", head, "v7.2.13")
    monkeypatch.setattr(source, "release", lambda *_: found)
    start = parcels.ready(parcel, pack, "", QUIET)
    assert files(start.repo, tip.commit) == files(tree, tip.commit)


def test_a_release_with_other_files_is_not_used(
    tmp_path: Path, caches: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = faketree.make(tmp_path / "linux")
    release = faketree.make(tmp_path / "release")
    head = faketree.commit(release, "distribution", {"debian/rules": "#\n"})
    base, tip = series_of_two(tree)
    monkeypatch.setattr(parcels, "SMALL", 1)
    packer = parcels.Packer(Source(tree, base.commit, "v7.2.13"))
    parcel, pack = packer.parcel(tree, base.commit, tip)
    found = Source(release / ".git", head, "v7.2.13")
    monkeypatch.setattr(source, "release", lambda *_: found)
    caches("worker")
    with pytest.raises(LacksRelease, match="other files"):
        parcels.ready(parcel, pack, "", QUIET)
    packer.whole = True
    start = parcels.ready(*packer.parcel(tree, base.commit, tip), "", QUIET)
    assert files(start.repo, tip.commit) == files(tree, tip.commit)


# Other verbs


@pytest.fixture
def checked(tmp_path: Path) -> Check:
    one = Check(tmp_path)
    one.commits(
        *HOLE,
        ("fs/configfs: four", {DIR: '+\nconst char *harness_word = "fixed by the series";\n'}),
    )
    one.mails()
    return one


def marks(table: dict[str, Any], check: str) -> list[tuple[object, ...]]:
    names = ("level", "rule", "file", "line", "enters", "leaves")
    return [tuple(finding[name] for name in names) for finding in findings(table, check)]


def test_a_check_on_workers_finds_what_a_check_here_finds(checked: Check) -> None:
    words = ("--only", "build,tests", "--suite", "suite", "--rerun", "1")
    here, table, err = checked.series_check(*words, BREAK="1")
    assert (here, states(table, "build")[2]) == (1, "bad"), err
    checked.out = checked.path / "elsewhere"
    # With the same history, it would begin with what failed before.
    state = str(checked.path / "another state")
    code, other, err = checked.series_check(
        *words, "--on", "local:2", BREAK="1", HARNESS_STATE=state
    )
    assert code == here, err
    for check in ("build", "tests"):
        assert states(other, check) == states(table, check)
        assert marks(other, check) == marks(table, check)
    assert {"(local-1)", "(local-2)"} <= set(err.replace("\n", " ").split(" "))
    assert (checked.out / "4" / "tests.jsonl").is_file()


def test_a_bisection_on_workers_finds_the_commit(tmp_path: Path) -> None:
    """Twelve commits, three workers: two rounds instead of four steps."""
    project = Bisect(tmp_path, plain(12, 8))
    words = project.history("--test", ID, "--on", "local:3")
    process = project.start(*words)
    out, err = ended(process)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["culprit"]["subject"] == "commit 8"
    assert proven(found)
    phases = {int(step["name"].split('"commit ')[1][:-2]) for step in found["steps"][2:]}
    assert {8, 7} <= phases
    assert "is gone" not in err  # a trial that is not needed any more costs no worker
    assert (project.out / "state.json").is_file()


def test_a_bisection_that_needs_this_machine_is_refused(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(4, 2))
    process = project.start(*project.history("--on", "local:2", *LOOK, GREP))
    out, _ = ended(process)
    assert process.returncode == 129
    assert "a command" in json.loads(out)["error"]["what"]
