# SPDX-License-Identifier: GPL-2.0-only
"""The diff in a mail: where it begins, whether it is whole, which files it touches."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

from harness.errors import SeriesError
from harness.series import heads
from harness.series.heads import Head

_START = re.compile(rb"^(?:diff --git |Index: |--- [^\n]+\n\+\+\+ [^\n]+\n@@ )", re.MULTILINE)
_STAT = re.compile(r"^ (\d+) files? changed(?:, \d+ insertions?\(\+\))?(?:, \d+ deletions?\(-\))?")
_SIGNATURE = re.compile(r"^-- ?\r?$", re.MULTILINE)
_BARE = "make it again with git format-patch --src-prefix=a/ --dst-prefix=b/ (see diff.noprefix)"
_AGAIN = "it was cut or changed on the way: save it again, or make it again with git format-patch"


def split(body: bytes) -> tuple[bytes, bytes]:
    """Give the text before the diff, and the diff with what follows; none is empty bytes."""
    match = _START.search(body)
    return (body[: match.start()], body[match.start() :]) if match else (body, b"")


def files(patch: bytes, before: bytes, where: str) -> tuple[str, ...]:
    """Give the files that ``patch`` touches, in its order; empty for an empty patch.

    Raises SeriesError when a hunk does not have the lines its header says, or when the mail's
    own summary promises files that are not there.
    """
    if not patch:
        return ()
    lines = lines_of(patch)
    found, shown = heads.read(lines)
    names = dict.fromkeys(name for head in found for name in head.names)
    inside(names, where)
    if any(head.bare for head in found):
        raise SeriesError(f"the names in {where} have no a/ and b/ before them", hint=_BARE)
    try:
        hunks = PatchSet(shown)
    except UnidiffParseError as error:
        raise SeriesError(
            f"{where} is damaged: {_words(str(error)).strip()}", hint=_AGAIN, details=_tail(lines)
        ) from error
    for file in hunks:
        head = _head(file, found)
        _whole(file, head, lines, where)
        if head and head.link:
            _link_inside(file, head, where)
    _complete(hunks, before, lines, where)
    return tuple(names)


def _head(file: PatchedFile, found: Sequence[Head]) -> Head | None:
    """Give the head of a file, whose name is its number there; None if git would pass over it."""
    name = (file.source_file if file.target_file == "/dev/null" else file.target_file) or ""
    return found[int(name[2:])] if re.fullmatch(r"[ab]/\d+", name) else None


def inside(names: Iterable[str], where: str) -> None:
    """Refuse names that lead out of the tree, or into git's own folder."""
    for name in names:
        parts = name.split("/")
        git = any(re.fullmatch(r"\.git|git~1", part.rstrip(". "), re.IGNORECASE) for part in parts)
        if git or ".." in parts or "" in parts or not name.isprintable():
            shown = ascii(name) if not name.isprintable() else f"'{name}'"
            raise SeriesError(
                f"{where} changes {shown}, which is outside of the tree",
                hint="do not use this patch, or ask who sent it what it is for",
            )


def _link_inside(file: PatchedFile, head: Head, where: str) -> None:
    """Refuse a symbolic link that leads out of the tree: later changes would go through it.

    What another link on the way means cannot be seen here, so that none may be followed by "..".
    """
    goals = [line.value.rstrip("\n") for hunk in file for line in hunk if line.is_added]
    if file.is_binary_file:
        goals.append("what only git can read")
    for goal in goals:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(head.new), goal))
        winding = ".." in goal.lstrip("./").split("/")
        outside = goal.startswith("/") or path.split("/")[0] in ("..", ".git")
        if winding or outside or file.is_binary_file:
            raise SeriesError(
                f"{where} makes '{head.new}' a link to '{_words(goal)}', which is outside of the"
                f" tree",
                hint="do not use this patch, or ask who sent it what it is for",
            )


def is_whole(patch: bytes) -> bool:
    """Whether every hunk has the lines that its header counts."""
    try:
        files(patch, b"", "")
    except SeriesError:
        return False
    return True


def lines_of(patch: bytes) -> list[str]:
    """Give the lines of a diff, one character per byte, with their ends."""
    # What the files hold is not our business, only where lines end.
    return re.findall(r"[^\n]*\n|[^\n]+", patch.decode("latin-1").replace("\r\n", "\n"))


def added(patch: bytes) -> dict[str, tuple[str, ...]]:
    """Give the lines that a diff adds, by each name of their file; it is one ``files`` takes."""
    found: dict[str, tuple[str, ...]] = {}
    known, shown = heads.read(lines_of(patch))
    for file in PatchSet(shown) if patch else ():
        lines = tuple(line.value.rstrip("\n") for hunk in file for line in hunk if line.is_added)
        head = _head(file, known)
        for name in head.names if head else ():
            found[name] = found.get(name, ()) + lines
    return found


def moved(patch: bytes) -> dict[str, str]:
    """Give the files whose content no added line shows, and why: links, renamed or copied ones."""
    found: dict[str, str] = {}
    for head in heads.read(lines_of(patch))[0]:
        if head.moved or head.link or head.packed:
            why = "a link" if head.link else "what only git can read"
            why = "another file under this name" if head.moved else why
            found |= dict.fromkeys((*head.names, head.new) if head.packed else (head.new,), why)
    return found


def _whole(file: PatchedFile, head: Head | None, lines: Sequence[str], where: str) -> None:
    """Refuse a hunk that goes on after its header's count: git would drop the rest silently.

    The same goes for a last line that was cut: it would be applied as it is.
    """
    for hunk in file:
        last = max((line.diff_line_no or 0 for line in hunk), default=len(lines))
        follows = lines[last] if last < len(lines) else ""
        if not lines[last - 1].endswith("\n"):
            raise SeriesError(f"{where} ends in the middle of a line", hint=_AGAIN)
        if follows.startswith((" ", "+", "-")) and not _SIGNATURE.match(follows):
            if follows.startswith("--- "):
                continue
            raise SeriesError(
                f"{where} is damaged: a hunk of {head.new or head.old if head else 'a file'} is"
                f" longer than its header says",
                hint=_AGAIN,
                details=f"@@ -{hunk.source_start} +{hunk.target_start} @@ ends before:\n"
                + _words(follows),
            )


def _complete(found: PatchSet, before: bytes, lines: Sequence[str], where: str) -> None:
    """Refuse a mail that was cut between two hunks or files.

    Its end is missing if it has neither the signature line that git puts there nor as many files
    as its own summary counts.  One alone proves nothing: people edit both.
    """
    promised = [int(m[1]) for m in map(_STAT.match, before.decode("latin-1").splitlines()) if m]
    if not promised or _SIGNATURE.search("".join(lines)):
        return
    if len(found) < promised[-1]:
        raise SeriesError(
            f"{where} is cut: its summary counts {promised[-1]} files, {len(found)} are there",
            hint=_AGAIN,
            details=_tail(lines),
        )


def _tail(lines: Sequence[str]) -> str:
    return "it ends with:\n" + _words("".join(lines[-8:])).rstrip("\n")


def _words(text: str) -> str:
    """Give text for people, of lines that have a character for each byte."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")
