# SPDX-License-Identifier: GPL-2.0-only
"""Take off what programs that keep logs put around the kernel's words: syslog, the journal, dmesg.

Only the kernel's own lines are of interest; a logger says which these are.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

# A date, as loggers and CI systems write it.
_DAY = r"(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?(?: \d{4})?"
_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_FULL = r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [A-Z]{2,5}"
_UNIX = r"\d{9,}\.\d{6}"
WHEN = rf"(?:{_DAY}|\[{_ISO}\]|{_ISO}|{_FULL}|{_UNIX})"
# Who logged: "host kernel: ", "host kern.warn kernel: ", "host program[12]: ".
_BY = r"(?:[^\s:\[]+ )?(?:[a-z]+\d?\.[a-z]+ )?(?:(?P<kernel>kernel)|[\w.@/()-]+\[\d+\]): ?"
_DATED = re.compile(rf"(?:<\d+>(?=[A-Z\d]))?{WHEN}(?: {{2,}}(?=\[)| )(?P<by>{_BY})?")
# RFC 5424: priority, version, date, host, program, process, kind, data.
_STRICT = re.compile(rf"<\d+>\d {_ISO} \S+ (?:(?P<kernel>kernel)|\S+) \S+ \S+ (?:-|\[.*?\]) ")
# The journal with the kernel's clock in front: "[   12.345678] host kernel: ".
_NAMED = re.compile(r"[^\s:\[\]]+ (?:(?P<kernel>kernel)|[\w.@/()-]+\[\d+\]): ")
_RECORD = re.compile(r'\s*"msg": ?"(?P<text>.*)",?$')


class Logged(NamedTuple):
    """What a logger kept of a line.

    ``kernel`` says whether it was the kernel's, None when the logger does not; ``clock`` is the
    kernel's own time in seconds, if the logger knows it.
    """

    text: str
    kernel: bool | None = None
    clock: float | None = None


def unwrap(line: str) -> Logged:
    """Take a date and names off the start of a line, or a line out of its JSON."""
    if line.startswith(("{", " ", "\t")) and '"' in line:
        return _json(line)
    found = _DATED.match(line) or _STRICT.match(line)
    if found is None:
        return Logged(line)
    named = found.groupdict().get("by", "RFC 5424")
    return Logged(line[found.end() :], bool(found["kernel"]) if named else None)


def named(text: str) -> Logged:
    """Take a host's and a program's name off what stands behind a stamp."""
    found = _NAMED.match(text)
    return Logged(text[found.end() :], bool(found["kernel"])) if found else Logged(text)


def _json(line: str) -> Logged:
    """Read a record of `journalctl -o json`, or the line of `dmesg -J` that has the message."""
    record = _RECORD.match(line)
    try:
        found = {"MESSAGE": json.loads(f'"{record["text"]}"')} if record else json.loads(line)
    except ValueError:
        return Logged(line)
    if not isinstance(found, dict) or "MESSAGE" not in found:
        return Logged(line)
    text = found["MESSAGE"]
    if isinstance(text, list):  # the journal's way to write what is no plain text
        text = bytes(int(byte) & 255 for byte in text).decode(errors="replace")
    names = {found.get("_TRANSPORT"), found.get("SYSLOG_IDENTIFIER")}
    kernel = record is not None or bool(names & {"kernel"})
    clock = str(found.get("_SOURCE_MONOTONIC_TIMESTAMP", ""))
    return Logged(str(text), kernel, int(clock) / 1e6 if kernel and clock.isdecimal() else None)
