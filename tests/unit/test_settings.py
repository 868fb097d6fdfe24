# SPDX-License-Identifier: GPL-2.0-only
import pytest

from harness import settings
from harness.errors import UsageError


def test_the_nearest_project_speaks(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nkernel = "7.2"\nkconfig = ["base"]\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    found = settings.load(inner)
    assert (found.folder, found.kernel, found.kconfig) == (tmp_path, "7.2", ("base",))


def test_no_project_is_all_defaults(tmp_path):
    assert settings.load(tmp_path).kernel == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kernl = "7.2"', "kernl"),
        ("kernel = 7.2", "must be a str"),
        ('kconfig = "base"', "list of strings"),
        ("guests = true", "must be a int"),
        ("kernel = ", "pyproject.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    (tmp_path / "pyproject.toml").write_text(f"[tool.harness]\n{text}\n")
    with pytest.raises(UsageError, match=said) as error:
        settings.load(tmp_path)
    assert error.value.hint


@pytest.mark.parametrize(
    ("text", "said"), [("[tool]\nharness = 3", "no table"), ("[[tool.harness]]", "no table")]
)
def test_what_is_no_table_is_said(tmp_path, text, said):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        settings.load(tmp_path)


def test_other_programs_settings_are_theirs(tmp_path):
    (tmp_path / "pyproject.toml").write_text("tool = 3")
    assert settings.load(tmp_path).kernel == ""


def test_a_near_key_is_suggested(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nkernl = "7.2"\n')
    with pytest.raises(UsageError) as error:
        settings.load(tmp_path)
    assert "kernel" in error.value.hint
