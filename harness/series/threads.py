# SPDX-License-Identifier: GPL-2.0-only
"""Choose a series among many mails by thread, revision and title; collect replies' trailers."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness import git
from harness.errors import SeriesError, UsageError
from harness.series import header
from harness.series.mail import Mail, parse, rewritten
from harness.series.mbox import MboxEntry

_SHOWN = 30
# Trailers that apply to a patch; a Signed-off-by in a reply is for a separate change.
_TRAILER = re.compile(
    r"^((?:Reviewed|Acked|Tested|Reported|Suggested)-(?:and-(?:reviewed|tested|acked)-)?by):"
    r"[ \t]*(\S.*?@\S+?>?)[ \t]*(?:#.*)?$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Revision:
    """The patches of one revision; ``thread`` is empty if the mails are not linked."""

    thread: str
    version: int
    minor: int
    total: int
    entries: tuple[MboxEntry, ...]

    @property
    def name(self) -> str:
        """The revision's name: v2, or v2.1 for a partial reroll."""
        return f"v{self.version}.{self.minor}" if self.minor else f"v{self.version}"

    @property
    def first(self) -> MboxEntry:
        """The cover letter, or the first patch."""
        return min(self.entries, key=lambda entry: entry.subject.number)

    @property
    def missing(self) -> set[int]:
        """The numbers of missing patches."""
        return set(range(1, self.total + 1)) - {entry.subject.number for entry in self.entries}

    def __str__(self) -> str:
        version = f" {self.name}" if self.name != "v1" else ""
        count = f" {self.total} patches" if self.total else ""
        first = self.first
        return f"[PATCH{version}{count}] {first.subject.title}  {first.message_id}".rstrip()


@dataclasses.dataclass(frozen=True)
class ThreadChoice:
    """The series' mails, all mails of its thread, and notes for the user about the choice."""

    entries: tuple[MboxEntry, ...]
    thread: tuple[MboxEntry, ...]
    notes: tuple[str, ...] = ()


def choose(
    mails: Sequence[MboxEntry], where: str, pick: str = "", version: int = 0
) -> ThreadChoice:
    """Choose the newest revision of the only series, or of the series that matches ``pick``.

    ``pick`` is a message id or part of a subject, ``version`` a number as in [PATCH v2].
    Raises SeriesError if there is no series or more than one, UsageError if nothing matches.
    """
    roots = _roots(mails)
    revisions = _revisions(mails, roots)
    if not revisions:
        raise _no_patch(mails, where)
    if pick:
        revisions = _picked(revisions, mails, roots, pick, where)
    if version:
        kept = [revision for revision in revisions if revision.version == version]
        if not kept:
            ranked = sorted(revisions, key=lambda revision: (revision.version, revision.minor))
            names = ", ".join(dict.fromkeys(revision.name for revision in ranked))
            what = f"there is no revision {version} in {where}"
            raise UsageError(what, hint=f"available revisions: {names}")
        revisions = kept
    revision, notes = _newest(revisions, where)
    if revision.thread and not revision.total and len(revision.entries) > 1:
        notes = (*notes, "no subject has a number; using the order of the thread")
    ids = set(map(id, revision.entries))
    thread = tuple(
        mail for mail in mails if id(mail) in ids or _root(mail, roots) == revision.thread
    )
    return ThreadChoice(revision.entries, thread, notes)


def _roots(mails: Iterable[MboxEntry]) -> dict[str, str]:
    """Map each message id to its thread: the id of the thread's first mail, present or not."""
    parents: dict[str, str] = {}
    for mail in mails:
        chain = [*mail.parents, mail.message_id]
        for older, newer in itertools.pairwise(chain):
            if newer and older != newer:
                parents.setdefault(newer, older)
    roots = {}
    for message_id in parents:
        seen = {message_id}
        top = message_id
        while (older := parents.get(top, "")) and older not in seen:
            seen.add(older)
            top = older
        roots[message_id] = top
    return roots


def _root(mail: MboxEntry, roots: Mapping[str, str]) -> str:
    return roots.get(mail.message_id, mail.message_id)


def _revisions(mails: Sequence[MboxEntry], roots: Mapping[str, str]) -> list[Revision]:
    """Group the patches by revision.  If no subject is tagged, all mails but replies count."""
    patches = [mail for mail in mails if not mail.subject.reply]
    patches = [mail for mail in patches if mail.subject.tagged] or [
        mail for mail in patches if not mail.parents
    ]
    sizes = collections.Counter(_root(mail, roots) for mail in patches)
    together = _unnumbered_series(patches, roots)
    groups: dict[tuple[str, int, int, int, str], list[MboxEntry]] = {}
    for mail in patches:
        root, subject = _root(mail, roots), mail.subject
        single = subject.total <= 1 and subject.tagged
        if sizes[root] == 1 and not single:  # unlinked mails: group by number and sender
            root = ""
        own = "" if root else mail.sender if mail.message_id else ""
        if root and not subject.total and id(mail) not in together:
            own = mail.message_id
        key = (root, subject.version, subject.minor, subject.total, own)
        groups.setdefault(key, []).append(mail)
    return [Revision(*key[:4], _in_order(entries)) for key, entries in sorted(groups.items())]


def _unnumbered_series(patches: Sequence[MboxEntry], roots: Mapping[str, str]) -> set[int]:
    """Return the id() of unnumbered patches that form a series.

    Their thread begins with one of them, and they have the same sender and revision.  Other
    unnumbered patches in the same thread are separate series.
    """
    groups: dict[tuple[str, int, int, str], list[MboxEntry]] = {}
    for mail in patches:
        if mail.message_id and not mail.subject.total:
            key = (_root(mail, roots), mail.subject.version, mail.subject.minor, mail.sender)
            groups.setdefault(key, []).append(mail)
    return {
        id(mail)
        for (root, *_), mails in groups.items()
        if any(mail.message_id == root for mail in mails)
        and len({mail.subject.title for mail in mails}) == len(mails)
        for mail in mails
    }


def _in_order(entries: Sequence[MboxEntry]) -> tuple[MboxEntry, ...]:
    """Put mails without a number after those they reply to; numbered ones are sorted later."""
    if any(entry.subject.total for entry in entries):
        return tuple(entries)
    return tuple(sorted(entries, key=lambda entry: len(entry.parents)))


def _picked(
    revisions: list[Revision],
    mails: Sequence[MboxEntry],
    roots: Mapping[str, str],
    pick: str,
    where: str,
) -> list[Revision]:
    """Keep the series that matches ``pick``, with all revisions in its thread.

    If ``pick`` is a complete subject, subjects that only contain it do not match.
    """
    word = pick.strip().strip("<>").lower()
    titles = {
        id(revision): [entry.subject.title.lower() for entry in revision.entries]
        for revision in revisions
    }
    whole = any(word in subjects for subjects in titles.values())
    named = [mail for mail in mails if mail.message_id.lower() == word]
    threads = {_root(mail, roots) for mail in named}
    kept = [
        revision
        for revision in revisions
        if (revision.thread and revision.thread in threads)
        or any(entry in named for entry in revision.entries)
        or any(word == title if whole else word in title for title in titles[id(revision)])
    ]
    if not kept:
        raise UsageError(
            f"no series in {where} matches '{pick}'",
            hint="use a part of a subject, or a message id",
            details=_listed(revisions),
        )
    return kept


def _newest(revisions: list[Revision], where: str) -> tuple[Revision, tuple[str, ...]]:
    """Choose the newest revision of a series.  Raises SeriesError if there are several series."""
    threads = {revision.thread for revision in revisions}
    if len(threads) == 1 and any(revision.total > 1 for revision in revisions):
        # Single patches in the series' thread are suggestions by reviewers.
        revisions = [revision for revision in revisions if revision.total > 1]
    revisions = sorted(revisions, key=lambda r: (r.version, r.minor, len(r.entries)))
    last = revisions[-1]
    if len(revisions) == 1:
        return last, ()
    same_title = len({revision.first.subject.title for revision in revisions}) == 1
    linked = all(threads)
    names = [revision.name for revision in revisions]
    if len(set(names)) == len(names) and linked and (len(threads) == 1 or same_title):
        note = f"using {last.name}, the newest; {where} also has {', '.join(names[:-1])}"
        if last.missing and (whole := _rerolled(revisions)):
            return whole, (f"{note}; patches missing in {last.name} are from earlier revisions",)
        return last, (note,)
    if len(set(names)) > 1 and (same_title or not any(threads)):
        raise SeriesError(
            f"revisions are mixed in {where} ({' and '.join(dict.fromkeys(names))}), and their"
            " mails are not linked",
            hint=f"choose one with --revision {last.version}, or keep the mails of one revision",
            details=_listed(revisions),
        )
    first = last.first
    name = first.message_id if same_title and first.message_id else first.subject.title
    raise SeriesError(
        f"{where} contains {len(revisions)} series",
        hint=f"choose one with --pick and a part of its subject or a message id: '{name}'",
        details=_listed(revisions),
    )


def _rerolled(revisions: Sequence[Revision]) -> Revision | None:
    """Combine a partial reroll, sent as replies to older patches, with those patches."""
    last = revisions[-1]
    entries: dict[int, MboxEntry] = {}
    numbers: dict[str, int] = {}
    for revision in revisions:
        if revision.total == last.total:
            numbers |= {entry.message_id: entry.subject.number for entry in revision.entries}
            entries |= {entry.subject.number: entry for entry in revision.entries}
    answers = all(
        entry.parents and numbers.get(entry.parents[-1]) == entry.subject.number
        for entry in last.entries
    )
    whole = dataclasses.replace(last, entries=tuple(entries[number] for number in sorted(entries)))
    return whole if answers and not whole.missing else None


def _no_patch(mails: Sequence[MboxEntry], where: str) -> SeriesError:
    replies = [mail for mail in mails if mail.subject.reply or mail.parents]
    if not replies:
        return SeriesError(f"there is no patch in {where}", hint="use mails with patches")
    answered = next((f": <{mail.parents[-1]}>" for mail in replies if mail.parents), "")
    return SeriesError(
        f"{replies[0].where} is a reply ('{replies[0].subject.title}'), and there is no patch",
        hint=f"use the mail it replies to{answered}",
    )


def _listed(revisions: Sequence[Revision]) -> str:
    lines = [str(revision) for revision in revisions[:_SHOWN]]
    more = len(revisions) - len(lines)
    return "\n".join(lines + ([f"... and {more} more"] if more else []))


def collect_trailers(
    patches: Sequence[Mail], choice: ThreadChoice
) -> tuple[tuple[Mail, ...], list[str]]:
    """Return the patches with trailers from replies, and a line about each trailer.

    A trailer in a reply to the cover letter, or to a missing mail, applies to all patches.
    """
    own = {id(entry) for entry in choice.entries}
    ids = {mail.message_id for mail in patches if mail.message_id}
    covers = {entry.message_id for entry in choice.entries} - ids
    parents = {entry.message_id: entry.parents for entry in choice.thread}
    notes: list[str] = []
    trailers: dict[str, list[str]] = {}
    for entry in choice.thread:
        if id(entry) in own or not entry.subject.reply:
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
