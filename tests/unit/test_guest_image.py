# SPDX-License-Identifier: GPL-2.0-only
"""What is a kernel image, and for which machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.guest import image

BZIMAGE = b"MZ".ljust(0x202, b"\0") + b"HdrS" + bytes(0x200)
ARM64 = bytes(56) + b"ARM\x64" + bytes(100)


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01".ljust(18, b"\0") + machine.to_bytes(2, "little") + bytes(100)


@pytest.mark.parametrize(
    ("arch", "head"),
    [
        ("x86_64", BZIMAGE),
        ("x86_64", elf(62)),
        ("arm64", ARM64),
        ("arm64", elf(183)),
        ("arm64", b"\x1f\x8b\x08"),
    ],
)
def test_a_kernel_is_accepted(tmp_path: Path, arch: str, head: bytes) -> None:
    (tmp_path / "image").write_bytes(head)
    image.check(tmp_path / "image", arch)


@pytest.mark.parametrize(
    ("arch", "head", "words"),
    [
        ("x86_64", b"", "is not a kernel image"),
        ("x86_64", b"\x7fELF", "is not a kernel image"),
        ("x86_64", b"#!/bin/sh\n", "is not a kernel image"),
        ("x86_64", b"\x1f\x8b\x08", "is not a kernel image"),
        ("x86_64", ARM64, "is a kernel for arm64, not x86_64"),
        ("x86_64", elf(243), "is a kernel for an unknown machine"),
        ("arm64", BZIMAGE, "is a kernel for x86_64, not arm64"),
    ],
)
def test_anything_else_is_rejected(tmp_path: Path, arch: str, head: bytes, words: str) -> None:
    (tmp_path / "image").write_bytes(head)
    with pytest.raises(UsageError, match=words) as caught:
        image.check(tmp_path / "image", arch)
    assert caught.value.hint


def test_a_folder_and_a_missing_file_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        image.check(tmp_path, "x86_64")
    with pytest.raises(UsageError, match="none does not exist"):
        image.check(tmp_path / "none", "x86_64")
