# SPDX-License-Identifier: GPL-2.0-only
"""Keep the record of a run while it goes on.  Nothing here can fail or hold up the run."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import harness
from harness.errors import HarnessError, Interrupted, UsageError
from harness.history import address, identity, waiting
from harness.history.facts import Ended, Host, RunFacts, SourceFacts
from harness.model import Run, Series, Source, Verdict

_PASSWORD = re.compile(r"(://[^:/@\s]+):\S*@")
_JOIN = 3.0  # seconds to wait for our own thread at the end


class Entry:
    """The record of one run.  Every method may be called although nothing can be recorded."""

    def __init__(self, facts: RunFacts, db: str, say: Callable[[str], None]) -> None:
        self.facts, self._url, self._say = facts, db, say
        self._record: waiting.Record | None = None
        self._thread: threading.Thread | None = None
        self._run: Run | None = None
        self._closed = False

    def begin(self) -> None:
        """Write that there is such a run."""
        with self._calm():
            self._url = address.choose(self._url)
            self._record = waiting.begin(self._url, self.facts)

    def at(self, folder: Path, source: Source | None = None) -> None:
        """Say where the run's evidence goes, and what it started from.

        The run is shown to others from now on: tests take long, and the database is written to
        meanwhile, in a thread.
        """
        self._set(folder=folder.absolute())
        if source is not None:
            self._set(source=SourceFacts(source.commit, source.name, source.origin))
        self._write()
        if self._record is not None:
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()

    def finish(self, verdict: Verdict, run: Run | None = None, *, error: str = "") -> None:
        """Say how it ended: the verdict, and for ``harness run`` what was found."""
        self._run = run
        self._set(ended=Ended.DONE, code=verdict.exit_code, verdict=verdict)
        self._set(error=error, accel=run.accel if run else self.facts.accel)
        if run:
            source = run.source
            self._set(source=SourceFacts(source.commit, source.name, source.origin))

    def fail(self, error: BaseException) -> None:
        """Say what kept the run from an end."""
        code = error.exit_code if isinstance(error, HarnessError) else None
        words = error.what if isinstance(error, HarnessError) else type(error).__name__
        stopped = isinstance(error, (KeyboardInterrupt, Interrupted))
        verdict = Verdict.of(code)
        ended = Ended.INTERRUPTED if stopped else Ended.ERROR
        self._set(ended=ended, code=code, verdict=verdict, error=words)

    def close(self) -> None:
        """Bring the record into the database, or leave it waiting and say so in a line."""
        if self._record is None or self._closed:
            return
        self._closed = True
        self._set(seconds=time.time() - self.facts.began)
        self._write()
        taken = False
        try:
            with self._calm(f"; this run waits in {self._record.file}"):
                self._deliver()
                taken = True
        finally:
            with contextlib.suppress(OSError):
                self._record.close(taken=taken)

    def drop(self) -> None:
        """Forget it: nothing was run."""
        if self._record is not None and not self._closed:
            self._closed = True
            self._record.close(taken=True)

    def _deliver(self) -> None:
        if self._thread is not None:
            self._thread.join(_JOIN)
        from harness.history import gather, take, write
        from harness.history.database import Database

        if self._run is not None:
            facts = take.whole(dataclasses.replace(self.facts, sides=gather.of_run(self._run)))
        else:
            facts = take.complete(self.facts)
        with Database(self._url).writing() as connection:
            write.write(connection, facts)

    def _show(self) -> None:
        """Write that the run is under way; and take in what others left."""
        facts = self.facts
        with contextlib.suppress(Exception):  # a second chance comes at the end, which says why
            from harness.history import take, write
            from harness.history.database import Database

            database = Database(self._url)
            with database.writing() as connection:
                write.write(connection, facts)
            take.take(database, self._url)

    def _set(self, **changes: object) -> None:
        self.facts = dataclasses.replace(self.facts, **changes)  # type: ignore[arg-type]

    def _write(self) -> None:
        if self._record is not None:
            with self._calm():
                self._record.write(self.facts)

    @contextlib.contextmanager
    def _calm(self, more: str = "") -> Iterator[None]:
        """Say what goes wrong in a line, with a hint, and go on."""
        try:
            yield
        except HarnessError as error:
            self._say(f"history: {error.what}{more}; try: {error.hint or 'harness runs'}")
        except Exception as error:  # a fault of ours, or a driver's: the run must not pay for it
            self._say(
                f"history: not recorded: {type(error).__name__}: {str(error).splitlines()[:1]}"
                f"{more}; try: harness runs"
            )


@contextlib.contextmanager
def recording(
    options: argparse.Namespace,
    say: Callable[[str], None],
    series: Series | None = None,
    uses: Sequence[Path] = (),
) -> Iterator[Entry]:
    """Record what goes on inside; call ``at`` when there is a folder, ``finish`` with the end.

    ``options`` are the command line's: the verb, the whole command, --db.  ``uses`` are folders of
    other runs that must not go away meanwhile.  What is raised inside is recorded and goes on.
    Words that cannot be understood are no run.
    """
    facts = RunFacts(
        id=waiting.new_id(),
        verb=options.verb,
        host=_host(),
        began=time.time(),
        command=_PASSWORD.sub(r"\1:***@", shlex.join(options.command)),
        harness=harness.__version__,
        series=identity.series(series) if series else None,
        uses=tuple(one.absolute() for one in uses),
    )
    entry = Entry(facts, getattr(options, "db", ""), say)
    entry.begin()
    try:
        yield entry
    except BaseException as error:
        entry.fail(error)
        if isinstance(error, UsageError) and entry.facts.folder is None:
            entry.drop()
        raise
    finally:
        entry.close()


def _host() -> Host:
    try:
        return identity.host()
    except (HarnessError, OSError, ValueError):
        return Host("", "")
