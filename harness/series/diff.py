# SPDX-License-Identifier: GPL-2.0-only
"""The diff in a mail: where it begins, whether it is whole, which files it touches."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

from harness.errors import SeriesError

_START = re.compile(rb"^(?:diff --git |Index: |--- [^\n]+\n\+\+\+ [^\n]+\n@@ )", re.MULTILINE)
_STAT = re.compile(r"^ (\d+) files? changed(?:, \d+ insertions?\(\+\))?(?:, \d+ deletions?\(-\))?")
_SIGNATURE = re.compile(r"^-- ?\r?$", re.MULTILINE)
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
    try:
        found = PatchSet(lines)
    except UnidiffParseError as error:
        raise SeriesError(
            f"{where} is damaged: {str(error).strip()}", hint=_AGAIN, details=_tail(lines)
        ) from error
    names = dict.fromkeys(_named(lines))
    for file in found:
        _whole(file, lines, where)
        names |= dict.fromkeys(_plain(name) for name in (file.source_file, file.target_file))
    names.pop("/dev/null", None)
    _complete(found, before, lines, where)
    inside(names, where)
    for file in found:
        _link_inside(file, where)
    return tuple(names)


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


def _link_inside(file: PatchedFile, where: str) -> None:
    """Refuse a symbolic link that leads out of the tree: later changes would go through it."""
    head = "".join(str(line) for line in file.patch_info or ())
    if not re.search(r"^(?:new file mode|new mode|index \w+\.\.\w+) 120000$", head, re.MULTILINE):
        return
    name = _plain(file.target_file or "")
    for hunk in file:
        for line in hunk:
            goal = line.value.rstrip("\n")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), goal))
            if line.is_added and (goal.startswith("/") or path.split("/")[0] in ("..", ".git")):
                raise SeriesError(
                    f"{where} makes '{name}' a link to '{goal}', which is outside of the tree",
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
    """Give the lines that a diff adds, by file; the diff is one that ``files`` takes."""
    found: dict[str, tuple[str, ...]] = {}
    for file in PatchSet(lines_of(patch)) if patch else ():
        lines = tuple(line.value.rstrip("\n") for hunk in file for line in hunk if line.is_added)
        name = _plain(file.target_file or "")
        found[name] = found.get(name, ()) + lines
    return found


def moved(patch: bytes) -> dict[str, str]:
    """Give the files whose content no added line shows, and why: links, renamed or copied ones."""
    found = {}
    for part in re.split(r"^(?=diff --git )", patch.decode("latin-1"), flags=re.MULTILINE):
        head = part.split("\n@@ ", 1)[0]
        names = _named(lines_of(part.encode("latin-1")))
        if match := re.search(r"^(?:rename|copy) to (.*)$", head, re.MULTILINE):
            name = f'"b/{match[1][1:]}' if match[1].startswith('"') else f"b/{match[1]}"
            found[_plain(name)] = "another file under this name"
        elif names and re.search(r"^(?:new file mode|new mode) 120000$", head, re.MULTILINE):
            found[names[0]] = "a link"
    return found


def _named(lines: Sequence[str]) -> list[str]:
    """Give the files that only a ``diff --git`` line names (binary, mode or name changes)."""
    pattern = re.compile(r'diff --git (?:a/(\S+) b/\1|("a/.+") ("b/.+"))\n')
    matches = (pattern.fullmatch(line) for line in lines)
    return [_plain(f"a/{match[1]}" if match[1] else match[3]) for match in matches if match]


def _plain(name: str) -> str:
    """Undo git's quoting of unusual names, take the a/ or b/ off."""
    raw = name.encode("latin-1")
    if name.startswith('"') and name.endswith('"'):
        raw = raw[1:-1].decode("unicode_escape").encode("latin-1")
    plain = raw.decode("utf-8", "backslashreplace")
    return plain[2:] if plain.startswith(("a/", "b/")) else plain


def _whole(file: PatchedFile, lines: Sequence[str], where: str) -> None:
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
                f"{where} is damaged: a hunk of {_plain(file.target_file or '')} is longer than"
                f" its header says",
                hint=_AGAIN,
                details=f"@@ -{hunk.source_start} +{hunk.target_start} @@ ends before:\n{follows}",
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
    return "it ends with:\n" + "".join(lines[-8:]).rstrip("\n")
