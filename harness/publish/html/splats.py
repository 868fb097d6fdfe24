# SPDX-License-Identifier: GPL-2.0-only
"""Splats as a page shows them: their facts, their frames with sources, the kernel's own lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from harness.decode import Decoded
from harness.model import Splat
from harness.publish.html.cutting import cut
from harness.publish.html.values import SplatView
from harness.serial import from_json

NAME = "splats.json"

Key = tuple[str, tuple[str, ...]]


def decoded(folder: Path) -> dict[Key, Decoded]:
    """Read what was decoded when the kernel was there; nothing for a run that kept nothing."""
    try:
        rows = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return {
            (row["title"], tuple(row["frames"])): from_json(Decoded, row["decoded"]) for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def view(splat: Splat, known: Mapping[Key, Decoded], patches: Mapping[str, str]) -> SplatView:
    """Make what is shown; ``patches`` lead from a subject to the patch on the page."""
    one = known.get((splat.title, splat.frames))
    lines = splat.raw or splat.lines
    return SplatView(
        title=splat.title,
        place=splat.place,
        facts=_facts(splat),
        raw=cut("\n".join(lines), 60, 40),
        decoded=one if one and (one.frames or one.alloc or one.free) else None,
        patches=tuple((subject, patches.get(subject, "")) for subject in splat.patches),
    )


def _facts(splat: Splat) -> tuple[str, ...]:
    access = f"{splat.access} of {splat.size} bytes" if splat.size else splat.access
    found = [
        f"in {splat.function}" if splat.function else "",
        f"{access} at {splat.address}" if access and splat.address else access,
        f"task {splat.task}" if splat.task else "",
        f"CPU {splat.cpu}" if splat.cpu is not None else "",
        f"taint {splat.taint}" if splat.taint else "",
        f"then a panic: {splat.panic}" if splat.panic and splat.kind != "panic" else "",
        "after the test had ended" if splat.phase == "after" else "",
    ]
    return tuple(filter(None, found))
