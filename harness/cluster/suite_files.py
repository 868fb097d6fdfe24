# SPDX-License-Identifier: GPL-2.0-only
"""The files of a plan's suites on their way to a worker.

Their paths stay the same below a folder of the worker's cache, so that tests have the same names
there: a name is the path from the project's folder.
"""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path

from harness import adaptors, options, paths
from harness.cluster import request
from harness.errors import UsageError
from harness.lab import trial
from harness.model import Plan

_SETTINGS = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
_IGNORED = {"__pycache__", ".git", ".pytest_cache"}
_CACHE = "suites"


def pack(plan: Plan) -> bytes:
    """Pack everything that the plan's own suites are made of.

    Raises UsageError for what can only be used on this machine.
    """
    for disk in plan.disks:
        if options.is_disk_file(disk):
            raise UsageError(
                f"--disk {disk} is a file of this machine", hint="--disk 4G, or null_blk"
            )
    found = {file.resolve().as_posix().lstrip("/"): file for file in _files(plan)}
    return request.archive(found.items())


def _files(plan: Plan) -> Iterator[Path]:
    yield from (plan.folder / name for name in _SETTINGS if (plan.folder / name).is_file())
    for folder in _python_path(plan.folder):
        packages = (init.parent for init in folder.glob("*/__init__.py"))
        yield from itertools.chain(folder.glob("*.py"), *map(_below, packages))
    for suite in plan.suites:
        if adaptors.parse(suite):
            continue
        top = plan.folder / suite.partition("::")[0]
        yield from _below(top) if top.is_dir() else [top]
        yield from trial.shared_files(top, plan.folder)


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not _IGNORED.intersection(path.parts):
            yield path


def _python_path(folder: Path) -> list[Path]:
    """Return the folders that pytest's settings add to Python's path."""
    try:
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        named = table["tool"]["pytest"]["ini_options"]["pythonpath"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [folder / name for name in ([named] if isinstance(named, str) else named)]


def unpacked(plan: Plan, archive: bytes) -> Plan:
    """Unpack the suites on a worker, unless they are there; return the plan that uses them.

    Raises HostFault if the disk is full.
    """
    place = paths.cache(_CACHE) / request.digest_of(archive)[:24]
    if not place.is_dir():
        request.unpack(archive, place)
    folder = _moved(plan.folder, place)
    folder.mkdir(parents=True, exist_ok=True)
    suites = tuple(_moved_suite(suite, place) for suite in plan.suites)
    return dataclasses.replace(plan, folder=folder, suites=suites)


def _moved_suite(suite: str, place: Path) -> str:
    if adaptors.parse(suite) or not suite.startswith("/"):
        return suite
    file, colons, test = suite.partition("::")
    return f"{_moved(Path(file), place)}{colons}{test}"


def _moved(path: Path, place: Path) -> Path:
    return place / path.resolve().relative_to("/")
