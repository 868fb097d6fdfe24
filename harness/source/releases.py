# SPDX-License-Identifier: GPL-2.0-only
"""Kernel releases: parse requests, compare versions, describe downloads."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from harness.errors import HostFault, UsageError
from harness.progress import Stage

_RELEASE = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(-rc\d+)?")
_FIELD = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class ReleaseRequest:
    """A requested release: ``line`` is "7.2"; ``exact`` is "7.2.13", or empty for the newest."""

    line: str
    exact: str

    def __str__(self) -> str:
        return self.exact or self.line

    def matches(self, version: str) -> bool:
        """Return whether ``version`` was requested; release candidates only if named exactly."""
        if self.exact:
            return version == self.exact
        return "-rc" not in version and version.split(".")[:2] == self.line.split(".")


@dataclasses.dataclass(frozen=True)
class Offer:
    """A release that a provider offers.

    ``name`` is its folder in the cache, ``size`` in bytes (0: unknown).  ``fetch(folder, stage)``
    downloads into ``folder``, resuming an earlier attempt, verifies the checksum and returns the
    tarball.  It raises HostFault.
    """

    version: str
    name: str
    origin: str
    size: int
    fetch: Callable[[Path, Stage], Path]


def parse(text: str) -> ReleaseRequest:
    """Parse "7.2" (the newest 7.2.x), "7.2.13", "7.2.0" (the first 7.2) or "7.3-rc2".

    Raises UsageError for anything else.
    """
    match = _RELEASE.fullmatch(text.strip())
    if not match or (match[3] and match[4]):
        raise UsageError(
            f"'{text}' is not a kernel release",
            hint="use 7.2 (the newest 7.2.x) or 7.2.13; for a git tree use --tree",
        )
    line = f"{match[1]}.{match[2]}"
    if match[4]:
        return ReleaseRequest(line, line + match[4])
    if match[3] is None:
        return ReleaseRequest(line, "")
    return ReleaseRequest(line, line if int(match[3]) == 0 else f"{line}.{int(match[3])}")


def sort_key(version: str) -> tuple[int, int, int, int]:
    """Return a key that sorts releases from old to new."""
    match = _RELEASE.fullmatch(version)
    if not match:
        return (0, 0, 0, 0)
    candidate = int(match[4][3:]) if match[4] else 1_000_000
    return int(match[1]), int(match[2]), int(match[3] or 0), candidate


def of_makefile(text: str) -> str:
    """Return the release in a kernel's top Makefile; empty if it is not a kernel's."""
    fields: dict[str, str] = dict(_FIELD.findall(text[:4096]))
    if not fields.get("VERSION") or "PATCHLEVEL" not in fields:
        return ""
    version = f"{fields['VERSION']}.{fields['PATCHLEVEL']}"
    if fields.get("SUBLEVEL", "0") not in ("", "0"):
        version += f".{fields['SUBLEVEL']}"
    return version + fields.get("EXTRAVERSION", "")


def check_sha256(path: Path, sha256: str, what: str) -> None:
    """Verify a file's checksum.  Removes the file and raises HostFault if it is wrong."""
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256:
        path.unlink()
        raise HostFault(
            f"{what}: wrong checksum",
            hint="run the same command again; if it fails again, a proxy or mirror alters files",
            details=f"expected SHA-256 {sha256}\nreceived SHA-256 {actual}",
        )
