# SPDX-License-Identifier: GPL-2.0-only
"""Releases as kernel.org publishes them: tarballs beside a list of their checksums."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from harness.progress import Stage
from harness.source import download, version
from harness.source.offer import Offer

BASE = "https://cdn.kernel.org/pub/linux/kernel"

_LINE = re.compile(r"^([0-9a-f]{64})  linux-(\d+\.\d+(?:\.\d+)?)\.tar\.xz$", re.MULTILINE)
_SIZE = 170_000_000  # bytes, about; the list does not tell


def offers(wanted: version.Wanted, stage: Stage) -> list[Offer]:
    """Give the releases that match.  Raises HostFault when the list cannot be had."""
    folder = f"{BASE}/v{wanted.line.partition('.')[0]}.x"
    stage.update(note=f"asking {folder}")
    listed = download.text(f"{folder}/sha256sums.asc")
    return [
        Offer(
            version=number,
            name=f"linux-{number}",
            origin=f"{folder}/linux-{number}.tar.xz",
            size=_SIZE,
            fetch=functools.partial(_fetch, f"{folder}/linux-{number}.tar.xz", sha256),
        )
        for sha256, number in _LINE.findall(listed)
        if wanted.matches(number)
    ]


def _fetch(url: str, sha256: str, folder: Path, stage: Stage) -> Path:
    place = folder / url.rpartition("/")[2]
    return place if place.exists() else download.fetch(url, place, sha256, stage)
