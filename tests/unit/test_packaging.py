# SPDX-License-Identifier: GPL-2.0-only
"""What an installed harness is made of, read from a wheel built here."""

from __future__ import annotations

import configparser
import importlib
import os
import re
import zipfile
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        name = hatchling.build.build_wheel(str(folder))
    finally:
        os.chdir(before)
    return zipfile.ZipFile(folder / name)


def text(wheel: zipfile.ZipFile, name: str) -> str:
    member = next(one for one in wheel.namelist() if one.endswith(f".dist-info/{name}"))
    return wheel.read(member).decode()


def test_every_module_is_in_it(wheel: zipfile.ZipFile) -> None:
    here = {str(file.relative_to(ROOT)) for file in (ROOT / "harness").rglob("*.py")}
    assert here <= set(wheel.namelist())


def test_every_fragment_is_in_it(wheel: zipfile.ZipFile) -> None:
    here = {f"harness/kconfigs/{file.name}" for file in (ROOT / "kconfigs").glob("*.config")}
    assert here
    assert here <= set(wheel.namelist())


def test_every_template_of_the_report_is_in_it(wheel: zipfile.ZipFile) -> None:
    folder = ROOT / "harness" / "publish" / "html" / "templates"
    here = {str(file.relative_to(ROOT)) for file in folder.iterdir()}
    assert here
    assert here <= set(wheel.namelist())


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {"harness"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_the_man_page_goes_where_man_looks(wheel: zipfile.ZipFile) -> None:
    name = next(one for one in wheel.namelist() if ".data/" in one)
    assert name.endswith(".data/data/share/man/man1/harness.1")
    assert wheel.read(name).startswith(b'.\\" Made by docs/reference.py')


def test_the_license_is_in_it(wheel: zipfile.ZipFile) -> None:
    assert "GNU GENERAL PUBLIC LICENSE" in text(wheel, "licenses/LICENSE")
    assert "License-Expression: GPL-2.0-only" in text(wheel, "METADATA")


def test_the_entry_points_lead_somewhere(wheel: zipfile.ZipFile) -> None:
    points = configparser.ConfigParser()
    points.read_string(text(wheel, "entry_points.txt"))
    module, _, name = points["console_scripts"]["harness"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert importlib.import_module(points["pytest11"]["harness"])


def test_every_dependency_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    begin = lines.index("dependencies = [")
    end = lines.index("]", begin)
    assert begin + 1 < end
    for line in lines[begin + 1 : end]:
        assert re.search(r" # \w", line), line
