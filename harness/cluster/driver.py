# SPDX-License-Identifier: GPL-2.0-only
"""The driver's side: connect to workers, give them trials, take what they send back.

A worker has one trial at a time.  Dask starts it there and says how it ended; a trial whose worker
was lost, or whose machine was at fault, is queued again and counts once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import paths, serial
from harness.cluster import parcels, placement, request, worker
from harness.cluster.placement import BuildPlace, Durations, KnownWorker, QueuedTrial
from harness.cluster.relayed import RelayedTrial
from harness.cluster.request import RefusedReply, TrialReply, TrialRequest
from harness.cluster.ticket import Ticket, no_worker
from harness.cluster.worker import TrialWorkers, WorkerRecord
from harness.errors import HarnessError, HostFault, LacksRelease
from harness.model import Accel
from harness.options import GUEST_MEMORY
from harness.progress import Progress

MOST_LOST = 3  # times that a trial may be lost before it is given up
_INTERVAL = 1.0  # seconds between two looks at the workers
_REST = 10.0  # seconds without trials for a worker whose machine was at fault; doubled each time
_ABSENT = 5  # looks that a worker may be absent from: one that has just joined is not listed yet
_PARTING = 30.0  # seconds for trials to end after Ctrl-C
_NOBODY = 10.0  # seconds to wait for a worker that can take a trial, if others are there
_ALONE = 600.0  # seconds to wait for any worker


class Cluster:
    """Workers behind a Dask scheduler.

    ``coming``: whether workers may still join, if one is lost.  ``token`` names a file in our
    cache, by which a worker sees that it shares that cache.  One thread owns all other attributes:
    whatever happens becomes a call in its inbox.
    """

    def __init__(
        self,
        client: Any,
        progress: Progress,
        shares: dict[str, tuple[int, ...]],
        coming: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client, self._progress, self._coming = client, progress, coming
        self.token = parcels.new_token()
        self.workers: dict[str, KnownWorker] = {}
        self.durations = Durations()
        self._topic = f"harness-{self.token}"
        self._refused: dict[str, str] = {}
        self._tickets: dict[str, Ticket] = {}
        self._queue: list[QueuedTrial] = []
        self._parcels: dict[str, Any] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._over, self._changed = threading.Event(), threading.Condition()
        self._stopped = False
        self._broken: BaseException | None = None  # what ended our thread
        self._driver = worker.versions("driver")
        self._plugin = TrialWorkers(self._topic, self._driver, self.token, shares)

    @contextlib.contextmanager
    def working(self) -> Iterator[Cluster]:
        """Let workers join during the context; at its end, all trials have ended."""
        with parcels.token_file(self.token):
            thread = threading.Thread(target=self._work, name="harness-cluster", daemon=True)
            thread.start()
            try:
                self._client.subscribe_topic(self._topic, lambda event: self._hear(event[1]))
                self._client.register_plugin(self._plugin)
                yield self
            finally:
                self._cancel()
                self._over.set()
                thread.join()

    def wait(self, count: int) -> None:
        """Wait for so many workers, as long as they are coming.

        Raises HostFault with the reasons if none can be used.
        """
        end = time.monotonic() + _ALONE
        with self._changed:
            while len(self.workers) < count and self._coming() and time.monotonic() < end:
                if self._broken is not None:
                    raise self._broken
                if self._refused and len(self._present()) <= len(self._refused):
                    break
                self._changed.wait(_INTERVAL)
        if len(self.workers) < count and not self._coming():
            log = paths.cache("cluster") / "workers.log"
            raise HostFault("a local worker has ended", hint=f"see {log}")
        if self.workers:
            return
        reasons = "\n".join(f"{name}: {why}" for name, why in self._refused.items())
        hint = "install the same harness with the same Python on the workers"
        raise HostFault(
            "no worker can be used" if reasons else "there are no workers",
            hint=hint if reasons else "start some: dask worker ADDRESS (docs/cluster.md)",
            details=reasons,
        )

    def submit(
        self,
        wanted: TrialRequest,
        parcels: tuple[bytes, bytes],
        number: float,
        folder: Path,
        work: worker.Work = worker.one_trial,
    ) -> concurrent.futures.Future[TrialReply]:
        """Request a trial; its evidence goes to ``folder``.  ``work`` is what the worker calls.

        ``parcels`` are the pack of its sources and the archive of its suites; ``number`` is its
        commit's place among the others.  The future raises HostFault if there is no reply.
        """
        text = wanted.text
        needs = {"trial": 1.0, worker.compiler(wanted.toolchain): 1.0}
        if wanted.boots:
            needs |= {"qemu": 1.0, "memory": float(wanted.plan.memory or GUEST_MEMORY)}
            needs |= {"kvm": 1.0} if wanted.accel is Accel.KVM else {}
        trial = QueuedTrial(request.key_of(text), BuildPlace(wanted.config, number), needs)
        view = RelayedTrial(folder, self._progress)
        ticket = Ticket(trial, text, work, parcels, view, concurrent.futures.Future())
        self._inbox.put(functools.partial(self._enqueue, ticket))
        if self._over.is_set():  # nobody may read the inbox any more
            ticket.give_up(self._broken)
        return ticket.promise

    def drop(self, promise: concurrent.futures.Future[TrialReply]) -> None:
        """Stop a trial that is not needed any more."""
        self._inbox.put(functools.partial(self._drop, promise))

    def stop(self) -> None:
        """End all trials, and those that are requested later."""
        self._inbox.put(self._cancel_all)

    # The thread that owns the state

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # who waits for a trial would never hear of it
            self._broken = error
            self._over.set()
            with contextlib.suppress(Exception):
                self._cancel_all()
        with contextlib.suppress(queue.Empty):
            while True:  # whoever waits for a trial that came too late
                self._inbox.get_nowait()()

    def _serve(self) -> None:
        looked = time.monotonic()
        while not self._over.is_set():
            with contextlib.suppress(queue.Empty):
                self._inbox.get(timeout=_INTERVAL)()
            if time.monotonic() - looked >= _INTERVAL:
                looked = time.monotonic()
                self._forget_lost()
                self._give_up_hopeless()
                self._place()
            with self._changed:
                self._changed.notify_all()

    def _hear(self, message: dict[str, Any]) -> None:
        """Take a message of a worker.  The connection's thread must not wait."""
        self._inbox.put(functools.partial(self._read, message))

    def _read(self, message: dict[str, Any]) -> None:
        if "joined" in message:
            self._join(message["joined"], json.loads(message["record"]))
            return
        if "ended" in message and message["ended"] in self.workers:
            self._free(self.workers[message["ended"]], message["trial"])
            self._place()
        ticket = self._tickets.get(message["trial"])
        if ticket is not None:
            ticket.view.receive(message)

    def _join(self, address: str, table: dict[str, Any]) -> None:
        record = serial.from_json(WorkerRecord, table)
        refusal = record.refusal(self._driver)
        if refusal:
            self._refused[record.name] = refusal
            self._progress.say(f"worker {record.name} is refused: {refusal}")
        elif address not in self.workers:
            places = {config: BuildPlace(config, placement.UNKNOWN) for config in record.built}
            known = KnownWorker(address, record.name, record.resources, places)
            self.workers[address] = known
            self._place()

    # Trials begin

    def _enqueue(self, ticket: Ticket) -> None:
        if self._stopped:
            ticket.give_up(self._broken)
            return
        self._tickets[ticket.trial.key] = ticket
        self._queue.append(ticket.trial)
        self._place()

    def _place(self) -> None:
        """Give trials to free workers."""
        now, workers = time.monotonic(), self.workers.values()
        for known in workers:
            chosen = placement.choose(known, self._queue, workers, self.durations, now)
            if chosen is not None:
                self._queue.remove(chosen)
                known.runs, known.since = chosen, now
                self._start(self._tickets[chosen.key], known)

    def _start(self, ticket: Ticket, known: KnownWorker) -> None:
        ticket.attempts += 1
        parcels = [self._parcel(data) for data in ticket.parcels]
        ticket.running = self._client.submit(
            worker.perform,
            *(ticket.trial.key, ticket.text, self._topic, known.name, ticket.work, *parcels),
            key=f"{ticket.trial.key}-{ticket.attempts}",
            resources=dict(ticket.trial.needs),
            workers=[known.address],
            pure=False,
        )
        ticket.running.add_done_callback(functools.partial(self._fetch, ticket, known))

    def _parcel(self, data: bytes) -> Any:
        """Return Dask's future of a parcel: workers fetch it from one another, each once.

        It is bound to no worker: Dask would not make it again when that one is lost.
        """
        name = f"parcel-{request.digest_of(data)}"
        if name not in self._parcels:
            self._parcels[name] = self._client.submit(bytes, data, key=name)
        return self._parcels[name]

    # Trials end

    def _fetch(self, ticket: Ticket, known: KnownWorker, future: Any) -> None:
        """Fetch what a worker has for an ended trial.  Our own thread must not wait for it.

        If the worker is lost now, our thread sees that, and cancels the future that waits here.
        """
        try:
            end = future.result()
        except Exception as error:
            end = error
        self._inbox.put(functools.partial(self._ended, ticket, known, future, end))

    def _ended(
        self,
        ticket: Ticket,
        known: KnownWorker,
        future: Any,
        end: tuple[str, bytes] | Exception,
    ) -> None:
        """A trial has ended on a worker: there is a reply, or Dask gave it up."""
        key = ticket.trial.key
        self._free(known, key)
        if ticket.running is not future or future.status == "cancelled":
            return  # the trial was given to another worker, or is not wanted any more
        if isinstance(end, Exception):
            self._lost(ticket, known, f"it failed there: {end!r}"[:200])
            return
        try:
            text, archive = end
            reply = request.opened(key, text, archive)
            fault = reply.fault
            if fault is not None and fault.of_host and fault.kind != LacksRelease.__name__:
                self._lost(ticket, known, fault.what)
                return
            request.unpack(archive, ticket.view.folder)
            request.move_paths(ticket.view.folder, reply.folder)
        except RefusedReply as error:
            self._lost(ticket, known, error.what)
            return
        except HarnessError as error:  # our own disk is full
            self._finish(ticket, error)
            return
        self.durations.add(reply.seconds, reply.building)
        known.faults = 0
        self._finish(ticket, reply)

    def _finish(self, ticket: Ticket, end: TrialReply | HarnessError) -> None:
        """Keep the promise: with a reply, or the error that there is instead."""
        self._tickets.pop(ticket.trial.key, None)
        ticket.finish(end)
        self._place()

    def _lost(self, ticket: Ticket, known: KnownWorker, why: str) -> None:
        """Queue a trial again that brought no result; after MOST_LOST losses, give it up."""
        ticket.view.end()
        ticket.running = None
        ticket.losses.append(f"{known.name}: {why}")
        lost_on = (*ticket.trial.lost_on, known.name)
        ticket.trial = dataclasses.replace(ticket.trial, lost_on=lost_on)
        known.faults += 1
        known.rests = time.monotonic() + _REST * 2 ** (known.faults - 1)
        name = ticket.view.folder.name
        if len(ticket.losses) < MOST_LOST:
            self._progress.say(f"{name}: {known.name}: {why}; the trial is done again")
            self._queue.insert(0, ticket.trial)
            self._place()
            return
        fault = HostFault(
            f"the trial {name} was lost {len(ticket.losses)} times",
            hint="its kernel or its tests may bring down the machine: run it alone, locally",
            details="\n".join(ticket.losses),
        )
        self._finish(ticket, fault)

    def _free(self, known: KnownWorker, key: str) -> None:
        """Note that a worker has ended a trial."""
        if known.runs is not None and known.runs.key == key:
            known.places[known.runs.place.config] = known.runs.place
            known.runs = None

    def _cancel(self) -> None:
        """End all trials on all workers, and wait until they have."""
        self.stop()
        end = time.monotonic() + _PARTING
        with self._changed:
            while self._tickets or any(known.runs for known in self.workers.values()):
                if self._over.is_set():
                    break
                if not self._changed.wait(_INTERVAL) and time.monotonic() > end:
                    break

    def _drop(self, promise: concurrent.futures.Future[TrialReply]) -> None:
        for key, ticket in list(self._tickets.items()):
            if ticket.promise is promise:
                del self._tickets[key]
                self._queue = [trial for trial in self._queue if trial.key != key]
                running = ticket.running
                ticket.give_up(None)
                if running is not None:
                    self._client.cancel([running], force=True)

    def _cancel_all(self) -> None:
        self._stopped = True
        tickets = list(self._tickets.values())
        self._queue.clear()
        running = [ticket.running for ticket in tickets if ticket.running is not None]
        self._tickets.clear()
        for ticket in tickets:
            ticket.give_up(self._broken)
        if running:
            self._client.cancel(running, force=True)

    # Housekeeping

    def _present(self) -> set[str]:
        """Return the addresses of the scheduler's workers; it knows far more of each."""
        # A lambda travels as it is: the scheduler may be without a harness.
        return set(self._client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.workers]))

    def _forget_lost(self) -> None:
        """Forget workers that Dask has lost, and queue their trials again."""
        present = set(self.workers)
        # A scheduler that does not answer says nothing about its workers.  Dask's client fails in
        # many ways while it connects again; if it cannot, it is closed.
        with contextlib.suppress(Exception):
            present = self._present()
        if self._client.status == "closed":
            present = set()
            for open_ticket in list(self._tickets.values()):
                self._finish(open_ticket, HostFault("the connection to the scheduler is lost"))
        for address, known in list(self.workers.items()):
            known.absent = 0 if address in present else known.absent + 1
            if known.absent < _ABSENT:
                continue
            del self.workers[address]
            self._progress.say(f"worker {known.name} is gone")
            ticket = self._tickets.get(known.runs.key) if known.runs else None
            known.runs = None
            if ticket is not None:
                if ticket.running is not None:
                    ticket.running.cancel(force=True)
                self._lost(ticket, known, "the worker was lost")

    def _give_up_hopeless(self) -> None:
        """Give up trials that no worker could take for a long time."""
        now = time.monotonic()
        patience = _ALONE if not self.workers and self._coming() else _NOBODY
        for trial in list(self._queue):
            waiting = self._tickets[trial.key]
            if any(known.can(trial) for known in self.workers.values()):
                waiting.since = now
            elif now - waiting.since > patience:
                self._queue.remove(trial)
                self._finish(waiting, no_worker(trial, self.workers.values()))
