# SPDX-License-Identifier: GPL-2.0-only
"""The page of a bisection: the culprit, its proof, and the kernels that were tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.model import Bisected
from harness.progress import clock
from harness.publish.html import diffs
from harness.publish.html.diffs import Remark, ShownPatch
from harness.publish.html.page import Page, Tile
from harness.results import evidence, store


def of_bisection(folder: Path) -> Page:
    """Return the page for a folder created by ``harness bisect``.

    Raises UsageError if its bisect.json is damaged or has another format.
    """
    bisected = store.load_bisection(folder)
    culprit = bisected.culprit
    kind = "pass" if bisected.proven else ""
    return Page(
        verdict=bisected.verdict,
        title=culprit.subject if culprit else bisected.signature,
        subject=f"{bisected.mode} bisected on {bisected.source}",
        lead=tuple(_lead(bisected)),
        folder=folder,
        command="\n".join(bisected.commands),
        about=(
            ("good", bisected.good),
            ("bad", bisected.bad),
            ("source", bisected.source),
            *((("author", culprit.author),) if culprit else ()),
        ),
        tiles=(
            Tile(f"{100 * bisected.confidence:.4g} %", "confidence", kind),
            Tile(str(bisected.booted), "kernels booted"),
            Tile(str(bisected.built), "kernels built"),
            Tile(clock(bisected.seconds), "total time"),
        ),
        bisection=bisected,
        patches=tuple(_patches(bisected, folder)),
    )


def _lead(bisected: Bisected) -> Iterator[str]:
    first = "first good" if bisected.reverse else "first bad"
    yield f"Searched for: {bisected.signature}."
    if culprit := bisected.culprit:
        place = f"patch {bisected.patch} of {bisected.total}, " if bisected.patch else ""
        yield f"The {first} commit is {place}{culprit.id[:12]} (“{culprit.subject}”)."
    for option in bisected.options:
        yield f"The option {option.name}={option.value} makes the difference."
    if bisected.remaining:
        subjects = ", ".join(commit.subject for commit in bisected.remaining)
        yield f"The {first} commit is one of these, some of which cannot be tested: {subjects}."
    if bisected.together and bisected.together.together:
        patches = " and ".join(map(str, bisected.together.together))
        yield f"Patches {patches} cause the failure together."
    yield from bisected.notes


def _patches(bisected: Bisected, folder: Path) -> Iterator[ShownPatch]:
    """Return the culprit as it was mailed, if it is a patch of the series."""
    culprit, number = bisected.culprit, bisected.patch
    kept = sorted((folder / evidence.SERIES).glob("*.patch"))
    if culprit and 0 < number <= len(kept) == bisected.total:
        level, what = ("note", "good") if bisected.reverse else ("error", "bad")
        remark = Remark(level, f"the first {what} commit")
        yield diffs.show(number, culprit.subject, culprit.author, kept[number - 1], [remark])
