# SPDX-License-Identifier: GPL-2.0-only
"""The answer of a bisection: text for a terminal, a paragraph for a mail, commands to repeat it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.bisect import gitlog, prober
from harness.model import Bisected, BisectMode, BisectStep, Call, Contrast, Observation
from harness.progress import clock
from harness.results import store

_WIDTH = 72  # columns of a mail
_SIDE = 46  # columns of one side


def write(answer: Bisected) -> None:
    """Write bisect.json, bisect.txt and mail.txt into the folder of the bisection."""
    store.save_bisection(answer.folder, answer)
    (answer.folder / "bisect.txt").write_text(text(answer), encoding="utf-8")
    if answer.mail:
        (answer.folder / "mail.txt").write_text(answer.mail, encoding="utf-8")


def text(answer: Bisected) -> str:
    """Return the answer with all its evidence, for a terminal or a file."""
    lines = [*_headline(answer), *_evidence(answer), *_steps(answer.steps), *_numbers(answer)]
    if answer.mail:
        lines += ["", "for a mail:", "", answer.mail.rstrip()]
    if answer.commands:
        lines += ["", "commands:", *(f"  {command}" for command in answer.commands)]
    verdict = answer.verdict.upper()
    end = f"{verdict} {answer.signature} on {answer.source} in {clock(answer.seconds)}"
    return "\n".join([*lines, "", end, f"evidence {answer.folder}"]) + "\n"


def _headline(answer: Bisected) -> Iterator[str]:
    first = "first good" if answer.reverse else "first bad"
    if culprit := answer.culprit:
        patch = f"patch {answer.patch} of {answer.total}, " if answer.patch else ""
        yield f"{first} commit: {patch}{culprit.short}"
        yield f"  author  {culprit.author}, {culprit.date}"
        yield from _listed("files", culprit.files)
    elif answer.mode is BisectMode.CONFIG:
        yield f"{len(answer.options)} of {answer.total} differing options cause the failure:"
        yield from (f"  CONFIG_{option.name}={option.value}" for option in answer.options)
        brought = [f"{option.name}={option.value}" for option in answer.brought]
        yield from _listed("also change", brought)
    elif answer.mode is BisectMode.INTERACTION:
        yield from _interaction(answer)
    else:
        yield f"not decided: the {first} commit is one of these, which cannot all be tested:"
        yield from (f"  {commit.short}" for commit in answer.remaining)
    yield from (f"  note: {note}" for note in answer.notes)


def _listed(name: str, items: Sequence[str], most: int = 8) -> Iterator[str]:
    if items:
        more = f" and {len(items) - most} more" if len(items) > most else ""
        yield f"  {name:<7} {', '.join(items[:most])}{more}"


def _interaction(answer: Bisected) -> Iterator[str]:
    interaction = answer.together
    assert interaction is not None
    opposite = {Call.GOOD: "bad", Call.BAD: "good"}.get(interaction.full, "different")
    yield f"the whole series is {interaction.full}"
    if interaction.decisive:
        yield f"it is {opposite} without patch {' or '.join(map(str, interaction.decisive))}"
    for first, second in interaction.pairs:
        yield f"it is {opposite} without patches {first} and {second}"
    if len(interaction.together) == 1:
        yield f"patch {interaction.together[0]} alone causes the failure"
    elif interaction.together:
        yield f"patches {' and '.join(map(str, interaction.together))} together cause the failure"
    for patch, needed in interaction.needs:
        yield f"patch {patch} needs {', '.join(map(str, needed))}"


def _evidence(answer: Bisected) -> Iterator[str]:
    if answer.proofs:
        yield "\nproof:"
    for proof in answer.proofs:
        holds = {True: "yes", False: "NO", None: "?"}[proof.holds]
        call = f"is {proof.found}" if proof.found else "not tried"
        yield f"  {holds:<4}{proof.what} {call}: {_short(proof.why)}"
    if answer.differences:
        left, right = ("with the bug", "without it") if answer.reverse else ("parent", "culprit")
        yield f"\n  {'':<8} {left:<{_SIDE}} {right}"
    for contrast in answer.differences:
        yield from _side_by_side(contrast)


def _side_by_side(contrast: Contrast) -> Iterator[str]:
    left, right = _wrapped(contrast.before), _wrapped(contrast.after)
    for number in range(max(len(left), len(right))):
        before = left[number] if number < len(left) else ""
        after = right[number] if number < len(right) else ""
        name = contrast.what if not number else ""
        yield f"  {name:<8} {before:<{_SIDE}} {after}".rstrip()


def _wrapped(text: str) -> list[str]:
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, _SIDE)]
    return lines or ["-"]


def _steps(steps: tuple[BisectStep, ...]) -> Iterator[str]:
    yield "\ntried:"
    for step in steps:
        runs = ""
        if step.runs > 1 and " runs" not in step.why:
            runs = f" ({step.failures} of {step.runs} runs failed)"
        phase = "" if step.phase == "search" else f"{step.phase}: "
        what = f"{phase}{_short(step.name)}: {_short(step.why)}"
        yield f"  {step.call:<5} {what}{runs}  {clock(step.seconds)}"


def _short(text: str, most: int = 100) -> str:
    """Shorten the first line; bisect.json has everything."""
    line = text.partition("\n")[0]
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _numbers(answer: Bisected) -> Iterator[str]:
    sure = f"{100 * answer.confidence:.3g} % sure" if answer.confidence else "not sure"
    low, high = answer.interval
    yield (
        f"\n{sure}; the failure shows in {100 * answer.rate:.0f} % of runs "
        f"(95 %: {100 * low:.0f} to {100 * high:.0f} %)"
    )
    yield f"{answer.built} kernels built, {answer.booted} boots, {clock(answer.seconds)}"


def mail(answer: Bisected) -> str:
    """Return a paragraph for a mailing list, with the trailers; empty without a culprit."""
    culprit = answer.culprit
    if culprit is None:
        return ""
    verb = "fixed by" if answer.reverse else "bisected to"
    what = f"patch {answer.patch}/{answer.total}," if answer.patch else "commit"
    verified = [f"{proof.what} is {proof.found}" for proof in answer.proofs if proof.holds]
    paragraph = (
        f'{answer.signature}: {verb} {what} {culprit.id[:12]} ("{culprit.subject}"), '
        f"between {answer.good} and {answer.bad}. "
        + (f"Verified: {', '.join(verified)}. " if verified else "")
        + f"Confidence {100 * answer.confidence:.4g} %; the failure shows in "
        f"{100 * answer.rate:.0f} % of runs."
    )
    wrapped = textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
    after = answer.differences[0].after if answer.differences else answer.signature
    shown = [f"    {_short(line)}" for line in after.splitlines()[:4]]
    return "\n".join([*wrapped, "", *shown, "", *_trailers(answer)]) + "\n"


def _trailers(answer: Bisected) -> Iterator[str]:
    culprit = answer.culprit
    assert culprit is not None
    if answer.patch and answer.message_id:
        yield f"In-Reply-To: <{answer.message_id.strip('<>')}>"
    if answer.reverse:
        yield "Tested-by: NAME <ADDRESS>"
        return
    if not answer.patch:
        yield f'Fixes: {culprit.id[:12]} ("{culprit.subject}")'
    yield "Reported-by: NAME <ADDRESS>"
    yield "Closes: LINK"


def commands(answer: Bisected, command: tuple[str, ...], tree: Path | None) -> tuple[str, ...]:
    """Return the commands that reproduce the answer; ``command`` started the bisection."""
    lines = [shlex.join(command)]
    if answer.culprit and answer.mode is BisectMode.HISTORY and tree:
        commit, git = answer.culprit.id[:12], f"git -C {shlex.quote(str(tree))}"
        run = ["harness", "run", "--no-series", "--tree", str(tree), "--base", commit]
        lines += [
            f"{git} show {commit}",
            f"{git} bisect replay {shlex.quote(str(answer.folder / gitlog.NAME))}",
            shlex.join([*run, *(["--suite", answer.test] if answer.test else [])]),
        ]
    for step in reversed(answer.steps):
        if step.call is Call.BAD and step.folder is not None:
            lines += reproducers(step.folder)
            break
    return tuple(lines)


def reproducers(folder: Path) -> list[str]:
    """Return the commands that run the failed tests of a trial again."""
    result = prober.result(Observation(Call.BAD, folder=folder))
    return [test.reproduce for test in result.tests if test.reproduce] if result else []
