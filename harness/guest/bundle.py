# SPDX-License-Identifier: GPL-2.0-only
"""The bundle of Python modules for guests: made once, made again when a source changes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from harness import paths, process
from harness.errors import HostFault

_LIMIT = 60.0  # seconds to make it; one is usual
_ROOT = str(Path(__file__).parents[2])


def ready(python: Path) -> Path | None:
    """Give the bundle for guests that run ``python``; None when it cannot be made (guests start
    without it, only slower)."""
    bundle = place(python)
    if fresh(bundle):
        return bundle
    try:
        with tempfile.TemporaryDirectory(dir=bundle.parent, prefix=".") as scratch:
            made = Path(scratch) / bundle.name
            # By its path: -m would import this package, of which guests need nothing.
            words = [str(python), "-P", str(Path(__file__).with_name("gather.py")), str(made)]
            # In a guest the plugins do what they do there, and import accordingly.
            process.run(
                words, env={**search_environment(), "HARNESS_GUEST": "none"}, timeout=_LIMIT
            )
            made.with_suffix(".json").replace(bundle.with_suffix(".json"))
            made.replace(bundle)
    except (HostFault, OSError):
        return None
    return bundle


def place(python: Path) -> Path:
    """Give where the bundle is kept."""
    name = hashlib.sha256(f"{python}\0{_stamp(python)}\0{_ROOT}".encode()).hexdigest()[:20]
    return paths.cache("images") / f"{name}.bundle"


def fresh(bundle: Path) -> bool:
    """Say whether the bundle is there and all its sources are as they were."""
    try:
        stamps = json.loads(bundle.with_suffix(".json").read_text())
        unchanged = all(os.stat(path).st_mtime_ns == then for path, then in stamps.items())  # noqa: PTH116
        return unchanged and bundle.is_file()
    except (OSError, ValueError, AttributeError):
        return False


def _stamp(python: Path) -> str:
    # Another Python or another set of packages is another bundle.
    site = python.parent.parent / "lib"
    found = [python.resolve(), *sorted(site.glob("python3*/site-packages"))]
    return " ".join(f"{path}={path.stat().st_mtime_ns}" for path in found if path.exists())


def search_environment() -> dict[str, str]:
    """Give the environment in which a Python finds the harness even where it is not installed."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))}
