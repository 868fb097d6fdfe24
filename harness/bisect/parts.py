# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of what is no row of commits: the options of a config, sets of patches."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness import architectures, build, kconfig
from harness.bisect import ends, interaction, options, sequential
from harness.bisect.job import Job
from harness.errors import UsageError
from harness.kconfig import reader
from harness.kconfig.fragment import parse
from harness.model import Bisected, BisectMode, Call, Candidate, PatchInteraction, Request

_MADE, _TOP = "Automatically generated file", 200  # what begins a .config that make wrote


def search(job: Job) -> Bisected:
    """Find the options, or the patches, that make the difference together."""
    return _config(job) if job.ask.mode is BisectMode.CONFIG else _interaction(job)


def _call(job: Job, candidate: Candidate) -> Call:
    """Try one candidate and tell of it."""
    job.live.at(f"step {job.live.steps + 1}: {candidate.name}")
    decision = job.judge.decide(candidate)
    job.live.decided(candidate, decision)
    return job.judge.rule.of(decision)


def _config(job: Job) -> Bisected:
    lab, ask = job.lab, job.ask
    assert ask.configs is not None
    good, bad = (_request(job, word) for word in ask.configs)
    source = lab.checkout(Candidate("the sources"))
    with lab.held() as slot:
        slot.check_out(source)
    scratch = build.folder(source, Request(()), lab.toolchain)
    known = reader.read_kconfig(source.path, architectures.named(lab.toolchain.arch).folder)

    def attempt(request: Request) -> dict[str, str]:
        return kconfig.attempt(source.path, scratch, request, lab.toolchain)

    space = options.Space(good, bad, attempt, known)
    if not space.parts:
        raise UsageError("the two configs come to the same", hint="they differ in no option")
    ends.failing(job.judge, space.bad, job.live, ask.trials)
    ends.others(job.judge, [space.good], Call.GOOD, job.live)
    found = options.search(space, lambda candidate: _call(job, candidate))
    return dataclasses.replace(
        _answer(job, ask.configs[0] or "the usual options", ask.configs[1], len(space.parts)),
        options=found.options,
        brought=found.brought,
        notes=tuple(f"{name} could not be left out" for name in found.unsure),
    )


def _request(job: Job, word: str) -> Request:
    """Read the options of an end: a whole .config, or a fragment on top of the usual options."""
    lab, file = job.lab, Path(word)
    if not word:
        return lab.request
    if file.is_file() and _MADE in (text := file.read_text("utf-8", "replace"))[:_TOP]:
        return Request(tuple({one.name: one for one in parse(text, word)}.values()))
    named = file.absolute() if file.is_file() else word
    more = kconfig.request([named], (), lab.plan.fragment_folders, lab.toolchain.arch)
    both = (*lab.request.options, *more.options)
    return Request(tuple({one.name: one for one in both}.values()))


def _whole(job: Job) -> float:
    made = [one.confidence for one in job.judge.decisions.values() if one.count.runs]
    return sequential.whole(made)


def _interaction(job: Job) -> Bisected:
    ask, series = job.ask, job.ask.plan.series
    assert series is not None
    total = len(series.patches)
    every = interaction.candidate(range(1, total + 1), total)
    # The whole series shows the failure or does not: with --find-fix it is the base that does.
    shows = interaction.candidate((), total) if ask.reverse else every
    ends.failing(job.judge, shows, job.live, ask.trials)
    found = interaction.search(total, lambda candidate: _call(job, candidate))
    return dataclasses.replace(
        _answer(job, "", every.name, total),
        reverse=ask.reverse,
        together=PatchInteraction(
            found.decisive,
            found.pairs,
            found.together,
            found.unsure,
            tuple(found.needs.items()),
            found.full,
        ),
    )


def _answer(job: Job, good: str, bad: str, total: int) -> Bisected:
    """Give what is known of either search when it is over."""
    rate, interval = job.rate
    prober = job.judge.prober
    return Bisected(
        mode=job.ask.mode,
        signature=str(job.ask.signature),
        test=job.ask.signature.test,
        source=job.source,
        good=good,
        bad=bad,
        total=total,
        folder=job.state.folder,
        steps=job.steps(),
        rate=rate,
        interval=interval,
        confidence=_whole(job),
        built=prober.builder.built,
        booted=prober.booted,
    )
