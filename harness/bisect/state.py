# SPDX-License-Identifier: GPL-2.0-only
"""What a bisection knows, on disk after every trial: killed at any point, it can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path

from harness.errors import UsageError
from harness.model import ObservationRecord, SearchStart, SearchState
from harness.results import store


class StateFile:
    """The trials of one bisection, each written before anything is concluded from it."""

    def __init__(
        self, folder: Path, begun: SearchStart, trials: tuple[ObservationRecord, ...] = ()
    ) -> None:
        self.folder, self.begun = folder, begun
        self.trials = list(trials)
        # Tried by an earlier, interrupted process, or in the guest of another trial.
        self._unused: dict[tuple[str, str], list[ObservationRecord]] = {}
        for trial in trials:
            self._unused.setdefault((trial.candidate, trial.phase), []).append(trial)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path) -> StateFile:
        """Read what a bisection left.  Raises UsageError when there is nothing to resume."""
        state = store.load_search_state(folder)
        return cls(folder, state.begun, state.trials)

    def unused(self, candidate: str, phase: str) -> ObservationRecord | None:
        """Return a trial that was made and not used yet, if there is one."""
        with self._lock:
            waiting = self._unused.get((candidate, phase))
            return waiting.pop(0) if waiting else None

    def add(self, first: ObservationRecord, *more: ObservationRecord) -> None:
        """Keep the trials of one guest; those after the first are ``unused``.

        Raises HostFault (through the caller's guard) when the disk is full.
        """
        with self._lock:
            self.trials += (first, *more)
            self._unused.setdefault((first.candidate, first.phase), []).extend(more)
            self._write()

    def pin(self, pins: Mapping[str, str]) -> None:
        """Keep what names meant, so that a branch that moves does not move the bisection."""
        with self._lock:
            self.begun = dataclasses.replace(
                self.begun, pins=tuple({**dict(self.begun.pins), **pins}.items())
            )
            self._write()

    def _write(self) -> None:
        store.save_search_state(self.folder, SearchState(self.begun, tuple(self.trials)))


def last(runs: Path) -> Path:
    """Return the folder below ``runs`` of the bisection that was written to last."""
    written = []
    for path in runs.glob(f"*/{store.SEARCH_STATE}"):
        with contextlib.suppress(OSError):
            written.append((path.stat().st_mtime, path.parent))
    if not written:
        raise UsageError(f"there is no bisection in {runs}", hint="name its folder: --resume DIR")
    return max(written)[1]
