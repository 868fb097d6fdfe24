# SPDX-License-Identifier: GPL-2.0-only
"""The checks of a patch's mail: sender and recipients, form, trailers, and what the diff adds."""

from __future__ import annotations

import dataclasses
import email
import email.utils
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import git
from harness.diff import FileDiff
from harness.model import Finding, Patch, Series, Severity
from harness.series import header
from harness.series.mail import parse

_TAGS = re.compile(r"^\s*((?:re:\s*|fwd?:\s*)*)((?:\[[^\]]*\]\s*)*)(.*)$", re.IGNORECASE)
_TRAILER = re.compile(r"^([A-Z][A-Za-z-]+-by|Cc|Fixes|Link|Closes): *(.+)$", re.MULTILINE)
_ENCODED = re.compile(
    rb"^Content-Transfer-Encoding:\s*(?:base64|quoted-printable)", re.IGNORECASE | re.MULTILINE
)

_SUBJECT = 75  # maximum columns of a subject, from the kernel's documentation
_UNFILLED = re.compile(r"^\*\*\* (?:SUBJECT|BLURB) HERE \*\*\*$", re.MULTILINE)
_PREFIX = re.compile(r"\[([^\]]*)\]")
_SUBSYSTEM = re.compile(r"(?:Revert \"|Reapply \"|[\w./,{}*+ -]+: \S)")
_ADDRESS = re.compile(r"[^@\s]+@(?:[\w-]+\.)+[a-z][\w-]+")
_EXPORT = re.compile(r"\bEXPORT_SYMBOL(?:_\w+)?\s*\(\s*(\w+)")
_UAPI = re.compile(r"^(?:arch/[^/]+/)?include/uapi/")
_LICENSED = re.compile(
    r"\.(?:[chSl]|cpp|rs|dtsi?|lds|py|sh|pl|awk|rst|yaml)$|(?:^|/)(?:Kconfig|Makefile)$"
)
_FIXES = re.compile(r'([0-9a-f]{7,40})\s*\(\s*"(.+)"\s*\)\s*$')
_FIXES_LOOSELY = re.compile(r"(?:commit\s+)?([0-9a-f]{7,40})\b", re.IGNORECASE)
DIGITS = 12  # digits of a commit's id in a Fixes: line


@dataclasses.dataclass(frozen=True)
class Letter:
    """A mail.  ``tags`` precede ``subject``; ``author`` is the body's From or the sender.

    ``message`` becomes the commit's message, ``diff`` is the rest.
    """

    subject: str
    tags: str
    reply: bool
    sender: str
    author: str
    recipients: frozenset[str]
    message: str
    diff: str
    diffs: tuple[FileDiff, ...] = ()

    def trailers(self, name: str) -> list[str]:
        """Return the values of trailers such as Signed-off-by, in order."""
        return [value.strip() for key, value in _TRAILER.findall(self.message) if key == name]


@dataclasses.dataclass(frozen=True)
class PatchMail:
    """A patch's mail and its commit, or the last commit that applies if this patch does not."""

    patch: Patch
    letter: Letter
    commit: str
    committer: str = ""

    def readable(self, folder: Path) -> Path:
        """Return the mail in a form for the kernel's scripts, which decode no transfer encodings.

        Most mails need no decoding; for others a plain copy is written to ``folder``.
        """
        if not _ENCODED.search(self.patch.path.read_bytes()):
            return self.patch.path
        copy, letter = folder / f"plain-{self.patch.path.name}", self.letter
        head = f"From: {letter.author}\nSubject: {letter.tags} {letter.subject}\n\n"
        copy.write_text(f"{head}{letter.message.rstrip()}\n---\n\n{letter.diff}", encoding="utf-8")
        return copy


def read_all(
    series: Series, committers: Sequence[str], commits: Sequence[str], base: str
) -> tuple[PatchMail, ...]:
    """Read the mails of a series whose first patches became ``commits``."""
    mails = []
    for index, patch in enumerate(series.patches):
        commit = commits[min(index, len(commits) - 1)] if commits else base
        committer = committers[index] if index < len(committers) else ""
        mails.append(PatchMail(patch, read(patch.path, patch.author), commit, committer))
    return tuple(mails)


def read(path: Path, author: str) -> Letter:
    """Read a mail that harness.series has accepted."""
    raw = path.read_bytes()
    message = email.message_from_bytes(raw.lstrip(b"\r\n"))
    mail = parse(raw, str(path))
    text = re.split(r"^---\s*$", _text(mail.text), maxsplit=1, flags=re.MULTILINE)[0]
    line = " ".join(header.text_of(message, "Subject").split())
    match = _TAGS.match(line)
    reply, tags, subject = match.groups() if match else ("", "", line)
    to, cc = (str(message.get(name, "")) for name in ("To", "Cc"))
    people = [to, cc, str(message.get("From", ""))] if to or cc else []
    return Letter(
        subject=subject,
        tags=tags.strip(),
        reply=bool(reply.strip()),
        sender=header.text_of(message, "From"),
        author=author,
        recipients=frozenset(
            address.lower() for _, address in email.utils.getaddresses(people) if address
        ),
        message=text,
        diff=_text(mail.patch),
        diffs=mail.diffs,
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\r\n", "\n")


def series_form(letters: Sequence[Letter], cover: Letter | None, *, mails: bool) -> list[Finding]:
    """Check the series as a whole; ``mails``: it consists of mails, not of commits."""
    findings = []
    if mails:
        if len(letters) > 1 and cover is None:
            findings.append(
                _warning("no-cover", f"there are {len(letters)} patches but no cover letter")
            )
        if cover and _UNFILLED.search(f"{cover.subject}\n{cover.message}"):
            text = "the cover letter still has git's placeholders: *** ... ***"
            findings.append(_warning("unfilled", text))
        findings += _subject_tags([*([cover] if cover else []), *letters])
    for subject, times in Counter(letter.subject for letter in letters).items():
        if times > 1:
            text = f"{times} patches have the subject '{subject}'"
            findings.append(_warning("same-subject", text))
    return findings


def _subject_tags(letters: Sequence[Letter]) -> list[Finding]:
    """Check that all mails have numbers and the same prefix and version."""
    prefixes = Counter(
        re.sub(r"\s*\b\d+/\d+\s*$", "", match[1]).strip() if match else ""
        for match in (_PREFIX.search(letter.tags) for letter in letters)
    )
    findings = []
    if len(prefixes) > 1:
        counts = ", ".join(f"[{name}] {times}x" for name, times in prefixes.most_common())
        findings.append(_warning("prefix", f"the subjects have different prefixes: {counts}"))
    if any("PATCH" not in name.upper() for name in prefixes):
        findings.append(_warning("prefix", "a subject without [PATCH]"))
    without = [letter for letter in letters if not re.search(r"\b\d+/\d+\s*\]", letter.tags)]
    if without and len(letters) > 1:
        findings.append(_warning("number", f"no number n/m in '{without[0].subject}'"))
    if any(letter.reply for letter in letters):
        findings.append(_warning("reply", "a subject begins with Re: or Fwd:"))
    return findings


def subject_form(letter: Letter) -> list[Finding]:
    """Check a patch's subject and message."""
    findings = []
    if not _SUBSYSTEM.match(letter.subject):
        findings.append(_warning("subsystem", "the subject names no subsystem ('fs/x: do y')"))
    if len(letter.subject) > _SUBJECT:
        text = f"the subject is {len(letter.subject)} columns long (limit: {_SUBJECT})"
        findings.append(_warning("long", text))
    if letter.subject.endswith("."):
        findings.append(_warning("period", "the subject ends with a period"))
    text = re.sub(r"^[A-Z][A-Za-z-]+:.*$", "", letter.message, flags=re.MULTILINE)
    if not text.strip():
        findings.append(_warning("empty", "the commit message is empty"))
    return findings


def signed(letter: Letter, committer: str = "") -> list[Finding]:
    """Check the Signed-off-by of the author, and of the sender or committer."""
    signers = [_address(value) for value in letter.trailers("Signed-off-by")]
    if not signers:
        return [Finding(Severity.ERROR, "there is no Signed-off-by", rule="missing")]
    findings = []
    addresses = {address for _, address in signers}
    author_name, author = _address(letter.author)
    if author not in addresses:
        if author_name.lower() in {name.lower() for name, _ in signers if name}:
            text = f"the author's Signed-off-by has a different address from {author}"
            findings.append(_warning("address", text))
        else:
            text = f"no Signed-off-by from the author {letter.author}"
            findings.append(Finding(Severity.ERROR, text, rule="author"))
    name, address = _address(committer or letter.sender)
    last_name, last_address = signers[-1]
    if address and address != last_address and name.lower() != last_name.lower():
        role = "committer" if committer else "sender"
        text = f"the {role} {name or address} is not the last Signed-off-by"
        findings.append(_warning("passed-on", text))
    for name, address in map(_address, letter.trailers("Co-developed-by")):
        if address not in addresses:
            text = f"Co-developed-by {name or address} without a Signed-off-by"
            findings.append(Finding(Severity.ERROR, text, rule="co-author"))
    if not _ADDRESS.fullmatch(author) or author.endswith(".localdomain"):
        text = f"the author's address is not valid: {letter.author}"
        findings.append(Finding(Severity.ERROR, text, rule="no-address"))
    return findings


def _address(person: str) -> tuple[str, str]:
    name, address = email.utils.parseaddr(person)
    return name, address.lower()


def added_lines(file: FileDiff) -> list[tuple[int, str]]:
    """Return the lines that a diff adds to a file, with their numbers."""
    lines = (line for hunk in file.hunks for line in hunk if line.is_added)
    return [(line.target_line_no or 0, line.value.rstrip("\n")) for line in lines]


def removed_lines(file: FileDiff) -> list[str]:
    """Return the lines that a diff removes from a file."""
    lines = (line for hunk in file.hunks for line in hunk if line.is_removed)
    return [line.value.rstrip("\n") for line in lines]


def licensed(diffs: Iterable[FileDiff]) -> list[Finding]:
    """Check that each new file has an SPDX line at the top."""
    text = "no SPDX-License-Identifier in the first lines"
    return [
        Finding(Severity.ERROR, text, file.new, 1, "spdx")
        for file in diffs
        if not file.old
        and file.added
        and _LICENSED.search(file.new)
        and not any("SPDX-License-Identifier:" in line for line in file.added[:3])
    ]


def exports(diffs: Iterable[FileDiff]) -> list[Finding]:
    """Report exported symbols that are added or removed."""
    old: dict[str, tuple[str, str]] = {}  # the file and the line
    new: dict[str, tuple[str, str, int]] = {}
    for file in diffs:
        for line in removed_lines(file):
            if match := _EXPORT.search(line):
                old[match[1]] = file.path, line.strip()
        for number, line in added_lines(file):
            if match := _EXPORT.search(line):
                new[match[1]] = file.path, line.strip(), number
    findings = [
        Finding(Severity.NOTE, f"exports {name}: {line}", path, number, "new")
        for name, (path, line, number) in new.items()
        if name not in old or old[name][1] != line
    ]
    return findings + [
        Finding(Severity.WARNING, f"no longer exports {name}", path, rule="gone")
        for name, (path, _) in old.items()
        if name not in new
    ]


def uapi(diffs: Iterable[FileDiff]) -> list[Finding]:
    """Report changes to the headers of the userspace API."""
    findings = []
    for file in (file for file in diffs if _UAPI.match(file.path)):
        added, removed = len(file.added), len(removed_lines(file))
        what = "new" if not file.old else "changed" if file.new else "removed"
        level = Severity.WARNING if removed or not file.new else Severity.NOTE
        text = f"{what}: {added} lines added, {removed} removed"
        findings.append(Finding(level, text, file.path, rule="uapi"))
    return findings


def fixes(repo: Path, mail: PatchMail) -> list[Finding]:
    """Check each Fixes: line of a patch against the history before its commit."""
    values = mail.letter.trailers("Fixes")
    return [finding for value in values for finding in _fixes(repo, mail.commit, value)]


def _fixes(repo: Path, commit: str, value: str) -> list[Finding]:
    form = _FIXES.match(value)
    match = form or _FIXES_LOOSELY.match(value)
    if match is None:
        return [_of_fixes(Severity.ERROR, "form", f"names no commit: {value}")]
    findings = []
    if form is None:
        text = f'does not have the form <12 digits> ("subject"): {value}'
        findings.append(_of_fixes(Severity.WARNING, "form", text))
    name = match[1].lower()
    if len(name) < DIGITS:
        text = f"{name} has {len(name)} digits, should have {DIGITS}"
        findings.append(_of_fixes(Severity.WARNING, "digits", text))
    shown = git.run(repo, "show", "-s", "--format=%H%n%s", f"{name}^{{commit}}", "--", check=False)
    if not shown.ok:
        return [*findings, _not_there(repo, commit, name, shown.stderr)]
    full, _, subject = shown.stdout.rstrip("\n").partition("\n")
    if form and " ".join(form[2].split()) != " ".join(subject.split()):
        text = f"{name} has the subject '{subject}', not '{form[2]}'"
        findings.append(_of_fixes(Severity.ERROR, "subject", text))
    if not git.is_ancestor(repo, full, commit):
        text = f"{name} is not in the history before this patch"
        findings.append(_of_fixes(Severity.ERROR, "not-before", text))
    return findings


def _not_there(repo: Path, commit: str, name: str, error: str) -> Finding:
    """Report an unknown commit; in a shallow history that proves nothing."""
    if "ambiguous" in error:
        text = f"{name} matches more than one commit"
        return _of_fixes(Severity.ERROR, "ambiguous", text)
    shallow = git.line(repo, "rev-parse", "--is-shallow-repository") == "true"
    known = int(git.line(repo, "rev-list", "--count", "--max-count=1000", commit))
    if shallow or known < 1000:
        text = f"{name} cannot be looked up: the tree has too little history"
        return _of_fixes(Severity.NOTE, "no-history", text)
    return _of_fixes(Severity.ERROR, "unknown", f"the tree has no commit {name}")


def _of_fixes(level: Severity, rule: str, text: str) -> Finding:
    return Finding(level, f"Fixes: {text}", rule=rule)


def _warning(rule: str, text: str) -> Finding:
    return Finding(Severity.WARNING, text, rule=rule)
