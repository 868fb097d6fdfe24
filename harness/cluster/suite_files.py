# SPDX-License-Identifier: GPL-2.0-only
"""The files of a plan's suites on their way to a worker.

Their paths stay the same below a folder of the worker's cache, so that tests have the same names
there: a name is the path from the project's folder.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness import adaptors, options, paths
from harness.cluster import request
from harness.errors import UsageError
from harness.model import Plan
from harness.plugin import suite_files

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
    found = {file.resolve().as_posix().lstrip("/"): file for file in suite_files.of_plan(plan)}
    return request.archive(found.items())


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
