# SPDX-License-Identifier: GPL-2.0-only
"""A decoded splat: values that a report can store as JSON, and their text form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence


@dataclasses.dataclass(frozen=True)
class SourceLine:
    """A source line; ``patch`` names the patch that added it, "" if none did."""

    number: int
    text: str
    patch: str = ""


@dataclasses.dataclass(frozen=True)
class SourcePlace:
    """The source location of a frame.

    ``file`` is relative to the top of the tree; ``context`` are the lines around ``line``, empty
    if the file does not exist; ``patch`` names the patch that added the line itself, "" if none
    did.
    """

    function: str
    file: str
    line: int
    context: tuple[SourceLine, ...] = ()
    patch: str = ""


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame as printed, and its locations, starting with the innermost inlined function.

    ``address`` is the address in vmlinux, or in the module before relocation; 0 if not found.
    Without debug info ``places`` is empty, and ``why`` is the reason.
    """

    text: str
    places: tuple[SourcePlace, ...] = ()
    address: int = 0
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A splat's title, and its stacks with source locations.

    ``guilty`` is the index in ``frames`` of the function to blame.  ``why`` is the reason why no
    frame has a location, "" if any frame has one.
    """

    title: str
    frames: tuple[Frame, ...] = ()
    alloc: tuple[Frame, ...] = ()
    free: tuple[Frame, ...] = ()
    guilty: int = 0
    why: str = ""

    @property
    def patches(self) -> tuple[str, ...]:
        """The patches that added lines in the stacks, starting with the innermost frame."""
        frames = (*self.frames[self.guilty :], *self.alloc, *self.free)
        names = (place.patch for frame in frames for place in frame.places)
        return tuple(dict.fromkeys(name for name in names if name))


def render(decoded: Decoded) -> str:
    """Format a splat's stacks with file and line, starting with the function to blame.

    Context lines are shown for that function and for lines that the series added; ``+`` marks an
    added line, ``>`` the line that was executed.
    """
    return "\n".join(_lines(decoded))


def _lines(decoded: Decoded) -> Iterator[str]:
    yield decoded.title
    if decoded.patches:
        yield f"  through code changed by: {'; '.join(decoded.patches)}"
    if decoded.why:
        yield f"  no source lines: {decoded.why}"
    if skipped := decoded.guilty:
        frames = "frames" if skipped > 1 else "frame"
        yield f"  ({skipped} {frames} of reporting and common functions skipped)"
    yield from _stack(decoded.frames[skipped:], decoded.why)
    for title, stack in (("allocated", decoded.alloc), ("freed", decoded.free)):
        if stack:
            yield f"  {title}:"
            yield from _stack(stack, decoded.why)


def _stack(frames: Sequence[Frame], why: str) -> Iterator[str]:
    for n, frame in enumerate(frames):
        line = f"  {frame.text}"
        if not frame.places:
            line += f"  = {frame.address:#x}" if frame.address else ""
            line += f"  ({frame.why})" if frame.why and frame.why != why else ""
        yield line
        for place in frame.places:
            by = f'  added by "{place.patch}"' if place.patch else ""
            yield f"      {place.file}:{place.line}  {place.function}{by}"
            for source in place.context if n == 0 or place.patch else ():
                mark = ("+" if source.patch else " ") + (
                    ">" if source.number == place.line else " "
                )
                text = source.text.expandtabs(4)
                yield f"      {mark}{source.number:6}  {text}".rstrip()
