# SPDX-License-Identifier: GPL-2.0-only
"""Mails that come through a pipe, over the network or compressed, kept as a file in the cache."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Protocol

from harness import paths
from harness.errors import SeriesError

LIMIT = 4 << 30  # bytes; a pipe may never end, and few bytes can unpack to very many
_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"


class Stream(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Give at most ``size`` bytes, none at the end."""


def keep(stream: Stream, what: str) -> Path:
    """Copy a stream to a file that is named by its content; gzip is unpacked."""
    home = paths.cache("series")
    digest = hashlib.sha256()
    size = 0
    with paths.writing(home), paths.scratch(home / "spool") as scratch:
        with (scratch / "mbox").open("wb") as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > LIMIT:
                    raise SeriesError(
                        f"{what} has more than {LIMIT >> 30} GB",
                        hint="give only the mails of the series",
                    )
                digest.update(block)
                file.write(block)
        folder = paths.cache("series", f"mails-{digest.hexdigest()[:20]}")
        place = (scratch / "mbox").replace(folder / "mails.mbox")
    return unpacked(place)


def unpacked(path: Path) -> Path:
    """Give the file, or if it is gzip what is in it; one that cannot be unpacked as it is."""
    with contextlib.suppress(OSError, EOFError, zlib.error):  # whoever reads it says what is wrong
        with path.open("rb") as file:
            if file.read(2) != _GZIP:
                return path
        with gzip.open(path) as packed:
            return keep(packed, str(path))
    return path
