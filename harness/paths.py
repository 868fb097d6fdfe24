# SPDX-License-Identifier: GPL-2.0-only
"""Where the harness keeps its files, and how two runs share them.

The cache can be downloaded and built again; the state (runs) cannot.  ``HARNESS_CACHE`` and
``HARNESS_STATE`` move them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import platformdirs

from harness.errors import HostFault, Interrupted
from harness.progress import Progress


def cache(*parts: str) -> Path:
    """A folder of the cache, created if missing.  Raises HostFault."""
    return _folder("HARNESS_CACHE", platformdirs.user_cache_path("harness"), parts)


def state(*parts: str) -> Path:
    """A folder of the state, created if missing.  Raises HostFault."""
    return _folder("HARNESS_STATE", platformdirs.user_state_path("harness"), parts)


def expanded(path: str | Path) -> Path:
    """Replace ~ and ~user with the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user: then it is a file name like any other
        return Path(path)


def _folder(variable: str, default: Path, parts: tuple[str, ...]) -> Path:
    top = Path(os.environ.get(variable) or default).absolute()
    folder = top.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostFault(
            f"cannot write to {folder}: {error.strerror}",
            hint=f"set {variable} to a folder you can write to",
        ) from error
    return folder


@contextlib.contextmanager
def lock(
    path: Path, what: str, progress: Progress, stop: Callable[[], bool] = bool
) -> Iterator[None]:
    """Hold ``path`` (a lock file) exclusively; says so once when another run holds it.

    The lock is the kernel's: it ends with the process that holds it, however that happens.  A
    thread, which Ctrl-C does not reach, waits until ``stop`` returns True: then it raises
    Interrupted.
    """
    lock_file = filelock.FileLock(path)
    try:
        try:
            lock_file.acquire(timeout=0)
        except filelock.Timeout:
            progress.say(f"waiting for another run that uses {what}")
        while not lock_file.is_locked:
            try:
                lock_file.acquire(timeout=1)
            except filelock.Timeout:
                if stop():
                    raise Interrupted("interrupted while waiting for another run") from None
    except OSError as error:
        raise HostFault(
            f"cannot lock {path}: {error.strerror}",
            hint="set HARNESS_CACHE to a folder you can write to",
        ) from error
    try:
        yield
    finally:
        lock_file.release()


@contextlib.contextmanager
def in_use() -> Iterator[None]:
    """Keep ``harness clean`` away from the cache during the context; any number of runs may."""
    with _in_use_file() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def unused() -> Iterator[bool]:
    """Yield whether no run is ``in_use``; if so, new ones wait until the context ends."""
    with _in_use_file() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def _in_use_file() -> Iterator[int]:
    path = cache() / ".in-use"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HostFault(
            f"cannot write to {path}: {error.strerror}",
            hint="set HARNESS_CACHE to a folder you can write to",
        ) from error
    try:
        yield file
    finally:
        os.close(file)  # the lock goes with it


@contextlib.contextmanager
def scratch(near: Path) -> Iterator[Path]:
    """A temporary folder beside ``near`` (on one file system, so its content can be renamed)."""
    near.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{near.name}.", dir=near.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def writing(place: Path, elsewhere: str = "set HARNESS_CACHE elsewhere") -> Iterator[None]:
    """Turn a full disk or a missing permission below ``place`` into a HostFault that says so.

    ``elsewhere`` tells the user how to choose another place.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        # When a copy fills the disk, the error names the file that was read.
        where = place if full or not error.filename else error.filename
        raise HostFault(
            f"cannot write to {where}: {error.strerror or error}",
            hint=f"free some space (harness clean), or {elsewhere}" if full else elsewhere,
        ) from error


def need_space(
    folder: Path, size: int, what: str, elsewhere: str = "set HARNESS_CACHE elsewhere"
) -> None:
    """Raise HostFault when ``folder`` has less than ``size`` bytes free, before work is lost."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise HostFault(
            f"{what} needs {size / 1e9:.1f} GB in {folder}, only {free / 1e9:.1f} GB are free",
            hint=f"free some space (harness clean), or {elsewhere}",
        )
