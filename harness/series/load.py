# SPDX-License-Identifier: GPL-2.0-only
"""Load a Series from a source.

``mailsource`` finds the mails and reads their headers; ``threads``, ``revisions`` and ``choice``
sort them into threads and revisions, and choose one; here its mails are read, sorted by number, and
checked: none may be missing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import paths
from harness.diff import FileDiff
from harness.errors import SeriesError
from harness.model import Patch, Series
from harness.series import choice, mailsource
from harness.series.choice import ThreadChoice
from harness.series.folder import SeriesToml, read_toml, slug
from harness.series.mail import Mail, parse
from harness.series.mailsource import FORMAT, MailSource
from harness.series.mbox import MboxEntry
from harness.series.trailers import collect_trailers


@dataclasses.dataclass(frozen=True)
class SeriesRequest:
    """Which series to load from the mails, and how.

    ``tree`` is the git tree for ranges and branches, ``base`` the start of a branch; ``pick``
    selects one of several series and ``revision`` one of its revisions.  ``collect`` adds trailers
    from replies to the patches.  If ``whole`` is False, a series may lack patches or have damaged
    ones: ``missing``, ``duplicates`` and ``fault`` then describe what is wrong.  ``home`` is the
    folder for files that are made from mails, by default in the cache.  ``before`` are the folders
    of the series that this one is part of the base of.
    """

    tree: Path | None = None
    base: str = ""
    pick: str = ""
    revision: int = 0
    collect: bool = False
    whole: bool = True
    home: Path | None = None
    before: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class NumberedPatches:
    """The patches in order, each number once; ``conflicting`` ones share a number but differ."""

    patches: tuple[Mail, ...]
    total: int
    missing: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    conflicting: tuple[Mail, ...] = ()


def load(words: str | Path | Sequence[str | Path], request: SeriesRequest | None = None) -> Series:
    """Load a series from any kind of source.

    A source is a folder of patches (in the order of a quilt ``series`` file, if present), files, an
    mbox (of any size), a maildir, ``-`` for standard input, a range or branch of a git tree, or a
    message id or link (the only use of the network).  A folder may contain a cover letter and a
    series.toml.

    The digest covers only the patches' bytes.  Raises UsageError if the source does not exist,
    SeriesError if git am could not apply it.
    """
    request = request or SeriesRequest()
    words = [words] if isinstance(words, str | Path) else list(words)
    home = request.home or paths.cache("series")
    source = mailsource.find(words, home, request.tree, request.base)
    if source.strict:
        chosen = ThreadChoice(source.entries, source.entries)
    else:
        chosen = choice.choose(
            source.entries, source.where, request.pick, request.revision, source.asked
        )
    damaged: list[SeriesError] = []
    mails = []
    for entry in chosen.entries:
        try:
            mails += _read(entry, source)
        except SeriesError as error:
            alone = len(chosen.entries) == 1
            if request.whole or (alone and not (entry.subject.tagged and entry.has_diff)):
                raise
            damaged.append(error)
            mails.append(_unread(entry))
    covers = [mail for mail in mails if mail.is_cover]
    if len(covers) == len(mails):
        if mails and not source.folder:
            raise choice.no_diff(mails[0].where, mails[0].subject)
        raise mailsource.no_patch(source.where)
    numbered = _sort([mail for mail in mails if not mail.is_cover], source)
    notes = [*source.notes, *chosen.notes, *_notes(numbered, covers, source)]
    fault = _fault(numbered, source) or next(iter(damaged), None)
    if fault and request.whole:
        raise fault
    if request.collect or source.asked:
        patches, trailer_notes = collect_trailers(numbered.patches, chosen)
        numbered = dataclasses.replace(numbered, patches=patches)
        notes += trailer_notes
    series = _series(source, covers[0] if covers else None, numbered, home, request.before)
    return dataclasses.replace(series, notes=tuple(notes), fault=fault.what if fault else "")


def _read(entry: MboxEntry, source: MailSource) -> list[Mail]:
    """Read a patch or cover letter; a mail with attached mails is replaced by them.

    One attached patch has the number of the mail, since git format-patch may have had no options.
    """
    if entry.subject.pull:
        raise choice.pull_request(entry)
    mail = _parse(entry.raw(), entry.where, entry.path)
    attached = [
        _parse(raw, f"attachment {number} of {entry.where}", entry.path)
        for number, raw in enumerate(mail.attached, 1)
    ]
    if any(inner.diffs for inner in attached):
        used = [inner for inner in attached if inner.diffs or inner.is_cover]
        used = [
            dataclasses.replace(
                inner,
                plain=False,
                version=entry.subject.version or inner.version,
                message_id=inner.message_id or mail.message_id,
            )
            for inner in used
        ]
        return [_numbered(used[0], entry)] if len(used) == 1 else used
    if mail.reply:
        raise SeriesError(
            f"{mail.where} is a reply, not a patch ('{mail.subject}')",
            hint="use the mail it replies to, and leave out replies",
        )
    if not source.strict:  # the numbers that the mails of the series voted for
        mail = _numbered(mail, entry)
    cover = mail.number == 0 and (mail.total or "0000" in Path(mail.where).name[:4])
    if not mail.diffs and not (cover and (source.strict or len(source.entries) > 1)):
        raise choice.no_diff(mail.where, mail.subject)
    return [mail]


def _numbered(mail: Mail, entry: MboxEntry) -> Mail:
    subject = entry.subject
    return dataclasses.replace(
        mail,
        number=subject.number,
        between=subject.between,
        total=subject.total,
        version=subject.version or mail.version,
    )


def _unread(entry: MboxEntry) -> Mail:
    """Return what the header says about a mail that cannot be used."""
    subject = entry.subject
    return Mail(
        entry.where,
        entry.raw(),
        subject.title,
        entry.sender,
        number=subject.number,
        between=subject.between,
        total=subject.total,
        version=subject.version,
        message_id=entry.message_id,
        diffs=() if subject.is_cover else (FileDiff(),),
        path=entry.path,
    )


def _parse(raw: bytes, where: str, path: Path) -> Mail:
    """Read a mail without its hunks, which could take much memory for a whole series."""
    mail = parse(raw, where)
    diffs = tuple(dataclasses.replace(file, hunks=()) for file in mail.diffs)
    return dataclasses.replace(mail, path=path, diffs=diffs)


def _sort(patches: Sequence[Mail], source: MailSource) -> NumberedPatches:
    """Sort by [PATCH n/m]; if no subject has a number, keep the order.

    Raises SeriesError if only some subjects have a number, or if they belong to several series.
    """
    if source.ordered or not any(mail.total for mail in patches):
        return NumberedPatches(tuple(patches), len(patches))
    unnumbered = [mail.where for mail in patches if not mail.total]
    if unnumbered:
        raise SeriesError(
            f"some subjects in {source.where} have a number [PATCH n/m], and some do not",
            hint=f"number all patches or none: {FORMAT}",
            details="without a number:\n" + "\n".join(unnumbered),
        )
    _refuse_several_series(patches, source)
    total = patches[0].total
    by_slot: dict[tuple[int, str], list[Mail]] = {}
    for mail in patches:
        by_slot.setdefault(mail.slot, []).append(mail)
    repeated = {slot: copies for slot, copies in by_slot.items() if len(copies) > 1}
    missing = sorted(set(range(1, total + 1)) - {number for number, _ in by_slot})
    return NumberedPatches(
        patches=tuple(by_slot[slot][0] for slot in sorted(by_slot)),
        total=total if missing else len(by_slot),
        missing=tuple(missing),
        duplicates=tuple(sorted(number for number, _ in repeated)),
        conflicting=tuple(
            mail
            for copies in repeated.values()
            for mail in copies
            if len({(copy.subject, copy.patch) for copy in copies}) > 1
        ),
    )


def _refuse_several_series(mails: Sequence[Mail], source: MailSource) -> None:
    versions = sorted({mail.version or 1 for mail in mails})
    if source.strict and len(versions) > 1:
        names = " and ".join(f"v{number}" for number in versions)
        raise SeriesError(
            f"revisions are mixed in {source.where}: {names}",
            hint="keep the patches of one revision",
            details="\n".join(
                f"v{mail.version or 1} {mail.number}/{mail.total} {mail.where}" for mail in mails
            ),
        )
    totals = sorted({mail.total for mail in mails})
    if len(totals) > 1:
        raise SeriesError(
            f"the patches in {source.where} are of different series: m in [PATCH n/m] is"
            f" {' and '.join(map(str, totals))}",
            hint=f"keep the patches of one series; {FORMAT}",
        )


def _is_single_patch(numbered: NumberedPatches, source: MailSource) -> bool:
    """Return whether this is one patch of a series, in a file that the user named."""
    return bool(numbered.missing) and len(numbered.patches) == 1 and source.single


def _fault(numbered: NumberedPatches, source: MailSource) -> SeriesError | None:
    """Return the error for a series that lacks a patch, or has two with the same number."""
    if numbered.conflicting:
        first = numbered.conflicting[0]
        return SeriesError(
            f"patch {first.number}/{first.total} appears twice in {source.where}",
            hint="remove one of them",
            details="\n".join(
                f"{mail.number}/{mail.total} {mail.where}" for mail in numbered.conflicting
            ),
        )
    if numbered.missing and not _is_single_patch(numbered, source):
        numbers = ", ".join(map(str, numbered.missing))
        several = len(numbered.missing) > 1
        return SeriesError(
            f"{'patches' if several else 'patch'} {numbers} of {numbered.total}"
            f" {'are' if several else 'is'} missing in {source.where}",
            hint="fetch the missing mails, or recreate the series with git format-patch",
        )
    return None


def _notes(numbered: NumberedPatches, covers: Sequence[Mail], source: MailSource) -> list[str]:
    """Return notes for the user about a series that is used as is."""
    notes = []
    if len(covers) > 1:
        notes.append(f"{len(covers)} mails are numbered 0; using {covers[0].where}")
    if covers and source.strict and covers[0].total not in (0, numbered.total):
        notes.append(
            f"the cover letter counts {covers[0].total}, the patches {numbered.total};"
            f" using {numbered.total}"
        )
    if numbered.duplicates and not numbered.conflicting:
        numbers = ", ".join(map(str, numbered.duplicates))
        several = len(numbered.duplicates) > 1
        notes.append(
            f"{'patches' if several else 'patch'} {numbers} {'appear' if several else 'appears'}"
            " twice with identical content; using one copy"
        )
    if _is_single_patch(numbered, source):
        mail = numbered.patches[0]
        notes.append(f"this is only patch {mail.number} of {mail.total}")
    return notes


def _after(toml: SeriesToml, home: Path, before: tuple[Path, ...]) -> Iterator[Series]:
    """Load the series that come first.  Raises SeriesError if that goes in a circle."""
    for folder in map(Path, toml.after):
        if folder.resolve() in before:
            raise SeriesError(
                f"the series in {folder} would have to come before itself",
                hint=f"remove it from 'after' in {before[-1] / 'series.toml'}",
            )
        yield load(folder, SeriesRequest(home=home, before=before))


def _series(
    source: MailSource,
    cover: Mail | None,
    numbered: NumberedPatches,
    home: Path,
    before: tuple[Path, ...],
) -> Series:
    toml = read_toml(source.folder) if source.folder else SeriesToml()
    if source.folder:
        before = (*before, source.folder.resolve())
    digest = hashlib.sha256(b"".join(mail.for_git_am for mail in numbered.patches)).hexdigest()
    patches = tuple(
        Patch(
            # The numbers in subjects only matter if some are missing.
            mail.number if numbered.missing else number,
            mail.subject,
            mail.author,
            _file_of(mail, home / digest[:20], number),
            mail.files,
            mail.message_id,
        )
        for number, mail in enumerate(numbered.patches, 1)
    )
    mails = [cover, *numbered.patches] if cover else numbered.patches
    return Series(
        name=source.name or slug(mails[0].subject),
        folder=source.folder or patches[0].path.parent,
        patches=patches,
        digest=digest,
        title=toml.title or mails[0].subject,
        cover=_file_of(cover, home / digest[:20], 0) if cover else None,
        link=toml.link,
        kernel=toml.kernel,
        base=toml.base or source.base or next((mail.base for mail in mails if mail.base), ""),
        after=tuple(_after(toml, home, before)),
        kconfig=toml.kconfig,
        suites=toml.suites,
        subsystems=toml.subsystems,
        follow=toml.follow,
        version=max(mail.version for mail in mails) or 1,
        total=numbered.total,
        cover_subject=cover.subject if cover else "",
        cover_id=cover.message_id if cover else "",
        prerequisites=tuple(patch_id for mail in mails for patch_id in mail.prerequisites),
        missing=numbered.missing,
        duplicates=numbered.duplicates,
        repo=source.repo,
        commits=tuple(map(_commit_of, numbered.patches)) if source.repo else (),
    )


def _commit_of(mail: Mail) -> str:
    """Return the commit that git format-patch created this mail from."""
    match = re.match(rb"From ([0-9a-f]{40,64}) ", mail.raw)
    return match[1].decode() if match else ""


def _file_of(mail: Mail, folder: Path, number: int) -> Path:
    """Return a file with only this mail, for git am; it is written to ``folder`` if necessary."""
    content = mail.for_git_am
    if mail.plain and mail.path.stat().st_size == len(mail.raw):
        return mail.path
    place = folder / f"{number:04}.patch"
    if not place.exists() or place.read_bytes() != content:
        with paths.writing(place), paths.scratch(place) as scratch:
            (scratch / "mail").write_bytes(content)
            (scratch / "mail").replace(place)
    return place
