# SPDX-License-Identifier: GPL-2.0-only
"""The folder that pytest starts from: its configuration, and names that are no UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401

from harness.lab.plan import BOOTS
from harness.results import journal

SUITE = """
import pytest

@pytest.mark.slow
def test_it():
    pass
"""


def collected(folder: Path, *words: str) -> str:
    """Collect in a folder with a pytest.ini and return the output; the image is elsewhere."""
    image, suite = folder / "kernel" / "image", folder / "suite"
    for place in (image.parent, suite):
        place.mkdir()
    image.touch()
    (suite / "test_it.py").write_text(SUITE)
    (suite / "pytest.ini").write_text("[pytest]\nmarkers = slow\naddopts = --strict-markers\n")
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    argv += ["--kernel", str(image), "--guest-env", "A=b", "--guests", "1", *words]
    said = subprocess.run(argv, cwd=suite, capture_output=True, text=True).stdout
    assert f"rootdir: {suite}\n" in said
    assert "configfile: pytest.ini" in said
    return said


@pytest.mark.parametrize("words", [(), (".",)])
def test_the_configuration_in_the_working_directory(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = collected(tmp_path, *words)
    assert "Unknown" not in said
    assert "<Function test_it>" in said


def test_a_suite_that_is_no_path_starts_in_the_working_directory(tmp_path: Path) -> None:
    assert "<AdaptedItem true>" in collected(tmp_path, "program:true")


def odd(folder: Path) -> Path:
    """Return a name in Latin-1, as an old disk has it."""
    return folder / os.fsdecode("café".encode("latin-1"))


def test_a_folder_whose_name_is_no_utf8_is_refused(tmp_path: Path) -> None:
    suite = odd(tmp_path)
    suite.mkdir()
    (suite / "test_it.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "image").touch()
    argv = [sys.executable, "-m", "pytest", "--kernel", str(tmp_path / "image"), "--guests", "1"]
    for where, word in ((suite, "."), (tmp_path, str(suite))):
        ended = subprocess.run([*argv, word], cwd=where, capture_output=True, text=True)
        assert ended.returncode == 4
        assert r"is not valid UTF-8: " in ended.stderr
        assert r"caf\xe9" in ended.stderr
        assert "hint: rename it" in ended.stderr


def test_a_file_whose_name_is_no_utf8_runs(tmp_path: Path) -> None:
    session = Session(tmp_path, "def test_plain():\n    pass\n")
    session.path.joinpath(f"test_{odd(Path()).name}.py").write_text("def test_odd():\n    pass\n")
    status, said = session.run("--guests", "1", ".")
    assert status == 0, said
    assert session.outcomes() == {"test_plain": "pass", "test_odd": "pass"}
    assert r"test_caf\udce9.py::test_odd" in {test.id for test in journal.read(session.out)}


def test_suites_elsewhere_are_named_by_the_way_to_them(tmp_path: Path) -> None:
    """The tests of a file were "::test_it", which is no way to find them again."""
    for name in ("project", "one", "two"):
        (tmp_path / name).mkdir()
    session = Session(tmp_path / "project", "def test_plain():\n    pass\n")
    for name in ("one", "two"):
        (tmp_path / name / f"test_{name}.py").write_text("def test_it():\n    pass\n")
    suites = (str(BOOTS), str(tmp_path / "one"), str(tmp_path / "two/test_two.py"))
    status, said = session.run("--guests", "1", *suites)
    assert status == 0, said
    assert {test.id: str(test.outcome) for test in journal.read(session.out)} == {
        "test_it.py::test_plain": "pass",
        "harness/lab/suite/test_boots.py::test_boots": "pass",
        "../one/test_one.py::test_it": "pass",
        "../two/test_two.py::test_it": "pass",
    }
