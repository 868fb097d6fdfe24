# SPDX-License-Identifier: GPL-2.0-only
"""Which of many mails make the series: patches by thread, revision and title."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from harness.errors import SeriesError, UsageError
from harness.series.box import Entry

_SHOWN = 30


@dataclasses.dataclass(frozen=True)
class Group:
    """The patches of one revision in one thread; no ``thread`` when nothing links the mails."""

    thread: str
    version: int
    minor: int
    total: int
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """What the revision is called: v2, or v2.1 for a part of it."""
        return f"v{self.version}.{self.minor}" if self.minor else f"v{self.version}"

    @property
    def title(self) -> str:
        """What the cover letter or the first patch is called."""
        return min(self.entries, key=lambda entry: entry.subject.number).subject.title

    @property
    def missing(self) -> set[int]:
        """The numbers that no mail has."""
        return set(range(1, self.total + 1)) - {entry.subject.number for entry in self.entries}

    def __str__(self) -> str:
        version = f" {self.name}" if self.name != "v1" else ""
        count = f" {self.total} patches" if self.total else ""
        first = min(self.entries, key=lambda entry: entry.subject.number)
        return f"[PATCH{version}{count}] {self.title}  {first.message_id}".rstrip()


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The series' mails, every mail of its thread, and what was decided, for people."""

    entries: tuple[Entry, ...]
    thread: tuple[Entry, ...]
    notes: tuple[str, ...] = ()


def choose(mails: Sequence[Entry], where: str, pick: str = "", revision: int = 0) -> Chosen:
    """Choose the newest revision of the only series, or of the one that ``pick`` names.

    ``pick`` is a message id or a part of a subject, ``revision`` a number as in [PATCH v2].
    Raises SeriesError when there is no series or more than one, UsageError when nothing fits.
    """
    roots = _roots(mails)
    groups = _groups(mails, roots)
    if not groups:
        raise _nothing(mails, where)
    if pick:
        groups = _picked(groups, mails, roots, pick, where)
    if revision:
        kept = [group for group in groups if group.version == revision]
        if not kept:
            ranked = sorted(groups, key=lambda group: (group.version, group.minor))
            there = ", ".join(dict.fromkeys(group.name for group in ranked))
            raise UsageError(f"there is no revision {revision} in {where}", hint=f"it has {there}")
        groups = kept
    group, notes = _newest(groups, where)
    if group.thread and not group.total and len(group.entries) > 1:
        notes = (*notes, "no subject has a number: the order is that of the thread")
    ids = set(map(id, group.entries))
    thread = tuple(mail for mail in mails if id(mail) in ids or _root(mail, roots) == group.thread)
    return Chosen(group.entries, thread, notes)


def _roots(mails: Iterable[Entry]) -> dict[str, str]:
    """Give the thread of each message id: the id of the first mail, present or not."""
    above: dict[str, str] = {}
    for mail in mails:
        chain = [*mail.parents, mail.message_id]
        for older, newer in itertools.pairwise(chain):
            if newer and older != newer:
                above.setdefault(newer, older)
    roots = {}
    for one in above:
        seen = {one}
        top = one
        while (older := above.get(top, "")) and older not in seen:
            seen.add(older)
            top = older
        roots[one] = top
    return roots


def _root(mail: Entry, roots: dict[str, str]) -> str:
    return roots.get(mail.message_id, mail.message_id)


def _groups(mails: Sequence[Entry], roots: dict[str, str]) -> list[Group]:
    """Put the patches together.  Without any tagged subject every mail that is no reply counts."""
    patches = [mail for mail in mails if not mail.subject.reply]
    patches = [mail for mail in patches if mail.subject.tagged] or [
        mail for mail in patches if not mail.parents
    ]
    sizes = collections.Counter(_root(mail, roots) for mail in patches)
    alike = _unnumbered(patches, roots)
    found: dict[tuple[str, int, int, int, str], list[Entry]] = {}
    for mail in patches:
        root = _root(mail, roots)
        single = mail.subject.total <= 1 and mail.subject.tagged
        if sizes[root] == 1 and not single:  # sent without links: number and sender must do
            root = ""
        own = "" if root else mail.sender if mail.message_id else ""
        if root and not mail.subject.total and id(mail) not in alike:
            own = mail.message_id
        said = mail.subject
        found.setdefault((root, said.version, said.minor, said.total, own), []).append(mail)
    return [Group(*key[:4], _in_order(entries)) for key, entries in sorted(found.items())]


def _unnumbered(patches: Sequence[Entry], roots: dict[str, str]) -> set[int]:
    """Give the id() of patches without a number that belong together all the same.

    Their thread begins with one of them, and they are of one sender and revision.  Any other two
    in one thread are two series.
    """
    some: dict[tuple[str, int, int, str], list[Entry]] = {}
    for mail in patches:
        if mail.message_id and not mail.subject.total:
            key = (_root(mail, roots), mail.subject.version, mail.subject.minor, mail.sender)
            some.setdefault(key, []).append(mail)
    return {
        id(mail)
        for key, mails in some.items()
        if any(one.message_id == key[0] for one in mails)
        and len({one.subject.title for one in mails}) == len(mails)
        for mail in mails
    }


def _in_order(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Put mails without a number behind those they answer; numbers are looked at later."""
    if any(entry.subject.total for entry in entries):
        return tuple(entries)
    return tuple(sorted(entries, key=lambda entry: len(entry.parents)))


def _picked(
    groups: list[Group], mails: Sequence[Entry], roots: dict[str, str], pick: str, where: str
) -> list[Group]:
    """Keep the series that ``pick`` names, in every revision its thread has.

    Where it is the whole of a subject, it is no part of another.
    """
    word = pick.strip().strip("<>").lower()
    whole = any(entry.subject.title.lower() == word for group in groups for entry in group.entries)
    named = [mail for mail in mails if mail.message_id.lower() == word]
    threads = {_root(mail, roots) for mail in named}
    kept = [
        group
        for group in groups
        if (group.thread and group.thread in threads)
        or any(entry in named for entry in group.entries)
        or any(_fits(word, entry.subject.title.lower(), whole) for entry in group.entries)
    ]
    if not kept:
        raise UsageError(
            f"no series in {where} fits '{pick}'",
            hint="give a part of a subject or a message id",
            details=_listed(groups),
        )
    return kept


def _fits(word: str, title: str, whole: bool) -> bool:
    return word == title if whole else word in title


def _newest(groups: list[Group], where: str) -> tuple[Group, tuple[str, ...]]:
    """Choose among the revisions of one series; refuse to choose among several series."""
    if len({group.thread for group in groups}) == 1 and any(group.total > 1 for group in groups):
        groups = [group for group in groups if group.total > 1]  # the others are proposals in it
    groups = sorted(groups, key=lambda one: (one.version, one.minor, len(one.entries)))
    last = groups[-1]
    if len(groups) == 1:
        return last, ()
    same = len({group.thread for group in groups}) == 1 and last.thread
    titles = len({group.title for group in groups}) == 1
    versions = [group.name for group in groups]
    if len(set(versions)) == len(versions) and (same or (titles and all(g.thread for g in groups))):
        numbers = ", ".join(versions[:-1])
        note = f"{last.name} is taken, the newest; {where} has {numbers} too"
        if last.missing and (whole := _rerolled(groups)):
            return whole, (f"{note}; what {last.name} lacks is taken from before",)
        return last, (note,)
    if len(set(versions)) > 1 and (titles or not any(group.thread for group in groups)):
        words = " and ".join(dict.fromkeys(versions))
        raise SeriesError(
            f"revisions are mixed in {where} ({words}), and nothing links their mails",
            hint=f"say which with --revision {last.version}, or keep the mails of one",
            details=_listed(groups),
        )
    first = min(last.entries, key=lambda entry: entry.subject.number)
    name = last.title if not titles else first.message_id or last.title
    raise SeriesError(
        f"{where} holds {len(groups)} series",
        hint=f"name one with --pick, a part of its subject or a message id: '{name}'",
        details=_listed(groups),
    )


def _rerolled(groups: Sequence[Group]) -> Group | None:
    """Put a revision of some patches, sent as answers to the old ones, over what was there."""
    last = groups[-1]
    whole: dict[int, Entry] = {}
    ids: dict[str, int] = {}
    for group in groups:
        if group.total != last.total:
            continue
        ids |= {entry.message_id: entry.subject.number for entry in group.entries}
        whole |= {entry.subject.number: entry for entry in group.entries}
    answers = all(
        entry.parents and ids.get(entry.parents[-1]) == entry.subject.number
        for entry in last.entries
    )
    found = dataclasses.replace(last, entries=tuple(whole[number] for number in sorted(whole)))
    return found if answers and not found.missing else None


def _nothing(mails: Sequence[Entry], where: str) -> SeriesError:
    replies = [mail for mail in mails if mail.subject.reply or mail.parents]
    if replies:
        answered = next((mail.parents[-1] for mail in replies if mail.parents), "")
        return SeriesError(
            f"{replies[0].where} is a reply ('{replies[0].subject.title}'), and there is no patch",
            hint=f"take the mail it answers: <{answered}>"
            if answered
            else "take the mail it answers",
        )
    return SeriesError(f"there is no patch in {where}", hint="give mails with a patch")


def _listed(groups: Sequence[Group]) -> str:
    lines = [str(group) for group in groups[:_SHOWN]]
    more = len(groups) - len(lines)
    return "\n".join(lines + ([f"... and {more} more"] if more else []))
