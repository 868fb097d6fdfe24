# SPDX-License-Identifier: GPL-2.0-only
"""From the folder of a bisection to its page: the answer, its proof, what was tried."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.model import Verdict
from harness.progress import clock
from harness.publish.html import patches, verdict
from harness.publish.html.cutting import cut
from harness.publish.html.sections import Bisection, Note, PatchView, Trial
from harness.publish.html.values import Page, Tile
from harness.results import store

NAME = "bisect.json"
SCHEMA = 1
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
    path = folder / NAME
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA:
            what = f"{path} has form {table['schema']}, this harness reads {SCHEMA}"
            raise UsageError(what, hint=store.OTHER_FORM)
        return _page(table, folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {store.why(error)}", hint=store.DAMAGED) from error


def _page(table: Mapping[str, Any], folder: Path) -> Page:
    word, kind = verdict.word(_verdict(table))
    culprit = table["culprit"]
    return Page(
        word=word,
        kind=kind,
        title=culprit["subject"] if culprit else table["signature"],
        subject=f"{table['mode']} bisected on {table['source']}",
        lead=tuple(_lead(table)),
        tiles=(
            Tile(f"{100 * table['confidence']:.4g} %", "sure", "pass" if table["proven"] else ""),
            Tile(str(table["booted"]), "kernels booted", ""),
            Tile(str(table["built"]), "kernels built", ""),
            Tile(clock(table["seconds"]), "in all", ""),
        ),
        bisection=_view(table),
        patches=tuple(_patches(table, folder)),
        about=(
            ("good", table["good"]),
            ("bad", table["bad"]),
            ("source", table["source"]),
            *((("author", culprit["author"]),) if culprit else ()),
        ),
        command="\n".join(table["commands"]),
        folder=str(folder),
    )


def _verdict(table: Mapping[str, Any]) -> Verdict:
    """Read the verdict; an older harness's file does not have it."""
    if not table["found"]:
        return Verdict.UNDECIDED
    return Verdict.FOUND if table["proven"] else Verdict.UNPROVEN


def _lead(table: Mapping[str, Any]) -> Iterator[str]:
    first = "first good" if table["reverse"] else "first bad"
    yield f"Looked for: {table['signature']}."
    culprit = table["culprit"]
    if culprit:
        place = f"patch {table['patch']} of {table['total']}, " if table["patch"] else ""
        yield f"The {first} commit is {place}{culprit['id'][:12]} (“{culprit['subject']}”)."
    for one in table["options"]:
        yield f"The option {one['name']}={one['value']} makes the difference."
    if table["remaining"]:
        names = ", ".join(one["subject"] for one in table["remaining"])
        yield f"The {first} commit is one of these; the others cannot be tested: {names}."
    together = table["together"] or {}
    if together.get("together"):
        yield f"Patches {' and '.join(map(str, together['together']))} show the failure together."
    yield from table["notes"]


def _view(table: Mapping[str, Any]) -> Bisection:
    calls = {True: "good", False: "bad", None: "unknown"}
    proofs = []
    for one in table["proofs"]:
        found = one["found"]
        holds = None if found in (None, "skip", "other") else found == one["expected"]
        what = _SAID[holds].format(one["what"], must=one["expected"], found=found)
        proofs.append(Trial(calls[holds], _HOLDS[holds], what, one["why"]))
    state = {"good": "good", "bad": "bad"}
    trials = [
        Trial(
            state.get(one["call"], "unknown"),
            one["call"],
            one["name"],
            one["why"],
            one["phase"],
            f"{one['failures']} of {one['runs']}",
            clock(one["seconds"]),
        )
        for one in table["steps"]
    ]
    sides = tuple((one["what"], one["before"], one["after"]) for one in table["differences"])
    names = ("with the bug", "without it") if table["reverse"] else ("its parent", "the culprit")
    return Bisection(tuple(proofs), tuple(trials), names, sides, cut(table["mail"]))


def _patches(table: Mapping[str, Any], folder: Path) -> Iterator[PatchView]:
    """Give the patch to blame, as it was mailed."""
    kept = sorted((folder / "series").glob("*.patch")) if (folder / "series").is_dir() else []
    number = table["patch"]
    if table["culprit"] and 0 < number <= len(kept) == table["total"]:
        word = "the first good commit" if table["reverse"] else "the first bad commit"
        note = Note("note" if table["reverse"] else "error", word)
        author, subject = table["culprit"]["author"], table["culprit"]["subject"]
        yield patches.view(number, subject, author, kept[number - 1], [("", 0, "", note)])
