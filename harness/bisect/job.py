# SPDX-License-Identifier: GPL-2.0-only
"""One bisection under way, and what it has decided so far as steps of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from harness.bisect.ask import Ask
from harness.bisect.hunt import Crew, Judge
from harness.bisect.lab import Lab
from harness.bisect.live import Live
from harness.bisect.sequential import Decision
from harness.bisect.state import StateFile
from harness.model import BisectStep, Candidate


@dataclasses.dataclass(frozen=True)
class Job:
    """Everything that a search needs."""

    ask: Ask
    lab: Lab
    judge: Judge
    crew: Crew
    live: Live
    state: StateFile

    @property
    def source(self) -> str:
        """Where the sources are from."""
        return f"{self.lab.source.name}, {self.lab.source.origin}".strip(" ,")

    def steps(self, proofs: Mapping[Candidate, Decision] | None = None) -> tuple[BisectStep, ...]:
        """Give all decisions, those of the proof last."""
        steps = [_step(one, made, "search") for one, made in self.judge.decisions.items()]
        steps += [_step(one, made, "verify") for one, made in (proofs or {}).items()]
        return tuple(steps)

    @property
    def rate(self) -> tuple[float, tuple[float, float]]:
        """How often the failure shows where it is, and the bounds of that with 95 %."""
        rates = self.judge.rule.rates
        return (rates.bad.rate, rates.bad.interval) if rates else (0.0, (0.0, 1.0))


def _step(candidate: Candidate, decision: Decision, phase: str) -> BisectStep:
    seen = decision.observations
    return BisectStep(
        name=candidate.name,
        commit=candidate.commit,
        phase=phase,
        call=decision.call,
        why=decision.why,
        seconds=round(sum(one.seconds for one in seen), 3),
        runs=decision.count.runs,
        failures=decision.count.failures,
        confidence=decision.confidence,
        folder=seen[-1].folder if seen else None,
    )
