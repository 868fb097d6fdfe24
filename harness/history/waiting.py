# SPDX-License-Identifier: GPL-2.0-only
"""Records that wait for the database: a small file for each run, written when it begins.

So a run needs no database to begin, and a broken one cannot hurt it.  Whoever begins a record
holds its lock, which goes with the process: a record whose lock is free, and that does not say how
its run ended, is of a run that was killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from harness import paths
from harness.history.facts import Ended, RunFacts
from harness.serial import from_json, to_json

FORM = 1


def new_id() -> str:
    """Make a name for a run: short, unlike any other, and never all digits."""
    return secrets.choice("abcdef") + secrets.token_hex(4)[:7]


def folder(url: str) -> Path:
    """Give the folder of the records that wait for one database; their texts are private."""
    place = _place(url)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _place(url: str) -> Path:
    name = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()[:12]
    return paths.state("history", "waiting") / name


def some(url: str) -> bool:
    """Whether any run waits for a database, over or not."""
    return any(_place(url).glob("*.json"))


@dataclasses.dataclass
class Record:
    """A record that is ours: its lock is held until ``close``."""

    file: Path
    lock: int

    def write(self, facts: RunFacts) -> None:
        """Write what is known now; the sides are never in it, the run's folder has them."""
        table = {"form": FORM, **to_json(dataclasses.replace(facts, sides=()))}
        draft = self.file.with_suffix(".part")
        draft.write_text(json.dumps(table), encoding="utf-8", errors="surrogateescape")
        draft.replace(self.file)

    def close(self, *, taken: bool) -> None:
        """Let go of it; ``taken``: the database has it."""
        with contextlib.suppress(OSError):
            if taken:
                self.file.unlink(missing_ok=True)
                _lock_file(self.file).unlink(missing_ok=True)
        os.close(self.lock)


def begin(url: str, facts: RunFacts) -> Record:
    """Begin a record.  Raises OSError when it cannot be written."""
    file = folder(url) / f"{facts.id}.json"
    lock = _locked(file)
    assert lock is not None  # nobody else has this name
    record = Record(file, lock)
    try:
        record.write(facts)
    except OSError:
        record.close(taken=True)
        raise
    return record


def ours(url: str) -> Iterator[tuple[Record, RunFacts]]:
    """Give the records that nobody holds, each ours while the caller has it.

    A run that did not say how it ended is KILLED here.  The caller closes each.
    """
    for file in sorted(folder(url).glob("*.json")):
        lock = _locked(file)
        if lock is None:
            continue
        facts = _read(file)  # now: whoever held the lock may have written or taken it meanwhile
        if facts is None:
            Record(file, lock).close(taken=not file.exists())
            continue
        if facts.ended is Ended.RUNNING:
            facts = dataclasses.replace(facts, ended=Ended.KILLED)
        yield Record(file, lock), facts


def running(url: str = "") -> tuple[RunFacts, ...]:
    """Give the runs of this machine that are under way, of one database or of all."""
    places = [folder(url)] if url else paths.state("history", "waiting").iterdir()
    files = [file for place in places for file in sorted(place.glob("*.json"))]
    found = []
    for file in files:
        lock = _locked(file)
        if lock is not None:
            os.close(lock)
            continue
        facts = _read(file)
        if facts is not None and facts.ended is Ended.RUNNING:
            found.append(facts)
    return tuple(found)


def _lock_file(file: Path) -> Path:
    return file.with_suffix(".lock")


def _locked(file: Path) -> int | None:
    """Take a record's lock; None when somebody has it."""
    lock = os.open(_lock_file(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _read(file: Path) -> RunFacts | None:
    """Read a record; None when it is gone, cut, or a later harness's."""
    try:
        table = json.loads(file.read_text(encoding="utf-8", errors="surrogateescape"))
        if table.get("form") != FORM:
            return None
        facts: RunFacts = from_json(RunFacts, table)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return facts
