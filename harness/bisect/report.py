# SPDX-License-Identifier: GPL-2.0-only
"""What was found, for people, for programs and for a mailing list."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

from harness.bisect import prober, replay
from harness.model import Bisected, BisectMode, BisectStep, Call, Contrast, Observation
from harness.progress import clock
from harness.results import store

_WIDTH = 72  # columns of a mail
_SIDE = 46  # columns of one side


def write(found: Bisected) -> None:
    """Write bisect.json, bisect.txt and mail.txt into the bisection's folder."""
    store.save_bisection(found.folder, found)
    (found.folder / "bisect.txt").write_text(text(found), encoding="utf-8")
    if found.mail:
        (found.folder / "mail.txt").write_text(found.mail, encoding="utf-8")


def text(found: Bisected) -> str:
    """Write all of it for a terminal or a file."""
    lines = [*_headline(found), *_evidence(found), *_steps(found.steps), *_numbers(found)]
    if found.mail:
        lines += ["", "for a mail:", "", found.mail.rstrip()]
    if found.commands:
        lines += ["", "commands:", *(f"  {one}" for one in found.commands)]
    end = f"{found.verdict.upper()} {found.signature} on {found.source} in {clock(found.seconds)}"
    return "\n".join([*lines, "", end, f"evidence {found.folder}"]) + "\n"


def _headline(found: Bisected) -> Iterator[str]:
    what = "first good" if found.reverse else "first bad"
    culprit = found.culprit
    if culprit is not None:
        patch = f"patch {found.patch} of {found.total}, " if found.patch else ""
        yield f"{what} commit: {patch}{culprit.short}"
        yield f"  author  {culprit.author}, {culprit.date}"
        yield from _listed("files", culprit.files)
    elif found.mode is BisectMode.CONFIG:
        yield f"{len(found.options)} of {found.total} differing options make the difference:"
        yield from (f"  CONFIG_{one.name}={one.value}" for one in found.options)
        yield from _listed("bring along", [f"{one.name}={one.value}" for one in found.brought])
    elif found.mode is BisectMode.INTERACTION:
        yield from _interaction(found)
    else:
        yield f"not decided: the {what} commit is one of these, and the others cannot be tested:"
        yield from (f"  {one.short}" for one in found.remaining)
    yield from (f"  note: {one}" for one in found.notes)


def _listed(name: str, some: tuple[str, ...] | list[str], most: int = 8) -> Iterator[str]:
    if some:
        more = f" and {len(some) - most} more" if len(some) > most else ""
        yield f"  {name:<7} {', '.join(some[:most])}{more}"


def _interaction(found: Bisected) -> Iterator[str]:
    one = found.together
    assert one is not None
    yield f"the whole series is {one.full}"
    if one.decisive:
        yield f"it is another without patch {' or '.join(map(str, one.decisive))}"
    for pair in one.pairs:
        yield f"it is another without both of patches {pair[0]} and {pair[1]}"
    if one.together:
        words = " and ".join(map(str, one.together))
        yield (
            f"patches {words} alone show the failure"
            if len(one.together) > 1
            else (f"patch {words} alone shows the failure")
        )
    for patch, others in one.needs:
        yield f"patch {patch} needs {', '.join(map(str, others))}"


def _evidence(found: Bisected) -> Iterator[str]:
    if found.proofs:
        yield "\nproof:"
    for one in found.proofs:
        state = {True: "yes", False: "NO", None: "?"}[one.holds]
        call = f"is {one.found}" if one.found else "not tried"
        yield f"  {state:<4}{one.what} {call}: {_short(one.why)}"
    if found.differences:
        names = ("with the bug", "without it") if found.reverse else ("parent", "culprit")
        yield f"\n  {'':<8} {names[0]:<{_SIDE}} {names[1]}"
    for row in found.differences:
        yield from _sides(row)


def _sides(row: Contrast) -> Iterator[str]:
    left, right = _wrapped(row.before), _wrapped(row.after)
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else ""
        two = right[number] if number < len(right) else ""
        name = row.what if not number else ""
        yield f"  {name:<8} {one:<{_SIDE}} {two}".rstrip()


def _wrapped(words: str) -> list[str]:
    lines = [part for line in words.splitlines() for part in textwrap.wrap(line, _SIDE)]
    return lines or ["-"]


def _steps(steps: tuple[BisectStep, ...]) -> Iterator[str]:
    yield "\ntried:"
    for one in steps:
        runs = (
            f" ({one.failures} of {one.runs} runs failed)"
            if one.runs > 1 and " runs" not in one.why
            else ""
        )
        phase = "" if one.phase == "search" else f"{one.phase}: "
        what = f"{phase}{_short(one.name)}: {_short(one.why)}"
        yield f"  {one.call:<5} {what}{runs}  {clock(one.seconds)}"


def _short(words: str, most: int = 100) -> str:
    """Cut what is too long for a line; the whole is in bisect.json."""
    line = words.partition("\n")[0]
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _numbers(found: Bisected) -> Iterator[str]:
    sure = f"{100 * found.confidence:.3g} % sure" if found.confidence else "not sure"
    low, high = found.interval
    yield (
        f"\n{sure}; the failure shows in {100 * found.rate:.0f} % of runs "
        f"(95 %: {100 * low:.0f} to {100 * high:.0f} %)"
    )
    yield f"{found.built} kernels built, {found.booted} boots, {clock(found.seconds)}"


def mail(found: Bisected) -> str:
    """Write a paragraph for a mailing list, with the trailers; empty when there is no culprit."""
    culprit = found.culprit
    if culprit is None:
        return ""
    sure = f"{100 * found.confidence:.4g}"
    verb = "fixed by" if found.reverse else "bisected to"
    what = f"patch {found.patch}/{found.total}," if found.patch else "commit"
    after = found.differences[0].after if found.differences else found.signature
    paragraph = (
        f'{found.signature}: {verb} {what} {culprit.id[:12]} ("{culprit.subject}"), '
        f"between {found.good} and {found.bad}. {_proved(found)} Confidence {sure} %; the "
        f"failure shows in {100 * found.rate:.0f} % of runs."
    )
    shown = [f"    {_short(line)}" for line in after.splitlines()[:4]]
    wrapped = textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*wrapped, "", *shown, "", *_trailers(found)]) + "\n"


def _proved(found: Bisected) -> str:
    words = [f"{one.what} is {one.found}" for one in found.proofs if one.holds]
    return f"Verified: {', '.join(words)}." if words else ""


def _trailers(found: Bisected) -> Iterator[str]:
    culprit = found.culprit
    assert culprit is not None
    if found.patch and found.message_id:
        yield f"In-Reply-To: <{found.message_id.strip('<>')}>"
    if not found.reverse and not found.patch:
        yield f'Fixes: {culprit.id[:12]} ("{culprit.subject}")'
    if found.reverse:
        yield "Tested-by: NAME <ADDRESS>"
        return
    yield "Reported-by: NAME <ADDRESS>"
    yield "Closes: LINK"


def commands(found: Bisected, command: tuple[str, ...], tree: str) -> tuple[str, ...]:
    """Give what a person can type to see it again."""
    lines = [shlex.join(command)]
    if found.culprit and found.mode is BisectMode.HISTORY and tree:
        lines.append(f"git -C {shlex.quote(tree)} show {found.culprit.id[:12]}")
        log = shlex.quote(str(found.folder / replay.NAME))
        lines.append(f"git -C {shlex.quote(tree)} bisect replay {log}")
        words = ["harness", "run", "--no-series", "--tree", tree, "--base", found.culprit.id[:12]]
        lines.append(shlex.join([*words, *(["--suite", found.test] if found.test else [])]))
    for step in reversed(found.steps):
        if step.call is Call.BAD and step.folder is not None:
            lines += reproduced(step.folder)
            break
    return tuple(lines)


def reproduced(folder: Path) -> list[str]:
    """Give the commands that run what failed in a trial once more."""
    result = prober.result(Observation(Call.BAD, folder=folder))
    tests = result.tests if result else ()
    return [one.reproduce for one in tests if one.reproduce]
