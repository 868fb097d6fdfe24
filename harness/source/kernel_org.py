# SPDX-License-Identifier: GPL-2.0-only
"""Download releases from kernel.org: tarballs, and a list of their checksums."""

from __future__ import annotations

import functools
import http
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path

from harness import paths
from harness.errors import HostFault
from harness.progress import Stage
from harness.source import releases
from harness.source.releases import Offer, ReleaseRequest

BASE = "https://cdn.kernel.org/pub/linux/kernel"

_CHECKSUM = re.compile(r"^([0-9a-f]{64})  linux-(\d+\.\d+(?:\.\d+)?)\.tar\.xz$", re.MULTILINE)
_SIZE = 170_000_000  # approximate bytes of a tarball; the list has no sizes
_TIMEOUT = 20.0  # seconds without data
_LIST_TIMEOUT = 5.0  # the same for the list; it applies to each of a host's addresses
_TRIES = 4  # each try resumes the previous download
_BLOCK = 1 << 20
_Errors = (OSError, http.client.HTTPException)


def offers(request: ReleaseRequest, stage: Stage) -> list[Offer]:
    """Return the releases that match.  Raises HostFault if the list cannot be downloaded."""
    folder = f"{BASE}/v{request.line.partition('.')[0]}.x"
    stage.update(note=f"searching {folder}")
    checksums = download_text(f"{folder}/sha256sums.asc")
    return [
        Offer(
            version=version,
            name=f"linux-{version}",
            origin=f"{folder}/linux-{version}.tar.xz",
            size=_SIZE,
            fetch=functools.partial(_fetch, f"{folder}/linux-{version}.tar.xz", sha256),
        )
        for sha256, version in _CHECKSUM.findall(checksums)
        if request.matches(version)
    ]


def _fetch(url: str, sha256: str, folder: Path, stage: Stage) -> Path:
    place = folder / url.rpartition("/")[2]
    return place if place.exists() else download(url, place, sha256, stage)


def download_text(url: str) -> str:
    """Return the text of a small file.  Raises HostFault with the reason in one line."""
    try:
        with urllib.request.urlopen(url, timeout=_LIST_TIMEOUT) as response:
            content: bytes = response.read()
    except _Errors as error:
        raise HostFault(f"{url}: {_reason(error)}", hint="check the network") from error
    return content.decode("utf-8", "replace")


def download(url: str, place: Path, sha256: str, stage: Stage) -> Path:
    """Download to ``place``, which only exists once it is complete and its checksum is correct."""
    part = place.with_name(place.name + ".part")
    for left in reversed(range(_TRIES)):
        try:
            _append(url, part, stage)
            break
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                break  # the file is complete
            raise HostFault(f"{url}: {_reason(error)}", hint="try again later") from error
        except _Errors as error:
            if not left:
                raise HostFault(f"{url}: {_reason(error)}", hint="check the network") from error
            stage.update(note=f"{_reason(error)}; continuing")
    releases.check_sha256(part, sha256, url)
    return part.rename(place)


def _append(url: str, part: Path, stage: Stage) -> None:
    with paths.writing(part):
        part.touch()
    have = part.stat().st_size
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        have = have if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        total = have + int(response.headers.get("Content-Length") or 0)
        while block := response.read(_BLOCK):
            with paths.writing(part), part.open("ab" if have else "wb") as file:
                file.write(block)
            have += len(block)
            stage.update(have / 1e6, total / 1e6, f"MB of {url}")
    if have < total:  # reading in blocks does not detect a disconnect by the server
        raise http.client.IncompleteRead(b"", total - have)


def _reason(error: BaseException) -> str:
    """Return why a download failed, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, BaseException) else error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
