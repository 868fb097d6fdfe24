# SPDX-License-Identifier: GPL-2.0-only
"""The bundle of Python modules for guests: made once, made again when a source changes.

A folder of the cache: ``modules`` is what harness.guestside.bundled reads, ``pyc`` holds compiled
files for what is imported before it and for modules whose assertions pytest has rewritten,
``stamps.json`` says when the sources were last changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

from harness import paths, process
from harness.errors import HostFault
from harness.guest import folder

MODULES, COMPILED, STAMPS = "modules", "pyc", "stamps.json"
_LIMIT = 60.0  # seconds to make it; one is usual


def ready(python: Path) -> Path | None:
    """Give the bundle's folder for guests that run ``python``.

    None when it cannot be made: guests then start without it, only slower.
    """
    place = paths.cache("images") / f"python-{_key(python)}"
    if fresh(place):
        return place
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as scratch:
            made = Path(scratch) / place.name
            _make(python, made)
            with contextlib.suppress(FileNotFoundError):
                place.rename(Path(scratch) / "old")
            made.rename(place)
    except (HostFault, OSError):
        return place if fresh(place) else None  # another run may have been quicker
    return place


def _make(python: Path, made: Path) -> None:
    made.mkdir()
    environment = {
        **folder.search_environment(),
        "HARNESS_GUEST": "none",  # plugins import what they import in guests
        "PYTHONPYCACHEPREFIX": str(made / COMPILED),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    # By its path: -m would import this package, of which guests need nothing.
    gather = str(Path(__file__).with_name("gather.py"))
    process.run([str(python), "-P", gather, str(made)], env=environment, timeout=_LIMIT)


def fresh(place: Path) -> bool:
    """Say whether the bundle is there and all its sources are as they were."""
    try:
        stamps = json.loads((place / STAMPS).read_text())
        unchanged = all(os.stat(path).st_mtime_ns == then for path, then in stamps.items())  # noqa: PTH116
    except (OSError, ValueError, AttributeError):
        return False
    return unchanged and (place / MODULES).is_file()


def _key(python: Path) -> str:
    # Another Python, other packages or another harness is another bundle.
    parts = [f"{python}", str(Path(__file__).parents[2])]
    for path in (python, *sorted((python.parent.parent / "lib").glob("python3*/site-packages"))):
        parts.append(f"{path.resolve()}={path.stat().st_mtime_ns}")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
