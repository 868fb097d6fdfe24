# SPDX-License-Identifier: GPL-2.0-only
"""Series from the network, when a person names one there: archives through b4, links as mboxes."""

from __future__ import annotations

import dataclasses
import http.client
import io
import re
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness import paths, process
from harness.errors import HostFault, SeriesError, UsageError
from harness.series import spool

_MESSAGE_ID = re.compile(r"<?[^\s/<>:]+@[^\s/<>]+>?")
_TIMEOUT = 30.0  # seconds without a byte
_B4_TIMEOUT = 300.0
_SAVE = "check the network; a thread saved elsewhere as an mbox is taken as well"
_FROM = b"From harness Thu Jan  1 00:00:00 1970\n"


@dataclasses.dataclass(frozen=True)
class Got:
    """An mbox, and what whoever brought it says of it; ``chosen``: it holds the series alone."""

    path: Path
    notes: tuple[str, ...] = ()
    chosen: bool = False


def is_link(word: str) -> bool:
    """Whether a word is a message id or a link."""
    return word.startswith(("http://", "https://")) or bool(_MESSAGE_ID.fullmatch(word))


def fetch(word: str) -> Got:
    """Get what a message id or a link means.

    A mail of a public archive goes through b4: the newest revision, with trailers and
    attestation.  Everything else is downloaded as an mbox.  Raises HostFault when the network
    does not give it, SeriesError when it is something else.
    """
    try:
        found, link = message_id(word), mbox_of(word)
    except ValueError as error:
        raise UsageError(f"{word} is no link: {error}", hint="copy it again") from error
    return _thread(found) if found else Got(_download(link))


def message_id(word: str) -> str:
    """Give the message id that a word is, or that an archive's link holds."""
    if _MESSAGE_ID.fullmatch(word):
        return word.strip("<>")
    parts = urllib.parse.urlsplit(word)
    if parts.path.rstrip("/").endswith("/mbox"):  # patchwork's links hold ids too
        return ""
    ids = [urllib.parse.unquote(part) for part in parts.path.split("/")]
    if "patchwork" in parts.netloc or "/project/" in parts.path:
        return ""
    return next((one for one in ids if _MESSAGE_ID.fullmatch(one)), "")


def mbox_of(link: str) -> str:
    """Give the link to the mails of a page for people: a pull request, a patchwork series."""
    parts = urllib.parse.urlsplit(link)
    path = parts.path
    if re.search(r"/(?:pull/\d+|commit/[0-9a-f]{7,64}|compare/[^/]+\.\.\.[^/]+)/?$", path):
        path = path.rstrip("/") + ".patch"
    elif re.search(r"/(?:series|patch|cover)/[^/]+/?$", path) and not path.endswith(".patch"):
        path = path.rstrip("/") + "/mbox/"
    return urllib.parse.urlunsplit(parts._replace(path=path, fragment=""))


def _download(link: str) -> Path:
    request = urllib.request.Request(link, headers={"User-Agent": "kernel-harness"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            kind = answer.headers.get_content_type()
            if kind == "text/html":
                raise SeriesError(
                    f"{link} is a web page, no mail", hint="the link to take is called raw or mbox"
                )
            return spool.keep(answer, link)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        raise HostFault(f"{link}: {code}{reason}", hint=_SAVE) from error


def _program() -> str:
    """Find b4: beside our own interpreter, as it is installed with us, or elsewhere."""
    beside = Path(sys.executable).parent / "b4"
    return str(beside) if beside.exists() else shutil.which("b4") or "b4"


def _thread(found: str) -> Got:
    """Have b4 bring the newest revision of a thread, ready for git am."""
    home = paths.cache("series")
    with paths.writing(home), paths.scratch(home / "b4") as scratch:
        words = ("am", "--no-cache", "--check-newer-revisions", "--mbox-name", "thread")
        argv = (_program(), *words, "--outdir", scratch, "--", found)
        result = process.run(argv, cwd=scratch, timeout=_B4_TIMEOUT, check=False)
        said = f"{result.stdout}\n{result.stderr}".strip()
        mails = sorted(scratch.glob("*.mbx"))
        if not result.ok or not mails:
            raise HostFault(f"b4 brings no series for <{found}>", hint=_SAVE, details=said)
        covers = [_FROM + cover.read_bytes() + b"\n" for cover in sorted(scratch.glob("*.cover"))]
        box = b"".join([*covers, *(mail.read_bytes() for mail in mails)])
        return Got(spool.keep(io.BytesIO(box), found), attestation(said), chosen=True)


def attestation(said: str) -> tuple[str, ...]:
    """Take from b4's words what it says of each patch: signatures, and trailers it put in."""
    blocks = re.split(r"^---$\n?", said, flags=re.MULTILINE)
    lines = [line for line in (blocks[1] if len(blocks) > 1 else "").splitlines() if line.strip()]
    newer = [line for line in blocks[0].splitlines() if re.search(r"newer|WARNING|NOTE", line)]
    proven = "" if "\u2713" in said else "b4 could prove no signature"
    return (*newer, *lines, *([proven] if proven else []))
