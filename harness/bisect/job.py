# SPDX-License-Identifier: GPL-2.0-only
"""One bisection: its plan, everything it works with, and its decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from harness import serial
from harness.bisect import flaky
from harness.bisect.builder import CandidateSources
from harness.bisect.flaky import Decision
from harness.bisect.hunt import Judge, SearchProgress
from harness.bisect.prober import StateFile
from harness.bisect.signature import Signature
from harness.errors import UsageError
from harness.model import Bisected, BisectMode, BisectStep, Call, Candidate, Plan

PLAN = "plan.json"  # in the folder of a bisection


@dataclasses.dataclass(frozen=True)
class BisectPlan:
    """What a bisection should do; ``run`` is how its kernels are built and run.

    ``goods`` and ``bad`` are refs; with ``reverse`` the bad one is older, and the search is for
    the commit that fixed the failure.  ``files`` and ``first_parent`` limit the range.  ``other``
    is what any other failure counts as.  If the bad end does not fail in ``trials`` runs, the
    search gives up.  ``sources_only``: the command needs no kernel.  ``log`` is a log of
    `git bisect` to continue.  ``configs`` are the options of the good and the bad end: a .config
    or a fragment, by file or name; "" means the default options.
    """

    run: Plan
    mode: BisectMode
    signature: Signature
    goods: tuple[str, ...] = ()
    bad: str = ""
    files: tuple[str, ...] = ()
    first_parent: bool = False
    reverse: bool = False
    other: Call = Call.SKIP
    confidence: float = 0.99
    trials: int = 10
    sources_only: bool = False
    log: Path | None = None
    configs: tuple[str, str] | None = None

    def save(self, folder: Path) -> None:
        """Write the plan into the folder of the bisection, for --resume."""
        serial.write(folder / PLAN, self, indent=1)

    @classmethod
    def load(cls, folder: Path) -> BisectPlan | None:
        """Read the saved plan; None if there is none, because an older harness created the folder.

        Raises UsageError for a damaged file.
        """
        try:
            return serial.read(folder / PLAN, cls)
        except FileNotFoundError:
            return None
        except serial.DamagedError as error:
            hint = "leave out --resume to start a new bisection"
            raise UsageError(f"{folder / PLAN} is damaged: {error}", hint=hint) from error


@dataclasses.dataclass(frozen=True)
class BisectJob:
    """Everything that a search needs."""

    plan: BisectPlan
    sources: CandidateSources
    judge: Judge
    shown: SearchProgress
    state: StateFile

    def call(self, candidate: Candidate) -> Call:
        """Try a candidate, and show the decision."""
        self.shown.note(f"step {self.shown.steps + 1}: {candidate.name}")
        decision = self.judge.decide(candidate)
        self.shown.decided(candidate, decision)
        return self.judge.rule.of(decision)

    def answer(self, good: str, bad: str, total: int) -> Bisected:
        """Return the part of the answer that all kinds of searches have in common.

        Its confidence is the probability that all decisions are right.
        """
        rates, prober, source = self.judge.rule.rates, self.judge.prober, self.sources.source
        decisions = self.judge.decisions
        return Bisected(
            mode=self.plan.mode,
            signature=str(prober.signature),
            test=prober.signature.test,
            source=f"{source.name}, {source.origin}".strip(" ,"),
            good=good,
            bad=bad,
            total=total,
            folder=self.state.folder,
            reverse=self.plan.reverse,
            steps=steps(decisions, "search"),
            rate=rates.bad.rate if rates else 0.0,
            interval=rates.bad.interval if rates else (0.0, 1.0),
            confidence=flaky.all_right(
                decision.confidence for decision in decisions.values() if decision.count.runs
            ),
            built=prober.builder.built,
            booted=prober.booted,
        )


def steps(decisions: Mapping[Candidate, Decision], phase: str) -> tuple[BisectStep, ...]:
    """Return decisions as steps of the answer."""
    return tuple(
        BisectStep(
            name=candidate.name,
            commit=candidate.commit,
            phase=phase,
            call=decision.call,
            why=decision.why,
            seconds=round(sum(trial.seconds for trial in decision.observations), 3),
            runs=decision.count.runs,
            failures=decision.count.failures,
            confidence=decision.confidence,
            folder=decision.observations[-1].folder if decision.observations else None,
        )
        for candidate, decision in decisions.items()
    )
