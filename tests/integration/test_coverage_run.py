# SPDX-License-Identifier: GPL-2.0-only
"""``--coverage`` through the command line, where nothing can be counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakeproject import Project

from harness.serial import load

SUITE = """
def test_it():
    pass
"""
MORE = "\nint fake_more(int a);\n\nint fake_more(int a)\n{\n\treturn a + 3;\n}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (project.path / "suite" / "test_it.py").write_text(SUITE)
    project.patch("fs/configfs/dir.c", MORE)
    return project


def test_a_kernel_that_cannot_be_counted_is_tested_all_the_same(project: Project) -> None:
    code, run, err = project.run("--coverage")
    assert code == 0, err
    assert "not counted: no guest could read its counters" in err
    assert {line["tests"] for file in run["lines"]["files"] for line in file["lines"]} == {None}
    # The kernel with counters is another kernel, and the base has none.
    keys = {side["side"]: side["kernel"]["key"] for side in run["sides"]}
    code, run, err = project.run("--out", str(project.path / "plain"))
    assert code == 0, err
    plain = {side["side"]: side["kernel"]["key"] for side in run["sides"]}
    assert plain["base"] == keys["base"]
    assert plain["patched"] != keys["patched"]
    notes = load(project.cache / "kernels" / keys["patched"] / "kernel.json")["notes"]
    assert notes is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--coverage", "--no-series"), "there is no series"),
        (("--coverage", "CONFIG_GCOV_KERNEL=n"), "--coverage needs CONFIG_GCOV_KERNEL=y"),
        (("--only-affected",), "no past run of this series has counted what its tests execute"),
    ],
)
def test_what_cannot_be_counted_is_a_usage_error(
    project: Project, words: tuple[str, ...], said: str
) -> None:
    code, _, err = project.run(*words)
    assert (code, said in err) == (129, True), err
