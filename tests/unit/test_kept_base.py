# SPDX-License-Identifier: GPL-2.0-only
"""What the kept results of a base depend on, beside the kernel: all that its suites use."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model import Plan
from harness.plugin import suite_files


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """A project whose suites share a package and a module."""
    for name in ("nvmet/test_a.py", "conftest.py", "shared.py", "lib/__init__.py", "lib/nvme.py"):
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "tests" / "vfs").mkdir()
    (tmp_path / "tests" / "vfs" / "test_b.py").touch()
    return tmp_path


def test_suites_use_what_lies_beside_a_conftest(suites: Path) -> None:
    shared = suite_files.shared(suites / "tests" / "nvmet", suites)
    names = [str(file.relative_to(suites / "tests")) for file in shared]
    assert names == ["conftest.py", "shared.py", "lib/__init__.py", "lib/nvme.py"]


def test_nothing_above_the_project_counts(suites: Path) -> None:
    assert list(suite_files.shared(suites / "tests" / "nvmet", suites / "tests" / "nvmet")) == []


def test_what_a_single_test_may_import_or_read_counts(suites: Path) -> None:
    (suites / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = "more"\n')
    for name in ("alone/test_c.py", "alone/near.py", "alone/data.bin", "more/far.py"):
        (suites / name).parent.mkdir(exist_ok=True)
        (suites / name).touch()
    for name in ("tests/vfs/image.bin", "tests/vfs/venv/pyvenv.cfg", "tests/vfs/.git/HEAD"):
        (suites / name).parent.mkdir(exist_ok=True)
        (suites / name).touch()
    plan = Plan(suites=("alone/test_c.py::test_x", "tests/vfs", "program:true"), folder=suites)
    files = {str(file.relative_to(suites)) for file in suite_files.of_plan(plan)}
    assert files == {
        *("pyproject.toml", "alone/test_c.py", "alone/near.py", "more/far.py"),
        *("tests/vfs/test_b.py", "tests/vfs/image.bin", "tests/conftest.py", "tests/shared.py"),
        *("tests/lib/__init__.py", "tests/lib/nvme.py"),
    }
