# SPDX-License-Identifier: GPL-2.0-only
"""Trailers that people give in replies, put to the patches they are for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from harness import git
from harness.errors import SeriesError
from harness.series import header
from harness.series.mail import Mail, normal, parse
from harness.series.threads import Chosen

Found = tuple[Path, Mail]
# What a reply can give; a Signed-off-by there is for a change of its own.
_TRAILER = re.compile(
    r"^((?:Reviewed|Acked|Tested|Reported|Suggested)-(?:and-(?:reviewed|tested|acked)-)?by):"
    r"[ \t]*(\S.*?@\S+?>?)[ \t]*(?:#.*)?$",
    re.IGNORECASE | re.MULTILINE,
)


def collect(found: Sequence[Found], chosen: Chosen) -> tuple[tuple[Found, ...], list[str]]:
    """Give the patches with the trailers of their replies, and a line about each.

    One in reply to the cover letter, or to no mail that is there, is for every patch.
    """
    own = {id(entry) for entry in chosen.entries}
    ids = {mail.message_id for _, mail in found if mail.message_id}
    covers = {entry.message_id for entry in chosen.entries} - ids
    said: list[str] = []
    more: dict[str, list[str]] = {}
    above = {entry.message_id: entry.parents for entry in chosen.thread}
    for entry in chosen.thread:
        if id(entry) in own or not entry.subject.reply:
            continue
        lines = _given(entry.raw(), entry.where)
        goal = next((one for one in _up(entry.parents, above) if one in ids or one in covers), "")
        for one in (goal,) if goal in ids else sorted(ids) if goal else ():
            more.setdefault(one, []).extend(lines)
        said += [f"{line}  ({'patch' if goal in ids else 'all patches'})" for line in lines if goal]
    return tuple((path, _with(mail, more.get(mail.message_id, ()))) for path, mail in found), said


def _up(parents: Sequence[str], above: dict[str, tuple[str, ...]]) -> list[str]:
    """Give the mails that a reply answers, the nearest first."""
    chain = list(reversed(parents))
    for one in chain:
        chain += [older for older in reversed(above.get(one, ())) if older not in chain]
    return chain


def _given(raw: bytes, where: str) -> list[str]:
    """Read the trailers a reply's author wrote; quoted ones are somebody else's."""
    try:
        mail = parse(raw, where)
    except SeriesError:  # a reply may hold half a diff, or nothing but a signature
        return []
    return [f"{name}: {who}" for name, who in _TRAILER.findall(header.decoded(mail.text))]


def _with(mail: Mail, trailers: Sequence[str]) -> Mail:
    if not trailers:
        return mail
    words = header.decoded(mail.text).replace("\r\n", "\n")
    message, line, rest = _cut(words)
    options = [word for one in dict.fromkeys(trailers) for word in ("--trailer", one)]
    told = git.run(
        Path("/"),
        "interpret-trailers", "--if-exists", "addIfDifferent", "--no-divider", *options,
        stdin=f"title\n\n{message.strip()}\n",
    ).stdout  # fmt: skip
    text = (told.removeprefix("title\n\n") + line + rest).encode()
    fresh = dataclasses.replace(mail, text=text, plain=False)
    return dataclasses.replace(fresh, raw=normal(fresh), plain=True)


def _cut(words: str) -> tuple[str, str, str]:
    match = re.search(r"^---\s*\n", words, re.MULTILINE)
    if match is None:
        return words, "", ""
    return words[: match.start()], match[0], words[match.end() :]
