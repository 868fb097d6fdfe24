# SPDX-License-Identifier: GPL-2.0-only
"""Sort mails into threads: those that are connected by In-Reply-To and References."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

from harness.series.mbox import MboxEntry
from harness.text import quantity


@dataclasses.dataclass(frozen=True)
class Thread:
    """Connected mails, each after the mails that it replies to, otherwise by date."""

    mails: tuple[MboxEntry, ...]

    @functools.cached_property
    def _by_id(self) -> Mapping[str, MboxEntry]:
        return {mail.message_id: mail for mail in self.mails if mail.message_id}

    def parent(self, mail: MboxEntry) -> MboxEntry | None:
        """Return the mail that ``mail`` replies to, if it is here."""
        return self._by_id.get(mail.parents[-1]) if mail.parents else None

    def ancestors(self, mail: MboxEntry) -> list[MboxEntry]:
        """Return the mails before ``mail`` in the thread, nearest first."""
        found: dict[str, MboxEntry | None] = {mail.message_id: None}
        waiting = list(mail.parents)
        while waiting:
            message_id = waiting.pop()
            if message_id not in found:
                found[message_id] = ancestor = self._by_id.get(message_id)
                waiting += ancestor.parents if ancestor else ()
        return [ancestor for ancestor in found.values() if ancestor]


def unique(mails: Iterable[MboxEntry]) -> tuple[list[MboxEntry], list[str]]:
    """Return each mail once, although several lists delivered it, and notes about that.

    Lists may add a tag to the subject and a footer to the text.
    """
    first: dict[tuple[object, ...], MboxEntry] = {}
    copies = 0
    for mail in mails:
        subject = dataclasses.replace(mail.subject, tagged=False, prefix="")
        key: tuple[object, ...] = (mail.message_id, subject)
        if not mail.message_id:
            key = (subject, mail.sender, mail.date, mail.size)
            if key in first and first[key].raw() != mail.raw():
                key = (id(mail),)
        copies += key in first
        if not first.setdefault(key, mail).has_diff and mail.has_diff:
            first[key] = mail
    came = quantity(copies, "mail")
    notes = [f"{came} came more than once, for example over two lists"] if copies else []
    return list(first.values()), notes


def threads(mails: Sequence[MboxEntry]) -> list[Thread]:
    """Return the threads, in the order of their first mails.

    The order of references is not used: some mailers reverse it.
    """
    leaders: dict[str, str] = {}

    def leader(name: str) -> str:
        while (above := leaders.setdefault(name, name)) != name:
            leaders[name] = leaders[above]
            name = above
        return name

    names = [mail.message_id or f"mail {number}" for number, mail in enumerate(mails)]
    for name, mail in zip(names, mails, strict=True):
        for parent in mail.parents:
            leaders[leader(name)] = leader(parent)
    grouped: dict[str, list[MboxEntry]] = {}
    for name, mail in zip(names, mails, strict=True):
        grouped.setdefault(leader(name), []).append(mail)
    return [Thread(_in_order(group)) for group in grouped.values()]


def _in_order(mails: Sequence[MboxEntry]) -> tuple[MboxEntry, ...]:
    if len(mails) == 1:
        return tuple(mails)
    thread = Thread(tuple(mails))
    ordered: dict[int, MboxEntry] = {}
    for mail in sorted(mails, key=lambda mail: (mail.date, mail.subject.slot)):
        for older in (*reversed(thread.ancestors(mail)), mail):
            ordered.setdefault(id(older), older)
    return tuple(ordered.values())
