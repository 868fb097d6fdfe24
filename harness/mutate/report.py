# SPDX-License-Identifier: GPL-2.0-only
"""The score of a mutation as text: tables by patch and kind, and the mutants that survived."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from harness.model import MutantResult, MutantState, Mutation, Score
from harness.progress import clock
from harness.results import store
from harness.text import quantity

_SHOWN = 3  # tests that execute a line
UNNOTICED = (MutantState.SURVIVED, MutantState.NOT_EXECUTED)


def write(mutation: Mutation) -> None:
    """Write mutate.json and mutate.txt into the folder of the mutation."""
    store.save_mutation(mutation.folder, mutation)
    (mutation.folder / "mutate.txt").write_text(text(mutation), encoding="utf-8")


def headline(mutation: Mutation) -> str:
    """Return the score in a line."""
    score = mutation.score
    if score.percent is None:
        return f"no score: {quantity(len(mutation.results), 'mutant')} tried, none counts"
    gone = f"{score.survived} survived, {score.not_executed} in lines that no test executes"
    return f"{score.percent:.0f} %: {score.killed} of {score.total} mutants killed, {gone}"


def reason(result: MutantResult) -> str:
    """Return why a mutant is in its state, in a line."""
    if result.state is MutantState.KILLED:
        by = f"{result.killer}" + (f" in {result.test}" if result.test else "")
        return f"{by}: {result.message}" if result.message else by
    return result.message


def text(mutation: Mutation) -> str:
    """Return the result for a terminal or a file."""
    lines = [
        *_survivors(mutation),
        *_table("patch", [(f"{n:>2}  {s}", score) for n, s, score in mutation.by_patch]),
        *_table("kind", list(mutation.by_kind)),
        *_killers(mutation),
        *_uncounted(mutation),
    ]
    verdict = mutation.verdict.upper()
    asked = f", {mutation.at_least:g} % asked for" if mutation.at_least else ""
    left = mutation.mutants - len(mutation.results)
    end = f"{verdict} {mutation.series} on {mutation.source} in {clock(mutation.seconds)}"
    rest = [f"{quantity(left, 'mutant')} not tried: {mutation.stopped or 'of those asked for'}"]
    summary = [f"{headline(mutation)}{asked}", *(rest if left else [])]
    return "\n".join([*lines, *summary, end, f"evidence {mutation.folder}"]) + "\n"


def _survivors(mutation: Mutation) -> Iterator[str]:
    for result in mutation.of(*UNNOTICED):
        mutant = result.mutant
        where = f" in {mutant.function}()" if mutant.function else ""
        yield f"{result.state} {mutant.where}{where}, patch {mutant.patch}: {mutant.kind}"
        yield from (f"    {line}" for line in mutant.diff.splitlines()[2:])
        if result.executed_by:
            shown = ", ".join(result.executed_by[:_SHOWN])
            more = len(result.executed_by) - _SHOWN
            rest = f" and {more} more" if more > 0 else ""
            yield f"    executed by {quantity(len(result.executed_by), 'test')}: {shown}{rest}"
            if result.ran < len(result.executed_by):
                yield f"    {result.ran} of them ran: --seconds-each leaves out the others"
        yield ""


def _table(name: str, rows: list[tuple[str, Score]]) -> Iterator[str]:
    yield f"killed   of     {name}"
    for what, score in rows:
        percent = "      " if score.percent is None else f"{score.percent:4.0f} %"
        yield f"{score.killed:>6} {score.total:>4} {percent}  {what}"
    yield ""


def _killers(mutation: Mutation) -> Iterator[str]:
    killed = mutation.of(MutantState.KILLED)
    by = collections.Counter(str(result.killer) for result in killed)
    if by:
        yield "noticed by: " + ", ".join(f"{what} {many}" for what, many in by.most_common())
    tests = collections.Counter(result.test for result in killed if result.test)
    for test, many in tests.most_common(_SHOWN):
        yield f"  {many:>4} by {test}"


def _uncounted(mutation: Mutation) -> Iterator[str]:
    same = len(mutation.of(MutantState.SAME_CODE))
    refused = len(mutation.of(MutantState.NOT_COMPILED))
    undecided = mutation.of(MutantState.UNDECIDED)
    parts = [
        f"{same} with the same code" if same else "",
        f"{refused} that do not compile" if refused else "",
        f"{len(undecided)} undecided" if undecided else "",
    ]
    if any(parts):
        yield f"not counted: {', '.join(filter(None, parts))}"
    for result in undecided:
        yield f"  {result.mutant.where} {result.mutant.kind}: {result.message}"
