# SPDX-License-Identifier: GPL-2.0-only
"""Examine memory dumps of dead guests with drgn: write ``vmcore.txt`` next to each ``vmcore``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from harness import process
from harness.errors import HostFault

DUMP, TEXT = "vmcore", "vmcore.txt"
_PATIENCE = 120.0  # seconds for drgn
_HEAD = 3  # number of lines of a report that the summary shows


def examine(guests: Path, vmlinux: Path | None) -> None:
    """Write the report of each dump below ``guests`` that does not have one yet.

    If drgn cannot read a dump (not installed, no debug info in ``vmlinux``), the report says so.
    """
    for dump in _dumps(guests):
        text = dump.with_name(TEXT)
        if not text.exists():
            _sparsify(dump)
            fault = _missing(vmlinux) or _run_drgn(dump, vmlinux, text)
            if fault:
                text.write_text(f"{fault}\n", encoding="utf-8")


def _dumps(guests: Path) -> list[Path]:
    """Return the dumps of a session's guests, in the order of the guests."""
    return sorted(guests.glob(f"*/{DUMP}"), key=lambda dump: dump.parent.name.zfill(6))


def heads(guests: Path) -> Iterator[str]:
    """Return lines for a summary: the path of each dump and the first lines of its report."""
    for dump in _dumps(guests):
        yield f"dump: {dump}"
        text = dump.with_name(TEXT)
        if text.is_file():
            lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
            heads = [line for line in lines if not line.startswith(" ")]
            yield from (f"  {line}" for line in heads[:_HEAD] if not line.startswith("kernel log"))
            yield f"  complete report: {text}"


def _missing(vmlinux: Path | None) -> str:
    if importlib.util.find_spec("drgn") is None:
        return "drgn is not installed, so the dump was not read\nhint: pip install drgn"
    if vmlinux is None:
        return "there is no vmlinux next to the image, so the dump cannot be read"
    return ""


def _run_drgn(dump: Path, vmlinux: Path | None, text: Path) -> str:
    argv = [sys.executable, "-P", "-m", "harness.vmcore.drgn_report"]
    argv += [str(dump), str(vmlinux), str(text)]
    root = str(Path(__file__).parents[2])
    try:
        done = process.run(argv, env={"PYTHONPATH": root}, timeout=_PATIENCE, check=False)
    except HostFault as fault:
        return f"{fault.what}\n{fault.details}".strip()
    return "" if done.ok else f"drgn ended with status {done.status}\n{done.stderr.strip()}"


def _sparsify(dump: Path) -> None:
    """Free the disk space of zero pages, which make up most of a dump."""
    try:
        process.run(["fallocate", "--dig-holes", dump], check=False)
    except HostFault:
        return  # harmless: the file only takes up more space
