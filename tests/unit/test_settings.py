# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness import settings
from harness.errors import UsageError


def test_the_nearest_project_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nkernel = "7.2"\nkconfig = ["base"]\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    found = settings.load(inner)
    assert (found.folder, found.kernel, found.kconfig) == (tmp_path, "7.2", ("base",))


def test_without_a_project_there_are_defaults(tmp_path: Path) -> None:
    assert settings.load(tmp_path).kernel == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kernl = "7.2"', "kernl"),
        ("kernel = 7.2", "must be a string"),
        ('kconfig = "base"', "list of strings"),
        ("guests = true", "must be a number"),
        ("kernel = ", "pyproject.toml"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.harness]\n{text}\n")
    with pytest.raises(UsageError, match=said) as error:
        settings.load(tmp_path)
    assert error.value.hint


@pytest.mark.parametrize(
    ("text", "said"), [("[tool]\nharness = 3", "not a table"), ("[[tool.harness]]", "not a table")]
)
def test_something_that_is_not_a_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        settings.load(tmp_path)


def test_settings_of_other_programs_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 3")
    assert settings.load(tmp_path).kernel == ""


def test_a_similar_key_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nkernl = "7.2"\n')
    with pytest.raises(UsageError) as error:
        settings.load(tmp_path)
    assert "kernel" in (error.value.hint or "")
