# SPDX-License-Identifier: GPL-2.0-only
"""What the dumps of dead guests say: ``vmcore.txt`` beside each ``vmcore``, written by drgn."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from harness import process
from harness.errors import HostFault

DUMP, TEXT = "vmcore", "vmcore.txt"
_PATIENCE = 120.0  # seconds for drgn
_HEAD = 3  # lines that are worth showing


def examine(guests: Path, vmlinux: Path | None) -> None:
    """Write the text for each dump below ``guests`` that has none yet.

    What keeps drgn from it (not installed, no debug info in ``vmlinux``) is the text then.
    """
    for dump in _dumps(guests):
        text = dump.with_name(TEXT)
        if not text.exists():
            _thin(dump)
            fault = _missing(vmlinux) or _look(dump, vmlinux, text)
            if fault:
                text.write_text(f"{fault}\n", encoding="utf-8")


def _dumps(guests: Path) -> list[Path]:
    """Give the dumps of a session's guests, in the order of these."""
    return sorted(guests.glob(f"*/{DUMP}"), key=lambda dump: dump.parent.name.zfill(6))


def heads(guests: Path) -> Iterator[str]:
    """Give for each dump its path and the first lines of what is said of it."""
    for dump in _dumps(guests):
        yield f"dump: {dump}"
        text = dump.with_name(TEXT)
        if text.is_file():
            lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
            told = [line for line in lines if not line.startswith(" ")]
            yield from (f"  {line}" for line in told[:_HEAD] if not line.startswith("kernel log"))
            yield f"  all of it: {text}"


def _missing(vmlinux: Path | None) -> str:
    if importlib.util.find_spec("drgn") is None:
        return "drgn is not installed, so the dump was not read\nhint: pip install drgn"
    if vmlinux is None:
        return "there is no vmlinux beside the image, so the dump cannot be read"
    return ""


def _look(dump: Path, vmlinux: Path | None, text: Path) -> str:
    words = [sys.executable, "-P", "-m", "harness.vmcore.look", str(dump), str(vmlinux), str(text)]
    root = str(Path(__file__).parents[2])
    try:
        done = process.run(words, env={"PYTHONPATH": root}, timeout=_PATIENCE, check=False)
    except HostFault as fault:
        return f"{fault.what}\n{fault.details}".strip()
    return "" if done.ok else f"drgn ended with status {done.status}\n{done.stderr.strip()}"


def _thin(dump: Path) -> None:
    """Give back the room that pages of zeros take; most of a guest's memory is that."""
    try:
        process.run(["fallocate", "--dig-holes", dump], check=False)
    except HostFault:
        return  # a larger file is no worse
