# SPDX-License-Identifier: GPL-2.0-only
"""Opens one attribute once, at a time that nobody chose: what a race in opening has to fail."""

from __future__ import annotations

import random
import time
from pathlib import Path

from harness.guestside import syscalls
from harness.guestside.kernelfiles import CONFIGFS


def test_an_attribute_can_be_opened() -> None:
    if not Path(CONFIGFS).is_mount():
        syscalls.mount("none", CONFIGFS, "configfs")
    time.sleep(random.random() / 20)
    assert Path(CONFIGFS, "nvmet", "discovery_nqn").read_text()
