# SPDX-License-Identifier: GPL-2.0-only
"""What a splat says besides its stacks: task, processor, taint, modules, the bad access."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Access(NamedTuple):
    """A bad access to memory: ``kind`` is read, write, free or execute; ``size`` in bytes or 0."""

    kind: str = ""
    size: int = 0
    address: str = ""


_HEADER = re.compile(
    r"CPU: ?(?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.+?) "
    r"(?:Kdump: loaded )?(?:Not tainted|Tainted: (?P<taint>[A-Z ]+?)) +\d"
)
_BY_TASK = re.compile(r".*\bby task (?P<task>\S.*?/\d+)(?: on cpu (?P<cpu>\d+))?:?$")
_IN_ATOMIC = re.compile(r"in_atomic\(\): .*pid: (?P<pid>\d+), name: (?P<comm>.+)")
_LEAK = re.compile(r"\s+comm \"(?P<comm>.*)\", pid (?P<pid>\d+)")
_LOCKS = re.compile(
    r"(?P<task>\S.*?/\d+)(?: \[HC.*\])? (?:is trying|takes:|just changed|is freeing|is leaving)"
)
_TASK_WORDS = ("PID: ", "task ", "pid", " is ", "takes:", " just ")  # one is in each of these
_MODULES = re.compile(r"Modules linked in:(.*)")
_UNLOADED = re.compile(r"\[last unloaded: .*?\]|\([A-Z+-]*\)")

_SIZED = (
    re.compile(r"(?P<kind>Read|Write)(?: of size (?P<size>\d+))? at addr (?P<at>[0-9a-f]+)"),
    re.compile(r"(?P<kind>Free) of addr (?P<at>[0-9a-f]+)"),
    re.compile(
        r"(?:Use-after-free|Out-of-bounds|Invalid) (?P<kind>read|write|free) (?:at|of) "
        r"(?P<at>0x[0-9a-f]+)"
    ),
    re.compile(r"Memory (?P<kind>access) of size (?P<size>\d+) starts at (?P<at>[0-9a-f]+)"),
    re.compile(
        r"(?:race at unknown origin, with )?(?:assert no \w+ )?(?P<kind>read|write)\b.* to "
        r"(?P<at>0x[0-9a-f]+) of (?P<size>\d+) bytes"
    ),
    re.compile(r"BUG: .* on (?P<kind>read|write) at (?P<at>0x[0-9a-f]+)"),
)
_ADDRESS = re.compile(
    r"(?:BUG: |Unable |Oops: general protection).*(?:address:?|at|for address|virtual address) "
    r"(?:non-canonical address )?(?P<at>(?:0x)?[0-9a-f]{3,16})\b"
)
# Lines that may match one of the patterns for an access begin so, or have a word of _MODE's.
_TELLS = re.compile(
    "Read|Write|Free|Use-|Out-|Invalid|Memory|race|assert|read|write|BUG|Unable|Oops|Failing|#PF"
)
_FAILING = re.compile(r"Failing address: (?P<at>[0-9a-f]+)")
_MODE = re.compile(
    r"#PF: \w+ (?P<kind>read|write|instruction fetch)|.*\bWnR = (?P<wnr>[01])|"
    r".*kernel (?P<fetch>execution|instruction fetch)"
)


def access(lines: Sequence[str]) -> Access:
    """Give the first bad access that a splat tells of."""
    address, kind = "", ""
    for line in lines:
        if not _TELLS.match(line) and "WnR" not in line and "kernel" not in line:
            continue
        for pattern in _SIZED:
            if found := pattern.match(line):
                parts = {"size": None, **found.groupdict()}
                word = str(parts["kind"]).lower()
                return Access(
                    "read" if word == "access" else word,
                    int(parts["size"] or 0),
                    _hex(str(parts["at"])),
                )
        if not address and (found := _ADDRESS.match(line) or _FAILING.match(line)):
            address = _hex(found["at"])
        if not kind and (found := _MODE.match(line)):
            kind = _mode(found)
    return Access(kind, 0, address) if address else Access()


def _mode(found: re.Match[str]) -> str:
    if found["wnr"]:
        return "write" if found["wnr"] == "1" else "read"
    if found["fetch"] or found["kind"] == "instruction fetch":
        return "execute"
    return str(found["kind"])


def _hex(text: str) -> str:
    return text if text.startswith("0x") else f"0x{text}"


def task(lines: Sequence[str], named: dict[str, str]) -> str:
    """Give "comm/pid" of the task it is about, as the report itself says or the one that ran."""
    if named.get("task"):
        return named["task"].strip()
    if named.get("comm") and named.get("pid"):
        return f"{named['comm']}/{named['pid']}"
    for line in lines:
        if not any(word in line for word in _TASK_WORDS):
            continue
        for pattern in (_BY_TASK, _LOCKS, _IN_ATOMIC, _LEAK, _HEADER):
            if found := pattern.match(line):
                parts = found.groupdict()
                return parts.get("task") or f"{parts['comm']}/{parts['pid']}"
    return ""


def cpu(lines: Sequence[str], named: dict[str, str]) -> int | None:
    """Give the processor."""
    if named.get("cpu"):
        return int(named["cpu"])
    found = _header(lines)
    return int(found["cpu"]) if found else None


def taint(lines: Sequence[str]) -> str:
    """Give the letters of the taint, "" if the kernel was not tainted."""
    found = _header(lines)
    return "" if found is None or not found["taint"] else "".join(found["taint"].split())


def _header(lines: Sequence[str]) -> re.Match[str] | None:
    told = (line for line in lines if line.startswith("CPU"))
    return next((found for line in told if (found := _HEADER.match(line))), None)


def modules(lines: Sequence[str]) -> tuple[str, ...]:
    """Give the names of the modules that were loaded."""
    told = (line for line in lines if line.startswith("Modules"))
    found = next((found for line in told if (found := _MODULES.match(line))), None)
    return tuple(_UNLOADED.sub("", found[1]).split()) if found else ()
