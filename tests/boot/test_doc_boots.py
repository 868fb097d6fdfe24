# SPDX-License-Identifier: GPL-2.0-only
"""The commands of the documentation that boot kernels, in the order of their document."""

from __future__ import annotations

from pathlib import Path

import pytest
from doccommands import ROOT, blocks, documents
from docrun import follow

FILES = [file for file in documents() if any(block.how == "boot" for block in blocks(file))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_person_who_follows_it_gets_through(file: Path, tmp_path: Path) -> None:
    env = {"HARNESS_STATE": str(tmp_path / "state")}
    assert follow(file, ("integration", "boot"), tmp_path / "clone", env)
