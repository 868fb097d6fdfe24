# SPDX-License-Identifier: GPL-2.0-only
"""The trials of one lab on a cluster: what a lab does here, done by workers."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path

from harness.cluster import parcels, worker
from harness.cluster.driver import Cluster
from harness.cluster.parcels import Packer
from harness.cluster.request import TrialReply, TrialRequest, digest_of
from harness.errors import HarnessError, HostFault, LacksRelease, Uncollected
from harness.lab import trial
from harness.lab.kernels import Built, Lab
from harness.model import Accel, Checkout, MutantTrial, Outcome, Plan, Side, Source, Trial
from harness.plugin import retries
from harness.results import evidence


class RemoteLab:
    """Requests trials of a lab, whose commits lie in the worktree of ``base``.

    ``source`` is what that worktree was made from.  ``shared``: workers with our cache may use that
    worktree too, so it must not be held.
    """

    def __init__(
        self,
        cluster: Cluster,
        lab: Lab,
        source: Source,
        base: Checkout,
        *,
        shared: bool = True,
    ) -> None:
        wanted = lab.plan.accel
        kvm = any("kvm" in known.resources for known in cluster.workers.values())
        kind = (Accel.KVM if kvm else Accel.TCG) if wanted == "auto" else Accel(wanted)
        self.cluster, self.lab, self.base = cluster, dataclasses.replace(lab, accel=kind), base
        self._packer = Packer(dataclasses.replace(source, after=()))
        self._suites: dict[tuple[str, ...], bytes] = {}
        self._numbers = itertools.count()
        self._token = cluster.token if shared else ""

    def request(
        self,
        side: Side,
        checkout: Checkout,
        folder: Path,
        number: float = 0.0,
        *,
        plan: Plan | None = None,
        keep: bool = False,
        lean: bool = False,
        boots: bool = True,
        mutants: tuple[MutantTrial, ...] = (),
        work: worker.Work = worker.one_trial,
    ) -> RequestedTrial:
        """Request a trial of a commit; its evidence goes to ``folder``.

        ``number`` is the commit's place among those that are tried.  ``plan`` replaces the lab's.
        ``work`` is what the worker calls; it must be a function of a module.
        Raises HostFault if the sources cannot be packed.
        """
        plan = plan or self.lab.plan
        if plan.suites not in self._suites:
            self._suites[plan.suites] = parcels.pack_suites(plan)
        wanted = TrialRequest(
            plan=_travelling(plan),
            request=self.lab.request,
            toolchain=self.lab.toolchain,
            accel=self.lab.accel,
            followed=self.lab.followed,
            base=self.lab.base,
            tip=self.lab.tip,
            side=side,
            checkout=checkout,
            suites=digest_of(self._suites[plan.suites]),
            counted=self.lab.counted,
            keep=keep,
            lean=lean,
            boots=boots,
            mutants=mutants,
            token=self._token,
            number=next(self._numbers),
        )
        return RequestedTrial(self, wanted, plan, folder, number, work)

    @classmethod
    def of(
        cls, cluster: Cluster, lab: Lab, source: Source
    ) -> tuple[RemoteLab, tuple[tuple[Side, Checkout], ...]]:
        """Return the remote lab of a plan, and the commits of its sides."""
        lab, checkouts = lab.checkouts(source)
        base = lab.base or checkouts[0][1]
        return cls(cluster, lab, source, base), checkouts

    def runners(self, folders: tuple[Path, Path]) -> Callable[[Path, Path], RemoteRetries]:
        """Return what reruns the tests of a run's base and patched side, by their folders."""
        sides = dict(
            zip(folders, ((Side.BASE, self.base), (Side.PATCHED, self.lab.tip)), strict=True)
        )

        def runner(folder: Path, place: Path) -> RemoteRetries:
            side, checkout = sides[folder]
            assert checkout is not None
            return RemoteRetries(self, side, checkout, place)

        return runner

    @property
    def about(self) -> tuple[tuple[str, str], ...]:
        """The workers, as (name, what they have), for the record of a run."""
        return tuple(
            (f"worker {known.name}", ", ".join(known.resources))
            for known in self.cluster.workers.values()
        )

    def submit(
        self,
        wanted: TrialRequest,
        plan: Plan,
        folder: Path,
        number: float,
        work: worker.Work,
        *,
        whole: bool = False,
    ) -> concurrent.futures.Future[TrialReply]:
        """Submit a request with its parcels; ``whole``: its worker cannot get a release."""
        self._packer.whole |= whole
        checkout = wanted.checkout
        parcel, pack = self._packer.parcel(checkout.path, self.base.commit, checkout)
        wanted = dataclasses.replace(wanted, sources=parcel)
        parcels = (pack, self._suites[plan.suites])
        return self.cluster.submit(wanted, parcels, number, folder, work)


class RequestedTrial:
    """A trial on a worker; ``result`` waits for it."""

    def __init__(
        self,
        lab: RemoteLab,
        wanted: TrialRequest,
        plan: Plan,
        folder: Path,
        number: float,
        work: worker.Work,
    ) -> None:
        self.folder, self._lab = folder, lab
        self._submit = functools.partial(lab.submit, wanted, plan, folder, number, work)
        self._wanted, self._promise = wanted, self._submit()

    def reply(self) -> TrialReply:
        """Wait for the worker's reply.  Raises HostFault if there is none."""
        reply = self._promise.result()
        if reply.fault is not None and isinstance(reply.fault.error, LacksRelease):
            self._promise = self._submit(whole=True)
            reply = self._promise.result()
        return reply

    def cancel(self) -> None:
        """Stop the trial; who waits for it gets CancelledError."""
        self._lab.cluster.drop(self._promise)

    def result(self, base: Trial | None = None) -> tuple[Built, Trial]:
        """Wait for the kernel and its trial.  Raises the HarnessError that ended it.

        ``base`` is the trial of the base: if the suites can be collected there but not on this
        kernel, that is a result.
        """
        reply = self.reply()
        fault = reply.fault.error if reply.fault else None
        if fault and not (isinstance(fault, Uncollected) and trial.collects(base)):
            raise fault
        built = self.built(reply)
        return built, trial.read_back(built, self.folder, cached=reply.cached)

    def built(self, reply: TrialReply) -> Built:
        """Return the kernel of a reply; its small files are those of the evidence.

        Raises the HarnessError that kept it from being built.
        """
        if reply.kernel is None:
            raise reply.fault.error if reply.fault else HostFault("a worker sent no kernel")
        log = self.folder / evidence.BUILD_LOG
        kernel = dataclasses.replace(
            reply.kernel,
            config=self.folder / evidence.CONFIG,
            log=log if log.exists() else None,
            vmlinux=_here(reply.kernel.vmlinux),
            modules=_here(reply.kernel.modules),
        )
        return Built(self._wanted.side, self._wanted.checkout, kernel, reply.lines)


class RemoteRetries:
    """Runs tests again on workers, each in a guest of its own; evidence goes below ``place``.

    ``key`` is that of the kernel which was tested, if it may be that workers build another one.
    """

    def __init__(
        self, lab: RemoteLab, side: Side, checkout: Checkout, place: Path, key: str = ""
    ) -> None:
        self._lab, self._side, self._checkout, self._key = lab, side, checkout, key
        self._top = place / retries.FOLDER

    def rerun(self, test: str) -> Outcome | None:
        """Run a test in its own guest; return None after a host fault, or on another kernel."""
        self._top.mkdir(parents=True, exist_ok=True)
        folder = self._top / f"{len(list(self._top.iterdir()))}"
        plan = dataclasses.replace(
            self._lab.lab.plan.alone((test,)), fresh="", pytest_args=(), first=(), only_first=False
        )
        try:
            built, result = self._lab.request(
                self._side, self._checkout, folder, plan=plan
            ).result()
        except HarnessError:
            return None
        if self._key not in ("", built.kernel.key):
            self._lab.lab.progress.say(
                f"{self._side}: workers build another kernel: {built.kernel.key}, not {self._key}"
            )
            return None
        found = next((ran.outcome for ran in result.tests if ran.id == test), None)
        return None if found is Outcome.NOTRUN else found


def _here(path: Path | None) -> Path | None:
    """Return a path of a worker if it exists here too, since the cache is shared."""
    return path if path is not None and path.exists() else None


def _travelling(plan: Plan) -> Plan:
    """Return what a worker needs of a plan: nothing of this machine's folders."""
    series = plan.series and dataclasses.replace(plan.series, patches=(), cover=None, after=())
    return dataclasses.replace(
        plan, series=series, tree=None, out=None, typed=None, notes=(), hold=False, db=""
    )
