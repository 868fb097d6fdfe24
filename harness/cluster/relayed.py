# SPDX-License-Identifier: GPL-2.0-only
"""Progress and evidence of a trial on a worker, shown and kept by the driver while it runs.

The worker sends small messages; they may be lost without harm.  What counts comes with the reply.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import Interrupted
from harness.guest import records
from harness.progress import Progress, Stage, StageRow
from harness.results import evidence, journal

Send = Callable[[dict[str, Any]], None]

_EVERY = 0.5  # seconds between two messages about one stage
_CHUNK = 1 << 16  # bytes of the journal in one message


class RelayedProgress(Progress):
    """Progress on a worker: sends what a Progress here would show."""

    def __init__(self, send: Send) -> None:
        super().__init__(quiet=True, live=False)
        self._relay = send
        self._numbers = itertools.count()
        self._known: dict[int, tuple[int, float]] = {}  # a stage's number, and when it was sent

    @contextlib.contextmanager
    def stage(self, name: str, what: str = "") -> Iterator[Stage]:
        """Relay a stage during the context."""
        number, end = next(self._numbers), "good"
        self._relay({"stage": number, "name": name, "what": what})
        with super().stage(name, what) as stage:
            self._known[id(stage)] = number, 0.0
            try:
                yield stage
            except BaseException as why:
                end = "bad" if isinstance(why, Exception) else "stopped"
                raise
            finally:
                self._known.pop(id(stage), None)
                self._relay({"stage": number, "end": end, "ended": stage.ended})

    def show(self, stage: Stage) -> None:
        """Relay the state of a stage, not too often."""
        number, sent = self._known.get(id(stage), (-1, 0.0))
        now = time.monotonic()
        if number < 0 or now - sent < _EVERY:
            return
        self._known[id(stage)] = number, now
        rows = [[row.name, row.what, row.began] for row in stage.rows]
        state = {"done": stage.done, "total": stage.total, "note": str(stage.note), "rows": rows}
        self._relay({"stage": number, **state})

    def event(self, mark: str, text: str, more: str = "") -> None:
        """Relay an event."""
        self._relay({"event": mark, "text": text, "more": more})

    def say(self, text: str) -> None:
        """Relay a message."""
        self._relay({"say": text})


class EvidenceTail:
    """Sends what is new in a trial's journal, and the records of its guests."""

    def __init__(self, folder: Path, send: Send) -> None:
        self._folder, self._send = folder, send
        self._sent = 0  # bytes of the journal
        self._records: dict[Path, str] = {}

    def send_news(self) -> None:
        """Send what was written since the last call."""
        with contextlib.suppress(OSError):
            with (self._folder / journal.NAME).open("rb") as file:
                file.seek(self._sent)
                news = file.read(_CHUNK)
            lines = news[: news.rfind(b"\n") + 1]
            if lines:
                text = lines.decode("utf-8", "surrogateescape")
                self._send({"file": journal.NAME, "at": self._sent, "text": text})
                self._sent += len(lines)
        for place in records.taken(self._folder / evidence.GUESTS):
            with contextlib.suppress(OSError):
                text = (place / records.RECORD).read_text("utf-8", "surrogateescape")
                if self._records.get(place) != text:
                    name = (place / records.RECORD).relative_to(self._folder).as_posix()
                    self._send({"file": name, "at": 0, "text": text})
                    self._records[place] = text


class RelayedTrial:
    """The driver's view of a trial that runs elsewhere; ``receive`` takes the worker's messages.

    Only messages of the latest attempt count: a worker that was given up may still send some.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder, self._progress = folder, progress
        self.worker = ""
        self._attempt = ""
        self._stages: dict[int, tuple[Stage, contextlib.ExitStack]] = {}
        self._lock = threading.RLock()

    def receive(self, message: dict[str, Any]) -> None:
        """Show a message, or add it to the evidence."""
        with self._lock:
            if "began" in message:
                self.end()
                self._attempt, self.worker = message["attempt"], message["by"]
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True, exist_ok=True)
            elif message["attempt"] != self._attempt:
                return
            elif "file" in message:
                self._add(message)
            elif "stage" in message:
                self._show(message)
            elif "event" in message:
                text = f"{message['text']} ({self.worker})"
                self._progress.event(message["event"], text, message["more"])
            elif "say" in message:
                self._progress.say(f"{self.worker}: {message['say']}")

    def _add(self, message: dict[str, Any]) -> None:
        file = self.folder / message["file"]
        if not file.resolve().is_relative_to(self.folder.resolve()):
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("r+b" if file.exists() else "w+b") as out:
                out.seek(message["at"])
                out.truncate()
                out.write(message["text"].encode("utf-8", "surrogateescape"))

    def _show(self, message: dict[str, Any]) -> None:
        number = message["stage"]
        if "name" in message:
            exits = contextlib.ExitStack()
            what = f"{message['what']} ({self.worker})"
            stage = exits.enter_context(self._progress.stage(message["name"], what))
            self._stages[number] = stage, exits
        elif number in self._stages:
            stage, exits = self._stages[number]
            if "end" not in message:
                stage.rows = tuple(StageRow(*row) for row in message["rows"])
                stage.update(message["done"], message["total"], message["note"])
                return
            del self._stages[number]
            if message["ended"]:
                stage.finish(f"{message['ended']} ({self.worker})")
            _close(exits, message["end"])

    def end(self) -> None:
        """Close what is still shown: the trial has ended, or its worker is lost."""
        with self._lock:
            for _, exits in reversed(self._stages.values()):
                _close(exits, "stopped")
            self._stages.clear()
            self._attempt = ""


def _close(exits: contextlib.ExitStack, end: str) -> None:
    """Leave a stage as it ended: "good", "bad" or "stopped"."""
    why = {"bad": Interrupted("bad"), "stopped": KeyboardInterrupt()}.get(end)
    with contextlib.suppress(Interrupted, KeyboardInterrupt):
        exits.__exit__(type(why) if why else None, why, None)
