# SPDX-License-Identifier: GPL-2.0-only
"""check.json as a page shows it: the matrix of patch by check, and what was found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.model import Verdict
from harness.publish.html.patches import At, anchor
from harness.publish.html.sections import CheckCell, Checks, Finding, Note
from harness.results import store

NAME = "check.json"
SCHEMA = 1
WHOLE = 0
SHOWN = 200  # findings of one patch that are shown

_WORDS = {"good": "ok", "same": "same", "unknown": "?", "none": ""}


def load(folder: Path) -> dict[str, Any]:
    """Read check.json.  Raises UsageError when there is none, or one that we do not know."""
    path = folder / NAME
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no {NAME}", hint="name a folder that harness check made"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged: {store.why(error)}", hint=store.DAMAGED) from error
    if not isinstance(table, dict):
        raise UsageError(f"{path} is damaged: it holds no table", hint=store.DAMAGED)
    if table.get("schema") != SCHEMA:
        what = f"{path} has form {table.get('schema')}, this harness reads {SCHEMA}"
        raise UsageError(what, hint=store.OTHER_FORM)
    try:
        view(table), notes(table)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {store.why(error)}", hint=store.DAMAGED) from error
    return table


def verdict(table: Mapping[str, Any]) -> Verdict:
    """Read the verdict; an older harness's check.json has only the exit code."""
    if "verdict" in table:
        return Verdict(table["verdict"])
    return Verdict.of(table.get("exit_code"))


def view(table: Mapping[str, Any]) -> Checks:
    """Lay the matrix out; checks that nowhere were made are left out."""
    cells = {(one["patch"], one["check"]): one for one in table["cells"]}
    names = [
        name for name in table["checks"] if any(check == name for _, check in cells)
    ]  # fmt: skip
    rows = [(one["number"], f"{one['subject']}") for one in table["rows"]]
    total = len(rows)
    laid = tuple(
        (
            f"{number}/{total}" if number else "",
            subject,
            anchor(number) if number else "",
            tuple(_cell(number, cells.get((number, name))) for name in names),
        )
        for number, subject in [*rows, (WHOLE, "the whole series")]
    )
    return Checks(tuple(names), laid, tuple(_findings(table)), tuple(_notes(table)))


def _cell(number: int, cell: Mapping[str, Any] | None) -> CheckCell:
    if cell is None:
        return CheckCell("none", "")
    state = cell["state"]
    wrong = [one for one in cell["findings"] if one["level"] != "note"]
    new = [one for one in wrong if one["enters"] in (0, number)]
    words = []
    if new:
        words.append(f"{len(new)} new" if len(wrong) > len(new) else f"{len(new)}")
    if len(wrong) > len(new):
        words.append(f"{len(wrong) - len(new)} old")
    known = state in _WORDS and not (state == "same" and wrong)
    word = _WORDS[state] if known else ", ".join(words) or state
    link = f"c-{number}" if any(one["enters"] in (0, number) for one in cell["findings"]) else ""
    return CheckCell(state, word, link, cell["note"])


def entering(table: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Give each finding where it enters, with its cell."""
    for cell in table["cells"]:
        for one in cell["findings"]:
            if one["enters"] in (0, cell["patch"]):
                yield cell, one


def _findings(table: Mapping[str, Any]) -> Iterable[tuple[str, str, tuple[Finding, ...]]]:
    found: dict[int, list[Finding]] = {}
    for cell, one in entering(table):
        gone = one["leaves"]
        hole = f" (goes away in patch {gone}: a hole for bisection)" if gone else ""
        where = f"{one['file']}:{one['line']}" if one["line"] else one["file"]
        found.setdefault(cell["patch"], []).append(
            Finding(
                level=one["level"],
                patch=cell["patch"],
                check=cell["check"],
                text=f"{one['text']}{hole}",
                where=where,
                line=one["line"],
                file=one["file"],
            )
        )
    subjects = {one["number"]: one["subject"] for one in table["rows"]}
    order = {"error": 0, "warning": 1}
    for number in sorted(found, key=lambda n: n or 1 << 30):
        title = f"Patch {number}: {subjects.get(number, '')}" if number else "The whole series"
        rows = sorted(found[number], key=lambda one: order.get(one.level, 2))
        yield f"c-{number}", title, tuple(rows[:SHOWN])


def _notes(table: Mapping[str, Any]) -> Iterable[str]:
    said: dict[tuple[str, str], list[str]] = {}
    for one in table["cells"]:
        if one["note"]:
            name = str(one["patch"]) if one["patch"] else "whole"
            said.setdefault((one["check"], one["note"]), []).append(name)
    for (check, note), names in said.items():
        yield f"{check} ({', '.join(names)}): {note}"


def notes(table: Mapping[str, Any]) -> dict[int, list[At]]:
    """Give what is to be said at the lines of patches, by the patch's number."""
    found: dict[int, list[At]] = {}
    for cell, one in entering(table):
        # A test is no file of the series; it is in the table of tests.
        if cell["patch"] and cell["check"] != "tests":
            note = Note(one["level"], f"{cell['check']}: {one['text']}")
            found.setdefault(cell["patch"], []).append((one["file"], one["line"], "", note))
    return found
