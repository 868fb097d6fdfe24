# SPDX-License-Identifier: GPL-2.0-only
"""Go through a log once and give the splats in it."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Iterable, Iterator

from harness.model import Splat
from harness.splat.digest import digest
from harness.splat.kind import Kind, Role, Stop
from harness.splat.kinds import CONSEQUENCE, CUT_HERE, DEATH, begins
from harness.splat.prefix import LONGEST, PIECE, Message, messages, smooth, stamped, usual, whole
from harness.splat.report import SILENCE, Report
from harness.splat.sieve import candidates

#: Where a splat came from when no test had started.
BOOT = "boot"
TELLERS = 16  # reports that may be open at once, each of another task or processor
RECENT = 8  # splats back, at most, that a panic may be the consequence of
BLOCK = 2048  # lines that are looked at in one go
NEAR = 200  # lines within which a panic may be the consequence of what came before
_SIGNS = ("harness: ", "Linux version ", CUT_HERE[:20])
_MARK = re.compile(r"harness: (start|end) (.+)")
_QUOTE = re.compile(r"[ \t>|]+")
_PHASES = {"start": "during", "end": "after"}
# Faults that no task dies of.
_SURVIVED = {"warning", "refcount", "debugobjects", "netdev watchdog", "busy inodes", "ubsan"}
_REASON = "Kernel panic - not syncing: "


def find(lines: Iterable[str], test: str = BOOT) -> tuple[Splat, ...]:
    """Give the splats in a log, in order; what belongs to one fault is one splat.

    An Oops after its BUG line and the panic it leads to are part of it.  ``test`` is what the log
    begins with; the harness's marks in it say what follows, also whether the test had ended.  The
    time is linear in the log, and shorter for an open file than for its lines.
    """
    finder = _Finder(test)
    pieces = _blocks(lines)
    if isinstance(lines, io.TextIOBase):
        pieces = iter(functools.partial(lines.read, PIECE), "")
    for piece in whole(pieces):
        finder.read(smooth(piece))
    return finder.end()


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    rest = iter(lines)
    while block := list(itertools.islice(rest, BLOCK)):
        yield "".join([line if line.endswith("\n") else f"{line}\n" for line in block])


class _Finder:
    def __init__(self, test: str) -> None:
        self.where = (test, BOOT if test == BOOT else "during")
        self.stamped = False
        self.number = 0  # of the last line that was looked at or passed
        self.open: dict[str, Report] = {}
        self.last: Report | None = None  # the last one begun, open or not
        self.latest: dict[str, Report] = {}  # the last of each caller
        self.done: list[tuple[int, Splat]] = []
        self.told: set[tuple[float, str]] = set()
        self.quote = ""  # what stands in front of each line of an unstamped log
        # Since the last boot or mark: how many splats there were before a panic, and its clock.
        self.panic: tuple[int, float | None] | None = None
        self.booted = 0  # splats that are done with, of boots before this one

    def read(self, text: str) -> None:
        """Take the next lines: those that may begin something, and those that follow."""
        self.stamped = self.stamped or stamped(text)
        at = 0
        places = iter([*candidates(text, self.stamped), len(text)])
        place = -1
        while at < len(text):
            while place < at:
                place = next(places)
            if not self.open:
                if place == len(text):
                    break
                begin = text.rfind("\n", at, place) + 1 or at
                self.number += text.count("\n", at, begin)
                at = begin
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            self.number += 1
            self.line(text[max(at, end - LONGEST) : end], place < end)
            at = end + 1
        # A line that is longer than a piece counts once.
        self.number += text.count("\n", at) if at <= len(text) else -1

    def line(self, raw: str, fresh: bool) -> None:
        """Take one line; ``fresh`` if something may begin in it."""
        if self.stamped:
            only = usual(raw)
            told = [only] if only else messages(raw)
        else:
            told = messages(self.unquoted(raw))
        for message in told:
            self.hear(message, raw, fresh)

    def unquoted(self, line: str) -> str:
        """Take off what a mail or a commit's message puts in front of the lines of a report."""
        if not self.open:
            quote = _QUOTE.match(line)
            self.quote = quote[0] if quote and begins(line[quote.end() :]) else ""
        return line.removeprefix(self.quote)

    def hear(self, message: Message, raw: str, fresh: bool) -> None:
        """Take one message."""
        if message.kernel is False:
            return
        if fresh:
            if message.text.startswith(_SIGNS) and self.sign(message, raw):
                return
            new = begins(message.text)
            if new and self.starts(message, raw, *new):
                return
        if self.open:
            self.more(message, raw)

    def sign(self, message: Message, raw: str) -> bool:
        """Deal with a line that says where we are; whether it is dealt with."""
        text = message.text
        if mark := _MARK.match(text):
            if message.kernel or not self.stamped:
                self.where = (mark[2].strip(), _PHASES[mark[1]])
                self.lives(message)
            return True
        if text.startswith("Linux version ") and message.clock == 0:
            self.boot()
        return "cut here" in text and text.startswith("-") and self.cut(message, raw)

    def lives(self, mark: Message) -> None:
        """Take back a panic: a program that still runs shows that only its words told of one."""
        if self.panic is None:
            return
        (first, clock), self.panic = self.panic, None
        for report in list(self.open.values()):
            self.close(report)
        if clock is not None and mark.clock is not None and mark.clock < clock:
            return  # another boot's
        told = self.done[first:]
        self.done[first:] = [(n, _with_panic(one, "")) for n, one in told if one.kind != "panic"]

    def boot(self) -> None:
        """Begin again: a log may hold one boot after the other."""
        for report in list(self.open.values()):
            self.close(report)
        self.where, self.last = (BOOT, BOOT), None
        self.latest.clear()
        self.told.clear()
        self.panic, self.booted = None, len(self.done)

    def starts(self, message: Message, raw: str, kind: Kind, found: re.Match[str]) -> bool:
        """Deal with a message that may begin a splat; whether it is dealt with."""
        bare = self.stamped and not message.kernel
        if message.clock is not None and (message.clock, message.text) in self.told:
            return True  # a program shows what the kernel said before
        report = self.own(message.caller)
        if bare and kind.name != "kmemleak" and (report is not None or not kind.sure):
            return False  # a program's words
        if message.clock is not None and kind.sure:
            self.told.add((message.clock, message.text))
        if kind.role is Role.PANIC and self.consequence(message):
            return True
        if report is not None and report.kind is not None and not kind.sure:
            after = report.traced or report.late(message)
            if not (message.kernel and after):
                return False
        if report is not None and report.continues(kind):
            return False
        sure = kind.sure and (not bare or kind.name == "kmemleak")
        if report is not None and report.renames(kind):
            self.more(message, raw)
            report.take(kind, found, sure or report.kind is not None)
        else:
            report = self.begin(message, raw)
            report.take(kind, found, sure)
        if report.ended:
            self.close(report)
        return True

    def cut(self, message: Message, raw: str) -> bool:
        """Note that something begins, unless it is the WARNING to words said already."""
        report = self.own(message.caller)
        words = report and report.kind and report.kind.role is Role.WORDS and not report.answered
        if (self.stamped and not message.kernel) or words:
            return False
        self.begin(message, raw)
        return True

    def consequence(self, message: Message) -> bool:
        """Whether a panic only follows from the last splat, which then is told of it.

        The last of the same caller; the last of all may be another processor's.
        """
        if self.panic is None:
            self.panic = max(len(self.done) - RECENT, self.booted), message.clock
        own = self.latest.get(message.caller)
        return any(self.follows(message, last) for last in (own, self.last) if last is not None)

    def follows(self, message: Message, last: Report) -> bool:
        """Whether a panic follows from a certain splat."""
        if last.kind is None or last.harmless:
            return False
        died = last.kind.stop is Stop.CUT and last.kind.name not in _SURVIVED
        if not CONSEQUENCE.match(message.text) and not (died and DEATH.match(message.text)):
            return False
        if last.clock is not None and message.clock is not None:
            near = abs(message.clock - last.clock) < SILENCE
        else:
            near = self.number - last.last < NEAR
        if near and not last.panic and last.sure:
            last.panic = message.text.removeprefix(_REASON)
            for n, (number, splat) in enumerate(self.done[-RECENT:], -len(self.done[-RECENT:])):
                if number == last.number:
                    self.done[n] = (number, _with_panic(splat, last.panic))
        return near and last.sure

    def begin(self, message: Message, raw: str) -> Report:
        """Open a report; one task or processor tells one at a time."""
        before = self.own(message.caller)
        if before is not None:
            self.close(before)
        if len(self.open) >= TELLERS:
            self.close(min(self.open.values(), key=lambda one: one.last))
        report = Report(self.number, message, raw, self.where)
        self.open[message.caller] = self.latest[message.caller] = self.last = report
        if len(self.latest) > 4 * TELLERS:
            del self.latest[next(iter(self.latest))]
        return report

    def own(self, caller: str) -> Report | None:
        """Give the report that a caller is telling, or that anybody is when callers are unknown."""
        return self.open.get(caller)

    def more(self, message: Message, raw: str) -> None:
        """Add a message to the report it belongs to."""
        own = self.open.get(message.caller)
        for report in (own,) if own is not None else tuple(self.open.values()):
            if not report.hears(message.caller) or not self.fits(report, message):
                continue
            report.add(self.number, message, raw)
            if report.ended:
                self.close(report)

    def fits(self, report: Report, message: Message) -> bool:
        """Whether a line is from where the report's are: the kernel, or a program that shows it."""
        if not self.stamped:
            return True
        if report.kind is not None and report.kind.name == "kmemleak" and not report.stamped:
            return not message.kernel
        return message.kernel is True

    def close(self, report: Report) -> None:
        """Keep a report that turned out to be a splat."""
        for caller in [key for key, value in self.open.items() if value is report]:
            del self.open[caller]
        if report.kind is not None and report.sure and not report.harmless:
            report.trim()
            self.done.append((report.number, digest(report)))

    def end(self) -> tuple[Splat, ...]:
        """Close what is open; gives all in the order of the log."""
        for report in list(self.open.values()):
            self.close(report)
        return tuple(splat for _, splat in sorted(self.done, key=lambda pair: pair[0]))


def _with_panic(splat: Splat, reason: str) -> Splat:
    return dataclasses.replace(splat, panic=reason)
