# SPDX-License-Identifier: GPL-2.0-only
"""From what a person names to a Series: find the mails, choose, order, see that none is missing."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from harness import paths
from harness.errors import SeriesError
from harness.model import Patch, Series
from harness.series import about, given, order, threads, trailers
from harness.series.box import Entry
from harness.series.given import Given
from harness.series.mail import Mail, parse

Found = tuple[Path, Mail]


@dataclasses.dataclass(frozen=True)
class Wish:
    """What to take of that which is there.

    ``tree`` is the git tree that ranges and branches are of, ``base`` where a branch starts;
    ``pick`` names one of several series and ``revision`` one of its revisions.  ``collect`` puts
    trailers from replies to the patches.  Without ``whole`` a series may lack patches: then
    ``missing``, ``duplicates`` and ``fault`` tell.
    """

    tree: Path | None = None
    base: str = ""
    pick: str = ""
    revision: int = 0
    collect: bool = False
    whole: bool = True


def load(words: str | Path | Sequence[str | Path], wish: Wish | None = None) -> Series:
    """Read a series from whatever a person has.

    A folder of patches (a quilt ``series`` file gives their order), files, an mbox (of any size),
    a maildir, ``-`` for standard input, a range or branch of a git tree, and, only here over the
    network, a message id or link.  A folder may have a cover letter and a series.toml.

    The digest covers the patches' bytes only.  Raises UsageError when there is nothing there,
    SeriesError when what is there is no series that git am could apply.
    """
    wish = wish or Wish()
    words = [words] if isinstance(words, str | Path) else list(words)
    what = given.find(words, wish.tree, wish.base)
    if what.strict:
        chosen = threads.Chosen(what.entries, what.entries)
    else:
        chosen = threads.choose(what.entries, what.where, wish.pick, wish.revision)
    mails = [item for entry in chosen.entries for item in _mails(entry, what)]
    if all(mail.is_cover for _, mail in mails):
        raise _no_patch(mails, what)
    parts = order.sort([item for item in mails if not item[1].is_cover], what)
    covers = [item for item in mails if item[1].is_cover]
    notes = [*what.notes, *chosen.notes, *order.notes(parts, what)]
    if (fault := order.fault(parts, what)) and wish.whole:
        raise fault
    found = parts.mails
    if wish.collect:
        found, said = trailers.collect(found, chosen)
        notes += said
    made = _series(what, found, covers, parts, tuple(notes))
    return dataclasses.replace(made, fault=fault.what if fault else "")


def _mails(entry: Entry, what: Given) -> list[Found]:
    """Read an entry, a patch or cover letter; one that carries whole mails stands for those."""
    mail = parse(entry.raw(), entry.where)
    inner = [
        parse(raw, f"attachment {number} of {entry.where}")
        for number, raw in enumerate(mail.attached, 1)
    ]
    series = [one for one in inner if one.files or (one.total and one.number == 0)]
    if not any(one.files for one in series):
        _see_patch(mail, what)
        return [(entry.path, mail)]
    return [(entry.path, dataclasses.replace(one, plain=False)) for one in series]


def _see_patch(mail: Mail, what: Given) -> None:
    """Refuse replies and mails without a diff that are no cover letter."""
    if mail.reply:
        raise SeriesError(
            f"{mail.where} is a reply, no patch ('{mail.subject}')",
            hint="take the mail it answers, and leave out replies",
        )
    cover = mail.number == 0 and (mail.total or "0000" in Path(mail.where).name[:4])
    if not mail.files and not (cover and (what.strict or len(what.entries) > 1)):
        raise _no_diff(mail)


def _no_patch(mails: Sequence[Found], what: Given) -> SeriesError:
    return _no_diff(mails[0][1]) if mails and not what.folder else given.no_patch(what.where)


def _no_diff(mail: Mail) -> SeriesError:
    return SeriesError(
        f"{mail.where} has no diff in it ('{mail.subject}')",
        hint="leave out replies and other mails without a patch",
    )


def _series(
    what: Given,
    found: Sequence[Found],
    covers: Sequence[Found],
    parts: order.Parts,
    notes: tuple[str, ...],
) -> Series:
    said = about.read(what.folder) if what.folder else about.About()
    digest = hashlib.sha256(b"".join(mail.fair for _, mail in found)).hexdigest()
    patches = _patches(found, digest, parts)
    cover = covers[0] if covers else None
    texts = [mail for _, mail in [*covers, *found]]
    return Series(
        name=what.name or slug(texts[0].subject),
        folder=what.folder or patches[0].path.parent,
        patches=patches,
        digest=digest,
        title=said.title or texts[0].subject,
        cover=_file(cover, 0, digest) if cover else None,
        link=said.link,
        kernel=said.kernel,
        base=said.base or what.base or next((mail.base for mail in texts if mail.base), ""),
        kconfig=said.kconfig,
        suites=said.suites,
        subsystems=said.subsystems,
        version=max(mail.version for mail in texts),
        total=parts.total,
        cover_subject=cover[1].subject if cover else "",
        cover_id=cover[1].message_id if cover else "",
        prerequisites=tuple(one for mail in texts for one in mail.prerequisites),
        missing=parts.missing,
        duplicates=parts.duplicates,
        notes=notes,
        repo=what.repo,
        commits=tuple(_commit(mail.raw) for _, mail in found) if what.repo else (),
    )


def _commit(raw: bytes) -> str:
    """Give the commit that git made a mail of."""
    match = re.match(rb"From ([0-9a-f]{40,64}) ", raw)
    return match[1].decode() if match else ""


def _patches(found: Sequence[Found], digest: str, parts: order.Parts) -> tuple[Patch, ...]:
    """Make the patches; their numbers are those of the subjects only if some are missing."""
    return tuple(
        Patch(
            mail.number if parts.missing else number,
            mail.subject,
            mail.author,
            _file((path, mail), number, digest),
            mail.files,
            mail.message_id,
        )
        for number, (path, mail) in enumerate(found, 1)
    )


def _file(item: Found, number: int, digest: str) -> Path:
    """Give a file that holds this mail alone, as git am takes it; in the cache if need be."""
    path, mail = item
    fair = mail.fair
    if mail.plain and path.stat().st_size == len(mail.raw) and fair is mail.raw:
        return path
    place = paths.cache("series", digest[:20]) / f"{number:04}.patch"
    if not place.exists() or place.read_bytes() != fair:
        with paths.writing(place), paths.scratch(place) as scratch:
            (scratch / "mail").write_bytes(fair)
            (scratch / "mail").replace(place)
    return place


def slug(text: str) -> str:
    """Make a name for a folder of a title."""
    words = "".join(letter if letter.isalnum() and letter.isascii() else " " for letter in text)
    return "-".join(words.lower().split())[:60].strip("-") or "series"
