# SPDX-License-Identifier: GPL-2.0-only
"""The private folder of a living guest: short enough for socket paths, gone with the guest.

Sockets have at most 107 bytes of path, run folders may be anywhere, so sockets live below the
system's temporary folder.  The keeper holds a lock in it: a folder whose lock is free belongs to a
keeper that was killed, and ``sweep`` removes it with whatever still runs for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

from harness.errors import HostFault

_LOCK = "lock"
_YOUNG = 30.0  # seconds in which a folder without a lock is one being made
_LONGEST = 60  # of the base folder's name, so that sockets below stay within 107 bytes


def base() -> Path:
    """Give this user's folder for living guests.  Raises HostFault when it is not ours alone."""
    top = Path(tempfile.gettempdir())
    if len(os.fsencode(top)) > _LONGEST or '"' in str(top) or "," in str(top):
        top = Path("/tmp")  # ours alone, which is checked
    folder = top / f"harness-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError as error:
        raise HostFault(f"cannot make {folder}: {error.strerror}", hint="set TMPDIR") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise HostFault(f"{folder} is not a private folder of ours", hint=f"rm -r {folder}")
    return folder


class Private:
    """A fresh private folder with its lock held, until ``remove``."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir=base()))
        # Under its name only when it is held, or a sweep could take it for a dead one's.
        fresh = self.path / f"{_LOCK}.new"
        self._lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove the folder and give the lock up."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def sweep() -> int:
    """Clear what killed runs left: processes and folders; gives the number of folders."""
    count = 0
    for folder in base().iterdir():
        if folder.is_dir() and _dead(folder):
            _end(folder)
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _dead(folder: Path) -> bool:
    try:
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime > _YOUNG
        return False
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _end(folder: Path) -> None:
    # A process that names our folder, whose name is random, in its arguments belongs to it.
    mark = os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
