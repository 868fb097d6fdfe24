# SPDX-License-Identifier: GPL-2.0-only
"""The form of mails: cover letter, numbers, prefix, subjects; who signed; what is added."""

from __future__ import annotations

import email.utils
import re
from collections import Counter
from collections.abc import Sequence

from harness.check.letter import Change, Letter
from harness.model import Finding, Severity

_SUBJECT = 75  # columns of a subject, as the kernel's documents have it
_UNFILLED = re.compile(r"^\*\*\* (?:SUBJECT|BLURB) HERE \*\*\*$", re.MULTILINE)
_PREFIX = re.compile(r"\[([^\]]*)\]")
_EXPORT = re.compile(r"\bEXPORT_SYMBOL(?:_\w+)?\s*\(\s*(\w+)")
_REACHED = re.compile(r"[^@\s]+@(?:[\w-]+\.)+[a-z][\w-]+")
_UAPI = re.compile(r"^(?:arch/[^/]+/)?include/uapi/")
_LICENSED = re.compile(
    r"\.(?:[chSl]|cpp|rs|dtsi?|lds|py|sh|pl|awk|rst|yaml)$|(?:^|/)(?:Kconfig|Makefile)$"
)


def series(letters: Sequence[Letter], cover: Letter | None, *, mails: bool) -> list[Finding]:
    """Look at the series as a whole; ``mails``: it was sent, it is not commits of a tree."""
    found = []
    if mails:
        if len(letters) > 1 and cover is None:
            found.append(_warning("no-cover", f"{len(letters)} patches without a cover letter"))
        if cover and _UNFILLED.search(f"{cover.subject}\n{cover.message}"):
            found.append(_warning("unfilled", "the cover letter has git's own words: *** ... ***"))
        found += _tags([*([cover] if cover else []), *letters])
    for subject, times in Counter(letter.subject for letter in letters).items():
        if times > 1:
            found.append(_warning("same-subject", f"{times} patches are called '{subject}'"))
    return found


def _tags(letters: Sequence[Letter]) -> list[Finding]:
    """See that all mails have one prefix and version, and the numbers their places ask for."""
    prefixes = Counter(_prefix(letter) for letter in letters)
    found = []
    if len(prefixes) > 1:
        words = ", ".join(f"[{name}] {times}x" for name, times in prefixes.most_common())
        found.append(_warning("prefix", f"not one subject prefix but {words}"))
    if any("PATCH" not in name.upper() for name in prefixes):
        found.append(_warning("prefix", "a subject without [PATCH]"))
    numbers = [re.search(r"\b(\d+)/(\d+)\s*\]", letter.tags) for letter in letters]
    without = [letter for letter, number in zip(letters, numbers, strict=True) if number is None]
    if without and len(letters) > 1:
        found.append(_warning("number", f"no number n/m in '{without[0].subject}'"))
    if any(letter.reply for letter in letters):
        found.append(_warning("reply", "a subject that begins with Re: or Fwd:"))
    return found


def _prefix(letter: Letter) -> str:
    match = _PREFIX.search(letter.tags)
    return re.sub(r"\s*\b\d+/\d+\s*$", "", match[1]).strip() if match else ""


def subject(letter: Letter) -> list[Finding]:
    """Look at one patch's own words."""
    found = []
    if not re.match(r"(?:Revert \"|Reapply \"|[\w./,{}*+ -]+: \S)", letter.subject):
        found.append(_warning("subsystem", "the subject names no subsystem ('fs/x: do y')"))
    if len(letter.subject) > _SUBJECT:
        found.append(
            _warning("long", f"the subject is {len(letter.subject)} columns, {_SUBJECT} are usual")
        )
    if letter.subject.endswith("."):
        found.append(_warning("period", "the subject ends with a period"))
    words = re.sub(r"^[A-Z][A-Za-z-]+:.*$", "", letter.message, flags=re.MULTILINE)
    if not words.strip():
        found.append(_warning("empty", "the message says nothing beyond its subject"))
    return found


def signed(letter: Letter, committer: str = "") -> list[Finding]:
    """Look for the author's Signed-off-by, and for that of who passes the patch on."""
    signers = [_address(one) for one in letter.trailers("Signed-off-by")]
    if not signers:
        return [Finding(Severity.ERROR, "there is no Signed-off-by", rule="missing")]
    found = []
    author = _address(letter.author)
    names = {name.lower() for name, _ in signers if name}
    if author[1] not in {address for _, address in signers}:
        if author[0].lower() in names:
            found.append(
                _warning("address", f"the author signed off with another address than {author[1]}")
            )
        else:
            text = f"the author {letter.author} has not signed it off"
            found.append(Finding(Severity.ERROR, text, rule="author"))
    by = _address(committer or letter.sender)
    if by[1] and by[1] != signers[-1][1] and by[0].lower() != signers[-1][0].lower():
        who = "committed" if committer else "sent"
        found.append(_warning("passed-on", f"{by[0] or by[1]} {who} it and signed it off not last"))
    for name, address in map(_address, letter.trailers("Co-developed-by")):
        if address not in {signer for _, signer in signers}:
            text = f"{name or address} developed it too, and has not signed it off"
            found.append(Finding(Severity.ERROR, text, rule="co-author"))
    if not _REACHED.fullmatch(author[1]) or author[1].endswith(".localdomain"):
        text = f"the author's address is none: {letter.author}"
        found.append(Finding(Severity.ERROR, text, rule="no-address"))
    return found


def _address(person: str) -> tuple[str, str]:
    name, address = email.utils.parseaddr(person)
    return name, address.lower()


def licensed(changes: Sequence[Change]) -> list[Finding]:
    """See that each new file says its license in its first lines."""
    return [
        Finding(
            Severity.ERROR, "no SPDX-License-Identifier in its first lines", one.file, 1, "spdx"
        )
        for one in changes
        if one.new
        and one.added
        and _LICENSED.search(one.file)
        and not any("SPDX-License-Identifier:" in line.text for line in one.added[:3])
    ]


def exports(changes: Sequence[Change]) -> list[Finding]:
    """Show which symbols modules may now use, or no longer."""
    new = {m[1]: line for one in changes for line in one.added if (m := _EXPORT.search(line.text))}
    old = {m[1]: one for one in changes for line in one.removed if (m := _EXPORT.search(line))}
    found = [
        Finding(Severity.NOTE, f"exports {name}: {line.text.strip()}", line.file, line.line, "new")
        for name, line in new.items()
        if name not in old or line.text.strip() not in map(str.strip, old[name].removed)
    ]
    return found + [
        Finding(Severity.WARNING, f"does not export {name} any more", one.file, rule="gone")
        for name, one in old.items()
        if name not in new
    ]


def uapi(changes: Sequence[Change]) -> list[Finding]:
    """Show what programs outside of the kernel will see."""
    found = []
    for one in (one for one in changes if _UAPI.match(one.file)):
        how = "new" if one.new else "removed" if one.gone else "changed"
        level = Severity.WARNING if one.gone or one.removed else Severity.NOTE
        what = f"{how}: {len(one.added)} lines added, {len(one.removed)} removed"
        found.append(Finding(level, what, one.file, rule="uapi"))
    return found


def _warning(rule: str, text: str) -> Finding:
    return Finding(Severity.WARNING, text, rule=rule)
