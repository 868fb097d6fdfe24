# SPDX-License-Identifier: GPL-2.0-only
"""Fetch series from the network: from mail archives with b4, from other links as mboxes."""

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
from harness.series import mbox

_MESSAGE_ID = re.compile(r"<?[^\s/<>:]+@[^\s/<>]+>?")
_TIMEOUT = 30.0  # seconds without data
_B4_TIMEOUT = 300.0
_SAVE = "check the network, or save the thread as an mbox and use that file"


@dataclasses.dataclass(frozen=True)
class FetchedMbox:
    """An mbox; the id of the mail whose thread it is, if any, and b4's notes about that."""

    path: Path
    notes: tuple[str, ...] = ()
    message_id: str = ""


def is_link(word: str) -> bool:
    """Return whether a word is a message id or a link."""
    return word.startswith(("http://", "https://")) or bool(_MESSAGE_ID.fullmatch(word))


def fetch(word: str, home: Path) -> FetchedMbox:
    """Fetch the mails for a message id or a link to a file below ``home``.

    The thread of a mail in a public archive is fetched by b4, with threads of newer revisions.
    Everything else is downloaded as an mbox.  Raises HostFault if the network fails, SeriesError if
    the link does not lead to a mail or mbox.
    """
    try:
        ident, link = message_id(word), mbox_of(word)
    except ValueError as error:
        raise UsageError(f"{word} is not a valid link: {error}", hint="check the link") from error
    return _thread(ident, home) if ident else FetchedMbox(_download(link, home))


def message_id(word: str) -> str:
    """Return the message id in ``word``, which is an id or an archive's link; "" if none."""
    if _MESSAGE_ID.fullmatch(word):
        return word.strip("<>")
    parts = urllib.parse.urlsplit(word)
    # Patchwork links contain ids as well, but b4 does not support them.
    if parts.path.rstrip("/").endswith("/mbox") or "patchwork" in parts.netloc:
        return ""
    if "/project/" in parts.path:
        return ""
    names = (urllib.parse.unquote(part) for part in parts.path.split("/"))
    return next(filter(_MESSAGE_ID.fullmatch, names), "")


def mbox_of(link: str) -> str:
    """Return the mbox link of a web page such as a pull request or patchwork series."""
    parts = urllib.parse.urlsplit(link)
    path = parts.path
    if re.search(r"/(?:pull/\d+|commit/[0-9a-f]{7,64}|compare/[^/]+\.\.\.[^/]+)/?$", path):
        path = path.rstrip("/") + ".patch"
    elif re.search(r"/(?:series|patch|cover)/[^/]+/?$", path) and not path.endswith(".patch"):
        path = path.rstrip("/") + "/mbox/"
    return urllib.parse.urlunsplit(parts._replace(path=path, fragment=""))


def _download(link: str, home: Path) -> Path:
    request = urllib.request.Request(link, headers={"User-Agent": "kernel-harness"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            if response.headers.get_content_type() == "text/html":
                raise SeriesError(
                    f"{link} is a web page, not a mail",
                    hint='use the link called "raw" or "mbox" on that page',
                )
            return mbox.save(response, link, home)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        raise HostFault(f"{link}: {code}{reason}", hint=_SAVE) from error


def _thread(ident: str, home: Path) -> FetchedMbox:
    """Fetch the thread of a mail with b4, and what b4 knows of its signatures."""
    own = Path(sys.executable).parent / "b4"  # in our environment
    b4 = own if own.exists() else shutil.which("b4") or "b4"
    with paths.writing(home), paths.scratch(home / "b4") as scratch:
        thread = scratch / "thread.mbox"
        into = ("--no-cache", "--outdir", scratch, "--mbox-name")
        newer = "--check-newer-revisions"
        found = _run(scratch, b4, "mbox", newer, *into, thread.name, "--", ident)
        if not found.ok or not thread.is_file():
            raise HostFault(f"b4 found no thread for <{ident}>", hint=_SAVE, details=_output(found))
        local = ("--use-local-mbox", thread)
        checked = _run(scratch, b4, "am", *local, *into, "series", "--", ident)
        path = mbox.save(io.BytesIO(thread.read_bytes()), ident, home)
        return FetchedMbox(path, attestation(_output(checked)), ident)


def _run(folder: Path, *argv: str | Path) -> process.Result:
    return process.run(argv, cwd=folder, timeout=_B4_TIMEOUT, check=False)


def _output(result: process.Result) -> str:
    return f"{result.stdout}\n{result.stderr}".strip()


def attestation(output: str) -> tuple[str, ...]:
    """Return the lines of b4's output about each patch: signatures, and trailers it added."""
    blocks = re.split(r"^---$\n?", output, flags=re.MULTILINE)
    lines = [line for line in (blocks[1] if len(blocks) > 1 else "").splitlines() if line.strip()]
    newer = [line for line in blocks[0].splitlines() if re.search(r"newer|WARNING|NOTE", line)]
    unproven = [] if "\u2713" in output else ["b4 could not verify any signature"]
    return (*newer, *lines, *unproven)
