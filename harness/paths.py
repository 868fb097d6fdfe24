# SPDX-License-Identifier: GPL-2.0-only
"""The locations of the harness's files, and locks to share them between runs.

The cache can be downloaded and rebuilt; the state (runs) cannot.  ``HARNESS_CACHE`` and
``HARNESS_STATE`` set their locations.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import HostFault, Interrupted, UsageError

# platformdirs, filelock and tempfile are imported where they are used: every command imports this
# module, and short ones use none of them.

if typing.TYPE_CHECKING:
    from harness.progress import Progress


def cache(*parts: str) -> Path:
    """Return a folder of the cache, created if missing.  Raises HostFault."""
    return _folder("cache", parts)


def state(*parts: str) -> Path:
    """Return a folder of the state, created if missing.  Raises HostFault."""
    return _folder("state", parts)


def expanded(path: str | Path) -> Path:
    """Replace ~ and ~user with the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user, so it is an ordinary file name
        return Path(path)


def require_utf8(path: str | Path, what: str) -> None:
    """Raise UsageError if a path is not valid UTF-8: pytest-xdist cannot send it to a guest."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{what} is not valid UTF-8: {os.fsencode(path).decode(errors='backslashreplace')}",
            hint="rename it: guests cannot run tests below such a path",
        ) from None


def _folder(kind: str, parts: tuple[str, ...]) -> Path:
    variable = f"HARNESS_{kind.upper()}"
    folder = Path(os.environ.get(variable) or _default(kind)).absolute().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostFault(
            f"cannot write to {folder}: {error.strerror}",
            hint=f"set {variable} to a folder you can write to",
        ) from error
    return folder


def _default(kind: str) -> Path:
    import platformdirs

    default: Path = getattr(platformdirs, f"user_{kind}_path")("harness")
    return default


@contextlib.contextmanager
def lock(
    path: Path, what: str, progress: Progress, stop: Callable[[], bool] = bool
) -> Iterator[None]:
    """Hold the lock file ``path`` exclusively; print a message if another run holds it.

    The kernel releases the lock when the process that holds it ends for any reason.  A thread,
    which Ctrl-C does not reach, stops waiting when ``stop`` returns True, and raises Interrupted.
    """
    import filelock

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
    """Keep ``harness clean`` away from the cache during the context; the lock is shared by runs."""
    with _in_use_file() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def unused() -> Iterator[bool]:
    """Yield whether no run holds ``in_use``; if so, new runs wait until the context ends."""
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
        os.close(file)  # also releases the lock


@contextlib.contextmanager
def scratch(near: Path) -> Iterator[Path]:
    """Create a temporary folder next to ``near``, on the same file system for renames."""
    import tempfile

    near.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{near.name}.", dir=near.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def writing(place: Path, elsewhere: str = "set HARNESS_CACHE to another disk") -> Iterator[None]:
    """Turn a full disk or a missing permission below ``place`` into a HostFault.

    ``elsewhere`` is a hint on how to choose another folder.
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
    folder: Path, size: int, what: str, elsewhere: str = "set HARNESS_CACHE to another disk"
) -> None:
    """Raise HostFault if ``folder`` has less than ``size`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise HostFault(
            f"{what} needs {size / 1e9:.1f} GB in {folder}, only {free / 1e9:.1f} GB are free",
            hint=f"free some space (harness clean), or {elsewhere}",
        )


def own_suite(test: str) -> str:
    """Return a test or a suite; if it is the harness's own, with its path in this installation.

    Its ids are the same in all folders that pytest starts from.
    """
    package = Path(__file__).parent
    own = test.startswith(f"{package.name}/lab/suite/")
    return str(package.parent / test) if own else test
