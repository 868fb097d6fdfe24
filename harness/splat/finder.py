# SPDX-License-Identifier: GPL-2.0-only
"""Go through a log once and return the splats in it."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Iterable, Iterator

from harness.model import Splat
from harness.splat.digest import digest
from harness.splat.headline_search import Start, begins, candidates
from harness.splat.kinds import CUT_HERE, Role, Stop
from harness.splat.open_splat import SILENCE, OpenSplat
from harness.splat.prefix import (
    LONGEST,
    PIECE,
    Message,
    clean_text,
    is_stamped,
    messages,
    usual_message,
    whole_lines,
)

#: Where a splat came from when no test had started.
BOOT = "boot"
CALLERS = 16  # splats that may be open at once, each of another task or processor
RECENT = 8  # the last splats, of which one may have caused a panic
BLOCK = 2048  # lines that are looked at in one go
NEAR = 200  # lines within which a splat may have caused a panic
_SIGNS = ("harness: ", "Linux version ", CUT_HERE[:20])
_MARK = re.compile(r"harness: (start|end) (.+)")
_QUOTE = re.compile(r"[ \t>|]+")
_PHASES = {"start": "during", "end": "after"}
_REASON = "Kernel panic - not syncing: "
# Reasons of panics that only follow from a fault that was reported before.
_CONSEQUENCE = re.compile(
    rf"{_REASON}(?:Fatal exception|.*panic_on_\w+ set|"
    r"k\w+\.(?:panic|fault=\w+) set|Machine halted|hung_task: |"
    r"softlockup: |Hard LOCKUP|RCU Stall|UBSAN: |Oops|Aiee, killing interrupt|"
    r".* stack guard|stack guard|double fault|[Kk]ernel stack overflow|Machine check|"
    r"BUG!|kfence|Unhandled exception|Corrupt kernel stack|workqueue: |"
    r".*watchdog|Out of memory|System is deadlocked on memory)"
)
# The same, when init or an idle task died of the fault.
_DEATH = re.compile(rf"{_REASON}Attempted to kill (?:init|the idle)")


def find(lines: Iterable[str], test: str = BOOT) -> tuple[Splat, ...]:
    """Return the splats in a log, in order; what belongs to one fault is one splat.

    An Oops after its BUG line and the panic it leads to are part of it.  ``test`` is the test that
    the log begins with; the harness's marks in it say which tests follow, and when they end.  The
    time is linear in the log, and shorter for an open file than for its lines.
    """
    finder = _Finder(test)
    pieces = _blocks(lines)
    if isinstance(lines, io.TextIOBase):
        pieces = iter(functools.partial(lines.read, PIECE), "")
    for piece in whole_lines(pieces):
        finder.read(clean_text(piece))
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
        self.open: dict[str, OpenSplat] = {}  # by caller
        self.last: OpenSplat | None = None  # the last one begun, open or not
        self.latest: dict[str, OpenSplat] = {}  # the last of each caller
        self.done: list[tuple[int, Splat]] = []  # with the numbers of their first lines
        self.seen: set[tuple[float, str]] = set()  # headlines with their clocks
        self.quote = ""  # what a mail or commit has before each line of an unstamped log
        # Since the last boot or mark: how many splats there were before a panic, and its clock.
        self.panic: tuple[int, float | None] | None = None
        self.booted = 0  # splats of the boots before this one

    def read(self, text: str) -> None:
        """Take the next lines: those that may begin something, and those that follow."""
        self.stamped = self.stamped or is_stamped(text)
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
            only = usual_message(raw)
            found = [only] if only else messages(raw)
        else:
            found = messages(self.unquoted(raw))
        for message in found:
            self.message(message, raw, fresh)

    def unquoted(self, line: str) -> str:
        """Remove what a mail or a commit's message puts before the lines of a report."""
        if not self.open:
            quote = _QUOTE.match(line)
            self.quote = quote[0] if quote and begins(line[quote.end() :]) else ""
        return line.removeprefix(self.quote)

    def message(self, message: Message, raw: str, fresh: bool) -> None:
        if message.kernel is False:
            return
        if fresh:
            if message.text.startswith(_SIGNS) and self.sign(message, raw):
                return
            start = begins(message.text)
            if start and self.starts(message, raw, start):
                return
        if self.open:
            self.more(message, raw)

    def sign(self, message: Message, raw: str) -> bool:
        """Take a line that says where we are; return whether it was one."""
        text = message.text
        if mark := _MARK.match(text):
            if message.kernel or not self.stamped:
                self.where = (mark[2].strip(), _PHASES[mark[1]])
                self.survived(message)
            return True
        if text.startswith("Linux version ") and message.clock == 0:
            self.boot()
        return "cut here" in text and text.startswith("-") and self.cut(message, raw)

    def survived(self, mark: Message) -> None:
        """Take back a panic: a test that still runs shows that a program only printed the words."""
        if self.panic is None:
            return
        (first, clock), self.panic = self.panic, None
        for splat in list(self.open.values()):
            self.close(splat)
        if clock is not None and mark.clock is not None and mark.clock < clock:
            return  # another boot's
        self.done[first:] = [
            (number, dataclasses.replace(splat, panic=""))
            for number, splat in self.done[first:]
            if splat.kind != "panic"
        ]

    def boot(self) -> None:
        """Start over: a log may hold one boot after another."""
        for splat in list(self.open.values()):
            self.close(splat)
        self.where, self.last = (BOOT, BOOT), None
        self.latest.clear()
        self.seen.clear()
        self.panic, self.booted = None, len(self.done)

    def starts(self, message: Message, raw: str, start: Start) -> bool:
        """Take a message that may begin a splat; return whether it needs no more attention."""
        headline, kind = start.headline, start.headline.kind
        bare = self.stamped and not message.kernel
        if message.clock is not None and (message.clock, message.text) in self.seen:
            return True  # a program shows what the kernel said before
        splat = self.open.get(message.caller)
        if bare and not kind.by_program and (splat is not None or not headline.sure):
            return False  # a program's words
        if message.clock is not None and headline.sure:
            self.seen.add((message.clock, message.text))
        if headline.role is Role.PANIC and self.is_consequence(message):
            return True
        if splat is not None and splat.headline is not None and not headline.sure:
            after = splat.traced or splat.late(message)
            if not (message.kernel and after):
                return False
        if splat is not None and splat.continued_by(headline):
            return False
        sure = headline.sure and (not bare or kind.by_program)
        if splat is not None and splat.renamed_by(headline):
            self.more(message, raw)
            splat.take(headline, start.match, sure or splat.headline is not None)
        else:
            splat = self.begin(message, raw)
            splat.take(headline, start.match, sure)
        if splat.ended:
            self.close(splat)
        return True

    def cut(self, message: Message, raw: str) -> bool:
        """Note that something begins, unless it is the WARNING to words that came before."""
        splat = self.open.get(message.caller)
        before = splat.headline if splat and not splat.answered else None
        words = before is not None and before.role is Role.WORDS
        if (self.stamped and not message.kernel) or words:
            return False
        self.begin(message, raw)
        return True

    def is_consequence(self, message: Message) -> bool:
        """Whether a panic only follows from the last splat, which then gets its reason.

        The last of the same caller; the last of all may be another processor's.
        """
        if self.panic is None:
            self.panic = max(len(self.done) - RECENT, self.booted), message.clock
        own = self.latest.get(message.caller)
        return any(self.follows(message, last) for last in (own, self.last) if last is not None)

    def follows(self, message: Message, last: OpenSplat) -> bool:
        """Whether a panic follows from a certain splat."""
        if last.headline is None or last.harmless:
            return False
        died = last.headline.stop is Stop.CUT and not last.headline.kind.survived
        if not _CONSEQUENCE.match(message.text) and not (died and _DEATH.match(message.text)):
            return False
        if last.clock is not None and message.clock is not None:
            near = abs(message.clock - last.clock) < SILENCE
        else:
            near = self.number - last.last < NEAR
        if near and not last.panic and last.sure:
            last.panic = message.text.removeprefix(_REASON)
            for n in range(max(len(self.done) - RECENT, 0), len(self.done)):
                number, splat = self.done[n]
                if number == last.number:
                    self.done[n] = (number, dataclasses.replace(splat, panic=last.panic))
        return near and last.sure

    def begin(self, message: Message, raw: str) -> OpenSplat:
        """Open a splat; each task or processor reports one at a time."""
        before = self.open.get(message.caller)
        if before is not None:
            self.close(before)
        if len(self.open) >= CALLERS:
            self.close(min(self.open.values(), key=lambda splat: splat.last))
        splat = OpenSplat(self.number, message, raw, self.where)
        self.open[message.caller] = self.latest[message.caller] = self.last = splat
        if len(self.latest) > 4 * CALLERS:
            del self.latest[next(iter(self.latest))]
        return splat

    def more(self, message: Message, raw: str) -> None:
        """Add a message to the splat it belongs to."""
        own = self.open.get(message.caller)
        for splat in (own,) if own is not None else tuple(self.open.values()):
            if splat.hears(message.caller) and self.fits(splat, message):
                splat.add(self.number, message, raw)
                if splat.ended:
                    self.close(splat)

    def fits(self, splat: OpenSplat, message: Message) -> bool:
        """Whether a line comes from the same source as the splat's: the kernel, or a program."""
        if not self.stamped:
            return True
        if splat.kind is not None and splat.kind.by_program and not splat.stamped:
            return not message.kernel
        return message.kernel is True

    def close(self, splat: OpenSplat) -> None:
        """Keep what turned out to be a splat."""
        for caller in [key for key, value in self.open.items() if value is splat]:
            del self.open[caller]
        if splat.headline is not None and splat.sure and not splat.harmless:
            splat.trim()
            self.done.append((splat.number, digest(splat)))

    def end(self) -> tuple[Splat, ...]:
        """Close what is open; return all splats in the order of the log."""
        for splat in list(self.open.values()):
            self.close(splat)
        return tuple(splat for _, splat in sorted(self.done, key=lambda pair: pair[0]))
