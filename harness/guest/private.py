# SPDX-License-Identifier: GPL-2.0-only
"""The private folder of a running guest, with a path short enough for sockets.

A socket's path is limited to 107 bytes and run folders may be anywhere, so sockets are in the
system's temporary folder.  The keeper holds a lock in the private folder: if the lock is free, the
keeper was killed, and ``sweep`` removes the folder and kills the processes that are still using it.
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
_YOUNG = 30.0  # seconds; the creation of a younger folder without a lock may not be finished
_LONGEST = 60  # limit in bytes for the base folder's path, so that sockets stay within 107 bytes


def base() -> Path:
    """Return this user's folder for running guests.

    Raises HostFault if other users have access to it.
    """
    top = Path(tempfile.gettempdir())
    if len(os.fsencode(top)) > _LONGEST or '"' in str(top) or "," in str(top):
        top = Path("/tmp")  # safe: the permissions of our folder in it are checked below
    folder = top / f"harness-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise HostFault(
            f"cannot create {folder}: {error.strerror}",
            hint="set TMPDIR to a folder that you can write to",
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        what = f"{folder} is not a private folder of this user"
        raise HostFault(what, hint=f"rm -r {folder}")
    return folder


class Private:
    """A new private folder, locked until ``remove``."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir=base()))
        # Renamed only once it is locked, or ``sweep`` could conclude that the keeper was killed.
        fresh = self.path / f"{_LOCK}.new"
        self._lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove the folder and release the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def sweep() -> int:
    """Kill processes and remove folders left by killed runs; return the number of folders."""
    count = 0
    for folder in base().iterdir():
        if folder.is_dir() and _abandoned(folder):
            _kill_users(folder)
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _abandoned(folder: Path) -> bool:
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


def _kill_users(folder: Path) -> None:
    # The folder's name is random, so a process that has it in its arguments belongs to this guest.
    mark = os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
