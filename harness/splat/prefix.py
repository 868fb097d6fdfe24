# SPDX-License-Identifier: GPL-2.0-only
"""Split a log line into timestamps, its source, and the message itself.

Logging programs (syslog, the journal, dmesg) add prefixes that show which lines are from the
kernel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Characters of a line to examine.  A program may print megabytes without a newline; text added by
#: the kernel is at the end.
LONGEST = 16 * 1024
#: Characters of a log to examine at once.
PIECE = 1 << 20
#: Characters of a message to keep; kernel messages are shorter.
MESSAGE = 2048

# A date in the format of loggers and CI systems.
_DAY = r"(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?(?: \d{4})?"
_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_FULL = r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [A-Z]{2,5}"
_UNIX = r"\d{9,}\.\d{6}"
_WHEN = rf"(?:{_DAY}|\[{_ISO}\]|{_ISO}|{_FULL}|{_UNIX})"
# The source of a line: "host kernel: ", "host kern.warn kernel: ", "host program[12]: ".
_BY = r"(?:[^\s:\[]+ )?(?:[a-z]+\d?\.[a-z]+ )?(?:(?P<kernel>kernel)|[\w.@/()-]+\[\d+\]): ?"
_DATED = re.compile(rf"(?:<\d+>(?=[A-Z\d]))?{_WHEN}(?: {{2,}}(?=\[)| )(?P<by>{_BY})?")
# RFC 5424: priority, version, date, host, program, process, kind, data.
_RFC_5424 = re.compile(rf"<\d+>\d {_ISO} \S+ (?:(?P<kernel>kernel)|\S+) \S+ \S+ (?:-|\[.*?\]) ")
# The journal with a leading kernel timestamp: "[   12.345678] host kernel: ".
_NAMED = re.compile(r"[^\s:\[\]]+ (?:(?P<kernel>kernel)|[\w.@/()-]+\[\d+\]): ")
_RECORD = re.compile(r'\s*"msg": ?"(?P<text>.*)",?$')

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])")
_RETURNS = re.compile(r"(?<!\r)\r*\n\r*")
# The harness's own timestamp on a console line.
_OWN = re.compile(r"\s*\d+\.\d{3} \| ")
# dmesg -r and the console; dmesg -x.
_LEVEL = (
    r"(?:<\d+>|(?:kern|user|syslog|daemon) *:"
    r"(?:emerg|alert|crit|err|warn|notice|info|debug) *: )"
)
# /dev/kmsg itself, and netconsole, which may prepend the kernel release.
_RAW = re.compile(r"(?:\d[\w.+-]*,)?\d+,\d+,(\d+),[-c](?:,caller=([TC]\d+))?[^; ]*;")
# The kernel's timestamp, with the addition of `dmesg -d`, or the time of `dmesg -T` and `-e`.
_CLOCK = (
    r"\[ *(?:(\d+\.\d+)(?: <[ +.\d]+>)?|[+<] *\d+\.\d+>?"
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} ?\d?\d \d\d:\d\d(?::\d\d \d{4})?)\]"
)
_CALLER = r"(?:\[ *([TC]\d+)\])"
_STAMP = re.compile(rf"{_LEVEL}?(?:{_CLOCK}(?: ?{_CALLER})?|{_CALLER}) ?|{_LEVEL}")
# A timestamp whose beginning was lost on the serial port.
_CUT = re.compile(rf"\d*\.?\d{{3,6}}\](?: ?{_CALLER})? ?")
# A kernel timestamp anywhere in a line: the text before it is from a program.
_ANYWHERE = re.compile(rf"(?:<\d+>)?\[ *\d+\.\d{{6}}\](?: ?{_CALLER})? ")
_CLOCKS = re.compile(r"\[ *\d+\.\d{6}\]")
_BEGINS = re.compile(
    rf"\n(?: *(?:\d+\.\d{{3}} \| )?(?:{_WHEN} )?{_LEVEL}?"
    rf"(?:\[ *\d+\.\d{{6}}\]|\[ *[TC]\d+\] )"
    rf"|{_WHEN} (?:\S+ )?(?:[a-z]+\d?\.[a-z]+ )?kernel: |(?:\d[\w.+-]*,)?\d+,\d+,\d+,[-c])"
)
# Every prefix contains one of these.
_STAMPS = ("]", "kernel: ", ",-", ",c")
# The usual line: optionally the harness's timestamp, the kernel's, optionally the caller.
_USUAL = re.compile(rf"(?: *\d+\.\d{{3}} \| )?(?:<\d+>)?\[ *(\d+\.\d{{6}})\](?: ?{_CALLER})? ")
# Prefixes that begin with a letter: a level, a day, a month.
_NAMES = re.compile(r"kern|user|syslog|daemon|[A-Z][a-z]{2} ")
# Another timestamp, or a logger's name, after the first.
_LATER = re.compile(r"\]:? | kernel: ")


class Message(NamedTuple):
    """One message.

    ``kernel`` is True if a stamp or logger shows that it is from the kernel, False if it shows the
    opposite, None if it is unknown.  ``clock`` is the kernel's timestamp in seconds; ``caller`` the
    task or CPU of PRINTK_CALLER.
    """

    text: str
    kernel: bool | None = None
    clock: float | None = None
    caller: str = ""


def whole_lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yield a log in pieces of complete lines; a line that is longer than a piece is cut."""
    rest = ""
    for piece in pieces:
        text = rest + piece
        end = text.rfind("\n") + 1
        if not end and len(text) >= PIECE:
            end = len(text)
        if end:
            yield text[:end]
        rest = text[end:]
    if rest:
        yield rest


def is_stamped(text: str) -> bool:
    """Whether all kernel lines have timestamps in the log that ``text`` is a piece of.

    This is true if any line begins with a timestamp.  A timestamp elsewhere may be left over from a
    text filter, unless most lines have one.
    """
    if not any(word in text for word in _STAMPS):
        return False
    if _BEGINS.match(f"\n{text[:LONGEST]}") or _BEGINS.search(text):
        return True
    return "]" in text and 2 * len(_CLOCKS.findall(text)) > text.count("\n")


def clean_text(text: str) -> str:
    """Remove what a terminal does not display: ANSI sequences, carriage returns, NULs."""
    if "\0" in text:
        text = text.replace("\0", "")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return _RETURNS.sub("\n", text).strip("\r") if "\r" in text else text


def usual_message(line: str) -> Message | None:
    """Return the message of a clean line in the usual format; None for any other line."""
    match = _USUAL.match(line)
    if match is None:
        return None
    end = match.end()
    if ("]" in line[end:] or " kernel: " in line) and _LATER.search(line, end):
        return None
    clock, caller = match.groups("")
    return Message(line[end : end + MESSAGE], True, float(clock), caller)


def messages(line: str) -> list[Message]:
    """Return the messages in a clean line: usually one, more if a newline was lost."""
    if _bare(line):
        return [Message(line[:MESSAGE])]
    only = usual_message(line)
    if only:
        return [only]
    own = _OWN.match(line)
    if own:
        line = line[own.end() :]
    starts = [match.start() for match in _ANYWHERE.finditer(line)] if "]" in line else []
    if starts and not line[: starts[0]].strip():  # indented as a quotation
        line, starts = line[starts[0] :], [start - starts[0] for start in starts]
    if len(starts) < 1 or starts == [0]:
        return [_message(line)]
    first = _message(line[: starts[0]]) if starts[0] else None
    if first and (first.kernel or not first.text.strip()):  # nothing but prefixes of a logger
        starts[0] = 0
        first = None
    pieces = [_message(line[a:b]) for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]
    return [first, *pieces] if first else pieces


def _bare(line: str) -> bool:
    """Whether a line certainly has no timestamp or logger prefix, like most of an unstamped log."""
    if line[:1].isalpha():
        special = _NAMES.match(line) is not None
    elif line[:1] == " ":
        special = '"' in line or _OWN.match(line) is not None
    else:
        return False
    return not special and not ("]" in line and _CLOCKS.search(line))


def _message(line: str) -> Message:
    logged = _unwrap(line)
    if logged.kernel is False:
        return Message(line[:MESSAGE], False)
    line = logged.text
    raw = _RAW.match(line)
    if raw:
        return Message(line[raw.end() :][:MESSAGE], True, int(raw[1]) / 1e6, raw[2] or "")
    stamp = _STAMP.match(line)
    if stamp:
        clock = float(stamp[1]) if stamp[1] else logged.clock
        after = _named(line[stamp.end() :])
        kernel = after.kernel is not False
        return Message(after.text[:MESSAGE], kernel, clock, stamp[2] or stamp[3] or "")
    cut = _CUT.match(line)
    if cut:
        return Message(line[cut.end() :][:MESSAGE], True, None, cut[1] or "")
    return Message(line[:MESSAGE], logged.kernel, logged.clock)


def _unwrap(line: str) -> Message:
    """Remove a date and names from the start of a line, or extract the message from JSON."""
    if line.startswith(("{", " ", "\t")) and '"' in line:
        return _json(line)
    match = _DATED.match(line) or _RFC_5424.match(line)
    if match is None:
        return Message(line)
    names = match.groupdict().get("by", "RFC 5424")
    return Message(line[match.end() :], bool(match["kernel"]) if names else None)


def _named(text: str) -> Message:
    """Remove the names of a host and a program from the text after a timestamp."""
    match = _NAMED.match(text)
    return Message(text[match.end() :], bool(match["kernel"])) if match else Message(text)


def _json(line: str) -> Message:
    """Parse a record of `journalctl -o json`, or a line with a message from `dmesg -J`."""
    record = _RECORD.match(line)
    try:
        fields = {"MESSAGE": json.loads(f'"{record["text"]}"')} if record else json.loads(line)
    except ValueError:
        return Message(line)
    if not isinstance(fields, dict) or "MESSAGE" not in fields:
        return Message(line)
    text = fields["MESSAGE"]
    if isinstance(text, list):  # the journal's format for non-text data
        text = bytes(int(byte) & 255 for byte in text).decode(errors="replace")
    kernel = record is not None or "kernel" in (
        fields.get("_TRANSPORT"),
        fields.get("SYSLOG_IDENTIFIER"),
    )
    clock = str(fields.get("_SOURCE_MONOTONIC_TIMESTAMP", ""))
    return Message(str(text), kernel, int(clock) / 1e6 if kernel and clock.isdecimal() else None)
