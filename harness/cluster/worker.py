# SPDX-License-Identifier: GPL-2.0-only
"""The worker's side: it says what it has, does one trial at a time, and stops when told to.

Dask calls ``perform`` in a thread of its worker.  All that a trial starts ends with the worker's
process (harness.process), so a worker that is killed leaves neither guests nor builds behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import platform
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import distributed

import harness
from harness import architectures, build, git, paths, process, serial, tree
from harness.cluster import parcels, request
from harness.cluster.relayed import EvidenceTail, RelayedProgress
from harness.cluster.request import Fault, TrialReply, TrialRequest
from harness.errors import HarnessError, HostFault, Interrupted
from harness.guest import accel
from harness.lab import trial
from harness.lab.kernels import Built, Lab
from harness.model import Accel, Checkout, Kernel, Source, Toolchain
from harness.progress import Progress

_INTERVAL = 1.0  # seconds between two looks at whether a trial is still wanted
_BUILT = "cluster-built.json"  # in the cache: the commit that each build folder has
_TRIALS = "trials"  # in the cache: evidence that is still being written


@dataclasses.dataclass(frozen=True)
class WorkerRecord:
    """What a worker says of itself.

    ``code`` identifies the harness's source text, ``memory`` is in MiB.  ``compilers`` are the
    names of resources (see ``compiler``).  ``shared``: it uses the driver's cache.  ``built`` maps
    configs (TrialRequest.config) to the commit that was built last.
    """

    name: str
    harness: str
    code: str
    python: str
    cores: int = 0
    memory: int = 0
    kvm: bool = False
    qemu: bool = False
    compilers: tuple[str, ...] = ()
    shared: bool = False
    built: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def resources(self) -> dict[str, float]:
        """Dask's resources: a trial takes one of each that it needs."""
        have = {"trial": True, "kvm": self.kvm, "qemu": self.qemu}
        names = [name for name, there in have.items() if there]
        return dict.fromkeys((*names, *self.compilers), 1.0) | {"memory": float(self.memory)}

    def refusal(self, driver: WorkerRecord) -> str:
        """Why this worker cannot work for a driver; empty if it can."""
        if self.python != driver.python:
            return f"it runs Python {self.python}, the driver {driver.python}"
        if self.harness != driver.harness:
            return f"it has harness {self.harness}, the driver {driver.harness}"
        if self.code != driver.code:
            return f"its harness {self.harness} differs from the driver's in its source text"
        return ""


def compiler(toolchain: Toolchain) -> str:
    """Return the name of the resource that a trial with this toolchain needs."""
    return f"{toolchain.arch}: {toolchain.cross}{toolchain.compiler}, {toolchain.version}"


def versions(name: str = "") -> WorkerRecord:
    """Return the record of this process with nothing but versions."""
    python = ".".join(platform.python_version_tuple()[:2])
    return WorkerRecord(name, harness.__version__, _code(), python)


@functools.cache  # a worker may serve many drivers, with the code that it began with
def _code() -> str:
    """Return the digest of the harness's source text."""
    digest = hashlib.sha256()
    top = Path(harness.__file__).parent
    for file in sorted(top.rglob("*.py")):
        digest.update(str(file.relative_to(top)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def describe(name: str, token: str = "") -> WorkerRecord:
    """Return the record of this process and its machine."""
    quiet = Progress(quiet=True, live=False)
    compilers = []
    for architecture in architectures.ARCHITECTURES:
        for llvm in (False, True):
            with contextlib.suppress(HarnessError):
                compilers.append(compiler(build.toolchain(architecture.name, llvm)))
    kvm, qemu = False, False
    with contextlib.suppress(HarnessError):
        qemu = bool(accel.find_qemu())
        kvm = accel.choose("kvm", quiet)[0] is Accel.KVM
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return dataclasses.replace(
        versions(name),
        cores=len(os.sched_getaffinity(0)),
        memory=pages >> 20,
        kvm=kvm,
        qemu=qemu,
        compilers=tuple(dict.fromkeys(compilers)),
        shared=parcels.shares_cache(token),
        built=_built(),
    )


class TrialWorkers(distributed.WorkerPlugin):
    """Makes a Dask worker one that does trials, also one that joins later.

    A worker that does not fit the driver gets no resources, so no trials.  ``shares`` are the
    processors of local workers, by name.
    """

    name = "harness-trials"

    def __init__(
        self, topic: str, driver: WorkerRecord, token: str, shares: dict[str, tuple[int, ...]]
    ) -> None:
        self.topic, self.driver, self.token, self.shares = topic, driver, token, shares

    async def setup(self, worker: Any) -> None:
        """Say what the worker has, to Dask and to the driver."""
        share = self.shares.get(str(worker.name))
        if share:
            for thread in Path("/proc/self/task").iterdir():
                os.sched_setaffinity(int(thread.name), share)
        # A worker that joins later is set up before the scheduler knows it.
        self._announcing = asyncio.create_task(self._announce(worker))

    async def _announce(self, worker: Any) -> None:
        record = await worker.loop.run_in_executor(None, describe, str(worker.name), self.token)
        while worker.status.name in ("init", "undefined"):
            await asyncio.sleep(0.1)
        if not record.refusal(self.driver):
            await worker.set_resources(**record.resources)
        worker.log_event(
            self.topic, {"joined": worker.address, "record": json.dumps(serial.to_json(record))}
        )


#: What a worker does with a request: it yields what is known of the reply, the last time all.
Work = Callable[[Lab, TrialRequest, Source, Path], Iterator[TrialReply]]


def one_trial(lab: Lab, wanted: TrialRequest, start: Source, folder: Path) -> Iterator[TrialReply]:
    """Build a kernel and run the suites on it; evidence goes to ``folder``."""
    begin = time.monotonic()
    kernel, checkout = _kernel(lab, wanted, start)
    reply = TrialReply(
        *("", "", kernel, lab.lines(kernel)),
        digest=build.loaded_digest(kernel, checkout, wanted.toolchain),
        building=time.monotonic() - begin,
    )
    yield reply
    if wanted.boots:
        built = Built(wanted.side, checkout, kernel, reply.lines)
        result = trial.run(lab, built, folder, keep=wanted.keep)
        yield dataclasses.replace(reply, cached=result.cached)
    else:
        trial.write_inputs(kernel, lab.request, folder)


def perform(
    key: str, text: str, topic: str, name: str, work: Work, pack: bytes, suites: bytes
) -> tuple[str, bytes]:
    """Do ``work`` on the worker ``name``: return its reply's JSON and its evidence's archive."""
    worker = distributed.get_worker()
    task, attempt = str(worker.get_current_task()), uuid.uuid4().hex

    def send(message: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # it is only shown
            worker.log_event(topic, {"trial": key, "attempt": attempt, **message})

    send({"began": worker.address, "by": name})  # Dask adds "worker", an address
    folder = paths.cache(_TRIALS) / f"{key}-{attempt[:8]}"
    wanted = serial.from_json(TrialRequest, json.loads(text))
    try:
        with (
            paths.in_use(),
            _stoppable(lambda: _is_unwanted(worker, task), EvidenceTail(folder, send)) as stopped,
        ):
            progress = RelayedProgress(send)
            reply, evidence = _performed(wanted, work, pack, suites, folder, progress)
        if stopped.is_set():
            raise Interrupted("the driver does not want this trial any more")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        send({"ended": worker.address})
    reply = dataclasses.replace(
        reply,
        key=key,
        worker=name,
        folder=str(folder),
        checksum=request.digest_of(evidence),
    )
    return json.dumps(serial.to_json(reply)), evidence


def _is_unwanted(worker: Any, task: str) -> bool:
    """Whether Dask has forgotten a running task, or the worker is leaving its scheduler."""
    state = worker.state.tasks.get(task)
    lost = state is None or state.state in ("cancelled", "released", "forgotten")
    return lost or worker.status.name not in ("running", "paused")


@contextlib.contextmanager
def _stoppable(unwanted: Callable[[], bool], tail: EvidenceTail) -> Iterator[threading.Event]:
    """Interrupt the programs of this thread as long as its trial is ``unwanted``.

    Yields an event that is set when that has happened.
    """
    thread, over, stopped = threading.get_ident(), threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(_INTERVAL):
            tail.send_news()
            if unwanted():
                stopped.set()
                process.interrupt_all(thread)

    watcher = threading.Thread(target=watch, name="harness-wanted", daemon=True)
    watcher.start()
    try:
        yield stopped
    finally:
        over.set()
        watcher.join()
        tail.send_news()


def _performed(
    wanted: TrialRequest, work: Work, pack: bytes, suites: bytes, folder: Path, progress: Progress
) -> tuple[TrialReply, bytes]:
    begin, reply = time.monotonic(), TrialReply("", "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        assert wanted.sources is not None
        start = parcels.ready(wanted.sources, pack, wanted.token, progress)
        plan = parcels.with_suites(wanted.plan, suites, progress)
        lab = Lab(
            *(plan, wanted.request, wanted.toolchain, wanted.accel, progress, wanted.followed),
            *(wanted.base, wanted.tip, wanted.counted),
        )
        for reply in work(lab, wanted, start, folder):  # noqa: B007
            pass
    except HarnessError as error:
        reply = dataclasses.replace(reply, fault=Fault.of(error))
    except OSError as error:  # a full disk
        fault = Fault.of(HostFault(f"{error.strerror or error}: {error.filename or folder}"))
        reply = dataclasses.replace(reply, fault=fault)
    reply = dataclasses.replace(reply, seconds=time.monotonic() - begin)
    return reply, request.archive_folder(folder)


def _kernel(lab: Lab, wanted: TrialRequest, start: Source) -> tuple[Kernel, Checkout]:
    """Return the kernel of a trial, from this worker's cache or newly built, and its checkout."""
    home = tree.peek(start, lab.progress)
    if home:
        checkout = dataclasses.replace(wanted.checkout, path=home.path)
        kept = lab.kept(checkout, lean=wanted.lean)
        if kept and git.commit_of(home.path, checkout.commit) == checkout.commit:
            return kept, checkout
    with tree.slot(start, lab.progress) as slot:
        own, checkout = located(lab, wanted, slot)
        kernel = own.kernel(slot, checkout, lean=wanted.lean)
        with paths.writing(paths.cache()):
            serial.write(paths.cache() / _BUILT, _built() | {wanted.config: checkout.commit})
    return kernel, checkout


def located(lab: Lab, wanted: TrialRequest, slot: tree.Slot) -> tuple[Lab, Checkout]:
    """Return the lab and the checkout of a request with the paths of a worktree here."""
    checkout = dataclasses.replace(wanted.checkout, path=slot.path)
    ends = [end and dataclasses.replace(end, path=slot.path) for end in (lab.base, lab.tip)]
    return dataclasses.replace(lab, base=ends[0], tip=ends[1]), checkout


def _built() -> dict[str, str]:
    try:
        return serial.read(paths.cache() / _BUILT, dict[str, str])
    except (OSError, serial.DamagedError):
        return {}
