# SPDX-License-Identifier: GPL-2.0-only
"""The whole main job, from a series to results, on a fake kernel tree and fake guests."""

from __future__ import annotations

import json
import signal
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import faketree
import filelock
import pytest
from fakeproject import SUITE, Project, outcomes
from patience import PATIENCE


@pytest.fixture
def project(tmp_path: Path) -> Project:
    one = Project(tmp_path)
    one.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
    return one


def test_a_series_that_fixes_a_test_is_good(project: Project) -> None:
    code, run, err = project.run()
    assert code == 0, err
    assert [side["side"] for side in run["sides"]] == ["base", "patched"]
    assert [(c["test"].split("::")[1], c["base"], c["patched"]) for c in run["changes"]] == [
        ("test_fixed", "fail", "pass")
    ]
    assert outcomes(run)["test_skipped"] == "skip"
    kept = {str(file.relative_to(project.out)) for file in project.out.rglob("*")}
    for side in ("base", "patched"):
        names = ("config", "build.log", "tests.jsonl", "pytest.log", "guests/0/console.log")
        assert {f"{side}/{name}" for name in names} <= kept
    assert "run.json" in kept
    assert [name for name in kept if name.startswith("series/")]
    suites = ET.parse(project.out / "junit.xml").getroot().findall("testsuite")
    assert [suite.get("failures") for suite in suites] == ["0", "0"]
    assert [suite.get("skipped") for suite in suites] == ["2", "1"]


def test_the_second_run_builds_nothing_and_does_not_test_the_base_again(project: Project) -> None:
    project.run()
    project.out = project.path / "again"
    (lock,) = project.cache.glob("trees/*/lock")
    with filelock.FileLock(lock):  # another run builds: we need not wait for it
        code, run, err = project.run()
    assert code == 0, err
    assert [side["kernel"]["reused"] for side in run["sides"]] == [True, True]
    assert [side["cached"] for side in run["sides"]] == [True, False]
    stages = {name for name, _ in run["stages"]}
    assert stages.isdisjoint({"configure", "build", "apply"})
    assert outcomes(run, 0)["test_fixed"] == "fail"


def test_a_changed_suite_is_run_on_the_base_again(project: Project) -> None:
    project.run()
    (project.path / "suite" / "test_it.py").write_text(SUITE + "\ndef test_more(): pass\n")
    project.out = project.path / "again"
    _, run, _ = project.run()
    assert not run["sides"][0]["cached"]


@pytest.mark.parametrize(
    ("switch", "test", "outcome"),
    [
        ("BREAK", "test_broken", "fail"),
        ("SPLAT", "test_splat", "error"),
        ("DIE", "test_dies", "crash"),
    ],
)
def test_a_series_that_breaks_a_test_is_bad(
    project: Project, switch: str, test: str, outcome: str
) -> None:
    code, run, err = project.run(**{switch: "1"})
    assert code == 1, err
    assert outcomes(run)[test] == outcome
    assert outcomes(run)["test_waits"] == "pass"
    assert test in [c["test"].split("::")[1] for c in run["changes"]]


def test_stopping_at_the_first_failure_is_bad(project: Project) -> None:
    code, run, err = project.run("--", "-x", BREAK="1")
    assert code == 1, err
    assert outcomes(run)["test_broken"] == "fail"


def test_a_test_over_its_deadline_is_a_timeout(project: Project) -> None:
    code, run, err = project.run("--patched-only", "--test-timeout", "2", WAIT="36000")
    assert code == 1, err
    assert outcomes(run)["test_waits"] == "timeout"
    assert outcomes(run)["test_same"] == "pass"


def test_a_kernel_that_does_not_boot_is_bad(project: Project) -> None:
    code, run, err = project.run("--patched-only", mode="panic at boot")
    assert code == 1, err
    assert "panic" in run["sides"][0]["error"]
    assert run["sides"][0]["guests"][0]["splats"][0]["kind"] == "panic"


def test_a_guest_that_cannot_be_started_is_the_hosts_fault(project: Project) -> None:
    code, run, err = project.run("--patched-only", mode="broken")
    assert (code, run["exit_code"]) == (128, 128)
    assert "no such machine" in err


def test_ctrl_c_keeps_what_was_found(project: Project) -> None:
    process = project.start("--patched-only", WAIT="36000")
    journal = project.out / "patched" / "tests.jsonl"
    end = time.monotonic() + PATIENCE
    # Another guest's list of all tests may come at any time: the start is looked for, not the name.
    while '"started", "id": "suite/test_it.py::test_waits"' not in (
        journal.read_text() if journal.exists() else ""
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    run = json.loads((project.out / "run.json").read_text())
    assert run["interrupted"]
    found = outcomes(run)
    assert (found["test_same"], found["test_waits"]) == ("pass", "notrun")
    (waits,) = ET.parse(project.out / "junit.xml").findall(".//testcase[@name='test_waits']")
    assert [one.tag for one in waits if one.tag != "system-out"] == ["skipped"]
    assert f"all evidence is kept in {project.out}" in err
    assert json.loads(out)["exit_code"] == 130


def test_half_a_base_is_nobodys(project: Project) -> None:
    words = ("-k", "test_fixed or test_waits", "--", "-x")
    for number in range(2):
        project.out = project.path / f"out-{number}"
        _, run, err = project.run(*words)
        assert outcomes(run, 0) == {"test_fixed": "fail", "test_waits": "notrun"}, err
        assert not run["sides"][0]["cached"]


def test_half_a_base_that_was_kept_is_made_anew(project: Project) -> None:
    assert project.run()[0] == 0
    (kept,) = (project.cache / "baselines").iterdir()
    with (kept / "tests.jsonl").open("a") as journal:  # an older harness kept it after Ctrl-C
        journal.write('{"event": "started", "id": "suite/test_it.py::test_other", "guest": "0"}\n')
    for number, cached in enumerate((False, True)):
        project.out = project.path / f"out-{number}"
        code, run, err = project.run()
        assert code == 0, err
        assert run["sides"][0]["cached"] is cached


def test_a_base_that_had_other_time_is_another(project: Project) -> None:
    for number, (words, cached) in enumerate(
        (((), False), (("--test-timeout", "50"), False), (("--test-timeout", "50"), True))
    ):
        project.out = project.path / f"out-{number}"
        code, run, err = project.run(*words)
        assert code == 0, err
        assert run["sides"][0]["cached"] is cached


def test_a_series_that_does_not_apply_is_untestable(project: Project) -> None:
    name = "fs/configfs/dir.c"
    other = (project.tree / name).read_text().replace("{", "{ ;", 1)
    commit = faketree.commit(project.tree, "in the way", {name: other + "\nint other;\n"})
    code, run, err = project.run("--base", commit)
    assert code == 125, err
    assert "0001" in err or "1/1" in err
    assert name in err
    assert run["error"]["what"]


def test_a_series_that_does_not_build_is_bad_if_its_base_does(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.patch("fs/configfs/dir.c", "\nint broken = no_such_word;\n")
    code, run, err = project.run("--patched-only")
    assert code == 125, err  # it may be the base's fault
    assert "no_such_word" in run["error"]["details"].splitlines()[0]
    code, run, err = project.run()
    assert code == 1, err
    assert "no_such_word" in run["error"]["details"].splitlines()[0]


def test_an_option_that_cannot_be_had_is_untestable(project: Project) -> None:
    code, run, err = project.run("CONFIG_NO_SUCH_OPTION=y")
    assert code == 125, err
    assert "NO_SUCH_OPTION" in run["error"]["what"] + run["error"]["details"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("patches/none",), "patches/none"),
        (("--base", "no-such-ref"), "no-such-ref"),
        (("--suite", "nowhere"), "nowhere"),
        (("--memory", "much"), "much"),
        (("--kconfig", "nonesuch"), "nonesuch"),
        (("--", "--no-such-pytest-option"), "--no-such-pytest-option"),
        (("-k", "matches_nothing"), "no tests"),
    ],
)
def test_what_cannot_be_understood_is_usage(
    project: Project, words: tuple[str, ...], said: str
) -> None:
    code, _, err = project.run("--patched-only", *words)
    assert code == 129, err
    assert said in err
    assert "Traceback" not in err


def test_a_folder_that_is_no_kernel_tree(project: Project) -> None:
    code, _, err = project.run("--tree", str(project.path))
    assert code == 129, err
    assert "Traceback" not in err


def test_the_persons_tree_is_as_it_was(project: Project) -> None:
    def state() -> dict[str, bytes]:
        files = (file for file in project.tree.rglob("*") if file.is_file())
        return {str(file): file.read_bytes() for file in files}

    before = state()
    project.run("--patched-only")
    assert state() == before
