# SPDX-License-Identifier: GPL-2.0-only
"""Warnings and bugs in code that serves everybody: they have titles of their own."""

from __future__ import annotations

import re

_SITES = (
    (r"WARNING: .*\bmm/\S+:\d+ (?:at )?k.?.?alloc", "WARNING: kmalloc bug in {f}"),
    (r"WARNING: .*\bmm/usercopy\.c:\d+ (?:at )?usercopy_warn", "WARNING: bad usercopy in {f}"),
    (r"WARNING: .*\blib/kobject\.c:\d+ (?:at )?kobject_", "WARNING: kobject bug in {f}"),
    (
        r"WARNING: .*\bfs/proc/generic\.c:\d+ (?:at )?_*proc_",
        "WARNING: proc registration bug in {f}",
    ),
    (r"WARNING: .*\bkernel/locking/lockdep\.c:\d+ (?:at )?\w*lock", "WARNING: locking bug in {f}"),
    (r"WARNING: .* (?:at )?usb_submit_urb\b", "WARNING in {f}/usb_submit_urb"),
    (r"kernel BUG at mm/usercopy\.c:\d+!", "BUG: bad usercopy in {f}"),
    (
        r"kernel BUG at (?:lib/list_debug\.c|include/linux/list\.h):\d+!",
        "BUG: corrupted list in {f}",
    ),
)
SITES = tuple((re.compile(line), title) for line, title in _SITES)


def title(line: str, usual: str) -> str:
    """Give the title for a warning or bug that the line tells of, the usual one for most."""
    return next((own for pattern, own in SITES if pattern.match(line)), usual)
