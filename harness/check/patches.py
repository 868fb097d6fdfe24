# SPDX-License-Identifier: GPL-2.0-only
"""The checks that look at one patch: its mail, and what it alone changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from harness.check import fixes, form, scripts
from harness.check.letter import Change, Letter, changes, plain, read
from harness.check.scripts import Scripts
from harness.check.wish import Wish
from harness.errors import HostFault
from harness.model import WHOLE_SERIES, Cell, CellState, Finding, Patch, Series, Severity

_SCRIPT = {
    "checkpatch": "scripts/checkpatch.pl",
    "maintainers": "scripts/get_maintainer.pl",
    "kernel-doc": "scripts/kernel-doc",
}
_SHOWN = 6  # addresses that are named


@dataclasses.dataclass(frozen=True)
class Looked:
    """A patch with its mail read, on the commit it is or would be on."""

    patch: Patch
    letter: Letter
    changes: Sequence[Change]
    commit: str
    committer: str = ""


def letters(series: Series, wish: Wish, commits: Sequence[str], base: str) -> list[Looked]:
    """Read the mails; a patch that does not apply is looked at as on the last one that does."""
    found = []
    for number, patch in enumerate(series.patches):
        letter = read(patch.path, patch.author)
        commit = commits[min(number, len(commits) - 1)] if commits else base
        who = wish.committers[number] if number < len(wish.committers) else ""
        found.append(Looked(patch, letter, changes(letter.diff), commit, who))
    return found


def cells(
    one: Looked, wish: Wish, tools: Scripts, cover: Letter | None, faults: list[str]
) -> list[Cell]:
    """Make all cells of one patch that need no kernel; a script that breaks adds to ``faults``."""
    files = one.changes
    made: dict[str, Callable[[], list[Finding]]] = {
        "form": lambda: form.subject(one.letter),
        "signed": lambda: form.signed(one.letter, one.committer),
        "fixes": lambda: fixes.check(tools.worktree, one.commit, one.letter.trailers("Fixes")),
        "spdx": lambda: form.licensed(files),
        "checkpatch": lambda: scripts.checkpatch(
            tools, plain(one.patch.path, one.letter, tools.folder)
        ),
        "maintainers": lambda: _people(one, tools, cover),
        "exports": lambda: form.exports(files),
        "uapi": lambda: form.uapi(files),
    }
    found = []
    for name, check in made.items():
        if name not in wish.checks:
            continue
        script = _SCRIPT.get(name)
        if script and not tools.has(script):
            note = f"this tree has no {script}"
            found.append(Cell(one.patch.number, name, CellState.UNKNOWN, note=note))
        else:
            unsent = name == "maintainers" and not one.letter.recipients
            note = "no To or Cc in the mail: only new files were looked at" if unsent else ""
            try:
                found.append(Cell.of(one.patch.number, name, tuple(check()), note))
            except HostFault as error:
                faults.append(error.what)
                found.append(Cell(one.patch.number, name, CellState.UNKNOWN, note=error.what))
    return found


def _people(one: Looked, tools: Scripts, cover: Letter | None) -> list[Finding]:
    """Hold the recipients against MAINTAINERS; a mail without any has not been sent."""
    found = scripts.maintained(tools, [change.file for change in one.changes if change.new])
    got = one.letter.recipients
    if not got:
        return found
    got |= cover.recipients if cover else frozenset()
    wanted = dict(scripts.maintainers(tools, plain(one.patch.path, one.letter, tools.folder)))
    missing = [(address, role) for address, role in wanted.items() if address not in got]
    for many, word in ((False, "maintainer"), (True, "list")):
        names = [address for address, role in missing if ("list" in role) is many]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            text = f"not sent to the {word}: {', '.join(names[:_SHOWN])}{more}"
            found.append(Finding(Severity.WARNING, text, rule=word))
    return found


def whole(series: Series, looked: Sequence[Looked], wish: Wish, cover: Letter | None) -> Cell:
    """Look at the form of the series as a whole."""
    found = form.series([one.letter for one in looked], cover, mails=wish.mails)
    files = {file for patch in series.patches for file in patch.files}
    for file in scripts.changed(files):
        how = "as it has it" if wish.trust else "and the base's is run (--trust to run this one)"
        text = f"the series changes what a check runs, {how}"
        found.append(Finding(Severity.NOTE, text, file, rule="script"))
    return Cell.of(WHOLE_SERIES, "form", tuple(found))
