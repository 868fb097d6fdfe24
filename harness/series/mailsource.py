# SPDX-License-Identifier: GPL-2.0-only
"""Find the mails of a source: files and folders, a pipe, commits of a tree, or a link."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import paths
from harness.errors import SeriesError, UsageError
from harness.series import commits, mbox
from harness.series.mail import parse
from harness.series.mbox import MboxEntry
from harness.series.revisions import is_reply

FORMAT = "git format-patch -o FOLDER BASE.. makes a folder of patches"
_NAMES = ("*.patch", "*.eml", "[0-9]*")  # [0-9]*: format-patch --numbered-files, other suffixes
_KINDS = "a folder of patches, files, an mbox, a maildir, -, A..B with --tree, a message id, a link"


@dataclasses.dataclass(frozen=True)
class MailSource:
    """The mails of the source that the user named.

    ``strict``: all of them belong to the series, as in a folder; otherwise the series is chosen
    from them.  ``ordered``: they are already in order.  ``single``: a single mail in its own file.
    ``folder`` contains the series and perhaps a series.toml; ``base`` is the series' base commit.
    ``repo`` is the git tree that the commits are from, ``asked`` the id of the mail that the user
    named, if these are its thread.
    """

    where: str
    name: str
    entries: tuple[MboxEntry, ...]
    folder: Path | None = None
    strict: bool = False
    ordered: bool = False
    single: bool = False
    base: str = ""
    notes: tuple[str, ...] = ()
    repo: Path | None = None
    asked: str = ""


def find(
    words: Sequence[str | Path], home: Path, tree: Path | None = None, base: str = ""
) -> MailSource:
    """Find the mails that ``words`` refer to; what is not in files is saved below ``home``.

    Raises UsageError if there are none.
    """
    if len(words) > 1:
        files = [_existing_file(str(word), home) for word in words]
        entries = tuple(_only_mail(file) for file in files)
        return MailSource(" ".join(map(str, files)), "", entries, strict=True)
    word = words[0] if words else ""
    text = str(word)
    path = paths.expanded(word).absolute()
    if text == "-":
        return _standard_input(home)
    if text and _exists(path):
        return _folder(path) if path.is_dir() else _file(path, home)
    if not isinstance(word, Path):
        from harness.series import lore  # with it come HTTP and TLS

        if lore.is_link(text):
            fetched = lore.fetch(text, home)
            source = _file(fetched.path, home, text)
            return dataclasses.replace(
                source, name="", notes=fetched.notes, asked=fetched.message_id
            )
        if exported := commits.export(text, home, tree, base):
            return dataclasses.replace(
                _folder(exported.folder),
                where=text,
                name=exported.name,
                base=exported.base,
                notes=exported.notes,
                repo=exported.repo,
            )
    raise UsageError(f"there is no series at {path}", hint=f"use {_KINDS}")


def no_patch(where: str) -> SeriesError:
    """Return the error for a folder without a patch."""
    return SeriesError(f"there is no patch (*.patch) in {where}", hint=FORMAT)


def _existing_file(word: str, home: Path) -> Path:
    path = paths.expanded(word).absolute()
    if _exists(path) and not path.is_dir():
        return _regular(path, home)
    raise UsageError(
        f"{word} is not a file; if there are several arguments, each must be a patch",
        hint="use the patches of one series, or a single folder or mbox",
    )


def _regular(path: Path, home: Path) -> Path:
    """Return a file that can be read more than once, unlike the pipe of a shell's <(...)."""
    if path.is_file():
        return path
    with mbox.opened(path) as stream:
        return mbox.save(stream, str(path), home)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # not a valid file name
        return False


def _file(path: Path, home: Path, where: str = "") -> MailSource:
    where = where or str(path)
    entries = tuple(mbox.entries(mbox.unpacked(_regular(path, home), home), where))
    single = len(entries) == 1
    strict = single and (not entries[0].subject.reply or _has_scissors(entries[0]))
    return MailSource(where, path.stem, entries, single=single, strict=strict)


def _has_scissors(reply: MboxEntry) -> bool:
    """Return whether a reply has a patch below a scissors line."""
    with contextlib.suppress(SeriesError):
        mail = parse(reply.raw(), reply.where)
        return bool(mail.diffs) and not mail.reply
    return False


def _only_mail(file: Path) -> MboxEntry:
    entries = mbox.entries(file)
    if len(entries) > 1:
        raise SeriesError(
            f"{file} contains {len(entries)} mails instead of a single patch",
            hint=f"put each patch in its own file, or use {file} itself as the series",
        )
    return entries[0]


def _folder(path: Path) -> MailSource:
    where, name = str(path), path.name
    if (path / "cur").is_dir() and (path / "new").is_dir():  # a maildir
        mails = (file for part in ("cur", "new") for file in (path / part).iterdir())
        files = sorted(file for file in mails if file.is_file() and file.name[0] != ".")
        return MailSource(where, name, tuple(e for file in files for e in mbox.entries(file)))
    ordered = (path / "series").is_file()
    if ordered:
        files = _quilt_patches(path)
    else:
        matches = (sorted(path.glob(kind), key=_natural_order) for kind in _NAMES)
        files = next(filter(None, matches), [])
    if not files:
        raise no_patch(where)
    entries = tuple(_only_mail(file) for file in files)
    # Mails that a person saved, or a folder of MH; a reply is never a patch.
    conversation = any(is_reply(entry) for entry in entries)
    return MailSource(where, name, entries, path, strict=not conversation, ordered=ordered)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that puts 2-x before 10-x."""
    return [(int(n or 0), text) for n, text in re.findall(r"(\d{1,18})|(\D+)", path.name)]


def _quilt_patches(folder: Path) -> list[Path]:
    """Read the ``series`` file of a quilt folder.  Raises SeriesError for a missing patch.

    A line is a file name, optionally with a strip level, which must be 1, and a comment.
    """
    listing = folder / "series"
    files: list[Path] = []
    for number, line in enumerate(listing.read_text(errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise SeriesError(
                f"{listing}, line {number}: '{' '.join(words[1:])}' is not supported",
                hint="refresh the patch with quilt refresh -p1",
            )
        path = folder / words[0].replace("\0", "?")
        if path in files:
            raise SeriesError(
                f"{listing}, line {number}: {words[0]} is listed twice", hint="remove one of them"
            )
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise SeriesError(
                f"{listing}, line {number}: there is no patch {words[0]} in {folder}",
                hint="add the patch, or remove the line",
            )
        files.append(path)
    if not files:
        raise SeriesError(f"{listing} lists no patch", hint="add one with quilt import PATCH")
    return files


def _standard_input(home: Path) -> MailSource:
    if sys.stdin is None or sys.stdin.isatty():
        what = "standard input is a terminal or closed"
        raise UsageError(what, hint="pipe the mails in: cat my.mbox | harness ... -")
    file = mbox.save(sys.stdin.buffer, "standard input", home)
    return dataclasses.replace(_file(file, home, "standard input"), name="")
