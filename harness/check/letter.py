# SPDX-License-Identifier: GPL-2.0-only
"""A patch's mail as the checks see it: who sent it to whom, its words, its diff."""

from __future__ import annotations

import dataclasses
import email
import email.utils
import re
from pathlib import Path

from harness.series import header
from harness.series.mail import parse

_TAGS = re.compile(r"^\s*((?:re:\s*|fwd?:\s*)*)((?:\[[^\]]*\]\s*)*)(.*)$", re.IGNORECASE)
_TRAILER = re.compile(r"^([A-Z][A-Za-z-]+-by|Cc|Fixes|Link|Closes): *(.+)$", re.MULTILINE)
_ENCODED = re.compile(
    rb"^Content-Transfer-Encoding:\s*(?:base64|quoted-printable)", re.IGNORECASE | re.MULTILINE
)
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclasses.dataclass(frozen=True)
class Letter:
    """``subject`` without its tags, which are ``tags``; ``author`` is the body's From or else
    ``sender``.  ``message`` is what becomes the commit's, ``diff`` the rest.
    """

    subject: str
    tags: str
    reply: bool
    sender: str
    author: str
    recipients: frozenset[str]
    message: str
    diff: str

    def trailers(self, *names: str) -> list[str]:
        """Give the values of trailers, such as Signed-off-by, in their order."""
        return [value.strip() for name, value in _TRAILER.findall(self.message) if name in names]


@dataclasses.dataclass(frozen=True)
class Added:
    """A line that a patch adds: its file, its number there."""

    file: str
    line: int
    text: str


@dataclasses.dataclass(frozen=True)
class Change:
    """What a patch does to one file; ``new`` and ``gone`` say that it makes or removes it."""

    file: str
    new: bool
    gone: bool
    added: tuple[Added, ...]
    removed: tuple[str, ...]


def read(path: Path, author: str) -> Letter:
    """Read a mail that harness.series has found to be one."""
    raw = path.read_bytes()
    message = email.message_from_bytes(raw.lstrip(b"\r\n"))
    mail = parse(raw, str(path))
    text = re.split(r"^---\s*$", _text(mail.text), maxsplit=1, flags=re.MULTILINE)[0]
    found = _TAGS.match(header.subject_of(message))
    reply, tags, subject = found.groups() if found else ("", "", "")
    people = [message.get(name, "") for name in ("To", "Cc", "From")]
    return Letter(
        subject=subject,
        tags=tags.strip(),
        reply=bool(reply.strip()),
        sender=header.text_of(message, "From"),
        author=author,
        recipients=frozenset(
            address.lower() for _, address in email.utils.getaddresses(map(str, people)) if address
        )
        if any(people[:2])
        else frozenset(),
        message=text,
        diff=_text(mail.patch),
    )


def plain(path: Path, letter: Letter, folder: Path) -> Path:
    """Give a mail as the kernel's scripts can read it: they know no transfer encodings.

    Most mails are plain already; of others a plain copy is written to ``folder``.
    """
    if not _ENCODED.search(path.read_bytes()):
        return path
    copy = folder / f"plain-{path.name}"
    head = f"From: {letter.author}\nSubject: {letter.tags} {letter.subject}\n\n"
    copy.write_text(f"{head}{letter.message.rstrip()}\n---\n\n{letter.diff}", encoding="utf-8")
    return copy


def changes(diff_text: str) -> list[Change]:
    """Read what a git diff does to each file, by the names that hold after it."""
    found = []
    for part in re.split(r"^(?=diff --git )", diff_text, flags=re.MULTILINE):
        if not part.startswith("diff --git "):
            continue
        lines = part.split("\n")  # a form feed, too, is a part of a line
        name = _name(lines)
        head = part.split("\n@@ ", 1)[0]
        new, gone = "\nnew file mode " in head, "\ndeleted file mode " in head
        found.append(Change(name, new, gone, *_lines(name, lines)))
    return found


def _lines(name: str, lines: list[str]) -> tuple[tuple[Added, ...], tuple[str, ...]]:
    """Give the lines that hunks add and remove; what follows them (a signature) is none."""
    added, removed = [], []
    number = old = new = 0  # the line's number, and how many the hunk still has
    for line in lines:
        if old <= 0 and new <= 0:
            if hunk := _HUNK.match(line):
                number = int(hunk[2])
                old, new = int(hunk[1] or 1), int(hunk[3] or 1)
            continue
        if line.startswith("+"):
            added.append(Added(name, number, line[1:]))
        elif line.startswith("-"):
            removed.append(line[1:])
        number += not line.startswith(("-", "\\"))
        new -= not line.startswith(("-", "\\"))
        old -= not line.startswith(("+", "\\"))
    return tuple(added), tuple(removed)


def _name(lines: list[str]) -> str:
    for line in lines:
        if match := re.match(r'\+\+\+ "?b/(.*?)"?\t?$', line):
            return match[1]
        if line.startswith("@@ "):
            break
    match = re.match(r'diff --git "?a/.* "?b/(.*?)"?$', lines[0])
    return match[1] if match else ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\r\n", "\n")
