# SPDX-License-Identifier: GPL-2.0-only
"""A mail about a run: a reply to the cover letter.  A file for git send-email, mutt or b4."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import email
import email.errors
import email.header
import email.message
import email.policy
import email.utils
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from email.headerregistry import Address
from pathlib import Path

from harness.errors import UsageError
from harness.model import Run
from harness.publish import letter, sentences
from harness.text import one_line

COVER = "cover.mail"  # the cover letter, in a run's folder
_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_ADDRESS = re.compile(r"[\w.+=/*'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
_NOWHERE = "kernel-harness.invalid"  # RFC 2606: never a host's name
_HEADER = 16384  # characters of a header that we take
_BEFORE = 20  # mails of a thread that are referred to

Asked = tuple[tuple[str, ...], tuple[str, ...]]  # To, Cc


@dataclasses.dataclass(frozen=True)
class Thread:
    """What the mail answers: ids with their angle brackets, empty where it has none."""

    id: str = ""
    references: tuple[str, ...] = ()
    subject: str = ""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()


def person(words: str) -> Address:
    """Read "Name <mail>".  Raises UsageError when it is not that."""
    found = list(_addresses([words]))
    if len(found) != 1 or not found[0].display_name:
        raise UsageError(
            f"'{one_line(words)}' is no name with a mail address",
            hint="--tested-by 'Jane Doe <jane@example.org>'",
        )
    return found[0]


def compose(run: Run, maintainers: Callable[[], Asked], tested_by: Address | None = None) -> bytes:
    """Write the mail.

    ``maintainers`` is asked for (To, Cc) when the thread names nobody.  ``tested_by`` is who sends
    it; the trailer stands in it only if ``letter.deserved`` agrees.
    """
    thread = answered(run)
    to, cc = (thread.to, thread.cc)
    if not cc:
        more_to, cc = (tuple(_addresses(lines)) for lines in maintainers())
        to = to or more_to
        cc = (*(one for one in more_to if one not in to), *cc)
    trailer = str(tested_by) if tested_by and not letter.deserved(run) else ""
    text = letter.write(run, trailer)
    message = email.message.EmailMessage(policy=email.policy.SMTP.clone(linesep="\n"))
    if tested_by:
        message["From"] = tested_by
    own = {tested_by.addr_spec.lower()} if tested_by else set()
    to, cc = _once(to, own), _once(cc, own | {one.addr_spec.lower() for one in to})
    if to:
        message["To"] = to
    if cc:
        message["Cc"] = cc
    message["Subject"] = (
        f"Re: {thread.subject}" if thread.subject else f"test: {sentences.title(run)}"
    )
    message["Date"] = datetime.datetime.now(datetime.UTC)
    domain = tested_by.domain if tested_by else _NOWHERE
    digest = hashlib.sha256(f"{run.started} {run.seconds!r} {text}".encode(errors="replace"))
    message["Message-ID"] = f"<harness-{digest.hexdigest()[:24]}@{domain}>"
    if thread.id:
        message["In-Reply-To"] = thread.id
        message["References"] = " ".join((*thread.references, thread.id))
    ascii_only = text.isascii()
    message.set_content(
        text, charset="us-ascii" if ascii_only else "utf-8", cte="7bit" if ascii_only else "8bit"
    )
    return message.as_bytes()


def answered(run: Run) -> Thread:
    """Read the cover letter's headers, or the first patch's where there is none."""
    series = run.series
    if series is None:
        return Thread()
    first = series.patches[0]
    kept = [run.folder / "series" / first.path.name, first.path]
    if series.cover:
        kept = [run.folder / COVER, series.cover]
    for file in kept:
        if file.is_file():
            return _thread(file)
    known = f"<{series.cover_id or first.message_id}>"
    return Thread(
        known if _ID.fullmatch(known) else "", (), one_line(series.cover_subject or series.title)
    )


def _thread(file: Path) -> Thread:
    # As text: then a header's raw bytes are letters, not something unknown.
    message = email.message_from_string(file.read_bytes().decode("utf-8", "replace"))
    found = _ID.search(_header(message, "Message-ID"))
    before = _ID.findall(_header(message, "References") or _header(message, "In-Reply-To"))
    subject = _decoded(_header(message, "Subject"))
    author = _header(message, "Reply-To") or _header(message, "From")
    others = [_header(message, name) for name in ("To", "Cc")]
    return Thread(
        found[0] if found else "",
        tuple(one for one in before if not found or one != found[0])[-_BEFORE:],
        re.sub(r"^(?:re:\s*)+", "", subject, flags=re.IGNORECASE),
        tuple(_addresses([author])),
        tuple(_addresses(others)),
    )


def _header(message: email.message.Message, name: str) -> str:
    """Give a header's values in one line, whatever line breaks they have; not decoded."""
    return ", ".join(one_line(str(one), _HEADER) for one in message.get_all(name, []))


def _decoded(value: str) -> str:
    """Read encoded words; one that is damaged stays as it is."""
    with contextlib.suppress(ValueError, LookupError, email.errors.MessageError):
        value = str(email.header.make_header(email.header.decode_header(value)))
    return one_line(value, _HEADER)


def _addresses(values: Iterable[str]) -> Iterator[Address]:
    """Give the addresses that can be used; others, as "undisclosed-recipients:;", are left out."""
    for name, address in email.utils.getaddresses(list(values)):
        if _ADDRESS.fullmatch(address) and ".." not in address:
            with contextlib.suppress(ValueError, IndexError, email.errors.MessageError):
                yield Address(_decoded(name), addr_spec=address)


def _once(people: Iterable[Address], without: set[str]) -> tuple[Address, ...]:
    found = {one.addr_spec.lower(): one for one in reversed(tuple(people))}
    return tuple(one for spec, one in reversed(found.items()) if spec not in without)
