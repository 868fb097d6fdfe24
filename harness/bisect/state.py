# SPDX-License-Identifier: GPL-2.0-only
"""What a bisection knows, on disk after every trial: killed at any point, it goes on from there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from harness.bisect.values import Observation
from harness.errors import UsageError
from harness.results.store import OTHER_FORM, why
from harness.serial import from_json, to_json

NAME = "state.json"
SCHEMA = 1
_AGAIN = "begin it anew: leave --resume out"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One observation of a candidate; ``digest`` names the bytes that were booted."""

    candidate: str
    phase: str
    observation: Observation
    digest: str = ""


@dataclasses.dataclass(frozen=True)
class Begun:
    """How a bisection was begun: its command line, where, and the commits its refs meant."""

    command: tuple[str, ...]
    cwd: str
    pins: tuple[tuple[str, str], ...] = ()


class State:
    """The trials of one bisection, each written before anything is concluded from it."""

    def __init__(self, folder: Path, begun: Begun, trials: tuple[Trial, ...] = ()) -> None:
        self.folder, self.begun = folder, begun
        self.trials = list(trials)
        # Tried by an earlier, interrupted process, or in the guest of another trial.
        self._known: dict[tuple[str, str], list[Trial]] = {}
        for trial in trials:
            self._known.setdefault((trial.candidate, trial.phase), []).append(trial)
        self._lock = threading.Lock()

    def known(self, candidate: str, phase: str) -> Trial | None:
        """Give a trial that was made and that nobody has asked for yet."""
        with self._lock:
            waiting = self._known.get((candidate, phase))
            return waiting.pop(0) if waiting else None

    def add(self, first: Trial, *more: Trial) -> None:
        """Keep trials of one guest; those behind the first are ``known`` when they are asked for.

        Raises HostFault (through the caller's guard) when the disk is full.
        """
        with self._lock:
            self.trials += (first, *more)
            self._known.setdefault((first.candidate, first.phase), []).extend(more)
            self._write()

    def pin(self, pins: Mapping[str, str]) -> None:
        """Keep what names meant, so that a branch that moves does not move the bisection."""
        with self._lock:
            self.begun = dataclasses.replace(
                self.begun, pins=tuple({**dict(self.begun.pins), **pins}.items())
            )
            self._write()

    def _write(self) -> None:
        """Write it whole or not at all, and so that a machine that dies does not lose it."""
        table = {
            "schema": SCHEMA,
            "begun": to_json(self.begun),
            "trials": [to_json(trial) for trial in self.trials],
        }
        draft = self.folder / f"{NAME}.part"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(table, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / NAME)


def load(folder: Path) -> State:
    """Read what a bisection left.  Raises UsageError when there is nothing to go on with."""
    path = folder / NAME
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no {NAME}", hint="name the folder of a bisection to --resume"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {why(error)}", hint=_AGAIN) from error
    try:
        if table["schema"] != SCHEMA:
            what = f"{path} has form {table['schema']}, this harness reads {SCHEMA}"
            raise UsageError(what, hint=OTHER_FORM)
        begun: Begun = from_json(Begun, table["begun"])
        trials = tuple(from_json(Trial, one) for one in table["trials"])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {why(error)}", hint=_AGAIN) from error
    return State(folder, begun, trials)


def last(runs: Path) -> Path:
    """Give the folder of the bisection that was written to last, below the folder of runs."""
    found = []
    for path in runs.glob(f"*/{NAME}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path.parent))
    if not found:
        raise UsageError(f"there is no bisection in {runs}", hint="name its folder: --resume DIR")
    return max(found)[1]
