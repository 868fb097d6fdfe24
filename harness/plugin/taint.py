# SPDX-License-Identifier: GPL-2.0-only
"""The meanings of the kernel's taint bits (/proc/sys/kernel/tainted)."""

from __future__ import annotations

_BITS = (
    ("P", "a proprietary module was loaded"),
    ("F", "a module was force-loaded"),
    ("S", "the system is out of specification"),
    ("R", "a module was force-unloaded"),
    ("M", "the machine reported a hardware fault"),
    ("B", "a bad page or memory error was seen"),
    ("U", "a user space program requested it"),
    ("D", "the kernel died once: Oops or BUG"),
    ("A", "an ACPI table was overridden"),
    ("W", "a warning was printed"),
    ("C", "a staging driver was loaded"),
    ("I", "a firmware bug was worked around"),
    ("O", "an out-of-tree module was loaded"),
    ("E", "an unsigned module was loaded"),
    ("L", "a soft lockup was seen"),
    ("K", "the kernel was live patched"),
    ("X", "auxiliary, for distributions"),
    ("T", "the layout of structures was randomised"),
    ("N", "an in-kernel test was run"),
    ("J", "a userspace driver used a mutating debug operation"),
)
# The kernel sets these only together with a splat.
_BAD = frozenset("MBDWL")


def letters(taint: int) -> str:
    """Return the letters as the kernel prints them, without blanks."""
    named = "".join(letter for bit, (letter, _) in enumerate(_BITS) if taint >> bit & 1)
    return named + ("?" if taint >> len(_BITS) else "")


def bad(taint: int) -> bool:
    """Return whether any of the bits indicates a kernel fault."""
    return bool(_BAD & set(letters(taint)))


def explain(taint: int) -> str:
    """Return what the bits mean, such as "W: a warning was printed"."""
    meanings = [f"{letter}: {why}" for bit, (letter, why) in enumerate(_BITS) if taint >> bit & 1]
    return "; ".join(meanings)
