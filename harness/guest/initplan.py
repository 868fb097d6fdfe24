# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's init has to do, and how the host's Python is set up."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import serial
from harness.guest import qemu
from harness.guest.spec import GuestSpec

_ROOT = Path(__file__).parents[2]
_OWN_FINDERS = {"_frozen_importlib", "_frozen_importlib_external", "_distutils_hack"}


@dataclasses.dataclass(frozen=True)
class InitPlan:
    """facts.json, which ``harness.guestside.bootstrap`` reads with the standard library.

    ``job`` is "worker" (serves the results port) or "command" (runs ``command``, or a shell, on the
    console).  ``size`` is the terminal's rows and columns.  ``site``: whether to process .pth
    files.  ``rewritten`` is a folder with modules whose assertions pytest has rewritten.
    """

    name: str
    job: str
    command: tuple[str, ...]
    size: tuple[int, ...]
    port: str
    cwd: str
    overlays: tuple[str, ...]
    writable: tuple[tuple[str, str, str], ...]
    hold: bool
    modules: str
    environment: dict[str, str]
    sys_path: tuple[str, ...]
    prefix: str
    exec_prefix: str
    executable: str
    site: bool
    rewritten: str


def write(spec: GuestSpec, name: str, run: Path, command: Sequence[str] | None = None) -> None:
    """Write ``run``/facts.json for a worker, or for a command (if empty: a shell).

    The caller must use the same Python interpreter as the guest, with the same packages.
    """
    plan = InitPlan(
        name=name,
        job="worker" if command is None else "command",
        command=tuple(command or ()),
        size=_terminal_size(),
        port=qemu.PORT,
        cwd=str(spec.cwd),
        overlays=spec.overlays,
        writable=tuple(qemu.mounts(spec)),
        hold=spec.hold > 0,
        modules=str(spec.modules or ""),
        environment=environment(spec, name),
        sys_path=tuple(search_path()),
        prefix=sys.prefix,
        exec_prefix=sys.exec_prefix,
        executable=str(spec.python),
        site=foreign_finders(),
        rewritten=str(spec.bundle / "pyc") if spec.bundle else "",
    )
    serial.write(run / "facts.json", plan)


def _terminal_size() -> tuple[int, ...]:
    """Return the rows and columns of the user's terminal; empty without a terminal."""
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return ()
    return size.lines, size.columns


def environment(spec: GuestSpec, name: str) -> dict[str, str]:
    """Return the environment for programs in the guest."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/root"),
        "TERM": os.environ.get("TERM", "linux"),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": qemu.hash_seed(spec),
        **dict(spec.environment),
        "HARNESS_GUEST": name,
    }


def search_path() -> list[str]:
    """Return sys.path for the guest: our own, plus the folder that contains this package."""
    paths = [os.path.abspath(path) for path in sys.path if path]  # noqa: PTH100 - keeps symlinks
    return list(dict.fromkeys([*paths, str(_ROOT)]))


def foreign_finders() -> bool:
    """Return whether this Python has additional import finders, as editable installs do.

    The guest must then process .pth files as Python usually does, which takes a little time.
    """
    return any(
        getattr(finder, "__module__", type(finder).__module__) not in _OWN_FINDERS
        for finder in sys.meta_path
    )
