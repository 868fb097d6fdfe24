# SPDX-License-Identifier: GPL-2.0-only
"""Choose one revision of one series among many mails, and say what was not chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Sequence

from harness.errors import SeriesError, UsageError
from harness.series import drafts, threads
from harness.series.mbox import MboxEntry
from harness.series.rerolls import are_similar, is_later, misnumbered, number_in, rerolled
from harness.series.revisions import Revision, is_reply, listed, near
from harness.series.threads import Thread
from harness.text import quantity


@dataclasses.dataclass(frozen=True)
class ThreadChoice:
    """The series' mails, all mails of its thread, and notes for the user about the choice."""

    entries: tuple[MboxEntry, ...]
    thread: tuple[MboxEntry, ...]
    notes: tuple[str, ...] = ()


def choose(
    mails: Sequence[MboxEntry], where: str, pick: str = "", version: int = 0, asked: str = ""
) -> ThreadChoice:
    """Choose the newest revision of the only series, or of the series that matches ``pick``.

    ``pick`` is a message id or part of a subject, ``version`` a number as in [PATCH v2].  ``asked``
    is the id of the mail that led to the others: its series is meant, or its thread's.
    Raises SeriesError if there is no series or more than one, UsageError if nothing matches.
    """
    mails, copies = threads.unique(mails)
    found = threads.threads(mails)
    every_revision = drafts.revisions(found)
    sent = [revision for revision in every_revision if revision.patches]
    if not sent:
        raise _no_patch(mails, where)
    if pick:
        sent = _picked(sent, found, pick, where)
    every = _every_series(sent)
    if asked and not pick:
        every = _asked_for(asked, every) or _every_series(_picked(sent, found, asked, where))
    if version:
        every = _with_revision(every, version, where)
    every = _without_backports(every)
    if len(every) > 1:
        raise _several([series[-1] for series in every], where)
    chosen, notes = _newest(every[0], where, version)
    used = {id(thread): thread for revision in every[0] for thread in revision.threads}
    conversation = tuple(mail for thread in used.values() for mail in thread.mails)
    own = {id(revision) for revision in every[0]}
    others = [r for r in every_revision if id(r.threads[0]) in used and id(r) not in own]
    notes += _not_used(chosen, others)
    sorted_in = {entry.where for revision in every_revision for entry in revision.entries}
    notes += _asides(mail for mail in conversation if mail.where not in sorted_in)
    return ThreadChoice(chosen.entries, conversation, (*copies, *notes))


def _not_used(chosen: Revision, others: Sequence[Revision]) -> list[str]:
    """Return notes about the other series in the thread of the chosen one."""
    lonely = [revision for revision in others if not revision.patches]
    notes = [f"not used, since no patch answers it: {revision}" for revision in lonely]
    whole = [revision for revision in others if revision.patches]
    strangers = [f"'{r.title}' by {r.sender}" for r in whole if r.sender != chosen.sender]
    if strangers:
        notes.append(f"not used, sent by others in the same thread: {', '.join(strangers)}")
    own = [
        f"'{r.title}'" + (f" for {r.kernel}" if r.kernel else "")
        for r in whole
        if r.sender == chosen.sender
    ]
    if own:
        notes.append(f"not used, other series in the same thread: {', '.join(own)}")
    return notes


def _asides(mails: Iterable[MboxEntry]) -> list[str]:
    """Return a note about mails that have a diff and belong to no series."""
    asides = [mail for mail in mails if mail.has_diff and not mail.subject.pull]
    if not asides:
        return []
    other = f" and {quantity(len(asides) - 1, 'other mail')}" if asides[1:] else ""
    return [f"not used, since it is a reply with a diff: {asides[0].message_id}{other}"]


def _picked(
    sent: Sequence[Revision], found: Sequence[Thread], pick: str, where: str
) -> list[Revision]:
    """Keep the series that matches ``pick``, with all revisions by its sender in its thread.

    If ``pick`` is a complete subject, subjects that only contain it do not match.
    """
    word = pick.strip().strip("<>").lower()
    entries = [(revision, entry) for revision in sent for entry in revision.entries]
    titles = [(revision, entry.subject.title.lower()) for revision, entry in entries]
    threads_with_id = {
        id(thread)
        for thread in found
        if any(mail.message_id.lower() == word for mail in thread.mails)
    }
    matches = (
        [revision for revision, entry in entries if entry.message_id.lower() == word]
        or [r for r in sent if any(id(thread) in threads_with_id for thread in r.threads)]
        or [revision for revision, title in titles if title == word]
        or [revision for revision, title in titles if word in title]
    )
    if not matches:
        raise UsageError(
            f"no series in {where} matches '{pick}'",
            hint="use a part of a subject, or a message id",
            details=listed(sent),
        )

    def keys(revision: Revision) -> set[tuple[int, str, str, str]]:
        own = (revision.one_of_several, revision.kernel, revision.sender)
        return {(id(thread), *own) for thread in revision.threads}

    meant = set().union(*map(keys, matches))
    return [revision for revision in sent if keys(revision) & meant]


def _every_series(sent: Iterable[Revision]) -> list[list[Revision]]:
    """Return the revisions of each series.

    In a thread, the series is that of the person who began it, unless only somebody else's is
    whole, and more than an answer to most of the first; or there are several, each below a
    [PATCHSET], or for another kernel.  A revision in another thread is recognised by its title.
    """
    kernels: dict[tuple[Hashable, ...], set[str]] = {}
    for revision in sent:
        kernels.setdefault((id(revision.threads[0]), revision.rank), set()).add(revision.kernel)
    by_thread: dict[tuple[Hashable, ...], list[Revision]] = {}
    for revision in sent:
        thread = id(revision.threads[0])
        kernel = revision.kernel if len(kernels[thread, revision.rank]) > 1 else ""
        by_thread.setdefault((thread, revision.one_of_several, kernel), []).append(revision)
    every: list[list[Revision]] = []
    by_title: dict[str, list[Revision]] = {}
    for together in by_thread.values():
        first = together[0]
        whole = [r.sender for r in together if r.whole and not _is_answer(r, first)]
        author = (whole or [first.sender])[0]
        own = [revision for revision in together if revision.sender == author]
        titles = {revision.title.lower(): revision for revision in own if revision.message_id}
        titles |= {
            entry.subject.title.lower(): revision
            for revision in titles.values()
            for entry in revision.patches
        }
        known = [by_title[title] for title in titles if title in by_title]
        series = next((series for series in known if _are_revisions(series, own)), None)
        if series:
            series += own
        else:
            every.append(series := own)
        by_title |= {title: series for title in titles if title not in by_title}
    return every


def _without_backports(every: list[list[Revision]]) -> list[list[Revision]]:
    """Leave out the series for a named kernel in a thread that has one for the newest."""
    newest = {id(series[-1].threads[0]) for series in every if not series[-1].kernel}
    return [
        series
        for series in every
        if not series[-1].kernel or id(series[-1].threads[0]) not in newest
    ]


def _is_answer(revision: Revision, first: Revision) -> bool:
    """Return whether a revision is one patch in answer to a series that is mostly there."""
    mostly = len(first.patches) > 1 and 2 * len(first.patches) >= first.total
    above = revision.threads[0].ancestors(revision.patches[0])
    answers = any(number_in(first, mail) for mail in above)
    return mostly and answers and revision.is_single and revision.sender != first.sender


def _asked_for(asked: str, every: Iterable[list[Revision]]) -> list[list[Revision]]:
    """Return the series that a mail belongs to, with all revisions; or none."""
    return [
        series
        for series in every
        if any(entry.message_id == asked for revision in series for entry in revision.entries)
    ]


def _are_revisions(series: Sequence[Revision], others: Sequence[Revision]) -> bool:
    """Return whether revisions in two threads are of one series.

    They have the same title, or one sender and mostly the same patches.
    """
    one, other = series[-1], others[-1]
    if one.rank == other.rank and one.kernel != other.kernel:
        return False
    if one.title.lower() == other.title.lower():
        return one.sender == other.sender or one.rank != other.rank
    named_apart = one.cover and other.cover and one.rank == other.rank
    return one.sender == other.sender and are_similar(one, other) and not named_apart


def _with_revision(every: list[list[Revision]], version: int, where: str) -> list[list[Revision]]:
    """Keep the series that have a revision ``version``.  Raises UsageError if none has."""
    kept = [series for series in every if any(r.version == version for r in series)]
    if not kept:
        ranked = sorted((r for series in every for r in series), key=lambda r: r.rank)
        names = ", ".join(dict.fromkeys(revision.name for revision in ranked))
        what = f"there is no revision {version} in {where}"
        raise UsageError(what, hint=f"available revisions: {names}")
    return kept


def _newest(series: Sequence[Revision], where: str, version: int = 0) -> tuple[Revision, list[str]]:
    """Return the newest revision, or ``version``, and notes about what else was sent.

    Raises SeriesError if it is not known which of two was sent last.
    """
    wanted = [revision for revision in series if not version or revision.version <= version]
    chosen, *later = sorted(wanted, key=lambda revision: (revision.rank, revision.date))
    older: list[Revision] = []
    unused: list[Revision] = []
    for revision in later:
        if whole := misnumbered(chosen, revision) or rerolled(chosen, revision, where):
            chosen = whole
        elif _is_aside(chosen, revision):  # something else in the same thread
            unused.append(revision)
        elif revision.rfc and not chosen.rfc and 0 < revision.date < chosen.date:
            older.append(revision)  # RFC v5 comes before PATCH v1
        elif revision.rank == chosen.rank and not is_later(revision, chosen):
            raise _several([chosen, revision], where)
        else:
            older.append(chosen)
            chosen = revision
    notes = list(chosen.notes)
    if names := ", ".join(dict.fromkeys(r.name for r in older if r.rank != chosen.rank)):
        notes.append(f"using {chosen.name}, the newest; {where} also has {names}")
    if any(revision.rank == chosen.rank for revision in older):
        notes.append(f"{chosen.name} was sent again; using the last one")
    if unused:
        titles = ", ".join(f"'{r.title}' {r.message_id}".rstrip() for r in unused)
        notes.append(f"not used, since they are not part of the series: {titles}")
    return chosen, notes


def _is_aside(chosen: Revision, later: Revision) -> bool:
    """Return whether ``later`` is no revision: another patch or series in the thread, or scraps."""
    if not chosen.whole or later.rank < chosen.rank:
        return False
    same_rank = later.rank == chosen.rank
    one, other = (revision.entries[0].subject.prefix for revision in (chosen, later))
    if not are_similar(chosen, later):
        if same_rank and not (chosen.is_single and one == other):
            return True
        if one != other and near(chosen.entries[-1], later.entries[0]):
            return True  # for another tree, such as that of a tool that goes with it
    if chosen.is_single or not later.is_single or later.cover:
        return same_rank and not later.whole
    above = (number_in(chosen, m) for m in later.threads[0].ancestors(later.entries[0]))
    number = next(filter(None, above), (0, ""))
    return same_rank or number[0] > 0


def _several(found: Sequence[Revision], where: str) -> SeriesError:
    names = sorted({revision.name for revision in found})
    titles = {revision.title.lower() for revision in found}
    last = max(found, key=lambda revision: revision.rank)
    if len(names) > 1 and (len(titles) == 1 or not any(r.message_id for r in found)):
        return SeriesError(
            f"revisions are mixed in {where} ({' and '.join(names)}), and their"
            " mails are not linked",
            hint=f"choose one with --revision {last.version}, or keep the mails of one revision",
            details=listed(found),
        )
    first = found[-1]
    name = first.message_id if len(titles) == 1 and first.message_id else first.title
    return SeriesError(
        f"{where} contains {len(found)} series",
        hint=f"choose one with --pick and a part of its subject or a message id: '{name}'",
        details=listed(found),
    )


def _no_patch(mails: Sequence[MboxEntry], where: str) -> SeriesError:
    pulls = [mail for mail in mails if mail.subject.pull]
    tagged = [mail for mail in mails if mail.subject.tagged and not is_reply(mail)]
    replies = [mail for mail in mails if is_reply(mail) or mail.parents]
    if pulls:
        return pull_request(pulls[0])
    if tagged:
        return no_diff(tagged[0].where, tagged[0].subject.title)
    if not replies:
        return SeriesError(f"there is no patch in {where}", hint="use mails with patches")
    answered = next((f": <{mail.parents[-1]}>" for mail in replies if mail.parents), "")
    return SeriesError(
        f"{replies[0].where} is a reply ('{replies[0].subject.title}'), and there is no patch",
        hint=f"use the mail it replies to{answered}",
    )


def pull_request(mail: MboxEntry) -> SeriesError:
    """Return the error for a pull request, whose diff is the sum of commits."""
    return SeriesError(
        f"{mail.where} is a pull request, not a patch ('{mail.subject.title}')",
        hint="fetch its branch into a git tree, and name its commits: A..B --tree DIR",
    )


def no_diff(where: str, title: str) -> SeriesError:
    """Return the error for a mail that should be a patch."""
    return SeriesError(
        f"{where} has no diff ('{title}')", hint="leave out replies and other mails without a patch"
    )
