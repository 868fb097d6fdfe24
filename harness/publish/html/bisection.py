# SPDX-License-Identifier: GPL-2.0-only
"""From the folder of a bisection to its page: the answer, its proof, what was tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.model import Bisected, Call
from harness.progress import clock
from harness.publish.html import patches, verdict
from harness.publish.html.cutting import cut
from harness.publish.html.sections import Bisection, Note, PatchView, Trial
from harness.publish.html.values import Page, Tile
from harness.results import store

NAME = store.BISECTION
_SAID = {
    True: "{} is {found}, as it must be",
    False: "{} is {found}, and must be {must}",
    None: "{} must be {must}",
}
_HOLDS = {True: "yes", False: "no", None: "not tried"}


def page(folder: Path) -> Page:
    """Make the page of a folder that ``harness bisect`` made.

    Raises UsageError when its bisect.json is damaged or not known to us.
    """
    return _page(store.load_bisection(folder), folder)


def _page(found: Bisected, folder: Path) -> Page:
    word, kind = verdict.word(found.verdict)
    culprit = found.culprit
    return Page(
        word=word,
        kind=kind,
        title=culprit.subject if culprit else found.signature,
        subject=f"{found.mode} bisected on {found.source}",
        lead=tuple(_lead(found)),
        tiles=(
            Tile(f"{100 * found.confidence:.4g} %", "sure", "pass" if found.proven else ""),
            Tile(str(found.booted), "kernels booted", ""),
            Tile(str(found.built), "kernels built", ""),
            Tile(clock(found.seconds), "in all", ""),
        ),
        bisection=_view(found),
        patches=tuple(_patches(found, folder)),
        about=(
            ("good", found.good),
            ("bad", found.bad),
            ("source", found.source),
            *((("author", culprit.author),) if culprit else ()),
        ),
        command="\n".join(found.commands),
        folder=str(folder),
    )


def _lead(found: Bisected) -> Iterator[str]:
    first = "first good" if found.reverse else "first bad"
    yield f"Looked for: {found.signature}."
    culprit = found.culprit
    if culprit:
        place = f"patch {found.patch} of {found.total}, " if found.patch else ""
        yield f"The {first} commit is {place}{culprit.id[:12]} (“{culprit.subject}”)."
    for one in found.options:
        yield f"The option {one.name}={one.value} makes the difference."
    if found.remaining:
        names = ", ".join(one.subject for one in found.remaining)
        yield f"The {first} commit is one of these; the others cannot be tested: {names}."
    together = found.together.together if found.together else ()
    if together:
        yield f"Patches {' and '.join(map(str, together))} show the failure together."
    yield from found.notes


def _view(found: Bisected) -> Bisection:
    calls = {True: "good", False: "bad", None: "unknown"}
    proofs = []
    for proof in found.proofs:
        what = _SAID[proof.holds].format(proof.what, must=proof.expected, found=proof.found)
        proofs.append(Trial(calls[proof.holds], _HOLDS[proof.holds], what, proof.why))
    trials = [
        Trial(
            step.call.value if step.call in (Call.GOOD, Call.BAD) else "unknown",
            step.call,
            step.name,
            step.why,
            step.phase,
            f"{step.failures} of {step.runs}",
            clock(step.seconds),
        )
        for step in found.steps
    ]
    sides = tuple((one.what, one.before, one.after) for one in found.differences)
    names = ("with the bug", "without it") if found.reverse else ("its parent", "the culprit")
    return Bisection(tuple(proofs), tuple(trials), names, sides, cut(found.mail))


def _patches(found: Bisected, folder: Path) -> Iterator[PatchView]:
    """Give the patch to blame, as it was mailed."""
    kept = sorted((folder / "series").glob("*.patch")) if (folder / "series").is_dir() else []
    number = found.patch
    if found.culprit and 0 < number <= len(kept) == found.total:
        word = "the first good commit" if found.reverse else "the first bad commit"
        note = Note("note" if found.reverse else "error", word)
        culprit = found.culprit
        yield patches.view(
            number, culprit.subject, culprit.author, kept[number - 1], [("", 0, "", note)]
        )
