# SPDX-License-Identifier: GPL-2.0-only
"""A revision: what one person sent of a series in one go."""

from __future__ import annotations

import dataclasses
import email.utils
from collections.abc import Iterable, Sequence

from harness.series.mbox import MboxEntry
from harness.series.threads import Thread

#: Revisions to list in a message.
SHOWN = 30
ONE_GO = 3600  # seconds between two mails that are sent together
AT_ONCE = 60  # seconds in which nobody thinks again


@dataclasses.dataclass(frozen=True)
class Revision:
    """Cover letter and patches in order, with the numbers that the vote gave them.

    ``version``, ``minor`` are 2, 1 for v2.1; ``total`` is 0 if the patches have no numbers.
    """

    threads: tuple[Thread, ...]
    sender: str
    version: int
    minor: int
    total: int
    cover: MboxEntry | None
    patches: tuple[MboxEntry, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The revision's name: v2, or v2.1 for a partial reroll."""
        return f"v{self.version}.{self.minor}" if self.minor else f"v{self.version}"

    @property
    def rank(self) -> tuple[int, int]:
        """Orders the revisions of a series."""
        return self.version, self.minor

    @property
    def entries(self) -> tuple[MboxEntry, ...]:
        """All mails."""
        return (self.cover, *self.patches) if self.cover else self.patches

    @property
    def kernel(self) -> str:
        """The release or branch that the patches are for, if their subjects name one."""
        return self.patches[0].subject.kernel if self.patches else ""

    @property
    def one_of_several(self) -> str:
        """The id of the cover letter, if it says that there may be several series in the thread."""
        return self.cover.message_id if self.cover and self.cover.subject.names_series else ""

    @property
    def title(self) -> str:
        """The title of the cover letter, or of the first patch."""
        return self.entries[0].subject.title

    @property
    def message_id(self) -> str:
        """The id of the cover letter, or of the first patch."""
        return self.entries[0].message_id

    @property
    def date(self) -> float:
        """When the last mail was sent, in seconds since the epoch; 0 if unknown."""
        return max(entry.date for entry in self.entries)

    @property
    def resent(self) -> bool:
        """Whether a subject says so."""
        return any(entry.subject.resent for entry in self.entries)

    @property
    def rfc(self) -> bool:
        """Whether the cover letter or the first patch is for comments only."""
        return self.entries[0].subject.rfc

    @property
    def slots(self) -> dict[tuple[int, str], MboxEntry]:
        """The patches by number."""
        return {entry.subject.slot: entry for entry in self.patches}

    @property
    def missing(self) -> set[int]:
        """The numbers of missing patches."""
        return set(range(1, self.total + 1)) - {entry.subject.number for entry in self.patches}

    @property
    def whole(self) -> bool:
        """Whether there are patches and none is missing."""
        return bool(self.patches) and not self.missing

    @property
    def is_single(self) -> bool:
        """Whether this is one patch and not part of a longer series."""
        return self.total <= 1 and len(self.patches) == 1

    def __str__(self) -> str:
        version = f" {self.kernel}" if self.kernel else ""
        version += f" {self.name}" if self.name != "v1" else ""
        count = f" {self.total} patches" if self.total > 1 else ""
        return f"[PATCH{version}{count}] {self.title}  {self.message_id}".rstrip()


def people(mails: Iterable[MboxEntry]) -> dict[str, str]:
    """Map each From to an address of the person: who has the same name or address is the same.

    Some lists replace the address by their own and add "via LIST" to the name.
    """
    leaders: dict[str, str] = {}
    known = {}
    for sender in {mail.sender for mail in mails}:
        name, address = email.utils.parseaddr(sender)
        before, via, _ = name.lower().partition(" via ")
        known[sender] = (before.strip("'\" "), "" if via else (address or sender).lower())
    for name, address in sorted(known.values()):
        names = [one for one in (name and f"name {name}", address) if one]
        first = next((leaders[one] for one in names if one in leaders), address or name)
        leaders |= {one: leaders.get(one, first) for one in names}
    return {
        sender: leaders[f"name {name}"] if name else leaders[address]
        for sender, (name, address) in known.items()
    }


def near(one: MboxEntry, other: MboxEntry, seconds: float = ONE_GO) -> bool:
    """Return whether both were sent at about the same time; unknown dates may be."""
    return not (one.date and other.date) or abs(one.date - other.date) <= seconds


def is_reply(mail: MboxEntry) -> bool:
    """Return whether the subject says that this is a reply; a diff in it is then no patch."""
    return mail.subject.reply or (mail.subject.foreign and bool(mail.parents))


def listed(revisions: Sequence[Revision]) -> str:
    """Return a line for each revision, for the first of many."""
    more = len(revisions) - SHOWN
    lines = [str(revision) for revision in revisions[:SHOWN]]
    return "\n".join(lines + ([f"... and {more} more"] if more > 0 else []))
