# SPDX-License-Identifier: GPL-2.0-only
"""Download a file: shown, resumed where it stopped, compared with its checksum."""

from __future__ import annotations

import errno
import hashlib
import http
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from harness.errors import HostFault
from harness.progress import Stage

_TIMEOUT = 20.0  # seconds without a byte
_ASKING = 5.0  # the same for a small file: each of a host's addresses may take as long
_TRIES = 4  # every try goes on where the one before stopped
_BLOCK = 1 << 20

_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)  # our disk's fault
_Errors = (OSError, http.client.HTTPException)


def text(url: str) -> str:
    """Give a small file's text.  Raises HostFault with the reason in one line."""
    try:
        with urllib.request.urlopen(url, timeout=_ASKING) as answer:
            content: bytes = answer.read()
    except _Errors as error:
        raise HostFault(f"{url}: {_reason(error)}", hint="check the network") from error
    return content.decode("utf-8", "replace")


def fetch(url: str, place: Path, sha256: str, stage: Stage) -> Path:
    """Download to ``place``, which exists only once it is whole and its checksum right."""
    part = place.with_name(place.name + ".part")
    for left in reversed(range(_TRIES)):
        try:
            _append(url, part, stage)
            break
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing comes after what we have
                break
            raise HostFault(f"{url}: {_reason(error)}", hint="try again later") from error
        except _Errors as error:
            if isinstance(error, OSError) and error.errno in _OURS:
                hint = "free some space (harness clean), or set HARNESS_CACHE elsewhere"
                raise HostFault(f"cannot write {part}: {error.strerror}", hint=hint) from error
            if not left:
                raise HostFault(f"{url}: {_reason(error)}", hint="check the network") from error
            stage.update(note=f"{_reason(error)}; going on")
    check(part, sha256, url)
    return part.rename(place)


def check(path: Path, sha256: str, what: str) -> None:
    """Compare a file with its checksum; a wrong file is removed.  Raises HostFault."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        path.unlink()
        raise HostFault(
            f"{what} came with a wrong checksum",
            hint="start again; if it stays, a proxy or mirror on the way alters files",
            details=f"expected SHA-256 {sha256}\nreceived SHA-256 {found}",
        )


def _append(url: str, part: Path, stage: Stage) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        have = have if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if have else "wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                have += len(block)
                stage.update(have / 1e6, total / 1e6, f"MB of {url}")
    if have < total:  # reading in blocks does not notice that the other side hung up
        raise http.client.IncompleteRead(b"", total - have)


def _reason(error: BaseException) -> str:
    """Say in a few words why a download failed."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, BaseException) else error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
