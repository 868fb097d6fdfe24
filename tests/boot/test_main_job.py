# SPDX-License-Identifier: GPL-2.0-only
"""The main job on a real kernel, from sources to results: `harness run` with chosen suites."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TOP, Job, Once, harness

# Ends a boot before the first program runs.
PANIC = """\
From: A Developer <dev@example.com>
Subject: [PATCH] fs/configfs: panic when configfs registers

A bug planted for a test of the harness.

Signed-off-by: A Developer <dev@example.com>
---
 fs/configfs/mount.c | 1 +
 1 file changed, 1 insertion(+)

"""


def side(job: Job, name: str) -> dict[str, Any]:
    return next(one for one in job[1]["sides"] if one["side"] == name)


def outcomes(job: Job, name: str) -> dict[str, str]:
    return {test["id"]: test["outcome"] for test in side(job, name)["tests"]}


def bad(job: Job, name: str) -> dict[str, str]:
    return {t: o for t, o in outcomes(job, name).items() if o not in ("pass", "skip")}


def test_the_patched_kernel_passes_the_chosen_suites(main_job: Job) -> None:
    code, _, err = main_job
    assert not bad(main_job, "patched")
    assert code == 0, err


@pytest.mark.nightly
def test_the_patched_kernel_passes_every_suite(main_job: Job, once: Once) -> None:
    job = once("whole", "run")
    assert not bad(job, "patched")
    assert len(outcomes(job, "patched")) > 2 * len(outcomes(main_job, "patched"))
    assert job[0] == 0, job[2]


def test_the_series_fixes_tests_and_breaks_none(main_job: Job) -> None:
    changes = main_job[1]["changes"]
    fixes = [c for c in changes if c["base"] in ("fail", "error") and c["patched"] == "pass"]
    assert len(fixes) >= 10
    assert [c for c in changes if c["base"] == "pass"] == []


def test_nearly_all_code_of_the_series_is_compiled(main_job: Job) -> None:
    lines = [line for file in main_job[1]["lines"]["files"] for line in file["lines"]]
    states = Counter(line["state"] for line in lines)
    assert states["compiled"] > 500
    assert states["not compiled"] < states["compiled"] / 50
    assert all(bool(line["why"]) == (line["state"] != "compiled") for line in lines)


def test_old_behaviour_passes_on_both(main_job: Job) -> None:
    base, patched = outcomes(main_job, "base"), outcomes(main_job, "patched")
    both = [test for test in base if base[test] == patched.get(test) == "pass"]
    assert any("nvmet/test_tcp.py" in test for test in both)
    assert any("nvmet/test_loop.py" in test for test in both)
    assert any("configfs/test_mount.py" in test for test in both)


def test_all_evidence_is_there(main_job: Job) -> None:
    run = main_job[1]
    folder = Path(run["folder"])
    assert len(list((folder / "series").glob("*.patch"))) == 10
    suites = ET.parse(folder / "junit.xml").getroot().findall("testsuite")
    assert {suite.get("name", "").split()[0] for suite in suites} == {"base", "patched"}
    for name in ("base", "patched"):
        assert "CONFIG_NVME_TARGET=y" in (folder / name / "config").read_text()
        tests = {test["guest"] for test in side(main_job, name)["tests"]}
        for guest in side(main_job, name)["guests"]:
            console = Path(guest["console"]).read_text(errors="replace")
            assert "Linux version 7.2" in console
            assert guest["name"] not in tests or "harness: start tests/guest/" in console
    assert side(main_job, "patched")["kernel"]["warnings"] == []


def test_no_guest_is_left(main_job: Job) -> None:
    ours = str(Path(main_job[1]["folder"]))
    commands = [
        file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if readable(file)
    ]
    assert not [words for words in commands if ours.encode() in words]


def readable(file: Path) -> bool:
    try:
        return bool(file.read_bytes())
    except OSError:
        return False


def test_a_second_run_makes_nothing(main_job: Job, tmp_path: Path) -> None:
    code, run, err = harness(
        "run",
        "--json",
        "--out",
        str(tmp_path / "second"),
        "--suite",
        "tests/guest/configfs/test_mount.py",
    )
    assert code == 0, err
    assert [one["kernel"]["reused"] for one in run["sides"]] == [True, True]
    stages = {name for name, _ in run["stages"]}
    assert stages.isdisjoint({"download", "unpack", "apply", "checkout", "configure", "build"})


def test_a_kernel_that_panics_at_boot_is_a_result(
    main_job: Job, tmp_path: Path, planted: Callable[[str, str, str], Path]
) -> None:
    series = planted(
        "fs/configfs/mount.c", "static int __init configfs_init(void)\n{", '\tpanic("planted bug");'
    )
    code, run, err = harness(
        "run",
        str(series),
        "--json",
        "--patched-only",
        "--out",
        str(tmp_path / "run"),
        "--guests",
        "1",
    )
    assert code == 1, err
    (patched,) = run["sides"]
    assert "planted bug" in patched["error"]
    assert patched["guests"][0]["ended"] == "panic"
    assert "planted bug" in Path(patched["guests"][0]["console"]).read_text()
    # Decoded: the line, and the patch that put it there.
    (splat,) = patched["guests"][0]["splats"]
    assert splat["place"].startswith("fs/configfs/mount.c:"), splat
    assert splat["patches"] == ["fs/configfs: panic when configfs registers"]
    text = (tmp_path / "run" / "patched" / "splats.txt").read_text()
    assert 'configfs_init  added by "fs/configfs: panic when configfs registers"' in text
    assert re.search(r'^ +\+> +\d+  +panic\("planted bug"\);$', text, re.MULTILINE), text


@pytest.fixture
def planted(main_job: Job, tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Make a series of one patch, which puts a line behind a text of one of the base's files."""

    def make(file: str, behind: str, line: str) -> Path:
        source = main_job[1]["source"]
        show = ["git", "-C", source["repo"], "show", f"{source['commit']}:{file}"]
        text = subprocess.run(show, text=True, capture_output=True, check=True).stdout
        assert text.count(behind) == 1
        old, new = tmp_path / "old" / file, tmp_path / "new" / file
        for path, content in ((old, text), (new, text.replace(behind, f"{behind}\n{line}"))):
            path.parent.mkdir(parents=True)
            path.write_text(content)
        diff = ["git", "diff", "--no-index", "--no-prefix", "old", "new"]
        made = subprocess.run(
            diff, cwd=tmp_path, text=True, capture_output=True, check=False
        ).stdout
        made = made.replace("old/old/", "a/").replace("old/", "a/").replace("new/", "b/")
        series = tmp_path / "planted"
        series.mkdir()
        (series / "0001-planted.patch").write_text(f"{PANIC}{made}-- \n2.39\n")
        # The main job's configuration, whose build folder is there.
        toml = (TOP / "patches" / "configfs-ns" / "series.toml").read_text()
        (series / "series.toml").write_text(toml.replace('"../', f'"{TOP}/patches/'))
        return series

    return make


def test_the_debug_kernel_finds_no_fault_in_a_chosen_part(debug_job: Job) -> None:
    code, run, err = debug_job
    assert code == 0, err
    (patched,) = run["sides"]
    assert "CONFIG_KASAN=y" in Path(patched["kernel"]["config"]).read_text()
    assert "pass" in {test["outcome"] for test in patched["tests"]}
