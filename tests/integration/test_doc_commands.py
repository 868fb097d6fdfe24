# SPDX-License-Identifier: GPL-2.0-only
"""Run the commands in the documents that need no kernel; tests/boot runs the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from doccommands import ROOT, blocks, documents
from docrun import follow


def has(file: Path, how: str) -> bool:
    return any(block.how == how for block in blocks(file))


@pytest.mark.parametrize(
    "file",
    [file for file in documents() if has(file, "integration")],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_the_commands_work(file: Path, tmp_path: Path) -> None:
    env = {"HARNESS_CACHE": str(tmp_path / "cache"), "HARNESS_STATE": str(tmp_path / "state")}
    assert follow(file, ("integration",), tmp_path / "clone", env)


def test_a_failing_command_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "wrong.md"
    file.write_text("# Wrong\n\n```sh\nharness series no-such-series\n```\n")
    with pytest.raises(AssertionError, match=r"wrong.md:4 ends with 1\d\d"):
        follow(file, ("integration",), tmp_path / "clone", {})
