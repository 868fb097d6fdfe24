# SPDX-License-Identifier: GPL-2.0-only
"""Find the splats in a log in a single pass."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Collection, Iterable, Iterator

from harness.model import Splat
from harness.splat.digest import digest
from harness.splat.headline_search import QUOTED, Start, begins, candidates
from harness.splat.kinds import Role, Stop
from harness.splat.learnt import MARKS, PARTS, LearntPrefixes
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

#: The origin of a splat if no test had started.
BOOT = "boot"
CALLERS = 16  # splats that may be open at once, each from a different task or processor
RECENT = 8  # latest splats, one of which may have caused a panic
BLOCK = 2048  # lines to search at once
NEAR = 200  # lines within which a splat may have caused a panic
_SIGNS = (*MARKS, *PARTS)
_MARK = re.compile(r"harness: (start|end) (.+)")
_BREAK = re.compile(rf"\n{QUOTED}")
_QUOTES = (" ", "\t", ">", "|")
_PHASES = {"start": "during", "end": "after"}
_REASON = "Kernel panic - not syncing: "
# Reasons for panics that merely follow from a fault reported earlier.
_CONSEQUENCE = re.compile(
    rf"{_REASON}(?:Fatal exception|.*panic_on_\w+ set|"
    r"k\w+\.(?:panic|fault=\w+) set|Machine halted|hung_task: |"
    r"scheduling while atomic|softlockup: |Hard LOCKUP|RCU Stall|UBSAN: |Oops|"
    r"Aiee, killing interrupt|"
    r".* stack guard|stack guard|double fault|[Kk]ernel stack overflow|Machine check|"
    r"BUG!|kfence|Unhandled exception|Corrupt kernel stack|workqueue: |"
    r".*watchdog|scheduling while atomic)"
)
# The same, if the fault killed init or an idle task.
_DEATH = re.compile(rf"{_REASON}Attempted to kill (?:init|the idle)")
_PID = re.compile(r"CPU: .*\bPID: (\d+) ")


def find(
    lines: Iterable[str], test: str = BOOT, ignored: Collection[str] = ()
) -> tuple[Splat, ...]:
    """Return the splats in a log, in order; all reports of one fault are one splat.

    Splats of the kinds in ``ignored`` are left out.

    The Oops after a BUG line and the panic it leads to are part of the splat.  ``test`` is the test
    that the log begins with; the harness's marks in the log show which tests follow, and when they
    end.  Takes linear time; an open file is faster than a list of lines.
    """
    finder = _Finder(test)
    pieces = _blocks(lines)
    if isinstance(lines, io.TextIOBase):
        pieces = iter(functools.partial(lines.read, PIECE), "")
    for piece in whole_lines(pieces):
        finder.read(clean_text(piece))
    return tuple(splat for splat in finder.end() if splat.kind not in ignored)


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    rest = iter(lines)
    while block := list(itertools.islice(rest, BLOCK)):
        yield "".join([line if line.endswith("\n") else f"{line}\n" for line in block])


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _matches(pattern: re.Pattern[str], splat: OpenSplat) -> list[str]:
    """Return the first group of each line of a splat that the pattern matches."""
    return [match[1] for match in map(pattern.match, splat.lines) if match]


class _Finder:
    def __init__(self, test: str) -> None:
        self.where = (test, BOOT if test == BOOT else "during")
        self.stamped = False
        self.number = 0  # of the last line that was processed or skipped
        self.open: dict[str, OpenSplat] = {}  # by caller
        self.last: OpenSplat | None = None  # the splat that began last, open or not
        self.latest: dict[str, OpenSplat] = {}  # the latest splat of each caller
        self.done: list[tuple[int, Splat]] = []  # with their first line numbers
        self.seen: set[tuple[float, str]] = set()  # headlines with their timestamps
        self.strict = False  # whether the kernel stamped its boot, so that it stamps all its lines
        self.prefixes = LearntPrefixes()
        # Since the last boot or mark: the number of splats before a panic, and its timestamp.
        self.panic: tuple[int, float | None] | None = None
        self.booted = 0  # splats of earlier boots
        self.victims: set[str] = set()  # PIDs that the kernel killed since the last boot

    def read(self, text: str) -> None:
        """Process text: lines that may begin a splat or are a mark, and lines of open splats."""
        self.stamped = self.stamped or is_stamped(text)
        at = 0
        found = candidates(text, self.stamped)
        places = iter([*found.places, len(text)])
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
            end = _line_end(text, at)
            self.number += 1
            begin = at if end - at < LONGEST else end - LONGEST
            if place >= end:
                self.line(text[begin:end], -1)
            elif place in found.wrapped:
                end = _line_end(text, found.wrapped[place])
                self.line(_BREAK.sub(" ", text[begin:end]), place - begin)
                self.number += text.count("\n", begin, end)
            else:
                self.line(text[begin:end], place - begin)
            at = end + 1
        # A line that spans several pieces counts once.
        self.number += text.count("\n", at) if at <= len(text) else -1

    def line(self, raw: str, place: int) -> None:
        """Process one line; a splat or a mark may begin at ``place``, unless that is negative."""
        only = usual_message(raw) if self.stamped else None
        if only and place < 0 and len(self.open) == 1:  # most lines of a report
            splat = self.open.get(only.caller)
            if splat and splat.sure and splat.stamped and not splat.prefix:
                splat.add(self.number, only, raw)
                if splat.ended:
                    self.close(splat)
                return
        for message in [only] if only else messages(raw):
            if message.kernel is not False:
                self.message(message, raw, place)

    def message(self, message: Message, raw: str, place: int) -> None:
        """Process a message; a splat or a mark may begin at ``place`` in its line, if any."""
        if place < 0:
            self.further(message, raw)
            return
        start = begins(message.text) if message.text[:1] not in _QUOTES else None
        sign = message.text.startswith(_SIGNS)
        if not start and not sign and (self.prefixes or place > 0):
            whole, message = message, self.prefixes.behind(message, place - len(raw))
            start = begins(message.text)
            sign = message.text.startswith(_SIGNS)
            if self.open and message.prefix not in self.prefixes.proven:
                self.more(whole, raw)
        if sign and self.sign(message, raw):
            return
        if start and self.starts(message, raw, start):
            return
        if self.open:
            self.more(message, raw)

    def further(self, message: Message, raw: str) -> None:
        """Process a message with which nothing begins: it may belong to open splats."""
        reporting = {splat.prefix for splat in self.open.values()}
        rest = self.prefixes.cut(message, reporting) if reporting != {""} else None
        if rest and rest.prefix not in self.prefixes.proven:
            self.more(message, raw)
        self.more(rest or message, raw)

    def sign(self, message: Message, raw: str) -> bool:
        """Process a boot, a test's mark or "cut here"; return False for any other line."""
        text = message.text
        if mark := _MARK.match(text):
            self.strict = self.strict or message.kernel is True
            if message.kernel or not self.stamped:
                self.where = (mark[2].strip(), _PHASES[mark[1]])
                self.survived(message)
            return True
        if text.startswith("Linux version "):
            self.strict = self.strict or message.kernel is True
            if message.clock == 0:
                self.boot()
        if text.startswith("CPU: "):
            heard = any(splat.hears(message) for splat in self.open.values())
            return not heard and self.lost(message, raw)
        return "cut here" in text and text.startswith("-") and self.cut(message, raw)

    def survived(self, mark: Message) -> None:
        """Discard a panic: since a test is still running, a program must have printed the text."""
        if self.panic is None:
            return
        (first, clock), self.panic = self.panic, None
        for splat in list(self.open.values()):
            self.close(splat)
        if clock is not None and mark.clock is not None and mark.clock < clock:
            return  # from another boot
        self.done[first:] = [
            (number, dataclasses.replace(splat, panic="") if splat.panic else splat)
            for number, splat in self.done[first:]
            if splat.kind != "panic"
        ]

    def boot(self) -> None:
        """Start over: a log may contain several boots."""
        for splat in list(self.open.values()):
            self.close(splat)
        self.where, self.last = (BOOT, BOOT), None
        self.latest.clear()
        self.seen.clear()
        self.victims.clear()
        self.panic, self.booted = None, len(self.done)

    def starts(self, message: Message, raw: str, start: Start) -> bool:
        """Process a message that may begin a splat; return whether it needs no more processing."""
        headline = start.headline
        proven = message.prefix in self.prefixes.proven
        if message.clock is not None and (message.clock, message.text) in self.seen:
            return True  # a program repeats an earlier kernel message
        splat = self.open.get(message.caller)
        bare = self.bare(message) and not headline.kind.by_program
        if bare and (not headline.sure or (splat is not None and (splat.stamped or self.strict))):
            return False  # printed by a program
        if splat is not None and (splat.late(message) or (splat.lost and not splat.headline)):
            self.close(splat)
            splat = None
        if message.clock is not None and headline.sure:
            self.seen.add((message.clock, message.text))
        if headline.role is Role.PART and splat is not None:
            return False
        if headline.role is Role.PANIC and proven and self.is_consequence(message):
            return True
        if splat is not None and (splat.denies(headline, message) or splat.continued_by(headline)):
            return False
        self.take(message, raw, start, headline.sure and proven and not bare)
        return True

    def take(self, message: Message, raw: str, start: Start, sure: bool) -> None:
        """Begin a splat with a headline, or give the open one a better headline."""
        headline = start.headline
        splat = self.open.get(message.caller)
        if splat is not None and splat.renamed_by(headline, message.text):
            self.more(message, raw)
            splat.take(headline, start.match, sure or (splat.headline is not None and splat.sure))
        elif splat is not None and sure and headline.stop is Stop.LINE:
            # One line, which another task printed in the midst of a report.
            line = OpenSplat(self.number, message, raw, self.where)
            line.take(headline, start.match, sure)
            self.done.append((line.number, digest(line)))
        else:
            splat = self.begin(message, raw)
            splat.take(headline, start.match, sure)
        if splat.ended:
            self.close(splat)

    def bare(self, message: Message) -> bool:
        """Whether a line has no timestamp in a log where the kernel's lines have one."""
        return self.stamped and not message.kernel and not message.prefix

    def cut(self, message: Message, raw: str) -> bool:
        """Begin a splat at "cut here", unless it belongs to the message before the WARNING."""
        splat = self.open.get(message.caller)
        before = splat.headline if splat and not splat.answered else None
        preface = before is not None and before.role is Role.PREFACE
        if preface or (
            self.bare(message) and (self.strict or (splat is not None and splat.stamped))
        ):
            return False
        self.begin(message, raw)
        return True

    def lost(self, message: Message, raw: str) -> bool:
        """Begin a splat at the line about the processor: its headline may be lost."""
        if not self.bare(message):
            self.begin(message, raw).lost = True
        return not self.bare(message)

    def is_consequence(self, message: Message) -> bool:
        """Whether a panic merely follows from the last splat; if so, store its reason there.

        The last splat of the same caller is tried first, then the last of all callers.
        """
        if self.panic is None:
            self.panic = max(len(self.done) - RECENT, self.booted), message.clock
        own = self.latest.get(message.caller)
        return any(self.follows(message, last) for last in (own, self.last) if last is not None)

    def follows(self, message: Message, last: OpenSplat) -> bool:
        """Whether a panic follows from this splat."""
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
        """Open a splat; each task or processor reports one splat at a time."""
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
            if not message.kernel and splat.continued(self.number, message):
                splat.lines[-1] += f" {message.text.strip()}"
            elif splat.hears(message) and self.fits(splat, message):
                splat.add(self.number, message, raw)
                if splat.prefix and splat.sure and splat.headline is not None:
                    self.prefixes.proven.add(splat.prefix)
            elif splat.prefix and not splat.sure:
                splat.ended = self.number - splat.number > NEAR
            if splat.ended:
                self.close(splat)

    def fits(self, splat: OpenSplat, message: Message) -> bool:
        """Whether a line is from the same source as the splat: the kernel, or a program."""
        if splat.prefix or not self.stamped:
            return True
        if not splat.stamped and splat.kind is not None and splat.kind.by_program:
            return not message.kernel
        if splat.sure:
            return bool(message.kernel) == bool(splat.stamped)
        return message.kernel is True or not (splat.stamped or self.strict)

    def close(self, splat: OpenSplat) -> None:
        """Keep the splat if it turned out to be one."""
        for caller in [key for key, value in self.open.items() if value is splat]:
            del self.open[caller]
        self.prefixes.forget(splat.prefix)
        kind = splat.kind
        if kind is not None and kind.victim is not None:
            self.victims.update(_matches(kind.victim, splat))
        if splat.headline is None or not (splat.sure and splat.proven) or splat.harmless:
            return
        # A task that the OOM killer chose gets no more pages: the kernel reports that, too.
        if kind is not None and kind.by_victims and self.victims & {*_matches(_PID, splat)}:
            return
        splat.trim()
        self.done.append((splat.number, digest(splat)))

    def end(self) -> tuple[Splat, ...]:
        """Close all open splats; return all splats in log order."""
        for splat in list(self.open.values()):
            self.close(splat)
        return tuple(splat for _, splat in sorted(self.done, key=lambda pair: pair[0]))
