# SPDX-License-Identifier: GPL-2.0-only
"""What decoding gives.  Frozen, standard library only, so that a report can keep them as JSON."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the sources; ``patch`` names the patch that added it, "" if none did."""

    number: int
    text: str
    patch: str = ""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the sources a frame is.

    ``file`` is below the top of the tree; ``context`` are the lines around ``line``, empty when
    the file is not there; ``patch`` names the patch that added the line itself, "" if none did.
    """

    function: str
    file: str
    line: int
    context: tuple[Line, ...] = ()
    patch: str = ""


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame as printed, and its places: the innermost inlined function first.

    ``address`` is where it lies in vmlinux or the module before that is relocated, 0 if it is not
    there.  Without debug info ``places`` is empty; ``why`` says what is missing.
    """

    text: str
    places: tuple[Place, ...] = ()
    address: int = 0
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A splat's stacks with their places, under its title.

    ``guilty`` is the index in ``frames`` of the function to blame.  ``why`` says what kept all
    frames from having a place, "" if some have one.
    """

    title: str
    frames: tuple[Frame, ...] = ()
    alloc: tuple[Frame, ...] = ()
    free: tuple[Frame, ...] = ()
    guilty: int = 0
    why: str = ""

    @property
    def patches(self) -> tuple[str, ...]:
        """The patches that added lines the stacks go through, the innermost frame's first."""
        frames = (*self.frames[self.guilty :], *self.alloc, *self.free)
        named = (place.patch for frame in frames for place in frame.places)
        return tuple(dict.fromkeys(patch for patch in named if patch))
