# SPDX-License-Identifier: GPL-2.0-only
"""Create a Splat from the lines of a report: title, stacks, fingerprint and other fields."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from harness.model import Splat
from harness.splat.blame import (
    anchor,
    blame,
    culprit,
    famous_wait,
    recurses,
    telling,
    where_stalled,
)
from harness.splat.bystanders import LOCKDEP
from harness.splat.function_groups import function_of, in_any
from harness.splat.kind_bystanders import OWN_LOCKS, USB_REQUESTS, WORK_FLUSHES
from harness.splat.kinds import SOURCE, Headline, Role, SplatKind, Suspect
from harness.splat.open_splat import OpenSplat
from harness.splat.reporters import REPORTERS, UNWINDERS
from harness.splat.stacks import Stacks, read_stacks, real_frames

FRAMES = 64  # frames to keep per stack
_NULL_PAGE = 4096  # bytes; a fault below this address is a NULL dereference
_WORK = re.compile(r".*(?:workfn=|last function: )([\w.]+)")
_CALLER = re.compile(r"caller is ([\w.$]+)(?:\+0x| \()")
# What differs each time in a message that is free text.
_POINTER = re.compile(r"\b(?:0x[0-9a-f]{5,16}|[0-9a-f]{8,16})\b")
_PLACE = re.compile(r"(\.[chS]):\d+\b")
_NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|\d+)\b")
_OFFSET = re.compile(
    rf"(?<=\w)(?:\+0x[0-9a-f]+/0x[0-9a-f]+| \({SOURCE}(?:[^()]|\([^()]*\))*\))(?: \[[\w -]+\])?"
)
_VARIES = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,16}\b|\d+")
# Warnings and bugs in code shared by all subsystems have their own titles.
_SITES = {
    r"WARNING: .*\bmm/\S+:\d+ (?:at )?_*k\w?\w?alloc": "WARNING: kmalloc bug in {f}",
    r"WARNING: .*\bmm/vmalloc\.c:\d+ (?:at )?__vmalloc_node_range": (
        "WARNING: zero-size vmalloc in {f}"
    ),
    r"WARNING: .*\bmm/usercopy\.c:\d+ (?:at )?usercopy_warn": "WARNING: bad usercopy in {f}",
    r"WARNING: .*\blib/kobject\.c:\d+ (?:at )?kobject_": "WARNING: kobject bug in {f}",
    r"WARNING: .*\bfs/proc/generic\.c:\d+ (?:at )?_*proc_": "WARNING: proc registration bug in {f}",
    r"WARNING: .*\bkernel/locking/lockdep\.c:\d+ (?:at )?\w*lock": "WARNING: locking bug in {f}",
    r"WARNING: .* (?:at )?usb_submit_urb\b": "WARNING in {f}/usb_submit_urb",
    r"kernel BUG at mm/usercopy\.c:\d+!": "BUG: bad usercopy in {f}",
    r"kernel BUG at (?:lib/list_debug\.c|include/linux/list\.h):\d+!": "BUG: corrupted list in {f}",
}
_SITE_TITLES = {re.compile(line): title for line, title in _SITES.items()}
_HEADER = re.compile(
    r"CPU: ?(?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.+?) "
    r"(?:Kdump: loaded )?(?:Not tainted|Tainted: (?P<taint>[A-Z ]+?))"
    r"(?: +-+(?: [A-Za-z-]+)*)? +\d"  # distributions add fields of their own
)
_BY_TASK = re.compile(r".*\bby task (?P<task>\S.*?/\d+)(?: on cpu (?P<cpu>\d+))?:?$")
_IN_ATOMIC = re.compile(r"in_atomic\(\): .*pid: (?P<pid>\d+), name: (?P<comm>.+)")
_LEAK = re.compile(r"\s+comm \"(?P<comm>.*)\", pid (?P<pid>\d+)")
_LOCKS = re.compile(
    r"(?P<task>\S.*?/\d+)(?: \[HC.*\])? (?:is trying|takes:|just changed|is freeing|is leaving)"
)
_DIES = re.compile(r"(?:CPU \d+ )?(?P<comm>[^\s(\[].{0,14}?)\((?P<pid>\d+)\): Oops")
_PROCESS = re.compile(r"Process (?P<comm>\S.*?) \(pid: (?P<pid>\d+)")
# Every line that names a task contains one of these.
_TASK_WORDS = ("PID: ", "task ", "pid", " is ", "takes:", " just ", ": Oops")
_MODULES = re.compile(r"Modules linked in:(.*)")
_UNLOADED = re.compile(r"\[last unloaded: .*?\]|\([A-Z+-]*\)")

_SIZED = (
    re.compile(r"(?P<kind>Read|Write)(?: of size (?P<size>\d+))? at addr (?P<at>[0-9a-f]+)"),
    re.compile(r"(?P<kind>Read|Write) of size (?P<size>\d+) by task (?P<at>)"),
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
    r"(?:BUG: |Unable |Oops: general protection).*"
    r"(?:address:?|at(?: addr)?|for address|virtual address) (?:non-canonical address )?"
    r"(?P<at>(?:0x)?[0-9a-f]{3,16})\b"
)
# Lines that may match an access pattern begin like this, or contain a word of _MODE.
_TELLS = re.compile(
    "Read|Write|Free|Use-|Out-|Invalid|Memory|race|assert|read|write|BUG|Unable|Oops|Failing|#PF"
)
_FAILING = re.compile(r"Failing address: (?P<at>[0-9a-f]+)")
_MODE = re.compile(
    r"#PF: \w+ (?P<kind>read|write|instruction fetch)|.*\bWnR = (?P<wnr>[01])|"
    r".*kernel (?P<fetch>execution|instruction fetch)"
)


class Access(NamedTuple):
    """A bad memory access; ``kind`` is read, write, free or execute, ``size`` in bytes or 0."""

    kind: str = ""
    size: int = 0
    address: str = ""


def digest(splat: OpenSplat) -> Splat:
    """Return the finished splat.  Raises ValueError if it has no headline."""
    if splat.headline is None or splat.match is None:
        raise ValueError("a report without a headline is not a splat")
    return dataclasses.replace(
        _digest(
            splat.headline,
            tuple(splat.match.groupdict(default="").items()),
            tuple(splat.lines),
            splat.head,
        ),
        line=splat.number,
        test=splat.test,
        phase=splat.phase,
        panic=splat.panic,
        raw=tuple(splat.raw),
    )


@functools.lru_cache(maxsize=256)  # a broken kernel may print the same report many times
def _digest(
    headline: Headline, groups: tuple[tuple[str, str], ...], lines: tuple[str, ...], head: int
) -> Splat:
    """Return a splat from the lines alone, independent of when and where they were printed.

    ``groups`` are the named groups matched by the headline, which is line number ``head``.
    """
    named = dict(groups)
    stacks = read_stacks(lines[head:])
    guilty = _guilty(headline, named, stacks, lines)
    access = _access(lines)
    kind = _kind_name(headline.kind, lines)
    if kind == "rust panic" and not named["what"]:  # the message has a line of its own
        named["what"] = lines[head + 1].strip() if lines[head + 1 :] else kind
    title = _title(headline, lines[head], named, guilty, access.kind.capitalize())
    if kind == "null dereference" and headline.kind.name != kind:
        title = "BUG: unable to handle kernel NULL pointer dereference"
        title += f" in {guilty}" if guilty else ""
    repeated = not stacks.entry or real_frames(stacks.main)[:1] == [stacks.entry]
    stack = stacks.main if repeated else [stacks.entry, *stacks.main]
    identity = "\n".join([kind, _VARIES.sub("N", title), *itertools.islice(telling(stack), 5)])
    header = _first_match(_HEADER, lines)
    cpu = named.get("cpu") or (header["cpu"] if header else "")
    modules = _first_match(_MODULES, lines)
    return Splat(
        kind=kind,
        title=title,
        lines=lines,
        function=guilty,
        frames=tuple(stack[:FRAMES]),
        fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:16],
        access=access.kind,
        size=access.size,
        address=access.address,
        task=_task(lines, named),
        cpu=int(cpu) if cpu else None,
        taint="".join((header["taint"] or "").split()) if header else "",
        alloc_stack=tuple(stacks.alloc[:FRAMES]),
        free_stack=tuple(stacks.free[:FRAMES]),
        modules=tuple(_UNLOADED.sub("", modules[1]).split()) if modules else (),
    )


def _first_match(pattern: re.Pattern[str], lines: Sequence[str]) -> re.Match[str] | None:
    return next((match for line in lines if (match := pattern.match(line))), None)


def _guilty(headline: Headline, named: dict[str, str], stacks: Stacks, lines: Sequence[str]) -> str:
    """Choose the function to blame."""
    kind = headline.kind
    in_headline = named.get("f", "") or named.get("pair", "").split(" / ")[0]
    if "{f}" not in headline.title and not kind.always_blames and not in_headline:
        return ""
    if in_headline in USB_REQUESTS:
        return blame(stacks.main, (USB_REQUESTS,))
    if Suspect.WORK in kind.suspects and (work := _first_match(_WORK, lines)):
        return work[1]
    if kind.name == "hung task" and (wait := famous_wait(stacks.main)):
        return wait
    if Suspect.CALLER in kind.suspects and (caller := _caller(lines)):
        return caller
    taker = function_of(stacks.locks[0]) if stacks.locks else ""
    if Suspect.LOCK in kind.suspects and in_any((WORK_FLUSHES, OWN_LOCKS), taker):
        return taker
    if kind.stalled or (kind.recursive and recurses(stacks.main)):
        stalled = where_stalled(stacks.traces, kind.in_tick) or [stacks.entry, *stacks.main]
        return anchor(stalled) or blame(stalled)
    faulted = function_of(in_headline or stacks.entry)
    if kind.suspects and faulted in UNWINDERS:
        return faulted
    suspects = {
        Suspect.NAMED: [in_headline],
        Suspect.ENTRY: [stacks.entry],
        Suspect.LOCK: _takers(stacks),
        Suspect.OWNER: stacks.owner,
    }
    first = [frame for suspect in kind.suspects for frame in suspects.get(suspect, ())]
    candidates = [frame for frame in [*first, *stacks.main] if frame]
    return culprit(candidates, kind.bystanders) or blame(candidates, by_check=kind.by_check)


def _takers(stacks: Stacks) -> list[str]:
    """Return who takes the lock that lockdep reports, the most likely first.

    If it must not be taken in interrupts, that is the interrupt that takes another one.  Otherwise
    it is who takes the second lock; if that is a bystander, who holds the first.
    """
    return [*stacks.became, *stacks.locks, *(stacks.chain if len(stacks.locks) > 1 else ())]


def _caller(lines: Sequence[str]) -> str:
    """Return who asked for the processor's number; "" if lockdep did for somebody else."""
    caller = _first_match(_CALLER, lines)
    name = function_of(caller[1]) if caller else ""
    return "" if in_any((*REPORTERS, LOCKDEP), name) else name


def _kind_name(kind: SplatKind, lines: Sequence[str]) -> str:
    """Distinguish a NULL dereference from a page fault if only the address shows it."""
    if kind.name == "page fault" and "pointer dereference in virtual" in lines[0]:
        failing = re.search(r"Failing address: ([0-9a-f]+)", "\n".join(lines))
        if failing and int(failing[1], 16) < _NULL_PAGE:
            return "null dereference"
    return kind.name


def _title(headline: Headline, line: str, named: dict[str, str], guilty: str, rw: str) -> str:
    fields = {"what": "", "pair": "", "cache": "", "comm": "", **named, "f": guilty, "rw": rw}
    kind = headline.kind.name
    if kind == "kasan" and fields["what"].endswith(("double-free", "invalid-free")):
        fields["rw"] = ""
        fields["what"] = fields["what"].removeprefix("double-free or ")
    if kind == "kasan":  # up to 4.5
        fields["what"] = fields["what"].replace("use after free", "use-after-free")
    if kind == "ubsan":
        fields["what"] = fields["what"].lower().replace(" ", "-")
    if kind in ("bug", "panic"):  # free text
        placeless = _PLACE.sub(r"\1:LINE", _OFFSET.sub("", fields["what"]))
        fields["what"] = _NUMBER.sub("NUM", _POINTER.sub("ADDR", placeless))
    if kind == "oops":
        fields["what"] = fields["what"].replace("_", " ")
    if kind == "kcsan":
        fields["pair"] = " / ".join(map(function_of, fields["pair"].split(" / ")))
    template = headline.title
    if headline.role is Role.TRAP:
        own = (title for site, title in _SITE_TITLES.items() if site.match(line))
        template = next(own, template)
    return re.sub(r"\s+", " ", template.format(**fields)).strip().removesuffix(" in")


def _access(lines: Sequence[str]) -> Access:
    """Return the first bad access in a splat's lines."""
    address, kind = "", ""
    for line in lines:
        if not _TELLS.match(line) and "WnR" not in line and "kernel" not in line:
            continue
        for pattern in _SIZED:
            if match := pattern.match(line):
                parts = {"size": None, **match.groupdict()}
                word = str(parts["kind"]).lower()
                kind = "read" if word == "access" else word
                at = parts.get("at")  # some versions have it in the headline
                return Access(kind, int(parts["size"] or 0), _hex(at) if at else address)
        if not address and (match := _ADDRESS.match(line) or _FAILING.match(line)):
            address = _hex(match["at"])
        if not kind and (match := _MODE.match(line)):
            kind = _mode(match)
    return Access(kind, 0, address) if address else Access()


def _mode(match: re.Match[str]) -> str:
    if match["wnr"]:
        return "write" if match["wnr"] == "1" else "read"
    if match["fetch"] or match["kind"] == "instruction fetch":
        return "execute"
    return str(match["kind"])


def _hex(text: str) -> str:
    return text if text.startswith("0x") else f"0x{text}"


def _task(lines: Sequence[str], named: dict[str, str]) -> str:
    """Return "comm/pid" of the task named in the report, or of the current task."""
    if named.get("task"):
        return named["task"].strip()
    if named.get("comm") and named.get("pid"):
        return f"{named['comm']}/{named['pid']}"
    for line in lines:
        if not any(word in line for word in _TASK_WORDS):
            continue
        for pattern in (_BY_TASK, _LOCKS, _IN_ATOMIC, _LEAK, _HEADER, _DIES, _PROCESS):
            if match := pattern.match(line):
                parts = match.groupdict()
                return parts.get("task") or f"{parts['comm']}/{parts['pid']}"
    return ""
