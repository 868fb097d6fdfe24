# SPDX-License-Identifier: GPL-2.0-only
"""One trial of a candidate: build it, run the failing test alone, and say what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from harness import process
from harness.bisect.lab import Builder, Dropped, Lab, Made
from harness.bisect.signature import Evidence, Signature, SignatureKind, judge, judge_runs
from harness.bisect.state import StateFile
from harness.errors import HostFault
from harness.lab import folder as run_folder
from harness.lab import trial
from harness.lab.kernels import Built
from harness.lab.plan import BOOTS
from harness.model import Candidate, Observation, ObservationRecord, Plan, Side, SideResult
from harness.serial import from_json, to_json

ATTEMPTS = 3  # when the host is at fault
PAUSE = 2.0  # seconds before another attempt; a host that is out of something may recover
RESULT = "result.json"


class Prober:
    """Tries candidates.  Every trial is kept before anything is concluded from it.

    Faults of the host are tried again, and never are a verdict.
    """

    def __init__(self, lab: Lab, builder: Builder, signature: Signature, state: StateFile) -> None:
        self.lab, self.builder, self.signature, self.state = lab, builder, signature, state
        self.booted, self.running, self.stopped = 0, 0, False
        self._lock = threading.Lock()
        there = [re.match(r"\d+", path.name) for path in state.folder.glob("[0-9]*-*")]
        self._numbers = itertools.count(1 + max((int(one[0]) for one in there if one), default=0))

    def __call__(self, candidate: Candidate, phase: str = "search") -> Observation:
        """Give what one more trial says.  Raises HostFault when the host will not do."""
        known = self.state.unused(candidate.name, phase)
        if known is not None:
            return known.observation
        begin = time.monotonic()
        made = self.builder.made(candidate)
        place = self._place(candidate)
        evidence, place = self._evidence(candidate, made, place)
        if self.stopped:  # what is interrupted looks like a failure
            raise Dropped(candidate.name)
        found = judge_runs(self.signature, evidence)
        seconds = round((time.monotonic() - begin) / len(found), 3)
        seen = [Observation(one.call, one.why, seconds, place, one.value) for one in found]
        with run_folder.writing(self.state.folder):
            self.state.add(
                *(ObservationRecord(candidate.name, phase, one, made.digest) for one in seen)
            )
        return seen[0]

    @property
    def repeats(self) -> bool:
        """Whether a guest runs the test more than once."""
        return self.lab.plan.repeat > 1

    def stop(self) -> None:
        """End the trials under way; they say nothing."""
        self.stopped = self.builder.stopped = True
        process.interrupt_all()

    def go_on(self) -> None:
        """Let there be trials again."""
        self.stopped = self.builder.stopped = False

    def _place(self, candidate: Candidate) -> Path:
        with self._lock:
            number = next(self._numbers)
        words = re.sub(r"[^\w.+-]+", "-", candidate.name).strip("-")[:40].strip("-")
        return self.state.folder / f"{number:03}-{words}"

    def _evidence(self, candidate: Candidate, made: Made, place: Path) -> tuple[Evidence, Path]:
        """Gather what is to be judged; gives the folder it is in."""
        if made.fault is not None:
            place.mkdir(parents=True)
            text = f"{made.fault.what}\n{made.fault.details}\n"
            (place / "fault.txt").write_text(text, encoding="utf-8")
            return Evidence(fault=made.fault), place
        for attempt in range(1, ATTEMPTS + 1):
            if self.stopped:
                raise Dropped(candidate.name)
            here = place if attempt == 1 else place.with_name(f"{place.name}-again-{attempt}")
            try:
                with run_folder.writing(here):
                    return self._tried(candidate, made, here), here
            except HostFault as fault:
                if attempt == ATTEMPTS or self.stopped:
                    raise _given_up(fault, self.state.folder) from fault
                self.lab.progress.say(f"{fault.what}: that is no verdict, once more")
                time.sleep(PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _tried(self, candidate: Candidate, made: Made, place: Path) -> Evidence:
        place.mkdir(parents=True, exist_ok=True)
        if self.signature.kind is SignatureKind.COMMAND:
            status, said = self._command(candidate, made, place)
            found = Evidence(made.kernel, status=status, said=said)
        elif self.signature.boots:
            found = Evidence(made.kernel, result=self._boot(candidate, made, place))
        else:
            return Evidence(made.kernel)
        judge(self.signature, found)  # a fault of the host shows here, and is tried again
        return found

    def _boot(self, candidate: Candidate, made: Made, place: Path) -> SideResult:
        lab = self.lab
        assert made.kernel is not None
        assert made.checkout is not None
        built = Built(Side.PATCHED, made.checkout, made.kernel)
        with self._counted():
            request = candidate.request or lab.request
            chosen = dataclasses.replace(lab.lab, plan=self._plan(), request=request)
            found = trial.run(chosen, built, place)
        (place / RESULT).write_text(json.dumps(to_json(found), indent=1), encoding="utf-8")
        return found

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a guest, also while it runs."""
        with self._lock:
            self.booted += 1
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def _plan(self) -> Plan:
        """Only the failing test is run, in one guest; retrying is the search's affair."""
        plan, test = self.lab.plan, self.signature.test
        chosen = (test,) if test else plan.suites
        if self.signature.kind in (SignatureKind.BOOT, SignatureKind.BOOT_TIME) or not chosen:
            chosen = (str(BOOTS),)
        return dataclasses.replace(plan, suites=chosen, guests="1", retry=0)

    def _command(self, candidate: Candidate, made: Made, place: Path) -> tuple[int, str]:
        """Run the person's command; what it prints is kept."""
        assert made.checkout is not None
        env = {
            "HARNESS_COMMIT": made.checkout.commit,
            "HARNESS_NAME": candidate.name,
            "HARNESS_FOLDER": str(place),
        }
        if kernel := made.kernel:
            env |= {"HARNESS_KERNEL": str(kernel.image), "HARNESS_CONFIG": str(kernel.config)}
            if kernel.vmlinux:
                env["HARNESS_VMLINUX"] = str(kernel.vmlinux)
            return self._followed(Path.cwd(), env, place)
        # Without a kernel it is about the sources, as in `git bisect run`.
        with self.lab.held(lambda: self.stopped) as slot:
            slot.check_out(made.checkout)
            env["HARNESS_TREE"] = str(slot.path)
            return self._followed(slot.path, env, place)

    def _followed(self, cwd: Path, env: dict[str, str], place: Path) -> tuple[int, str]:
        said: list[str] = []
        with (place / "output.txt").open("w", encoding="utf-8") as log:

            def line(text: str) -> None:
                said.append(text)
                log.write(text + "\n")

            status = process.follow(self.signature.command, line, cwd=cwd, env=env)
        return status, "\n".join(said[-40:])


def _given_up(fault: HostFault, folder: Path) -> HostFault:
    again = f"then: harness bisect --resume {shlex.quote(str(folder))}"
    hint = f"{fault.hint}; {again}" if fault.hint else again
    return HostFault(fault.what, hint=hint, details=fault.details)


def result(observation: Observation) -> SideResult | None:
    """Read back what a trial's guest did; None where there was none."""
    if observation.folder is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        table = json.loads((observation.folder / RESULT).read_text(encoding="utf-8"))
        found: SideResult = from_json(SideResult, table)
        return found
    return None
