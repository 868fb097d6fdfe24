# SPDX-License-Identifier: GPL-2.0-only
"""Parse diffs: unidiff parses the hunks; git's headers are parsed here.

unidiff does not support the names of renames, quoted names, prefixes other than a/ and b/, binary
patches and links, and treats a changed line that looks like a header as a header.  File names
are those that git uses: names in ``---``, ``+++`` and renames override those in ``diff --git``.
"""

from __future__ import annotations

import dataclasses
import io
import posixpath
import re
import stat

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, PatchSet

_START = re.compile(rb"^(?:diff --git |Index: |--- [^\n]+\n\+\+\+ [^\n]+\n@@ )", re.MULTILINE)
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_GIT = "diff --git "
_MOVE = re.compile(r"(?:rename|copy) (from|old|to|new) (.*)\n?")
_MODE = re.compile(r"(?:new file mode|new mode|index [0-9a-f]+\.\.[0-9a-f]+) ([0-7]{1,9})\n?")
_MOVED = re.compile(rb"^(?:rename|copy) (from|to) (.*?)\r?$", re.MULTILINE)
_BLANK = re.compile(rb" ")
_BLOB = re.compile(r"index ([0-9a-f]{7,64})\.\.[0-9a-f]{7,64}")


class DiffError(ValueError):
    """A diff is damaged; ``details`` may contain the lines that show it."""

    def __init__(self, what: str, details: str = "") -> None:
        super().__init__(what)
        self.details = details


@dataclasses.dataclass(frozen=True)
class FileDiff:
    """What a diff does to a file.

    ``old`` and ``new`` are its names before and after, empty if there is no file; ``names`` are all
    names that git may use.  ``blob`` is the id of the old content as written, possibly abbreviated.
    ``moved``: renamed or copied; ``link``: a symbolic link according to a mode line; ``binary``: a
    git binary patch.
    """

    old: str = ""
    new: str = ""
    names: tuple[str, ...] = ()
    blob: str = ""
    moved: bool = False
    link: bool = False
    binary: bool = False
    hunks: tuple[Hunk, ...] = ()

    @property
    def path(self) -> str:
        """The name after the change, or before it if the file is deleted."""
        return self.new or self.old

    @property
    def added(self) -> tuple[str, ...]:
        """The lines that the diff adds, without line endings."""
        return tuple(
            line.value.rstrip("\n") for hunk in self.hunks for line in hunk if line.is_added
        )

    @property
    def added_numbers(self) -> tuple[int, ...]:
        """The numbers of the added lines, from 1, in the file after the change."""
        lines = (line for hunk in self.hunks for line in hunk if line.is_added)
        return tuple(line.target_line_no for line in lines if line.target_line_no)


def split(body: bytes) -> tuple[bytes, bytes]:
    """Return the text before the diff, and the rest (empty without a diff)."""
    match = _START.search(body)
    return (body[: match.start()], body[match.start() :]) if match else (body, b"")


def with_prefixes(patch: bytes) -> bytes:
    """Return a diff of git with a/ and b/ before the file names; the same object if it has them.

    git leaves them out if diff.noprefix is set.  Then both names are the same, or those of a
    rename.
    """
    lines = patch.splitlines(keepends=True)
    old = new = 0  # remaining lines of the current hunk
    names: list[tuple[bytes, bytes]] = []
    heads = [number for number, line in enumerate(lines) if line.startswith(_GIT.encode())]
    for head in heads:
        words = lines[head].rstrip(b"\r\n")[len(_GIT) :]
        moved = dict(_MOVED.findall(b"".join(lines[head + 1 : head + 8])))
        pairs = [(words[: match.start()], words[match.end() :]) for match in _BLANK.finditer(words)]
        own = (moved.get(b"from", b""), moved.get(b"to", b""))
        names += [pair for pair in pairs if pair[0] == pair[1] or pair == own][:1]
    if not heads or len(names) < len(heads):
        return patch
    remaining = iter(names)
    for number, line in enumerate(lines):
        end = line[len(line.rstrip(b"\r\n")) :]
        if old > 0 or new > 0:
            old -= line[:1] in (b" ", b"-", b"\n", b"\r")
            new -= line[:1] in (b" ", b"+", b"\n", b"\r")
        elif match := _HUNK.match(line.decode(errors="replace")):
            old, new = (int(count or 1) for count in match.groups())
        elif line.startswith(_GIT.encode()):
            left, right = next(remaining)
            lines[number] = b"%s%s %s%s" % (
                _GIT.encode(), _prefixed(b"a/", left), _prefixed(b"b/", right), end,
            )  # fmt: skip
        elif line.startswith((b"--- ", b"+++ ")) and not line.startswith(b"/dev/null", 4):
            side = b"a/" if line.startswith(b"-") else b"b/"
            lines[number] = line[:4] + _prefixed(side, line[4:])
    return b"".join(lines)


def _prefixed(prefix: bytes, name: bytes) -> bytes:
    return b'"' + prefix + name[1:] if name.startswith(b'"') else prefix + name


def parse(patch: bytes | str) -> list[FileDiff]:
    """Parse a diff.  Raises DiffError if git would refuse it or silently drop lines.

    Text around the diff is skipped.  Bytes that are not UTF-8 become escapes.
    """
    text = patch if isinstance(patch, str) else patch.decode(errors="backslashreplace")
    reader = _Reader()
    # Split only at newlines, because sources contain form feeds.
    for line in io.StringIO(text.replace("\r\n", "\n"), newline="\n"):
        reader.take(line)
    return [
        dataclasses.replace(file, hunks=_hunks(hunk_lines))
        for file, hunk_lines in zip(reader.files, reader.hunk_lines, strict=True)
    ]


def _hunks(lines: list[str]) -> tuple[Hunk, ...]:
    try:
        return tuple(PatchSet(["--- a\n", "+++ b\n", *lines])[0]) if lines else ()
    except UnidiffParseError as error:
        raise DiffError(str(error).strip()) from error


class _Reader:
    """Separates headers from hunks, line by line; ``hunk_lines`` has a list for each file."""

    def __init__(self) -> None:
        self.files: list[FileDiff] = []
        self.hunk_lines: list[list[str]] = []
        self._old = self._new = 0  # remaining lines of the current hunk
        self._ended = ""  # header of the hunk that ended just before this line
        self._unnamed = False  # the last file has neither --- and +++ nor hunks yet
        self._open = False  # a hunk may follow
        self._minus = ""  # the previous line, if it begins with ---

    def take(self, line: str) -> None:
        no_newline = line.startswith("\\")  # refers to the previous line of the hunk
        if self._old <= 0 and self._new <= 0 and not (self._ended and no_newline):
            self._take_header(line)
            return
        self._old -= line[0] in " -\n"
        self._new -= line[0] in " +\n"
        self.hunk_lines[-1].append(line)
        if not line.endswith("\n") and not no_newline:
            raise DiffError("the diff ends in the middle of a line")

    def _take_header(self, line: str) -> None:
        if self._ended:
            self._check_hunk_end(line)
        minus, self._minus = self._minus, ""
        if minus and not line.startswith("+++ "):
            self._open = self._unnamed
        if match := _HUNK.match(line):
            if not self._open:
                raise DiffError(f"hunk without a file: {line.rstrip()}")
            self._old, self._new = (int(count or 1) for count in match.groups())
            self._ended, self._unnamed = line.rstrip(), False
            self.hunk_lines[-1].append(line)
        elif line.startswith(_GIT):
            self._add(_of_git_line(line[len(_GIT) :].rstrip("\n")))
            self._unnamed = True
        elif line.startswith("--- "):
            self._minus = line
        elif line.startswith("+++ "):
            self._take_pair(minus, line)
        elif self.files:
            self._open = self._unnamed
            self.files[-1] = _with_header(self.files[-1], line)

    def _check_hunk_end(self, line: str) -> None:
        """Refuse a hunk that is longer than its header states: git would silently drop the rest."""
        if line.startswith((" ", "+", "-")) and not re.match(r"--- |-- ?$", line):
            raise DiffError(
                f"a hunk of {self.files[-1].path} is longer than its header says",
                f"{self._ended} should end before:\n{line}",
            )
        self._ended = ""

    def _take_pair(self, minus: str, plus: str) -> None:
        if not minus:
            raise DiffError(f"+++ without --- before it: {plus.rstrip()}")
        if not self._unnamed:
            self._add(FileDiff())
        self._unnamed = False
        self.files[-1] = _with_side(_with_side(self.files[-1], minus), plus)

    def _add(self, file: FileDiff) -> None:
        self.files.append(file)
        self.hunk_lines.append([])
        self._open = True


def _of_git_line(text: str) -> FileDiff:
    """Parse the names of a ``diff --git`` line, which is only unambiguous if they are the same."""
    if text.startswith('"'):
        quoted = re.fullmatch(r'("(?:[^"\\]|\\.)*") (.+)', text)
        pairs = [quoted.groups()] if quoted else []
    else:
        spaces = [match.start() for match in re.finditer(" ", text)]
        pairs = [(text[:at], text[at + 1 :]) for at in spaces]
    for old, new in pairs:
        if _stripped(old) == (name := _stripped(new)):
            return FileDiff(name, name, (name,))
    # The following lines contain the names; until then, list all possible names.
    names = [_stripped(name) for pair in pairs for name in pair] if len(pairs) == 1 else []
    return FileDiff(names=tuple(dict.fromkeys(names)), new=names[1] if names else "")


def _with_name(file: FileDiff, before: bool, name: str) -> FileDiff:
    """Set the name of the file before or after the change."""
    names = tuple(dict.fromkeys([*file.names, name]))
    if before:
        return dataclasses.replace(file, old=name, names=names)
    return dataclasses.replace(file, new=name, names=names)


def _with_side(file: FileDiff, line: str) -> FileDiff:
    """Set the name after --- or +++, unless a rename has set it."""
    before = line.startswith("---")
    text = line[4:].rstrip("\n").partition("\t")[0]
    if text == "/dev/null":
        return dataclasses.replace(file, old="") if before else dataclasses.replace(file, new="")
    name = _stripped(text)
    if file.moved and (file.old if before else file.new):
        return dataclasses.replace(file, names=tuple(dict.fromkeys([*file.names, name])))
    return _with_name(file, before, name)


def _with_header(file: FileDiff, line: str) -> FileDiff:
    """Parse other header lines of git: names of renames, modes, the old content's id."""
    if match := _MOVE.fullmatch(line):
        file = dataclasses.replace(file, moved=True)
        return _with_name(file, match[1] in ("from", "old"), unquoted(match[2]))
    if line.startswith("\\ No newline"):
        raise DiffError(f"no line before '{line.rstrip()}'")
    if line.startswith("GIT binary patch"):
        return dataclasses.replace(file, binary=True)
    if match := _BLOB.match(line):
        file = dataclasses.replace(file, blob=match[1])
    if line.startswith("new file mode "):
        file = dataclasses.replace(file, old="")
    elif line.startswith("deleted file mode "):
        file = dataclasses.replace(file, new="")
    if (match := _MODE.fullmatch(line)) and stat.S_ISLNK(int(match[1], 8)):
        return dataclasses.replace(file, link=True)  # for git 120777 is also a link
    return file


def _stripped(name: str) -> str:
    """Remove the first component of a name, usually a/ or b/; absolute names stay unchanged."""
    plain = unquoted(name)
    return plain if plain.startswith("/") else plain.partition("/")[2] or plain


def unquoted(name: str) -> str:
    """Undo git's quoting of unusual names."""
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    # The escapes are bytes; everything else is text.
    raw = name[1:-1].encode().decode("unicode_escape", "replace").encode("latin-1", "replace")
    return raw.decode(errors="backslashreplace")


def leads_out(file: str, goal: str) -> bool:
    """Return whether the symbolic link ``file`` to ``goal`` may lead outside the tree.

    Other links in the path are not resolved, so ".." may only be at the start of ``goal``.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), goal))
    winding = ".." in goal.lstrip("./").split("/")
    return winding or goal.startswith("/") or path.split("/")[0] in ("..", ".git")
