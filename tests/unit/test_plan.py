# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

from harness import cli, options
from harness.cli.parser import parse, typed_plan
from harness.errors import UsageError
from harness.lab import plan, trial
from harness.model import Accel, Kernel, Plan
from harness.settings import Settings

PATCH = """\
From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: A U Thor <author@example.org>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH] fs: add a line

Why.

---
diff --git a/fs/a.c b/fs/a.c
index 0000000..1111111 100644
--- a/fs/a.c
+++ b/fs/a.c
@@ -1 +1,2 @@
 one
+two
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        folder = tmp_path / "patches" / name
        folder.mkdir(parents=True)
        (folder / "0001-a.patch").write_text(PATCH)
        (folder / "series.toml").write_text(
            'title = "T"\nkernel = "7.1"\nbase = "v7.1"\nkconfig = ["nvmet"]\nsuites = ["tests"]\n'
        )
    return tmp_path


def typed(*words: str) -> Plan:
    line = ["run", *words]
    return typed_plan(parse(cli.parser("run"), "run", line))


def made(project: Path, *words: str, **settings: Any) -> Plan:
    return plan.complete(typed(*words), Settings(project, **settings))


def name(plan: Plan) -> str:
    assert plan.series is not None
    return plan.series.name


def test_series_toml_beats_the_project_and_the_command_line_beats_both(project: Path) -> None:
    assert made(project, "one", kernel="6.12").kernel == "7.1"
    assert made(project, "one", "--kernel", "7.3").kernel == "7.3"
    assert made(project, "--no-series", kernel="6.12").kernel == "6.12"


def test_a_tree_starts_at_the_base_of_the_series(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    found = made(project, "one", "--tree", "linux")
    assert (found.tree, found.base) == (project / "linux", "v7.1")
    assert made(project, "one", "--tree", "linux", "--base", "HEAD~3").base == "HEAD~3"
    assert made(project, "--no-series", "--tree", "linux").base == "HEAD"


def test_a_series_is_a_path_or_a_name_below_patches(project: Path) -> None:
    assert name(made(project, "two")) == "two"
    assert name(made(project, str(project / "patches" / "one"))) == "one"


def test_the_default_is_the_projects_series_or_the_only_one(project: Path) -> None:
    assert name(made(project, series="patches/one")) == "one"
    with pytest.raises(UsageError, match="one, two"):
        made(project)


def test_config_options_are_separated_from_the_series(project: Path) -> None:
    found = made(project, "CONFIG_X=y", "one", "NR_CPUS=4")
    assert found.assignments == ("CONFIG_X=y", "NR_CPUS=4")
    with pytest.raises(UsageError, match="one series at a time"):
        made(project, "one", "two")


@pytest.mark.parametrize("other", ["--patched-only", "--no-series"])
def test_a_rerun_needs_a_base(project: Path, other: str) -> None:
    with pytest.raises(UsageError, match=f"--rerun .* {other}") as error:
        made(project, "one", "--rerun", "5", other)
    assert "--retry 5" in (error.value.hint or "")
    assert made(project, "one", "--strict", "--rerun", "0", other).strict


def test_fragments_of_the_command_line_are_added(project: Path) -> None:
    assert made(project, "one", "--kconfig", "debug").fragments == ("nvmet", "debug")
    assert made(project, "--no-series", "--kconfig", "debug").fragments == ("base", "debug")
    assert made(project, "--no-series", kconfig=()).fragments == ()


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("512M", 512), ("2G", 2048), ("2GiB", 2048), ("1gb", 1024)]
)
def test_memory(text: str, size: int) -> None:
    assert options.mebibytes(text) == size


@pytest.mark.parametrize("text", ["much", "-1", "1T", "1.5G"])
def test_invalid_memory(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="memory"):
        options.mebibytes(text)


def test_typed_paths_are_relative_to_the_working_directory(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "sub" / "suite").mkdir(parents=True)
    monkeypatch.chdir(project / "sub")
    found = made(project, "one", "--tree", ".", "--disk", "d.img", "--suite", "suite::test_x")
    assert found.tree == project / "sub"
    assert found.disks == (str(project / "sub" / "d.img"),)
    assert found.suites == (f"{project / 'sub' / 'suite'}::test_x",)


def test_a_suite_can_be_named_without_its_folder(project: Path) -> None:
    (project / "tests" / "vfs").mkdir(parents=True)
    (project / "more" / "net").mkdir(parents=True)
    found = made(project, "one", "--suite", "vfs::test_x", suites=("more",))
    assert found.suites == ("tests/vfs::test_x",)
    found = made(project, "one", "--suite", "net", "--suite", "none", suites=("more",))
    assert found.suites == ("more/net", "none")
    (project / "vfs").mkdir()  # what is there as it is named comes first
    assert made(project, "one", "--suite", "vfs").suites == ("vfs",)


def test_suites_that_do_not_exist(project: Path) -> None:
    (project / "tests").mkdir()
    plan.require_suites(made(project, "one", "--suite", "tests::test_x"))
    for suite, said in (
        ("none::test_x", rf"file or folder: none \(looked in {project}\)$"),
        ("/nowhere/none", "file or folder: /nowhere/none$"),
    ):
        with pytest.raises(UsageError, match=said):
            plan.require_suites(made(project, "one", "--suite", suite))
    with pytest.raises(UsageError, match=r"suite is not valid UTF-8: caf\\xe9$"):
        plan.require_suites(made(project, "one", "--suite", "caf\udce9"))


def test_variables_get_their_current_values(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GADGET", "1")
    monkeypatch.setenv("GIZMO", "2")
    given = ("--no-series", "--guest-env", "GADGET", "--guest-env", "A=b")
    assert made(project, *given).environment == ("GADGET=1", "A=b")
    rest = ("-x", "--guest-env", "GIZMO", "--guest-env=C=d")
    behind = made(project, "--no-series", "--", *rest)
    assert behind.environment == ("GIZMO=2", "C=d")
    assert behind.pytest_args == rest


def test_the_variables_are_part_of_the_key_of_a_kept_base(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(project / "cache"))
    kernel = Kernel("k", Path(), Path(), Path(), "7.2", "c", "x86_64")
    places = set()
    for value in ("1", "2", "2"):
        monkeypatch.setenv("GADGET", value)
        asked = made(project, "--no-series", "--guest-env", "GADGET")
        places.add(trial._kept_folder(asked, kernel, Accel.TCG, {}))
    assert len(places) == 2


def test_a_variable_without_a_value_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GADGET", raising=False)
    with pytest.raises(UsageError, match="GADGET"):
        made(project, "--no-series", "--guest-env", "GADGET")


@pytest.mark.parametrize(
    ("guests", "processors", "busy", "idle"),
    [("auto", 8, 4, 8), ("auto", 1, 1, 1), ("", 3, 1, 3), ("5", 2, 5, 5)],
)
def test_half_of_the_processors_have_guests_while_make_is_busy(
    monkeypatch: pytest.MonkeyPatch, guests: str, processors: int, busy: int, idle: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    asked = Plan(guests=guests)
    assert plan.guests_beside_make(asked) == busy
    assert plan.guests_beside_make(asked, idle=True) == idle
    assert plan.guests_beside_make(asked, 2) == (int(guests) if guests == "5" else min(busy, 2))


def test_each_processor_compiles_unless_jobs_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert plan.make_jobs(Plan()) == 3
    assert plan.make_jobs(Plan(jobs=7)) == 7
