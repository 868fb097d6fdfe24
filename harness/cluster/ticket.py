# SPDX-License-Identifier: GPL-2.0-only
"""A requested trial, as the driver keeps it until whoever waits for it has an answer."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from harness.cluster import worker
from harness.cluster.placement import KnownWorker, QueuedTrial
from harness.cluster.relayed import RelayedTrial
from harness.cluster.request import TrialReply
from harness.errors import HarnessError, HostFault


@dataclasses.dataclass
class Ticket:
    """A trial that was requested: what travels, and how far it got.

    ``running`` is Dask's future, ``since`` when some worker was last able to take the trial.
    """

    trial: QueuedTrial
    text: str
    work: worker.Work
    parcels: tuple[bytes, bytes]
    view: RelayedTrial
    promise: concurrent.futures.Future[TrialReply]
    attempts: int = 0
    running: Any = None
    losses: list[str] = dataclasses.field(default_factory=list)
    since: float = dataclasses.field(default_factory=time.monotonic)

    def finish(self, end: TrialReply | HarnessError) -> None:
        """Keep the promise: with a reply, or the error that there is instead."""
        self._close()
        if isinstance(end, HarnessError):
            self.promise.set_exception(end)
        else:
            self.promise.set_result(end)

    def give_up(self, broken: BaseException | None) -> None:
        """Let who waits get CancelledError, or the error that ended the driver's thread."""
        self._close()
        if broken is None:
            self.promise.cancel()
        elif not self.promise.done():
            self.promise.set_exception(broken)

    def _close(self) -> None:
        self.running = None  # Dask may forget it
        self.view.end()


def no_worker(trial: QueuedTrial, workers: Iterable[KnownWorker]) -> HostFault:
    """Return the error for a trial that none of the workers can take."""
    needs = ", ".join(name for name in trial.needs if name != "trial")
    have = [f"{known.name}: {', '.join(known.resources)}" for known in workers]
    return HostFault(
        f"no worker can take this trial, which needs {needs}",
        hint="start a worker that has it (docs/cluster.md)",
        details="\n".join(have) or "there are no workers any more",
    )
