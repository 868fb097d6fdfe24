# SPDX-License-Identifier: GPL-2.0-only
"""Patches of a revision that were sent again: which ones they replace, and what was sent last."""

from __future__ import annotations

import dataclasses

from harness.errors import SeriesError
from harness.series.mail import parse
from harness.series.mbox import MboxEntry
from harness.series.revisions import AT_ONCE, Revision, near


def rerolled(older: Revision, newer: Revision, where: str) -> Revision | None:
    """Return ``older`` with some patches from ``newer``, which was sent in reply to them.

    None if ``newer`` stands for itself.
    """
    replacing = _replacing(older, newer)
    if not replacing:
        return None
    own = older.slots
    again = [slot for slot in replacing if newer.rank == older.rank and slot in own]
    for slot in again:
        if not is_later(newer, older) and not _same_patch(own[slot], replacing[slot]):
            both = (*older.patches, _numbered_as(replacing[slot], own[slot]))
            return dataclasses.replace(older, patches=both)  # whoever sorts them reports it
    some = next(iter(own.values()))
    patches = {slot: _numbered_as(entry, some, slot) for slot, entry in replacing.items()}
    numbers = ", ".join(str(number) for number, _ in sorted(replacing))
    if not again:
        note = (
            f"using {newer.name}, the newest; {where} also has {older.name};"
            f" patches missing in {newer.name} are from earlier revisions"
        )
    elif len(replacing) > 1:
        note = f"patches {numbers} of {older.total} were sent again; using the last ones"
    else:
        note = f"patch {numbers} of {older.total} was sent again; using the last one"
    return dataclasses.replace(
        older,
        version=newer.version,
        minor=newer.minor,
        threads=tuple(dict.fromkeys((*older.threads, *newer.threads))),
        patches=tuple(entry for _, entry in sorted({**own, **patches}.items(), key=_by_slot)),
        notes=(*older.notes, *newer.notes, note),
    )


def misnumbered(older: Revision, newer: Revision) -> Revision | None:
    """Return ``newer`` with the patches that were sent at once under the same numbers.

    None if there are none.  Whoever sorts the patches reports them: two have one number.
    """
    titles = {entry.subject.title for entry in newer.patches}
    at_once = [
        entry
        for entry in older.patches
        if (other := newer.slots.get(entry.subject.slot))
        and entry.subject.title not in titles
        and near(entry, other, AT_ONCE)
    ]
    same = newer.rank == older.rank and newer.whole and newer.total == older.total > 1
    if not same or older.cover or len(at_once) < len(older.patches):
        return None
    return dataclasses.replace(newer, patches=(*newer.patches, *at_once))


def _replacing(older: Revision, newer: Revision) -> dict[tuple[int, str], MboxEntry]:
    """Return the patches of ``newer`` by the numbers in ``older`` that they replace.

    Empty if ``newer`` stands for itself: it has a cover letter of its own, is as whole as a series
    can be, or one of its patches answers none of ``older`` or cannot be placed among them.
    """
    begins = newer.cover is not None and not _share_cover(older, newer)
    if older.is_single or begins or newer.whole is not newer.is_single:
        return {}
    replacing: dict[tuple[int, str], MboxEntry] = {}
    for entry in newer.patches:
        slot = _replaced_by(entry, older, newer)
        if slot is None:
            return {}
        replacing[slot] = entry
    return replacing


def _replaced_by(entry: MboxEntry, older: Revision, newer: Revision) -> tuple[int, str] | None:
    """Return the number of the patch in ``older`` that a patch of ``newer`` replaces.

    A patch that does not count like ``older`` is placed by its title, or, as a newer version of the
    patch that it answers, by most words of its title.  One that does has its own
    number there, if it is of the same version, answers that patch or has its title, or if few were
    sent again.
    """
    own, mine = older.slots, entry.subject.slot
    titles = {other.subject.title.lower(): slot for slot, other in own.items()}
    titled = titles.get(entry.subject.title.lower())
    answered = [number_in(older, mail) for mail in newer.threads[0].ancestors(entry)]
    if not any(answered):
        return None
    if newer.total != older.total:
        nearest = next(filter(None, answered))
        old = own.get(nearest) if newer.rank > older.rank else None
        return titled or (nearest if old and _share_words(entry, old) else None)
    few = mine in own and 2 * len(newer.patches) <= older.total
    return mine if newer.rank == older.rank or mine in answered or titled == mine or few else None


def _share_words(one: MboxEntry, other: MboxEntry) -> bool:
    own, theirs = (set(mail.subject.title.lower().split()) for mail in (one, other))
    return 2 * len(own & theirs) >= max(len(own), len(theirs))


def _by_slot(item: tuple[tuple[int, str], MboxEntry]) -> tuple[int, str]:
    return item[0]


def number_in(revision: Revision, mail: MboxEntry) -> tuple[int, str] | None:
    """Return the number of a mail of the revision: 0 for its cover letter."""
    ids = (entry for entry in revision.entries if entry.message_id == mail.message_id)
    entry = next(ids, None)
    return entry.subject.slot if entry else None


def _numbered_as(
    entry: MboxEntry, other: MboxEntry, slot: tuple[int, str] | None = None
) -> MboxEntry:
    number, between = slot or other.subject.slot
    subject = dataclasses.replace(
        entry.subject, number=number, between=between, total=other.subject.total
    )
    return dataclasses.replace(entry, subject=subject)


def is_later(one: Revision, other: Revision) -> bool:
    """Return whether ``one`` was sent after ``other``, as its subject or its date says."""
    if one.resent != other.resent:
        return one.resent
    if one.date and other.date and one.date != other.date:
        return one.date > other.date
    pairs = zip(one.patches, other.patches, strict=False)
    return len(one.patches) == len(other.patches) and all(_same_patch(*pair) for pair in pairs)


def _same_patch(one: MboxEntry, other: MboxEntry) -> bool:
    """Return whether both make the same changes; a list may have added a footer to one."""
    if one.subject.title != other.subject.title:
        return False
    try:
        first, second = (parse(entry.raw(), entry.where).diffs for entry in (one, other))
    except SeriesError:  # damaged, which is reported if the mail is used
        return False
    return [(file.names, *map(str, file.hunks)) for file in first] == [
        (file.names, *map(str, file.hunks)) for file in second
    ]


def are_similar(one: Revision, other: Revision) -> bool:
    """Return whether two revisions have the same title, or mostly the same patches.

    Both may be below one cover letter that has no number; then its title says nothing.
    """
    own, theirs = (
        {entry.subject.title.lower() for entry in revision.patches} for revision in (one, other)
    )
    same_title = one.title.lower() == other.title.lower() and not _share_cover(one, other)
    return same_title or 2 * len(own & theirs) > max(len(own), len(theirs))


def _share_cover(one: Revision, other: Revision) -> bool:
    return bool(one.cover and other.cover and one.cover.message_id == other.cover.message_id)
