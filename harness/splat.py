# SPDX-License-Identifier: GPL-2.0-only
"""Find splats in kernel messages: what the kernel prints when it is unwell.

Pure: text in, values out.  The text is kernel messages only (a console log or /dev/kmsg), one per
line, with or without time stamps.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from harness.model import Splat

# A stamp in front of a kernel message: the harness's own "12.345 |", then the kernel's
# "[    1.234567]" and, with PRINTK_CALLER, "[    T12]".
_STAMP = re.compile(r"^(?:\s*\d+\.\d+ \| )?(?:<\d+>)?(?:\[\s*\d+\.\d+\])?(?:\[\s*[TC]\d+\])?\s?")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A way for a splat to begin.  ``first`` matches the start of a message."""

    name: str
    first: re.Pattern[str]


def _kind(name: str, pattern: str) -> Kind:
    return Kind(name, re.compile(pattern))


# In the order they are tried: the first that matches names the splat.
KINDS = (
    _kind("kasan", r"BUG: KASAN: "),
    _kind("kfence", r"BUG: KFENCE: "),
    _kind("kcsan", r"BUG: KCSAN: "),
    _kind("kmsan", r"BUG: KMSAN: "),
    _kind("ubsan", r"UBSAN: "),
    _kind(
        "lockdep",
        r"WARNING: (?:possible (?:circular locking|recursive locking|irq lock inversion)"
        r"|inconsistent lock state|bad unlock balance|held lock freed|lock held when returning"
        r"|suspicious RCU usage|Nested lock was not taken|.*-safe -> .*-unsafe lock order)",
    ),
    _kind("refcount", r"refcount_t: "),
    _kind("soft lockup", r"watchdog: BUG: soft lockup"),
    _kind("hard lockup", r"(?:watchdog: (?:BUG: |Watchdog detected )hard LOCKUP|NMI watchdog: )"),
    _kind("rcu stall", r"rcu: INFO: rcu_\w+ (?:self-)?detected"),
    _kind("hung task", r"INFO: task .+ blocked for more than \d+ seconds"),
    _kind("workqueue lockup", r"BUG: workqueue lockup"),
    _kind("atomic", r"BUG: (?:sleeping function called from invalid context|scheduling while)"),
    _kind("list", r"(?:list_add|list_del|slab|kernel) corruption"),
    _kind("debugobjects", r"ODEBUG: "),
    _kind("bad page", r"BUG: Bad (?:page|rss|page state|page map)"),
    _kind("slab", r"BUG [\w.-]+ ?(?:\(.*\))?: "),
    _kind("kernel bug", r"kernel BUG at "),
    _kind("oops", r"BUG: (?:kernel NULL pointer|unable to handle|stack guard)"),
    _kind("oops", r"(?:general protection fault|divide error|invalid opcode|double fault)[,:]"),
    _kind("oops", r"(?:Internal error: )?Oops(?::| - )"),
    _kind("panic", r"Kernel panic - not syncing"),
    _kind("warning", r"WARNING: (?:CPU: \d+ PID: \d+ at |\S+\.[chS]:\d+ at )"),
    _kind("busy inodes", r"VFS: Busy inodes after unmount"),
    _kind("net", r"unregister_netdevice: waiting for"),
    _kind("oom", r"(?:Out of memory: Killed|.+ invoked oom-killer)"),
    _kind("kmemleak", r"kmemleak: \d+ new suspected memory leaks"),
    _kind("bug", r"BUG: "),
)

# One cheap test that rules out nearly every line before the table is tried.
_HINT = re.compile(
    r"BUG|WARNING|UBSAN|refcount_t|watchdog|rcu: INFO|INFO: task|corruption|ODEBUG|fault|error|"
    r"invalid opcode|Oops|panic|Busy inodes|unregister_netdevice|Out of memory|oom-killer|kmemleak"
)
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
LINES = 120  # of a splat that are kept


def plain(line: str) -> str:
    """Take ANSI colours, carriage returns and stamps off a line."""
    return _STAMP.sub("", _ANSI.sub("", line).rstrip("\r\n"), count=1)


def find(lines: Iterable[str]) -> tuple[Splat, ...]:
    """Give the splats in kernel messages, in order; what belongs to one splat is one splat.

    A splat's own report (an Oops after its BUG line, the panic it leads to) is part of it.
    """
    return tuple(_splats(plain(line) for line in lines))


def _splats(lines: Iterator[str]) -> Iterator[Splat]:
    kind, kept = None, list[str]()
    for line in lines:
        begins = _begins(line) if _HINT.search(line) else None
        if kind is None and begins is not None:
            kind, kept = begins, [line]
        elif kind is not None:
            if len(kept) < LINES:
                kept.append(line)
            if _END.match(line) and "panic" not in line:
                yield Splat(kind.name, _title(kept), tuple(kept))
                kind = None
    if kind is not None:
        yield Splat(kind.name, _title(kept), tuple(kept))


def _begins(line: str) -> Kind | None:
    return next((kind for kind in KINDS if kind.first.match(line)), None)


def _title(lines: list[str]) -> str:
    """Name a splat by its first line, without what differs from run to run."""
    title = re.sub(r"0x[0-9a-f]+/0x[0-9a-f]+|\b[0-9a-f]{12,16}\b|CPU: \d+ PID: \d+ ", "", lines[0])
    return re.sub(r"\s+", " ", title).replace("+ ", " ").strip(" +")
