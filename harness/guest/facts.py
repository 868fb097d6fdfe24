# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's first process is told: who it is, what to do, how the host's Python looks."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.guest import command
from harness.guest.spec import GuestSpec

_ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of a variable, as shells take it


@dataclasses.dataclass(frozen=True)
class Job:
    """What a guest is for: "worker" serves the results port, "command" has the console."""

    kind: str
    words: tuple[str, ...] = ()


WORKER = Job("worker")


def write(spec: GuestSpec, name: str, run: Path, job: Job) -> None:
    """Write ``run``/facts.json for ``harness.guestside.bootstrap``.

    Called in a process that runs the interpreter the guest is to run, with the same packages.
    """
    value = {
        "name": name,
        "job": job.kind,
        "words": list(job.words),
        "size": _size(),
        "port": command.PORT,
        "cwd": str(spec.cwd),
        "overlays": list(spec.overlays),
        "writable": command.mounts(spec),
        "hold": spec.hold > 0,
        "modules": str(spec.modules or ""),
        "environment": environment(spec, name),
        "sys_path": search_path(),
        "prefix": sys.prefix,
        "exec_prefix": sys.exec_prefix,
        "executable": str(spec.python),
        "site": foreign_finders(),
        "rewritten": str(spec.bundle / "pyc") if spec.bundle else "",
    }
    (run / "facts.json").write_text(json.dumps(value))


def _size() -> list[int]:
    # Rows and columns of the person's terminal, empty without one.
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return []
    return [size.lines, size.columns]


def environment(spec: GuestSpec, name: str) -> dict[str, str]:
    """Give what programs in the guest see as their environment."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/root"),
        "TERM": os.environ.get("TERM", "linux"),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": command.hash_seed(spec),
        **dict(spec.environment),
        "HARNESS_GUEST": name,
    }


def variables(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read what --guest-env was given: NAME=VALUE, or NAME for the value it has here.

    Raises UsageError for a name that cannot be one, or that has no value here.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not _NAME.fullmatch(name):
            meant = re.sub(r"^(?=[0-9])|[^A-Za-z0-9_]", "_", name) or "NAME"
            raise UsageError(
                f"--guest-env: {name!r} is not the name of a variable",
                hint=f"--guest-env {shlex.quote(meant + equals + value)}",
            )
        if not equals and name not in os.environ:
            raise UsageError(
                f"--guest-env {name}: there is no such variable here",
                hint=f"--guest-env {name}=VALUE sets it in the guests",
            )
        found[name] = value if equals else os.environ[name]
    return tuple(found.items())


def search_path() -> list[str]:
    """Give sys.path for the guest: ours, and where this package lies."""
    paths = [os.path.abspath(path) for path in sys.path if path]  # noqa: PTH100 - keeps symlinks
    return list(dict.fromkeys([*paths, str(_ROOT)]))


def foreign_finders() -> bool:
    """Say whether something beside a path makes modules here (an editable install's own finder).

    Then the guest has to go through the .pth files like any Python, which costs a little time.
    """
    known = {"_frozen_importlib", "_frozen_importlib_external", "_distutils_hack"}
    return any(
        getattr(finder, "__module__", type(finder).__module__) not in known
        for finder in sys.meta_path
    )
