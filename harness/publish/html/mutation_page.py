# SPDX-License-Identifier: GPL-2.0-only
"""The page of a mutation: the score, the mutants that survived, and all of them in the patches."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from harness.model import MutantResult, MutantState, Mutation
from harness.progress import clock
from harness.publish.html import diffs
from harness.publish.html.diffs import Remark, ShownPatch
from harness.publish.html.excerpts import Budget
from harness.publish.html.page import Page, Tile
from harness.results import evidence, store
from harness.text import quantity

# How bad a mutant's state is, for remarks on its line.
_LEVELS = {
    MutantState.KILLED: "note",
    MutantState.SURVIVED: "error",
    MutantState.NOT_EXECUTED: "warning",
}


def of_mutation(folder: Path) -> Page:
    """Return the page for a folder created by ``harness mutate``.

    Raises UsageError if its mutate.json is damaged or has another format.
    """
    mutation = store.load_mutation(folder)
    score = mutation.score
    percent = "none" if score.percent is None else f"{score.percent:.0f} %"
    kind = "fail" if score.survived or score.not_executed else "pass"
    return Page(
        verdict=mutation.verdict,
        title=mutation.series,
        subject=f"mutants of its lines, on {mutation.source}",
        lead=tuple(_lead(mutation)),
        folder=folder,
        command=shlex.join(mutation.command),
        about=(("source", mutation.source), ("seed", str(mutation.seed))),
        tiles=(
            Tile(percent, "killed", "pass" if kind == "pass" else ""),
            Tile(str(score.survived), "survived", "fail" if score.survived else "pass"),
            Tile(str(score.not_executed), "not executed"),
            Tile(clock(mutation.seconds), "total time"),
        ),
        mutation=mutation,
        patches=tuple(_patches(mutation, folder)),
    )


def _lead(mutation: Mutation) -> Iterator[str]:
    score, tried = mutation.score, len(mutation.results)
    yield (
        f"{quantity(tried, 'mutant')} of {mutation.mutants} tried: the tests noticed "
        f"{score.killed} of the {score.total} that count."
    )
    if mutation.stopped:
        yield f"Not all were tried: {mutation.stopped}."
    if mutation.at_least:
        yield f"At least {mutation.at_least:g} % was asked for."


def _patches(mutation: Mutation, folder: Path) -> Iterator[ShownPatch]:
    """Return each patch with a remark for each mutant at its line."""
    kept, budget = sorted((folder / evidence.SERIES).glob("*.patch")), Budget(diffs.ALL)
    if len(kept) != len(mutation.patches):
        return
    for number, (_, subject) in enumerate(mutation.patches, 1):
        own = [result for result in mutation.results if result.mutant.patch == number]
        remarks = [_remark(result) for result in own if result.state in _LEVELS]
        yield diffs.show(number, subject, "", kept[number - 1], remarks, budget)


def _remark(result: MutantResult) -> Remark:
    mutant = result.mutant
    by = f" by {result.test or result.killer}" if result.state is MutantState.KILLED else ""
    after = " ".join(mutant.after.split()) or "(nothing)"
    source = mutant.before.split("\n")[0]
    text = f"{result.state}{by}: {mutant.kind}: {after}"
    return Remark(_LEVELS[result.state], text, mutant.file, mutant.line, source)
