# SPDX-License-Identifier: GPL-2.0-only
"""The bundle of Python modules for guests: built once, and rebuilt when a source changes.

It is a folder in the cache.  harness.guestside.bundled reads ``modules``.  ``pyc`` contains the
compiled files of modules that are imported before the bundle, and of modules whose assertions
pytest has rewritten.  ``stamps.json`` contains the modification times of the sources.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from harness import paths, process, serial
from harness.errors import HostFault
from harness.guest import records

MODULES, COMPILED, STAMPS = "modules", "pyc", "stamps.json"
_LIMIT = 600.0  # seconds to build it: usually one, on a busy machine a minute


def ready(python: Path) -> Path | None:
    """Return the bundle's folder for guests that run ``python``.

    Returns None if it cannot be built; guests then start without it, more slowly.
    """
    place = paths.cache("images") / f"python-{_key(python)}"
    if fresh(place):
        return place
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as scratch:
            draft = Path(scratch) / place.name
            _build(python, draft)
            with contextlib.suppress(FileNotFoundError):
                place.rename(Path(scratch) / "old")
            draft.rename(place)
    except (HostFault, OSError):
        return place if fresh(place) else None  # another run may have built it meanwhile
    return place


def _build(python: Path, folder: Path) -> None:
    folder.mkdir()
    environment = {
        **records.python_environment(),
        "HARNESS_GUEST": "none",  # so that plugins import the same modules as in guests
        "PYTHONPYCACHEPREFIX": str(folder / COMPILED),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    # Run by path, because -m would also import this package, which guests do not need.
    gather = str(Path(__file__).with_name("gather.py"))
    process.run([str(python), "-P", gather, str(folder)], env=environment, timeout=_LIMIT)


def fresh(place: Path) -> bool:
    """Whether the bundle exists and its sources have not changed since it was built."""
    try:
        stamps = serial.read(place / STAMPS, dict[str, int])
        unchanged = all(os.stat(path).st_mtime_ns == then for path, then in stamps.items())  # noqa: PTH116
    except (OSError, serial.DamagedError):
        return False
    return unchanged and (place / MODULES).is_file()


def _key(python: Path) -> str:
    # A different Python, harness or set of packages needs its own bundle.
    parts = [f"{python}", str(Path(__file__).parents[2])]
    for path in (python, *sorted((python.parent.parent / "lib").glob("python3*/site-packages"))):
        parts.append(f"{path.resolve()}={path.stat().st_mtime_ns}")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
