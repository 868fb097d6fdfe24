# SPDX-License-Identifier: GPL-2.0-only
import argparse
import types

import pytest

from harness import cli, options
from harness.cli.parser import parse, typed_plan
from harness.errors import UsageError
from harness.lab import plan, trial
from harness.model import Accel
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
def project(tmp_path):
    for name in ("one", "two"):
        folder = tmp_path / "patches" / name
        folder.mkdir(parents=True)
        (folder / "0001-a.patch").write_text(PATCH)
        (folder / "series.toml").write_text(
            'title = "T"\nkernel = "7.1"\nbase = "v7.1"\nkconfig = ["nvmet"]\nsuites = ["tests"]\n'
        )
    return tmp_path


def typed(*words):
    line = ["run", *words]
    return typed_plan(parse(cli.parser("run"), "run", line))


def made(project, *words, **settings):
    return plan.complete(typed(*words), Settings(project, **settings))


def test_series_toml_beats_the_project_and_the_command_line_beats_both(project):
    assert made(project, "one", kernel="6.12").kernel == "7.1"
    assert made(project, "one", "--kernel", "7.3").kernel == "7.3"
    assert made(project, "--no-series", kernel="6.12").kernel == "6.12"


def test_a_tree_of_ones_own_starts_at_the_series_base(project, monkeypatch):
    monkeypatch.chdir(project)
    found = made(project, "one", "--tree", "linux")
    assert (found.tree, found.base) == (project / "linux", "v7.1")
    assert made(project, "one", "--tree", "linux", "--base", "HEAD~3").base == "HEAD~3"
    assert made(project, "--no-series", "--tree", "linux").base == "HEAD"


def test_a_series_is_a_path_or_a_name_below_patches(project):
    assert made(project, "two").series.name == "two"
    assert made(project, str(project / "patches" / "one")).series.name == "one"


def test_without_a_word_the_projects_series_is_taken_or_the_only_one(project):
    assert made(project, series="patches/one").series.name == "one"
    with pytest.raises(UsageError, match="one, two"):
        made(project)


def test_options_are_told_from_the_series(project):
    found = made(project, "CONFIG_X=y", "one", "NR_CPUS=4")
    assert found.assignments == ("CONFIG_X=y", "NR_CPUS=4")
    with pytest.raises(UsageError, match="one series at a time"):
        made(project, "one", "two")


@pytest.mark.parametrize("other", ["--patched-only", "--no-series"])
def test_a_rerun_needs_a_base(project, other):
    with pytest.raises(UsageError, match=f"--rerun .* {other}") as error:
        made(project, "one", "--rerun", "5", other)
    assert "--retry 5" in error.value.hint
    assert made(project, "one", "--strict", "--rerun", "0", other).strict


def test_fragments_of_the_command_line_are_added(project):
    assert made(project, "one", "--kconfig", "debug").fragments == ("nvmet", "debug")


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("512M", 512), ("2G", 2048), ("2GiB", 2048), ("1gb", 1024)]
)
def test_memory(text, size):
    assert options.mebibytes(text) == size


@pytest.mark.parametrize("text", ["much", "-1", "1T", "1.5G"])
def test_memory_that_is_none(text):
    with pytest.raises(argparse.ArgumentTypeError, match="memory"):
        options.mebibytes(text)


def test_what_is_typed_is_seen_from_where_it_is_typed(project, monkeypatch):
    (project / "sub" / "suite").mkdir(parents=True)
    monkeypatch.chdir(project / "sub")
    found = made(project, "one", "--tree", ".", "--disk", "d.img", "--suite", "suite::test_x")
    assert found.tree == project / "sub"
    assert found.disks == (str(project / "sub" / "d.img"),)
    assert found.suites == (f"{project / 'sub' / 'suite'}::test_x",)


def test_a_suite_goes_by_its_own_name_too(project):
    (project / "tests" / "vfs").mkdir(parents=True)
    (project / "more" / "net").mkdir(parents=True)
    found = made(project, "one", "--suite", "vfs::test_x", suites=("more",))
    assert found.suites == ("tests/vfs::test_x",)
    found = made(project, "one", "--suite", "net", "--suite", "none", suites=("more",))
    assert found.suites == ("more/net", "none")
    (project / "vfs").mkdir()  # what is there as it is named comes first
    assert made(project, "one", "--suite", "vfs").suites == ("vfs",)


def test_suites_that_are_not_there(project):
    (project / "tests").mkdir()
    plan.require_suites(made(project, "one", "--suite", "tests::test_x"))
    for suite, said in (
        ("none::test_x", rf"file or folder: none \(looked in {project}\)$"),
        ("/nowhere/none", "file or folder: /nowhere/none$"),
    ):
        with pytest.raises(UsageError, match=said):
            plan.require_suites(made(project, "one", "--suite", suite))


def test_variables_are_taken_as_they_are_now(project, monkeypatch):
    monkeypatch.setenv("GADGET", "1")
    monkeypatch.setenv("GIZMO", "2")
    given = ("--no-series", "--guest-env", "GADGET", "--guest-env", "A=b")
    assert made(project, *given).environment == ("GADGET=1", "A=b")
    rest = ("-x", "--guest-env", "GIZMO", "--guest-env=C=d")
    behind = made(project, "--no-series", "--", *rest)
    assert behind.environment == ("GIZMO=2", "C=d")
    assert behind.pytest_args == rest


def test_a_base_is_kept_under_its_variables(project, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(project / "cache"))
    kernel = types.SimpleNamespace(key="k")
    places = set()
    for value in ("1", "2", "2"):
        monkeypatch.setenv("GADGET", value)
        asked = made(project, "--no-series", "--guest-env", "GADGET")
        places.add(trial._kept_folder(asked, kernel, Accel.TCG))
    assert len(places) == 2


def test_a_variable_that_is_not_there_is_refused(project, monkeypatch):
    monkeypatch.delenv("GADGET", raising=False)
    with pytest.raises(UsageError, match="GADGET"):
        made(project, "--no-series", "--guest-env", "GADGET")
