# SPDX-License-Identifier: GPL-2.0-only
"""The default suite: does the kernel boot?"""

from __future__ import annotations

import os
from pathlib import Path


def test_boots() -> None:
    """The kernel under test runs this process on a working system."""
    assert os.uname().release in Path("/proc/version").read_text()
