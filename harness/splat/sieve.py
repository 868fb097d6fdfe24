# SPDX-License-Identifier: GPL-2.0-only
"""Rule out lines that cannot matter.  Nearly all of a log is noise, so this decides the speed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: Lines that are looked at in one go.
BLOCK = 2048


def interesting(text: str) -> bool:
    """Whether a splat or a mark may begin in this text, of one line or of many.

    One of these words stands in the first message of every splat.  A search for each is many times
    faster than one pattern for all.
    """
    return (
        "BUG" in text
        or "WARNING: " in text
        or "cut here" in text
        or "UBSAN: " in text
        or "INFO: " in text
        or "LOCKUP" in text
        or "CSD lock" in text
        or "refcount_t: " in text
        or "file count is" in text
        or "Unhandled " in text
        or "Bad mode in" in text
        or "list_add " in text
        or "list_del " in text
        or "ODEBUG: " in text
        or "Busy inodes" in text
        or "NETDEV WATCHDOG" in text
        or "stack overflow." in text
        or "Insufficient stack" in text
        or "double fault" in text
        or "nable to handle" in text
        or "fault, " in text
        or "[#" in text
        or "Oops" in text
        or "not syncing" in text
        or "unregister_netdevice" in text
        or "oom-killer" in text
        or "Killed process" in text
        or "unreferenced object" in text
        or "suspected memory" in text
        or "harness: " in text
        or "Linux version " in text
    )


def blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Cut lines into lists."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block
