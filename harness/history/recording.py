# SPDX-License-Identifier: GPL-2.0-only
"""Record a run while it is running.  Nothing here can fail the run or delay it for long."""

from __future__ import annotations

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
from harness.history import address, waiting
from harness.history.run_facts import (
    Ended,
    HostFacts,
    RunFacts,
    host_facts,
    series_facts,
    source_facts,
)
from harness.model import Run, Series, Source, Verdict

_PASSWORD = re.compile(r"(://[^:/@\s]+):\S*@")
_JOIN = 3.0  # seconds to wait for our own thread at the end


class Recording:
    """The record of one run.  All methods may be called even if nothing can be recorded."""

    def __init__(self, facts: RunFacts, db: str, say: Callable[[str], None]) -> None:
        self.facts, self._url, self._say = facts, db, say
        self._record: waiting.WaitingRecord | None = None
        self._thread: threading.Thread | None = None
        self._run: Run | None = None
        self._closed = False

    def begin(self) -> None:
        """Write a record that waits for the database."""
        with self._errors_as_messages():
            self._url = address.choose(self._url)
            self._record = waiting.begin(self._url, self.facts)

    def at(self, folder: Path, source: Source | None = None) -> None:
        """Record the run's folder and its base commit.

        From now on the run is visible to others: a thread writes it to the database while the
        tests are running.
        """
        self._set(folder=folder.absolute())
        if source is not None:
            self._set(source=source_facts(source))
        self._write()
        if self._record is not None:
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()

    def finish(self, verdict: Verdict, run: Run | None = None, *, error: str = "") -> None:
        """Record the verdict, and the results of ``harness run``."""
        self._run = run
        self._set(ended=Ended.DONE, code=verdict.exit_code, verdict=verdict, error=error)
        if run:
            self._set(accel=run.accel, source=source_facts(run.source))

    def fail(self, error: BaseException) -> None:
        """Record the exception that ended the run."""
        code = error.exit_code if isinstance(error, HarnessError) else None
        stopped = isinstance(error, (KeyboardInterrupt, Interrupted))
        self._set(
            ended=Ended.INTERRUPTED if stopped else Ended.ERROR,
            code=code,
            verdict=Verdict.of(code),
            error=error.what if isinstance(error, HarnessError) else type(error).__name__,
        )

    def close(self) -> None:
        """Write the record to the database, or leave it waiting and print a message."""
        if self._record is None or self._closed:
            return
        self._closed = True
        self._set(seconds=time.time() - self.facts.began)
        self._write()
        taken = False
        try:
            with self._errors_as_messages(f"; the record of this run waits in {self._record.file}"):
                self._deliver()
                taken = True
        finally:
            with contextlib.suppress(OSError):
                self._record.close(taken=taken)

    def drop(self) -> None:
        """Discard the record: nothing was tested."""
        if self._record is not None and not self._closed:
            self._closed = True
            self._record.close(taken=True)

    def _deliver(self) -> None:
        if self._thread is not None:
            self._thread.join(_JOIN)
        # SQLAlchemy is imported late: it would delay the start of every command.
        from harness.history import database, run_folder, write

        if self._run is not None:
            sides = run_folder.sides_of_run(self._run)
            facts = run_folder.without_unfinished(dataclasses.replace(self.facts, sides=sides))
        else:
            facts = run_folder.complete(self.facts)
        with database.Database(self._url).writing() as connection:
            write.write(connection, facts)

    def _show(self) -> None:
        """Record that the run has begun, and import the waiting records of other runs."""
        facts = self.facts
        with contextlib.suppress(Exception):  # close() tries again, and reports why it fails
            from harness.history import database, write

            opened = database.Database(self._url)
            with opened.writing() as connection:
                write.write(connection, facts)
            database.import_waiting(opened, self._url)

    def _set(self, **changes: object) -> None:
        self.facts = dataclasses.replace(self.facts, **changes)  # type: ignore[arg-type]

    def _write(self) -> None:
        if self._record is not None:
            with self._errors_as_messages():
                self._record.write(self.facts)

    @contextlib.contextmanager
    def _errors_as_messages(self, more: str = "") -> Iterator[None]:
        """Turn exceptions into a message with a hint, and continue."""
        try:
            yield
        except HarnessError as error:
            self._say(f"history: {error.what}{more}; try: {error.hint or 'harness runs'}")
        except Exception as error:  # a bug in our code or a driver must not affect the run
            why = f"{type(error).__name__}: {str(error).splitlines()[:1]}"
            self._say(f"history: not recorded: {why}{more}; try: harness runs")


@contextlib.contextmanager
def recording(
    verb: str,
    command: Sequence[str],
    say: Callable[[str], None],
    *,
    db: str = "",
    series: Series | None = None,
    uses: Sequence[Path] = (),
) -> Iterator[Recording]:
    """Record a run: call ``at`` once the folder exists, and ``finish`` with the verdict.

    ``uses`` are folders of other runs that must be kept in the meantime.  An exception is recorded
    and raised again.  After a usage error before the folder exists, the record is removed.
    """
    try:
        host = host_facts()
    except (HarnessError, OSError, ValueError):
        host = HostFacts("", "")
    facts = RunFacts(
        id=waiting.new_id(),
        verb=verb,
        host=host,
        began=time.time(),
        command=_PASSWORD.sub(r"\1:***@", shlex.join(command)),
        harness=harness.__version__,
        series=series_facts(series) if series else None,
        uses=tuple(folder.absolute() for folder in uses),
    )
    record = Recording(facts, db, say)
    record.begin()
    try:
        yield record
    except BaseException as error:
        record.fail(error)
        if isinstance(error, UsageError) and record.facts.folder is None:
            record.drop()
        raise
    finally:
        record.close()
