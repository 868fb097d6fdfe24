# SPDX-License-Identifier: GPL-2.0-only
"""Attributes of sysfs and configfs: one value, written by one write(2)."""

from __future__ import annotations

import os
from pathlib import Path


def store(path: Path, value: str | int) -> None:
    """Write a value, once; OSError as the kernel gives it.

    Python's own files write again when they are closed after an error, and go on with what is left
    of a value that was taken in part.  The kernel is then asked twice, and the second answer is
    the one that is seen.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
