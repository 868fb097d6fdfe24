# SPDX-License-Identifier: GPL-2.0-only
"""The heads of a diff: which files it is about, as git takes them.

git does not go by the line that begins with ``diff --git`` alone: names of renames, and those
behind ``---`` and ``+++``, count for more, and whatever stands before the first slash is cut off.
"""

from __future__ import annotations

import dataclasses
import re
import stat
from collections.abc import Sequence

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_MOVE = re.compile(r"(?:rename|copy) (from|old|to|new) (.*)\n?")
_MODE = re.compile(r"(?:new file mode|new mode|index [0-9a-f]+\.\.[0-9a-f]+) ([0-7]{1,9})\n?")
_NONE = "/dev/null"
_GIT = "diff --git "


@dataclasses.dataclass
class Head:
    """What stands before the hunks of one file.

    ``names`` are all that it may mean, ``old`` and ``new`` those before and after, empty for a
    file that is not there then.  ``moved``: it is renamed or copied; ``link``: some line says
    that it is a symbolic link; ``packed``: only git can read its content; ``bare``: its names
    lack the a/ and b/ that git cuts off.
    """

    old: str = ""
    new: str = ""
    names: tuple[str, ...] = ()
    moved: bool = False
    link: bool = False
    packed: bool = False
    bare: bool = False


def read(lines: Sequence[str]) -> tuple[list[Head], list[str]]:
    """Give the heads, and the lines with the number of its head for each name.

    ``lines`` have a character for each byte, and end in a newline.
    """
    heads: list[Head] = []
    found: list[str] = []
    old = new = 0  # lines that the hunk still has
    fresh = False  # the last head has neither names of its own nor hunks yet
    half = False  # the line before was --- with a name
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        shown, half, had = line, False, half
        if old > 0 or new > 0:
            old -= line[0] in " -\n"
            new -= line[0] in " +\n"
        elif match := _HUNK.match(line):
            old, new = (int(count or 1) for count in match.groups())
            fresh = False
        elif line.startswith(_GIT):
            heads.append(_given(line[len(_GIT) :].rstrip("\n")))
            fresh = True
            shown = f"{_GIT}a/{len(heads) - 1} b/{len(heads) - 1}\n"
        elif line.startswith("--- ") and after.startswith("+++ "):
            if not fresh:
                heads.append(Head())
            fresh, half = False, True
            shown = _side(heads, "old", line)
        elif line.startswith("+++ ") and had:
            shown = _side(heads, "new", line)
        elif heads:
            _more(heads[-1], line)
        found.append(shown)
    return heads, found


def _given(text: str) -> Head:
    """Read the names of a ``diff --git`` line, which is clear only if they are the same."""
    if text.startswith('"'):
        quoted = re.fullmatch(r'("(?:[^"\\]|\\.)*") (.+)', text)
        pairs = [quoted.groups()] if quoted else []
    else:
        pairs = [(text[:at], text[at + 1 :]) for at in _spaces(text)]
    same = [(old, new) for old, new in pairs if _cut(old) == _cut(new)]
    if not same:  # what follows will say it; until then each name that it may be
        names = [_cut(name) for pair in pairs for name in pair] if len(pairs) == 1 else []
        return Head(names=tuple(dict.fromkeys(names)), new=names[1] if names else "")
    old, new = same[0]
    return Head(_cut(old), _cut(new), (_cut(new),), bare=old == new and "/" in old)


def _spaces(text: str) -> list[int]:
    return [match.start() for match in re.finditer(" ", text)]


def _side(heads: list[Head], side: str, line: str) -> str:
    """Take the name behind --- or +++; gives the line with the head's number instead."""
    head, name = heads[-1], line[4:].rstrip("\n").partition("\t")[0]
    if name == _NONE:
        setattr(head, side, "")
        return line
    plain = _cut(name)
    if not (head.moved and getattr(head, side)):
        setattr(head, side, plain)
    head.names = tuple(dict.fromkeys([*head.names, plain]))
    return f"{line[:4]}{'a' if side == 'old' else 'b'}/{len(heads) - 1}\n"


def _more(head: Head, line: str) -> None:
    """Take what else git says of a file: other names, its mode."""
    if match := _MOVE.fullmatch(line):
        name = unquoted(match[2])
        head.moved = True
        if match[1] in ("from", "old"):
            head.old = name
        else:
            head.new = name
        head.names = tuple(dict.fromkeys([*head.names, name]))
    elif line.startswith("GIT binary patch"):
        head.packed = True
    elif match := _MODE.fullmatch(line):
        head.link |= stat.S_ISLNK(int(match[1], 8))  # as git reads it: 120777 is a link, too


def _cut(name: str) -> str:
    """Take a/ or b/ off, or whatever stands there; names from the root keep it all."""
    plain = unquoted(name)
    return plain if plain.startswith("/") else plain.partition("/")[2] or plain


def unquoted(name: str) -> str:
    """Undo git's quoting of unusual names; the bytes are UTF-8, or shown as what they are."""
    raw = name.encode("latin-1")
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        raw = raw[1:-1].decode("unicode_escape").encode("latin-1", "replace")
    return raw.decode("utf-8", "backslashreplace")
