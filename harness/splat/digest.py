# SPDX-License-Identifier: GPL-2.0-only
"""Make a Splat of the lines of a report: names, stacks and facts."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import re
from collections.abc import Sequence

from harness.model import Splat
from harness.splat import facts, sites
from harness.splat.blame import blame, function, telling
from harness.splat.kind import Kind, Role
from harness.splat.report import Report
from harness.splat.stacks import Stacks, stacks

FRAMES = 64  # of a stack that are kept
_STALLS = {"rcu stall", "soft lockup", "hard lockup", "csd lock"}
# A stack says who was at it, though the title does not.
_NAMELESS = {"panic", "slab", "busy inodes"}
_WORK = re.compile(r".*(?:workfn=|last function: )([\w.]+)")
_PAGES = re.compile(r"_*alloc_(?:frozen_)?pages\w*")
_VARIES = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,16}\b|\d+")


def digest(report: Report) -> Splat:
    """Give the splat that a report is."""
    if report.kind is None or report.found is None:
        raise ValueError("only a report with a name is a splat")
    return dataclasses.replace(
        _told(
            report.kind,
            tuple(report.found.groupdict(default="").items()),
            tuple(report.lines),
            report.head,
        ),
        line=report.number,
        test=report.test,
        phase=report.phase,
        panic=report.panic,
        raw=tuple(report.raw),
    )


@functools.lru_cache(maxsize=256)  # a kernel that is unwell says the same again and again
def _told(
    kind: Kind, said: tuple[tuple[str, str], ...], lines: tuple[str, ...], head: int
) -> Splat:
    """Give what the words of a report say, whenever and wherever they are said."""
    named = dict(said)
    known = stacks(lines[head:])
    guilty = _guilty(kind, named, known, lines)
    access = facts.access(lines)
    kind_name = _kind(kind, lines)
    title = _title(kind, lines[head], named, guilty, access.kind.capitalize())
    if kind_name == "null dereference" and kind.name != kind_name:
        title = f"BUG: unable to handle kernel NULL pointer dereference in {guilty}".removesuffix(
            " in "
        )
    repeated = not known.entry or known.main[:1] == [known.entry]
    frames = tuple(known.main if repeated else [known.entry, *known.main])[:FRAMES]
    return Splat(
        kind=kind_name,
        title=title,
        lines=lines,
        function=guilty,
        frames=frames,
        fingerprint=_fingerprint(kind_name, title, frames),
        access=access.kind,
        size=access.size,
        address=access.address,
        task=facts.task(lines, named),
        cpu=facts.cpu(lines, named),
        taint=facts.taint(lines),
        alloc_stack=tuple(known.alloc[:FRAMES]),
        free_stack=tuple(known.free[:FRAMES]),
        modules=facts.modules(lines),
    )


def _guilty(kind: Kind, named: dict[str, str], known: Stacks, lines: Sequence[str]) -> str:
    """Choose the function: where the message says, where the processor stood, or from the stack."""
    stack = known.task if kind.name in _STALLS and known.task else known.main
    said = named.get("f", "") or named.get("pair", "").split(" / ")[0]
    if "{f}" not in kind.title and kind.name not in _NAMELESS and not said:
        return ""
    if said == "usb_submit_urb":  # whose urb it is
        return blame("urb", stack)
    if _PAGES.match(said):  # too many are asked for: that is known by this name
        return said
    if kind.name == "lockdep":
        return blame(kind.name, [known.lock, *stack])
    if kind.name in ("refcount", "list corruption", "debugobjects", "ubsan", "atomic"):
        return blame(kind.name, [known.entry, *stack])
    if kind.name == "workqueue leak":
        work = (one for line in lines if (one := _WORK.match(line)))
        return next((one[1] for one in work), blame(kind.name, stack))
    if kind.name in ("hung task", "kmemleak"):
        return blame(kind.name, stack)
    return blame(kind.name, [said, known.entry, *stack])


def _kind(kind: Kind, lines: Sequence[str]) -> str:
    """Tell a NULL dereference from a page fault where only the address does."""
    if kind.name == "page fault" and "pointer dereference in virtual" in lines[0]:
        failing = re.search(r"Failing address: ([0-9a-f]+)", "\n".join(lines))
        if failing and int(failing[1], 16) < 4096:
            return "null dereference"
    return kind.name


def _title(kind: Kind, line: str, named: dict[str, str], guilty: str, rw: str) -> str:
    words = {"what": "", "pair": "", "cache": "", "comm": "", **named, "f": guilty, "rw": rw}
    if kind.name == "kasan" and words["what"].endswith(("double-free", "invalid-free")):
        words["rw"] = ""
        words["what"] = words["what"].removeprefix("double-free or ")
    if kind.name == "ubsan" and not words["what"].startswith("Undefined"):
        words["what"] = words["what"].replace(" ", "-")
    if kind.name == "kcsan":
        words["pair"] = " / ".join(map(function, words["pair"].split(" / ")))
    form = sites.title(line, kind.title) if kind.role is Role.TRAP else kind.title
    return re.sub(r"\s+", " ", form.format(**words)).strip().removesuffix(" in")


def _fingerprint(kind: str, title: str, frames: tuple[str, ...]) -> str:
    names = itertools.islice(telling(frames), 5)
    words = "\n".join([kind, _VARIES.sub("N", title), *names])
    return hashlib.sha256(words.encode()).hexdigest()[:16]
