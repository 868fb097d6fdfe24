# SPDX-License-Identifier: GPL-2.0-only
"""pytest's own configuration holds with ``--kernel IMAGE``, wherever the image is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

@pytest.mark.slow
def test_it():
    pass
"""


@pytest.mark.parametrize("words", [(), (".",)])
def test_the_configuration_in_the_working_directory(tmp_path: Path, words: tuple[str, ...]) -> None:
    image, suite = tmp_path / "kernel" / "image", tmp_path / "suite"
    for folder in (image.parent, suite):
        folder.mkdir()
    image.touch()
    (suite / "test_it.py").write_text(SUITE)
    (suite / "pytest.ini").write_text("[pytest]\nmarkers = slow\naddopts = --strict-markers\n")
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    argv += ["--kernel", str(image), "--guest-env", "A=b", "--guests", "1", *words]
    said = subprocess.run(argv, cwd=suite, capture_output=True, text=True).stdout
    assert f"rootdir: {suite}\n" in said
    assert "configfile: pytest.ini" in said
    assert "Unknown" not in said
    assert "<Function test_it>" in said
