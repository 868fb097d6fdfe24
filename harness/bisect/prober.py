# SPDX-License-Identifier: GPL-2.0-only
"""One trial of a candidate: build it, run the failing test alone, and judge the evidence.

Every trial is saved before its result is used, so a bisection that was killed can be resumed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import process, serial
from harness.bisect.builder import BuildDropped, BuiltCandidate, CandidateBuilder
from harness.bisect.signature import COMMAND, Signature, TrialEvidence, judge, judge_runs
from harness.errors import HostFault
from harness.lab import folder as run_folder
from harness.lab.plan import BOOTS
from harness.model import (
    Candidate,
    Observation,
    ObservationRecord,
    SearchStart,
    SearchState,
    Trial,
)
from harness.results import store

ATTEMPTS = 3  # per trial, if the host is at fault
PAUSE = 2.0  # seconds before the next attempt: a host that is short of resources may recover
RESULT = "result.json"
_TAIL = 40  # lines of a command's output that are kept in memory


class StateFile:
    """The trials of one bisection, in its state.json."""

    def __init__(
        self, folder: Path, begun: SearchStart, trials: tuple[ObservationRecord, ...] = ()
    ) -> None:
        self.folder, self.begun = folder, begun
        self.trials = list(trials)
        # Trials not used yet: from an interrupted process, or from a guest that repeated the test.
        self._unused: dict[tuple[str, str], list[ObservationRecord]] = {}
        for record in trials:
            self._unused.setdefault((record.candidate, record.phase), []).append(record)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path) -> StateFile:
        """Read the state of a bisection to resume.  Raises UsageError if there is none."""
        state = store.load_search_state(folder)
        return cls(folder, state.begun, state.trials)

    @property
    def pins(self) -> dict[str, str]:
        """The commits that refs pointed to when the bisection began."""
        return dict(self.begun.pins)

    def unused(self, candidate: str, phase: str) -> ObservationRecord | None:
        """Return a finished trial that has not been used yet, if there is one."""
        with self._lock:
            records = self._unused.get((candidate, phase))
            return records.pop(0) if records else None

    def add(self, first: ObservationRecord, *more: ObservationRecord) -> None:
        """Save the trials of one guest; all but the first are ``unused``.

        Raises HostFault (through the caller's guard) if the disk is full.
        """
        with self._lock:
            self.trials += (first, *more)
            self._unused.setdefault((first.candidate, first.phase), []).extend(more)
            self._write()

    def pin(self, pins: Mapping[str, str]) -> None:
        """Save the commits that refs point to now, because a branch may move before --resume."""
        with self._lock:
            pinned = tuple({**self.pins, **pins}.items())
            self.begun = dataclasses.replace(self.begun, pins=pinned)
            self._write()

    def _write(self) -> None:
        store.save_search_state(self.folder, SearchState(self.begun, tuple(self.trials)))


class Prober:
    """Runs trials.  A trial with a host fault is repeated, since it is no verdict."""

    def __init__(self, builder: CandidateBuilder, signature: Signature, state: StateFile) -> None:
        self.builder, self.signature, self.state = builder, signature, state
        self.sources = builder.sources
        self.booted, self.running, self.stopped = 0, 0, False
        self._lock = threading.Lock()
        self._numbers = run_folder.free_numbers(state.folder)

    def __call__(self, candidate: Candidate, phase: str = "search") -> Observation:
        """Return the result of one more trial.  Raises HostFault after ATTEMPTS host faults."""
        unused = self.state.unused(candidate.name, phase)
        if unused is not None:
            return unused.observation
        begin = time.monotonic()
        built = self.builder.result(candidate)
        evidence, folder = self._evidence(candidate, built, self._folder(candidate))
        if self.stopped:  # an interrupted trial looks like a failure
            raise BuildDropped(candidate.name)
        runs = judge_runs(self.signature, evidence)
        seconds = round((time.monotonic() - begin) / len(runs), 3)
        seen = [Observation(run.call, run.why, seconds, folder, run.value) for run in runs]
        with run_folder.writing(self.state.folder):
            self.state.add(
                *(
                    ObservationRecord(candidate.name, phase, observation, built.digest)
                    for observation in seen
                )
            )
        return seen[0]

    @property
    def repeats(self) -> bool:
        """Whether a guest runs the test more than once."""
        return self.sources.lab.plan.repeat > 1

    def stop(self) -> None:
        """Stop the running trials; their outcome is not used."""
        self.stopped = self.builder.stopped = True
        process.interrupt_all()
        self.builder.drop_all()

    def go_on(self) -> None:
        """Allow trials again."""
        self.stopped = self.builder.stopped = False

    def _folder(self, candidate: Candidate) -> Path:
        with self._lock:
            number = next(self._numbers)
        name = re.sub(r"[^\w.+-]+", "-", candidate.name).strip("-")[:40].strip("-")
        return self.state.folder / f"{number:03}-{name}"

    def _evidence(
        self, candidate: Candidate, built: BuiltCandidate, folder: Path
    ) -> tuple[TrialEvidence, Path]:
        """Return the evidence of a trial, and its folder."""
        if built.fault is not None:
            folder.mkdir(parents=True)
            text = f"{built.fault.what}\n{built.fault.details}\n"
            (folder / "fault.txt").write_text(text, encoding="utf-8")
            return TrialEvidence(fault=built.fault), folder
        for attempt in range(1, ATTEMPTS + 1):
            if self.stopped:
                raise BuildDropped(candidate.name)
            here = folder if attempt == 1 else folder.with_name(f"{folder.name}-again-{attempt}")
            try:
                with run_folder.writing(here):
                    return self._try(candidate, built, here), here
            except HostFault as fault:
                if attempt == ATTEMPTS or self.stopped:
                    again = f"harness bisect --resume {shlex.quote(str(self.state.folder))}"
                    hint = f"{fault.hint}; then: {again}" if fault.hint else f"to continue: {again}"
                    raise HostFault(fault.what, hint=hint, details=fault.details) from fault
                self.sources.lab.progress.say(f"{fault.what}: host fault, retrying")
                time.sleep(PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _try(self, candidate: Candidate, built: BuiltCandidate, folder: Path) -> TrialEvidence:
        folder.mkdir(parents=True, exist_ok=True)
        if self.signature.kind is COMMAND:
            status, output = self._command(candidate, built, folder)
            evidence = TrialEvidence(built.kernel, status=status, output=output)
        elif self.signature.kind.boots:
            evidence = TrialEvidence(built.kernel, result=self._boot(candidate, built, folder))
        else:
            return TrialEvidence(built.kernel)
        judge(self.signature, evidence)  # raises HostFault while the trial can still be repeated
        return evidence

    def _boot(self, candidate: Candidate, built: BuiltCandidate, folder: Path) -> Trial:
        """Run only the failing test, in one guest; the search itself repeats trials."""
        lab, test = self.sources.lab, self.signature.test
        suites = (test,) if test else lab.plan.suites
        if self.signature.kind.boot_only or not suites:
            suites = (str(BOOTS),)
        plan = dataclasses.replace(lab.plan, suites=suites, guests="1", retry=0)
        # What is random at boot is the same in all copies of a guest, and most kernels run once.
        plan = dataclasses.replace(plan, no_snapshot=True)
        with self._counted():
            result = self.builder.trial(built, folder, plan, candidate.request or lab.request)
        serial.write(folder / RESULT, result, indent=1)
        return result

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Count one more boot, and one more running guest while the context lasts."""
        with self._lock:
            self.booted += 1
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def _command(
        self, candidate: Candidate, built: BuiltCandidate, folder: Path
    ) -> tuple[int, str]:
        """Run the user's command; returns its status and the end of its output."""
        assert built.checkout is not None
        env = {
            "HARNESS_COMMIT": built.checkout.commit,
            "HARNESS_NAME": candidate.name,
            "HARNESS_FOLDER": str(folder),
        }
        if kernel := built.kernel:
            env |= {"HARNESS_KERNEL": str(kernel.image), "HARNESS_CONFIG": str(kernel.config)}
            if kernel.vmlinux:
                env["HARNESS_VMLINUX"] = str(kernel.vmlinux)
            return self._follow(Path.cwd(), env, folder)
        # Without a kernel the command runs in the sources, as in `git bisect run`.
        with self.sources.held(lambda: self.stopped) as slot:
            slot.check_out(built.checkout)
            env["HARNESS_TREE"] = str(slot.path)
            return self._follow(slot.path, env, folder)

    def _follow(self, cwd: Path, env: dict[str, str], folder: Path) -> tuple[int, str]:
        lines: list[str] = []
        with (folder / "output.txt").open("w", encoding="utf-8") as log:

            def keep(line: str) -> None:
                lines.append(line)
                log.write(line + "\n")

            status = process.follow(self.signature.command, keep, cwd=cwd, env=env)
        return status, "\n".join(lines[-_TAIL:])


def result(observation: Observation) -> Trial | None:
    """Read the stored result of a trial's guest; None if there is none."""
    if observation.folder is None:
        return None
    try:
        return serial.read(observation.folder / RESULT, Trial)
    except (OSError, serial.DamagedError):
        return None
