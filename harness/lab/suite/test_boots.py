# SPDX-License-Identifier: GPL-2.0-only
"""The suite of kernels that come without one."""

from __future__ import annotations

import os
from pathlib import Path


def test_boots() -> None:
    """It is this kernel that runs this, as process of a working system."""
    assert os.uname().release in Path("/proc/version").read_text()
