# SPDX-License-Identifier: GPL-2.0-only
"""What a run has to say of lines: compiler warnings, and splats that went through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.model import Run
from harness.publish.html.patches import At
from harness.publish.html.sections import Note
from harness.publish.html.values import Failure, SplatView

SHOWN = 100  # warnings that are listed


def at_lines(
    run: Run, found: Sequence[Failure], boot: Sequence[tuple[str, SplatView]]
) -> dict[str, list[At]]:
    """Give warnings and splats at the lines that patches added, by the patch's subject."""
    notes: dict[str, list[At]] = {}
    for side in run.sides[-1:]:
        for warning in side.kernel.warnings:
            note = Note("warning", warning.text)
            notes.setdefault(warning.patch, []).append((warning.file, warning.line, "", note))
    splats = [(one, "at boot", "failures") for _, one in boot]
    splats += [(one, test.name, test.anchor) for test in found for one in test.splats]
    for patch, at in _through(splats):
        notes.setdefault(patch, []).append(at)
    return notes


def _through(found: Sequence[tuple[SplatView, str, str]]) -> Iterator[tuple[str, At]]:
    """Give each line of a patch that a splat's stacks went through, at its first (name, link)."""
    seen = set()
    for splat, name, link in found:
        one = splat.decoded
        for frame in (*one.frames, *one.alloc, *one.free) if one else ():
            for place in frame.places:
                key = (place.file, place.line, splat.title)
                if place.patch and key not in seen:
                    seen.add(key)
                    text = next((i.text for i in place.context if i.number == place.line), "")
                    note = Note("error", f"{splat.title} ({name})", link)
                    yield place.patch, (place.file, place.line, text, note)


def warnings(run: Run, patches: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Give (where, text, the patch's fragment or "") of what the compiler said of the judged."""
    found = run.sides[-1].kernel.warnings if run.sides else ()
    return tuple(
        (f"{one.file}:{one.line}", one.text, patches.get(one.patch, "")) for one in found[:SHOWN]
    )
