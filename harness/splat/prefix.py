# SPDX-License-Identifier: GPL-2.0-only
"""Take a line of a log apart: stamps, who said it, and the message itself."""

from __future__ import annotations

import re
from typing import NamedTuple

# A program may print megabytes without a newline; what the kernel adds stands at the end.
LONGEST = 16 * 1024

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])")
# The harness's own stamp of a console line.
_OWN = re.compile(r"\s*\d+\.\d{3} \| ")
# syslog and the journal: "Nov 21 02:07:00 host kernel: " or "... host program[12]: ".  CI systems
# put a date alone in front.
_DATE = re.compile(
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?) "
    r"(?:[^\s:\[]+ (?:(kernel)|[\w.@/()-]+\[\d+\]): ?)?"
)
# dmesg -r and /dev/kmsg itself; dmesg -x.
_LEVEL = (
    r"(?:<\d+>|(?:kern|user|syslog|daemon) *:"
    r"(?:emerg|alert|crit|err|warn|notice|info|debug) *: )"
)
_RAW = re.compile(r"\d+,\d+,(\d+),[-c][^; ]*;")
# The clock of the kernel, with what `dmesg -d` adds, or of the wall as `dmesg -T` or `-e` have it.
_CLOCK = (
    r"\[ *(?:(\d+\.\d+)(?: <[ +.\d]+>)?|\+\d+\.\d+"
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} ?\d?\d \d\d:\d\d(?::\d\d \d{4})?)\]"
)
_CALLER = r"(?:\[ *([TC]\d+)\])"
_STAMP = re.compile(rf"{_LEVEL}?(?:{_CLOCK}(?: ?{_CALLER})?|{_CALLER}) ?|{_LEVEL}")
# A stamp whose start the serial port lost.
_CUT = re.compile(rf"\d*\.?\d{{3,6}}\](?: ?{_CALLER})? ?")
# A kernel's stamp anywhere: what stands before it was printed by a program.
_ANYWHERE = re.compile(rf"(?:<\d+>)?\[ *\d+\.\d{{6}}\](?: ?{_CALLER})? ")
STAMPED = re.compile(
    r"\[ *\d+\.\d{6}\]|^(?:<\d+>)?\[ *[TC]\d+\] "
    r"|^(?:[A-Z][a-z]{2} [ \d]\d|\d{4}-\d\d-\d\dT)[\d:.,+TZ-]* ?[\d:.]* \S+ kernel: ",
    re.MULTILINE,
)


# The usual line: the harness's stamp or none, the kernel's clock, perhaps the caller.
_USUAL = re.compile(rf"(?: *\d+\.\d{{3}} \| )?\[ *(\d+\.\d{{6}})\](?: ?{_CALLER})? ")


class Message(NamedTuple):
    """One message.

    ``kernel``: a stamp says that it is the kernel's; None when nothing does, False for another's.
    ``clock`` is the kernel's own time in seconds; ``caller`` the task or CPU of PRINTK_CALLER.
    """

    text: str
    kernel: bool | None = None
    clock: float | None = None
    caller: str = ""


def clean(line: str) -> str:
    """Take off what a terminal would not show: ANSI sequences, carriage returns, NULs."""
    if len(line) > LONGEST:
        line = line[-LONGEST:]
    if "\x1b" in line:
        line = _ANSI.sub("", line)
    return line.rstrip("\r\n").replace("\0", "")


def messages(line: str) -> list[Message]:
    """Give the messages in a line: usually one, more when a newline was lost or never printed."""
    line = clean(line)
    usual = _USUAL.match(line)
    if usual and line.find("] ", usual.end()) < 0:
        return [Message(line[usual.end() :], True, float(usual[1]), usual[2] or "")]
    own = _OWN.match(line)
    if own:
        line = line[own.end() :]
    starts = [found.start() for found in _ANYWHERE.finditer(line)] if "]" in line else []
    if len(starts) < 1 or starts == [0]:
        return [_message(line)]
    first = _message(line[: starts[0]]) if starts[0] else None
    if first and (first.kernel or not first.text.strip()):  # only prefixes of a logger
        starts[0] = 0
        first = None
    pieces = [_message(line[a:b]) for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]
    return [first, *pieces] if first else pieces


def plain(line: str) -> str:
    """Take ANSI colours, carriage returns and stamps off a line."""
    line = clean(line)
    own = _OWN.match(line)
    return _message(line[own.end() :] if own else line).text


def _message(line: str) -> Message:
    kernel: bool | None = None
    date = _DATE.match(line)
    if date:
        line = line[date.end() :]
        kernel = True if date[1] else False if date[0].endswith((": ", ":")) else None
        if kernel is False:
            return Message(line, False)
    raw = _RAW.match(line)
    if raw:
        return Message(line[raw.end() :], True, int(raw[1]) / 1e6)
    stamp = _STAMP.match(line)
    if stamp:
        clock = float(stamp[1]) if stamp[1] else None
        return Message(line[stamp.end() :], True, clock, stamp[2] or stamp[3] or "")
    cut = _CUT.match(line)
    if cut:
        return Message(line[cut.end() :], True, None, cut[1] or "")
    return Message(line, kernel)
