# SPDX-License-Identifier: GPL-2.0-only
"""Split a log line into timestamps, its source, and the message itself.

Logging programs (syslog, the journal, dmesg) add prefixes that show which lines are from the
kernel.
"""

from __future__ import annotations

import html
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

# A date and a time of day, by a logger or a CI system, in any language: up to three words, such as
# a weekday, a month, a day, or a date in figures.
_DAY = r"(?:[^\W_][\w./-]{0,11}[.,]? {1,2}){0,3}?"
_ISO = r"\d{4}[-/.]\d\d[-/.]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?[+-]\d\d:?\d\d|Z)?"
_ZONE = r"(?: \d{4}(?= )| [A-Z]{2,5}(?= \S+ (?:kernel:|\S+\[)))?"
_DATE = rf"{_DAY}(?:{_ISO}|\d\d:\d\d:\d\d(?:[.,]\d+)?(?: [AaPp][Mm])?){_ZONE}"
_UNIX = r"\d{9,}\.\d{3,6}"
_WHEN = rf"(?:\[{_ISO}\]|{_DATE}|{_UNIX})"
# The source of a line: "host kernel: ", "host kern.warn kernel: ", "host program[12]: ".
_BY = (
    r"(?:[^\s:\[]+ )?(?:[a-z]+\d?\.[a-z]+ )?"
    r"(?:(?P<kernel>kernel)(?:\[0\])?|[\w.@/()-]+\[\d+\]): ?"
)
# A container's log has the stream behind the date.
_STREAM = r"(?:std(?:out|err) [FP] )?"
_DATED = re.compile(rf"(?:<\d+>(?=\w))?{_WHEN}(?: {{2,}}(?=\[)| ){_STREAM}(?P<by>{_BY})?")
# The same where somebody cut off the date and the host.
_TRIMMED = re.compile(r"(?P<kernel>kernel): ")
# RFC 5424: priority, version, date, host, program, process, kind, data.
_RFC_5424 = re.compile(rf"<\d+>\d {_ISO} \S+ (?:(?P<kernel>kernel)|\S+) \S+ \S+ (?:-|\[.*?\]) ")
# The journal with a leading kernel timestamp: "[   12.345678] host kernel: ".
_NAMED = re.compile(r"[^\s:\[\]]+ (?:(?P<kernel>kernel)|[\w.@/()-]+\[\d+\]): ")
_RECORD = re.compile(r'\s*"msg": ?"(?P<text>.*)",?$')

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])")
_RETURNS = re.compile(r"(?<!\r)\r*\n\r*")
# A console's prompt that stood there when the kernel printed.
_PROMPT = re.compile(r"^[\w.-]+ login: (?=.)", re.MULTILINE)
_BLANKS = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_NOTHING = "\u200b\u200c\u200d\u2060\ufeff"
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#39|#160|#x27|#xa0);", re.IGNORECASE)
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
    r"\[ *(?:(\d+[.,]\d+)(?: <[ +.,\d]+>)?|[+<] *\d+[.,]\d+>?"
    r"|(?:[^\W\d]+\.? )?[^\W_]+\.? ?\d?\d \d\d:\d\d(?::\d\d \d{4})?)\]"
)
#: The task or processor that PRINTK_CALLER adds.
CALLER = r"(?:\[ *([TC]\d+)\])"
_STAMP = re.compile(rf"{_LEVEL}?(?:{_CLOCK}(?: ?{CALLER})?|{CALLER}) ?|{_LEVEL}")
# A timestamp whose beginning was lost on the serial port.
_CUT = re.compile(rf"\d*\.?\d{{3,6}}\](?: ?{CALLER})? ?")
# A kernel timestamp anywhere in a line: the text before it is from a program.
_ANYWHERE = re.compile(rf"(?:<\d+>)?\[ *\d+\.\d{{6}}\](?: ?{CALLER})? ")
_CLOCKS = re.compile(r"\[ *\d+\.\d{6}\]")
_BEGINS = re.compile(
    rf"\n(?: *(?:\d+\.\d{{3}} \| )?(?:{_WHEN} )?{_LEVEL}?"
    rf"(?:\[ *\d+[.,]\d{{6}}\]|\[ *[TC]\d+\] )"
    rf"|{_WHEN} (?:\S+ )?(?:[a-z]+\d?\.[a-z]+ )?kernel: |(?:\d[\w.+-]*,)?\d+,\d+,\d+,[-c])"
)
# A timestamp or a caller anywhere.
_HINT = re.compile(r"\[ *(?:\d+[.,]\d{6}|[TC]\d+)\]")
# Every prefix contains one of these.
_STAMPS = ("]", "kernel: ", ",-", ",c")
# The usual line: optionally the harness's timestamp, the kernel's, optionally the caller.
_USUAL = re.compile(rf"(?: *\d+\.\d{{3}} \| )?(?:<\d+>)?\[ *(\d+\.\d{{6}})\](?: ?{CALLER})? ")
# Prefixes that begin with a letter: a level, a logger's name, a date.
_NAMES = re.compile(r"kern|user|syslog|daemon|.{1,30}?\d\d:\d\d:\d\d")


class Message(NamedTuple):
    """One message.

    ``kernel`` is True if a stamp or logger shows that it is from the kernel, False if it shows the
    opposite, None if it is unknown.  ``clock`` is the kernel's timestamp in seconds; ``caller`` the
    task or CPU of PRINTK_CALLER.  ``prefix`` is the name of a learnt prefix that was removed; it is
    part of the caller, since lines with different prefixes are of different reports.
    """

    text: str
    kernel: bool | None = None
    clock: float | None = None
    caller: str = ""
    prefix: str = ""


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
    if any(_begins(text, hint.end()) for hint in _HINT.finditer(text)):
        return True
    if any(word in text for word in (" kernel: ", ",-", ",c")) and (
        _BEGINS.match(f"\n{text[:LONGEST]}") or _BEGINS.search(text)
    ):
        return True
    return "]" in text and 2 * len(_CLOCKS.findall(text)) > text.count("\n")


def _begins(text: str, at: int) -> bool:
    """Whether the line around a position begins with a timestamp of the kernel."""
    begin = text.rfind("\n", 0, at) + 1
    return _BEGINS.match(f"\n{text[begin : at + 1]}") is not None


def clean_text(text: str) -> str:
    """Remove what a terminal does not display, and undo what mailers and web pages do to blanks.

    ANSI sequences, carriage returns, NULs; Unicode blanks; HTML entities, twice escaped or not; and
    the prompt of a console's login, behind which the kernel printed.
    """
    if " login: " in text:
        text = _PROMPT.sub("", text)
    if "\0" in text:
        text = text.replace("\0", "")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    while (
        "&" in text and (plain := _ENTITY.sub(lambda match: html.unescape(match[0]), text)) != text
    ):
        text = plain
    if not text.isascii():
        for blank in filter(text.__contains__, _BLANKS):
            text = text.replace(blank, " ")
        for nothing in filter(text.__contains__, _NOTHING):
            text = text.replace(nothing, "")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return _RETURNS.sub("\n", text).strip("\r") if "\r" in text else text


def usual_message(line: str) -> Message | None:
    """Return the message of a clean line in the usual format; None for any other line."""
    match = _USUAL.match(line)
    if match is None:
        return None
    end = match.end()
    text = line[end : end + MESSAGE]
    if "]" in text and (_CLOCKS.search(line, end) or _NAMED.match(text)):
        return None  # another timestamp, or a logger's name, after the first
    if "kernel: " in text and _NAMED.match(text):
        return None
    clock, caller = match.groups("")
    return Message(text, True, float(clock), caller)


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
        clock = float(stamp[1].replace(",", ".")) if stamp[1] else logged.clock
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
    match = _RFC_5424.match(line) or _DATED.match(line) or _TRIMMED.match(line)
    if match is None:
        return Message(line)
    names = match.groupdict().get("by", "a name")
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
