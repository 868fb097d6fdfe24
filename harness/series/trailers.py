# SPDX-License-Identifier: GPL-2.0-only
"""Add trailers from replies, such as Reviewed-by, to the patches that they answer."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import git
from harness.errors import SeriesError
from harness.series import header
from harness.series.choice import ThreadChoice
from harness.series.mail import Mail, parse, rewritten
from harness.series.mbox import MboxEntry
from harness.series.revisions import is_reply

# Trailers that apply to a patch; a Signed-off-by in a reply is for a separate change.
_TRAILER = re.compile(
    r"^((?:Reviewed|Acked|Tested|Reported|Suggested)-(?:and-(?:reviewed|tested|acked)-)?by):"
    r"[ \t]*(\S.*?@\S+?>?)[ \t]*(?:#.*)?$",
    re.IGNORECASE | re.MULTILINE,
)


def collect_trailers(
    patches: Sequence[Mail], choice: ThreadChoice
) -> tuple[tuple[Mail, ...], list[str]]:
    """Return the patches with trailers from replies, and a line about each trailer.

    A trailer in a reply to the cover letter, or to a missing mail, applies to all patches.
    """
    own = {entry.where for entry in choice.entries}
    ids = {mail.message_id for mail in patches if mail.message_id}
    covers = {entry.message_id for entry in choice.entries} - ids
    parents = {entry.message_id: entry.parents for entry in choice.thread}
    notes: list[str] = []
    trailers: dict[str, list[str]] = {}
    for entry in choice.thread:
        if entry.where in own or not is_reply(entry):
            continue
        lines = _trailers_in(entry)
        ancestors = _ancestors(entry.parents, parents)
        answered = next((ancestor for ancestor in ancestors if ancestor in ids | covers), "")
        for patch_id in [answered] if answered in ids else sorted(ids) if answered else []:
            trailers.setdefault(patch_id, []).extend(lines)
        if answered:
            scope = "patch" if answered in ids else "all patches"
            notes += [f"{line}  ({scope})" for line in lines]
    return tuple(_with_trailers(mail, trailers.get(mail.message_id, ())) for mail in patches), notes


def _ancestors(direct: Sequence[str], parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the mails before a reply in its thread, nearest first."""
    chain = list(reversed(direct))
    for message_id in chain:
        chain += [older for older in reversed(parents.get(message_id, ())) if older not in chain]
    return chain


def _trailers_in(entry: MboxEntry) -> list[str]:
    """Return the trailers that the author of a reply wrote, without quoted ones."""
    try:
        mail = parse(entry.raw(), entry.where)
    except SeriesError:  # a reply may contain half a diff, or only a signature
        return []
    return [f"{name}: {who}" for name, who in _TRAILER.findall(header.decoded(mail.text))]


def _with_trailers(mail: Mail, trailers: Sequence[str]) -> Mail:
    if not trailers:
        return mail
    text = header.decoded(mail.text).replace("\r\n", "\n")
    separator = re.search(r"^---\s*\n", text, re.MULTILINE)
    end = separator.start() if separator else len(text)
    options = [word for trailer in dict.fromkeys(trailers) for word in ("--trailer", trailer)]
    message = git.run(
        Path("/"),
        *("interpret-trailers", "--if-exists", "addIfDifferent", "--no-divider", *options),
        stdin=f"title\n\n{text[:end].strip()}\n",
    ).stdout.removeprefix("title\n\n")
    mail = dataclasses.replace(mail, text=(message + text[end:]).encode(), plain=False)
    return dataclasses.replace(mail, raw=rewritten(mail), plain=True)
