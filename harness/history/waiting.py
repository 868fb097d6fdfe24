# SPDX-License-Identifier: GPL-2.0-only
"""Records that wait for the database: a small file for each run, written when the run begins.

So a run can begin without the database, and a broken database cannot make it fail.  The process
that begins a record holds its lock until the process ends: a record that is not locked, and in
which no end is recorded, belongs to a killed run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from harness import paths, serial
from harness.history.run_facts import Ended, RunFacts

FORM = 1


def new_id() -> str:
    """Return a name for a run: short, random, never only digits."""
    return secrets.choice("abcdef") + secrets.token_hex(4)[:7]


def folder(url: str) -> Path:
    """Return the folder of the records waiting for a database, readable only by its owner."""
    place = _folder(url)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _folder(url: str) -> Path:
    name = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()[:12]
    return paths.state("history", "waiting") / name


def ids(url: str) -> tuple[str, ...]:
    """Return the runs, running or ended, whose records wait for this database."""
    return tuple(file.stem for file in _folder(url).glob("*.json"))


@dataclasses.dataclass
class WaitingRecord:
    """A record owned by this process, which holds its lock until ``close``."""

    file: Path
    lock: int

    def write(self, facts: RunFacts) -> None:
        """Write what is known now, except the sides: those are in the run's folder.

        Raises OSError.
        """
        serial.write(self.file, dataclasses.replace(facts, sides=(), form=FORM))

    def close(self, *, taken: bool) -> None:
        """Unlock the record; ``taken``: it is in the database, so remove the file."""
        with contextlib.suppress(OSError):
            if taken:
                self.file.unlink(missing_ok=True)
                _lock_file(self.file).unlink(missing_ok=True)
        os.close(self.lock)


def begin(url: str, facts: RunFacts) -> WaitingRecord:
    """Begin a record.  Raises OSError when it cannot be written."""
    file = folder(url) / f"{facts.id}.json"
    lock = _try_lock(file)
    assert lock is not None  # the id is new, so no other process can hold the lock
    record = WaitingRecord(file, lock)
    try:
        record.write(facts)
    except OSError:
        record.close(taken=True)
        raise
    return record


def unheld(url: str) -> Iterator[tuple[WaitingRecord, RunFacts]]:
    """Lock and yield each record that no process holds; the caller closes it.

    A run that did not record its end is marked KILLED.
    """
    for file in sorted(folder(url).glob("*.json")):
        lock = _try_lock(file)
        if lock is None:
            continue
        facts = _read(file)  # after locking: the previous holder may have changed or removed it
        if facts is None:
            WaitingRecord(file, lock).close(taken=not file.exists())
            continue
        if facts.ended is Ended.RUNNING:
            facts = dataclasses.replace(facts, ended=Ended.KILLED)
        yield WaitingRecord(file, lock), facts


def running(url: str = "") -> tuple[RunFacts, ...]:
    """Return this machine's runs that have not ended, for one database or for all."""
    folders = [folder(url)] if url else paths.state("history", "waiting").iterdir()
    runs = []
    for file in (file for place in folders for file in sorted(place.glob("*.json"))):
        lock = _try_lock(file)
        if lock is not None:
            os.close(lock)
            continue
        facts = _read(file)
        if facts is not None and facts.ended is Ended.RUNNING:
            runs.append(facts)
    return tuple(runs)


def _lock_file(file: Path) -> Path:
    return file.with_suffix(".lock")


def _try_lock(file: Path) -> int | None:
    """Lock a record and return the descriptor; None when another process holds it."""
    lock = os.open(_lock_file(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _read(file: Path) -> RunFacts | None:
    """Read a record; None if it is gone, damaged, or has another format."""
    try:
        facts = serial.read(file, RunFacts)
    except (OSError, serial.DamagedError):
        return None
    return facts if facts.form == FORM else None
