# SPDX-License-Identifier: GPL-2.0-only
"""What every new cache would have to make again: made in the first, and linked into the others.

The Python bundle for guests takes more than a run of a fake guest, and is the same for all of
them.  test_guest_bundle.py is about making it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from unittest import mock

import pytest

from harness.guest import bundle

_made: list[Path] = []  # the bundle in the first cache of this process


def cache(place: Path) -> None:
    """Begin a cache that has the bundle; one that is there stays as it is."""
    if os.path.lexists(place):
        return
    if _made and _made[0].is_dir():
        shutil.copytree(_made[0], place / "images" / _made[0].name, copy_function=_link)
        return
    with mock.patch.dict(os.environ, {"HARNESS_CACHE": str(place)}):
        made = bundle.ready(Path(sys.executable))
    _made[:] = [made] if made else []


def own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a cache in ``folder``, for all that a test starts; a person's own stays out of it."""
    monkeypatch.setenv("HARNESS_CACHE", str(folder / "cache"))
    cache(folder / "cache")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
