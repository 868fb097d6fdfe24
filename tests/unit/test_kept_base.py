# SPDX-License-Identifier: GPL-2.0-only
"""What the kept results of a base depend on, beside the kernel: all that its suites use."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.lab import trial


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
    shared = trial.shared_files(suites / "tests" / "nvmet", suites)
    names = [str(file.relative_to(suites / "tests")) for file in shared]
    assert names == ["conftest.py", "shared.py", "lib/__init__.py", "lib/nvme.py"]


def test_nothing_above_the_project_counts(suites: Path) -> None:
    assert trial.shared_files(suites / "tests" / "nvmet", suites / "tests" / "nvmet") == []
