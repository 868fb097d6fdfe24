# SPDX-License-Identifier: GPL-2.0-only
"""Sort numbered mails into revisions, and let the mails of a revision vote about it.

One thread and one sender is one series.  What was sent of it in one go is a revision.  Its version
and total are what most of its mails say.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from harness.series.header import Subject, written_by_hand
from harness.series.mbox import MboxEntry
from harness.series.revisions import AT_ONCE, ONE_GO, Revision, is_reply, near, people
from harness.series.threads import Thread

_DAY = 86400
_Vote = TypeVar("_Vote", int, tuple[int, int])


def revisions(threads: Sequence[Thread]) -> list[Revision]:
    """Return all revisions, thread by thread, oldest first; some have only a cover letter.

    If no subject is tagged, other mails that have a diff and start a thread count as patches.
    """
    tagged = any(_is_patch(mail) for thread in threads for mail in thread.mails)
    known = people(mail for thread in threads for mail in thread.mails)
    drafts = [draft for thread in threads for draft in _drafts(thread, known, tagged)]
    return [draft.revision(known) for draft in _joined(drafts)]


def _is_patch(mail: MboxEntry) -> bool:
    subject = mail.subject
    tagged = subject.tagged or subject.rfc
    return mail.has_diff and tagged and not subject.is_cover and not is_reply(mail)


def _is_untagged_patch(mail: MboxEntry) -> bool:
    subject = mail.subject
    return mail.has_diff and not (subject.pull or mail.parents or is_reply(mail))


class _Draft:
    """A revision in the making."""

    def __init__(self, thread: Thread, first: MboxEntry, sender: str) -> None:
        self.thread = thread
        self.threads = [thread]
        self.sender = sender
        self.mails = [first]
        self.notes: list[str] = []
        self.answered: _Draft | None = None  # what a mail without a version was sent in reply to

    @property
    def patches(self) -> list[MboxEntry]:
        return [mail for mail in self.mails if not mail.subject.is_cover]

    @property
    def cover(self) -> MboxEntry | None:
        return next((mail for mail in self.mails if mail.subject.is_cover), None)

    @property
    def numbered(self) -> bool:
        return self.mails[0].subject.total > 0

    @property
    def slots(self) -> set[tuple[int, str]]:
        return {mail.subject.slot for mail in self.mails}

    def rank(self) -> tuple[int, int]:
        """The version and minor version that most mails name; 0, 0 if none does."""
        votes = ((mail.subject.version, mail.subject.minor) for mail in self.mails)
        default = self.answered.rank() if self.answered else (0, 0)
        return _elected((vote for vote in votes if vote[0]), default)

    def total(self) -> int:
        """The total that most mails name; if equally many, one for which nothing is missing."""
        votes = [mail.subject.total for mail in self.mails if not mail.subject.unlimited]
        numbers = {mail.subject.number for mail in self.patches}
        whole = {total: 0.5 for total in set(votes) if numbers >= set(range(1, total + 1))}
        return _elected(votes, max(numbers, default=0), whole)

    def missing(self) -> set[int]:
        numbers = {mail.subject.number for mail in self.patches}
        return set(range(1, self.total() + 1)) - numbers if self.numbered else set()

    def near(self, mail: MboxEntry, seconds: float = ONE_GO) -> bool:
        """Return whether ``mail`` was sent about when the others were; unknown dates may be."""
        return near(self.mails[-1], mail, seconds)

    def agrees(self, subject: Subject) -> bool:
        """Return whether the mail names the same version and total."""
        rank = (subject.version, subject.minor)
        return rank == self.rank() and (subject.unlimited or subject.total == self.total())

    def for_same_kernel(self, subject: Subject) -> bool:
        """Return whether not both name a kernel that they are for, or the same one."""
        kernels = {one.kernel for one in (*(mail.subject for mail in self.mails), subject)}
        return len(kernels - {""}) <= 1

    def has_room_for(self, mail: MboxEntry) -> bool:
        """Return whether there is no mail with the same number, or title if they have none."""
        if (mail.subject.total > 0) != self.numbered:
            return False
        if self.numbered:
            return mail.subject.slot not in self.slots and self.for_same_kernel(mail.subject)
        titles = {other.subject.title.lower() for other in self.mails}
        same = mail.subject.prefix == self.mails[0].subject.prefix
        rank = (mail.subject.version, mail.subject.minor)
        return same and mail.subject.title.lower() not in titles and rank == self.rank()

    def take(self, other: _Draft) -> None:
        """Add the mails of a part of this revision."""
        if self.numbered and (not other.numbered or self.slots & other.slots):
            (number,), (patch,) = self.missing(), other.mails
            self.mails.append(_renumbered(patch, number, self.total(), self.rank()))
            label = _label(patch) if other.numbered else "no number"
            title = patch.subject.title
            self.notes.append(f"'{title}' has {label}; using it as patch {number}")
            return
        self.mails += other.mails
        if self.thread is not other.thread:
            self.threads += other.threads
            if self.sender and len(self.threads) == 2:
                self.notes.append("its mails are not linked; they have one sender and one total")
        if self.sender != other.sender:
            self.notes.append(f"some of the patches are by {other.sender}")

    def revision(self, known: Mapping[str, str]) -> Revision:
        """Return the revision that the mails voted for, with notes about those that differ."""
        total = self.total() if self.numbered else 0
        rank = self.rank()
        notes = [*self.notes, *self._dissent(total, rank)]
        cover = self.cover or self._unnumbered_cover(known)
        if cover and rank == (0, 0):
            rank = (cover.subject.version, cover.subject.minor)
        if cover and not self.numbered:
            total = len(self.patches)
        patches = self.patches
        if self.numbered:
            patches.sort(key=lambda mail: mail.subject.slot)
        elif total:
            patches = [
                _renumbered(mail, number, total, rank) for number, mail in enumerate(patches, 1)
            ]
        patches = [_renumbered(mail, mail.subject.number, total, rank) for mail in patches]
        if not total and len(patches) > 1:
            notes.append("no subject has a number; using the order of the thread")
        extra = [mail for mail in patches if total and not _counts(mail.subject)]
        notes += [f"{_label(mail)} was sent in addition to the {total}" for mail in extra]
        return Revision(
            tuple(self.threads),
            self.sender,
            rank[0] or 1,
            rank[1],
            total,
            _renumbered(cover, 0, total, rank) if cover else None,
            tuple(patches),
            tuple(notes),
        )

    def _dissent(self, total: int, rank: tuple[int, int]) -> list[str]:
        subjects = [(mail.subject, _label(mail)) for mail in self.mails]
        others = [
            f"{label} counts {subject.total}"
            for subject, label in subjects
            if total and subject.total != total and not subject.unlimited
        ]
        notes = [f"{', '.join(others)}, the others {total}; using {total}"] if others else []
        others = [
            f"{label} is v{subject.version}"
            for subject, label in subjects
            if subject.version and (subject.version, subject.minor) != rank
        ]
        version = f"v{rank[0]}"
        named = [(subject, label) for subject, label in subjects if subject.version]
        if named and 2 * len(named) < len(subjects) and not any(s.is_cover for s, _ in named):
            labels = ", ".join(label for _, label in named)
            notes.append(f"only {labels} names a version; using {version}")
        notes += [f"{', '.join(others)}, most are {version}; using {version}"] if others else []
        return notes

    def _unnumbered_cover(self, known: Mapping[str, str]) -> MboxEntry | None:
        """Return the mail without a diff that the sender's patches answer."""
        parent = self.thread.parent(self.mails[0])
        if parent is None or is_reply(parent) or parent.has_diff:
            return None
        subject = written_by_hand(parent.subject)
        if subject.total and not subject.names_series:
            return None
        own = known[parent.sender] == known[self.mails[0].sender]
        same = not subject.version or self.rank()[0] in (0, subject.version)
        begins = not parent.parents or subject.tagged or subject.rfc or subject.version
        cover = dataclasses.replace(parent, subject=subject)
        return cover if own and begins and same else None


def _elected(
    votes: Iterable[_Vote], default: _Vote, bonus: Mapping[_Vote, float] | None = None
) -> _Vote:
    """Return what most votes are for; of several the greatest."""
    counts = collections.Counter(votes)
    if not counts:
        return default
    return max(counts, key=lambda vote: (counts[vote] + (bonus or {}).get(vote, 0), vote))


def _renumbered(mail: MboxEntry, number: int, total: int, rank: tuple[int, int]) -> MboxEntry:
    subject = dataclasses.replace(
        mail.subject, number=number, total=total, version=rank[0], minor=rank[1]
    )
    return dataclasses.replace(mail, subject=subject)


def _counts(subject: Subject) -> bool:
    return 1 <= subject.number <= subject.total and not subject.between


def _label(mail: MboxEntry) -> str:
    subject = mail.subject
    if subject.is_cover:
        return "the cover letter"
    if not subject.total:
        return f"'{subject.title}'"
    between = f".{subject.between}" if subject.between.isdigit() else subject.between
    return f"patch {subject.number}{between}/{subject.total}"


def _drafts(thread: Thread, known: Mapping[str, str], tagged: bool) -> list[_Draft]:
    """Sort the patches and cover letters of a thread into revisions, sender by sender."""
    drafts: list[_Draft] = []
    placed: dict[int, _Draft] = {}
    is_patch = _is_patch if tagged else _is_untagged_patch
    for mail in thread.mails:
        if is_reply(mail) or not (mail.subject.is_cover or is_patch(mail)):
            continue
        # Mails that were never sent have no id, and From is the author of a patch.
        sender = known[mail.sender] if mail.message_id else ""
        own = [draft for draft in drafts if draft.sender == sender and draft.has_room_for(mail)]
        draft = _fitting(thread, mail, own, placed)
        if draft:
            draft.mails.append(mail)
        else:
            draft = _Draft(thread, mail, sender)
            draft.answered = _silently_answered(thread, draft, placed)
            drafts.append(draft)
        placed[id(mail)] = draft
    return drafts


def _fitting(
    thread: Thread, mail: MboxEntry, own: Sequence[_Draft], placed: Mapping[int, _Draft]
) -> _Draft | None:
    """Return which of the sender's revisions, which have room for it, a mail belongs to.

    What is sent in one go answers its first mail or the one before; then it belongs together even
    if the subjects differ.  Otherwise version and total decide.
    """
    above = [placed[id(other)] for other in thread.ancestors(mail) if id(other) in placed]
    if own:
        above = [draft for draft in above if draft.sender == own[0].sender]
    parent = mail.parents[-1:]
    beside = [draft for draft in own if any(other.parents[-1:] == parent for other in draft.mails)]
    related = [draft for draft in (*above[:1], *reversed(beside)) if draft in own]
    answered = thread.parent(mail)
    together = placed.get(id(answered)) if answered else None
    if not mail.subject.total:
        # What answers a reviewer is another attempt, however soon it follows.
        fit = [one for one in own if one.near(mail) and (not answered or one in beside)]
        return next((one for one in (*related, *reversed(own)) if one in (together, *fit)), None)
    alike = [draft for draft in (*related, *reversed(own)) if draft.agrees(mail.subject)]
    if together in own and together and together.near(mail):
        # A newer version may follow within the hour.
        return alike[0] if alike and mail.subject.version else together
    return next(iter([*alike, *(draft for draft in related if _may_be(draft, mail))]), None)


def _silently_answered(
    thread: Thread, draft: _Draft, placed: Mapping[int, _Draft]
) -> _Draft | None:
    """Return the sender's revision that a patch answers, if only its cover letter has a version.

    A patch of it that is sent again has no version either.
    """
    subject = draft.mails[0].subject
    above = (placed.get(id(mail)) for mail in thread.ancestors(draft.mails[0]))
    answered = next((one for one in above if one and one.sender == draft.sender), None)
    if answered is None or subject.version or subject.is_cover:
        return None
    silent = answered.patches and not any(mail.subject.version for mail in answered.patches)
    return answered if silent and subject.total == answered.total() > 1 else None


def _may_be(draft: _Draft, mail: MboxEntry) -> bool:
    """Return whether ``mail`` may be of a revision although it names another version or total."""
    if draft.near(mail):
        return True
    subject = mail.subject
    silent = not subject.version or not draft.rank()[0]
    cover = draft.cover
    answers_cover = cover is not None and cover.message_id in mail.parents[-1:]
    return silent and answers_cover and subject.total == draft.total()


def _joined(drafts: Sequence[_Draft]) -> list[_Draft]:
    """Join the parts of a revision that were sent by several people, or without links."""
    parts: dict[Hashable, list[_Draft]] = {}
    for draft in drafts:
        if not draft.numbered and not draft.sender:
            parts.setdefault(("unnumbered", draft.rank()), []).append(draft)
        elif not draft.patches or not draft.cover or draft.missing():
            # Parts of other threads are by the same sender, those of this one need not be.
            parts.setdefault(id(draft.thread), []).append(draft)
            if draft.numbered:
                parts.setdefault((draft.sender, draft.total()), []).append(draft)
                parts.setdefault((draft.sender, "any total"), []).append(draft)
    gone: set[int] = set()
    for complement in (_is_part_of, _is_cover_of, _is_lone_cover_of, _is_unnumbered_part_of):
        for group in parts.values():
            for draft in group:
                for other in group if id(draft) not in gone else ():
                    if draft is not other and id(other) not in gone and complement(other, draft):
                        draft.take(other)
                        gone.add(id(other))
    return [draft for draft in drafts if id(draft) not in gone]


def _is_part_of(other: _Draft, draft: _Draft) -> bool:
    """Return whether both name the same version and total, and complete each other."""
    if not (draft.numbered or other.numbered):
        return not draft.sender and draft.has_room_for(other.mails[0])
    same = draft.total() == other.total() and draft.rank() == other.rank()
    numbers = {mail.subject.number for mail in other.patches}
    useful = draft.missing() & numbers or (other.cover and draft.patches and not other.patches)
    return bool(same and useful) and _may_join(draft, other)


def _is_cover_of(other: _Draft, draft: _Draft) -> bool:
    """Return whether ``other`` is the cover letter of patches, and only one names a version."""
    silent = (0, 0) in (draft.rank(), other.rank())
    alone = bool(other.cover) and not other.patches and draft.total() == other.total()
    return alone and silent and draft.numbered and not draft.cover and _may_join(draft, other)


def _is_lone_cover_of(other: _Draft, draft: _Draft) -> bool:
    """Return whether ``other`` is a cover letter that counts wrong, sent just before the patches.

    Nothing links them but the sender, so no other may have been sent then.
    """
    alone = bool(other.cover) and not other.patches
    first, before = draft.mails[0].date, other.mails[0].date
    just = before and 0 <= first - before <= ONE_GO
    return bool(alone and just and draft.numbered and not draft.cover and not draft.missing())


def _is_unnumbered_part_of(other: _Draft, draft: _Draft) -> bool:
    """Return whether ``other`` is the one patch that ``draft`` lacks, with no or a wrong number."""
    lacking = len(draft.missing()) == 1 and len(other.mails) == 1 and not other.cover
    same = draft.thread is other.thread and draft.sender == other.sender
    if not other.numbered or not lacking or not same:
        return lacking and same and draft.near(other.mails[0])
    (patch,) = other.mails
    titles = {mail.subject.title for mail in draft.mails}
    alike = other.total() in (1, draft.total()) and other.rank() == draft.rank()
    at_once = any(near(patch, mail, AT_ONCE) for mail in draft.patches)
    taken = bool(draft.slots & other.slots)
    return taken and alike and at_once and patch.subject.title not in titles


def _may_join(draft: _Draft, other: _Draft) -> bool:
    if draft.slots & other.slots or not draft.for_same_kernel(other.mails[0].subject):
        return False
    linked = draft.mails[0].message_id and other.mails[0].message_id
    apart = draft.thread is not other.thread and linked
    resent = all(mail.subject.resent for mail in other.mails)  # a list may have refused it
    return not apart or draft.near(other.mails[0], _DAY * (7 if resent else 1))
