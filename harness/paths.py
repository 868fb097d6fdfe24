# SPDX-License-Identifier: GPL-2.0-only
"""Where the harness keeps things, and how two runs share them.

The cache can be made again from the network and by building; the state (runs) cannot.
``HARNESS_CACHE`` and ``HARNESS_STATE`` move them.
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
    """Give a folder of the cache, made if missing."""
    return _folder("HARNESS_CACHE", platformdirs.user_cache_path("harness"), parts)


def state(*parts: str) -> Path:
    """Give a folder of the state, made if missing."""
    return _folder("HARNESS_STATE", platformdirs.user_state_path("harness"), parts)


def expanded(path: str | Path) -> Path:
    """Put a home folder for ~; the one of somebody whom nobody knows is a name like others."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
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
    """Hold ``path`` (a lock file) alone; says so once when another run holds it.

    The lock is the kernel's: it goes with the process that holds it, however that ends.  A thread
    that Ctrl-C does not reach waits until ``stop`` says so, and then raises Interrupted.
    """
    held = filelock.FileLock(path)
    try:
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            progress.say(f"waiting for another run that uses {what}")
            _acquire(held, stop)
    except OSError as error:
        raise HostFault(
            f"cannot lock {path}: {error.strerror}",
            hint="set HARNESS_CACHE to a folder you can write to",
        ) from error
    try:
        yield
    finally:
        held.release()


def _acquire(held: filelock.BaseFileLock, stop: Callable[[], bool]) -> None:
    while True:
        with contextlib.suppress(filelock.Timeout):
            held.acquire(timeout=1)
            return
        if stop():
            raise Interrupted("interrupted while waiting for another run")


@contextlib.contextmanager
def in_use() -> Iterator[None]:
    """Keep ``harness clean`` away from the cache while the context lasts; any number may."""
    with _in_use_file() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def unused() -> Iterator[bool]:
    """Give whether nobody is ``in_use``; if so, new ones wait until the context ends."""
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
    """A temporary folder beside ``near`` (same file system, so its content can be renamed)."""
    near.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{near.name}.", dir=near.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def writing(place: Path, elsewhere: str = "set HARNESS_CACHE elsewhere") -> Iterator[None]:
    """Turn a full disk or a missing permission below ``place`` into a HostFault that says so.

    ``elsewhere`` tells how another place is named.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        # A copy that fills the disk names the file it reads.
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
            f"{what} needs {size / 1e9:.1f} GB in {folder}, {free / 1e9:.1f} GB are free",
            hint=f"free some space (harness clean), or {elsewhere}",
        )
