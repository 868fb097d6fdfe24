# SPDX-License-Identifier: GPL-2.0-only
"""What stays of a kernel that panicked: a dump of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUITE = """
from pathlib import Path

def test_crash():
    Path("/proc/sysrq-trigger").write_text("c")

def test_next():
    pass
"""


def session(image: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_dies.py").write_text(SUITE)
    argv = [sys.executable, "-m", "pytest", "--kernel", str(image), "--guests", "1", "--retry", "0"]
    argv += ["-p", "no:cacheprovider", "--guest-folder", str(folder / "out"), *words]
    return subprocess.run(
        [*argv, "test_dies.py"], cwd=folder, text=True, capture_output=True, check=False
    )


def test_a_panic_leaves_a_dump(image: Path, tmp_path: Path) -> None:
    done = session(image, tmp_path, "--vmcore")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    (dump,) = (tmp_path / "out" / "guests").glob("*/vmcore")
    with dump.open("rb") as file:
        assert file.read(4) == b"\x7fELF"
    assert dump.stat().st_size > 512 << 20
    # The usual kernels have no debug info: that is said, with what helps.
    text = dump.with_name("vmcore.txt").read_text()
    assert "no debug info" in text
    assert "--kconfig debuginfo" in text
    assert str(dump) in done.stdout
