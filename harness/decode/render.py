# SPDX-License-Identifier: GPL-2.0-only
"""Show a decoded splat as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.decode.values import Decoded, Frame, Place

_STACKS = (("allocated", "alloc"), ("freed", "free"))


def render(decoded: Decoded) -> str:
    """Write a splat's stacks with file and line, from the function to blame on.

    The lines around are shown for that function and for what the series added; ``+`` marks an
    added line, ``>`` the one that ran.
    """
    return "\n".join(_lines(decoded))


def _lines(decoded: Decoded) -> Iterator[str]:
    yield decoded.title
    if decoded.patches:
        yield f"  through lines of: {'; '.join(decoded.patches)}"
    if decoded.why:
        yield f"  no lines: {decoded.why}"
    skipped = decoded.guilty
    if skipped:
        yield f"  ({skipped} frame{'s' if skipped > 1 else ''} of who reports or serves others)"
    yield from _stack(decoded.frames[skipped:], decoded.why)
    for words, name in _STACKS:
        frames: tuple[Frame, ...] = getattr(decoded, name)
        if frames:
            yield f"  {words}:"
            yield from _stack(frames, decoded.why)


def _stack(frames: Sequence[Frame], why: str) -> Iterator[str]:
    for n, frame in enumerate(frames):
        yield f"  {frame.text}{_about(frame, why)}"
        for place in frame.places:
            yield from _place(place, shown=n == 0 or bool(place.patch))


def _about(frame: Frame, why: str) -> str:
    if frame.places:
        return ""
    address = f"  = {frame.address:#x}" if frame.address else ""
    return address + (f"  ({frame.why})" if frame.why and frame.why != why else "")


def _place(place: Place, shown: bool) -> Iterator[str]:
    by = f'  added by "{place.patch}"' if place.patch else ""
    yield f"      {place.file}:{place.line}  {place.function}{by}"
    context = place.context if shown else ()
    for line in context:
        mark = ("+" if line.patch else " ") + (">" if line.number == place.line else " ")
        yield f"      {mark}{line.number:6}  {line.text.expandtabs(4)}".rstrip()
