# SPDX-License-Identifier: GPL-2.0-only
"""What ``harness check`` found, as marks at lines and as a summary; from check.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.model import Verdict
from harness.publish import github
from harness.publish.marks import Mark, Weight
from harness.text import clean, clip, one_line

_WEIGHTS = {"error": Weight.ERROR, "warning": Weight.WARNING}
_WORDS = {"good": "ok", "same": "same", "unknown": "?", "none": "", "bad": "bad", "warn": "warn"}

Table = Mapping[str, Any]


def verdict(table: Table) -> Verdict:
    """Read the verdict; an older harness's check.json has only the exit code."""
    if "verdict" in table:
        return Verdict(table["verdict"])
    return Verdict.of(table.get("exit_code"))


def marks(table: Table) -> tuple[Mark, ...]:
    """Give the findings where they enter; ``table`` is check.json's content."""
    found = dict.fromkeys(_mark(cell, one) for cell, one in _entering(table))
    order = list(Weight)
    return tuple(sorted(found, key=lambda mark: order.index(mark.weight)))


def _entering(table: Table) -> Iterator[tuple[Table, Table]]:
    for cell in table["cells"]:
        for one in cell["findings"]:
            if one["enters"] in (0, cell["patch"]):
                yield cell, one


def _mark(cell: Table, one: Table) -> Mark:
    where = f"patch {cell['patch']}" if cell["patch"] else "the whole series"
    hole = f"; goes away in patch {one['leaves']}" if one["leaves"] else ""
    text = clean(clip(one["text"], 2000))
    rule = f" [{one_line(one['rule'])}]" if one["rule"] else ""
    return Mark(
        _WEIGHTS.get(one["level"], Weight.NOTICE),
        one_line(f"{cell['check']}: {one['rule']}" if one["rule"] else cell["check"]),
        f"{where}, {one_line(cell['check'])}: {one_line(text, 120)}",
        f"{text}{rule}{hole}",
        one_line(one["file"], 1000),
        int(one["line"]),
    )


def summary(table: Table) -> str:
    """Write the job's summary for GitHub: the matrix of patch by check, and what was found."""
    why = table.get("untestable") or table.get("fault") or table.get("refused")
    blocks = [f"## {github.word(verdict(table))}: {github.words(table['name'])}"]
    blocks += [github.words(str(why))] if why else []
    blocks += ["\n".join(_matrix(table)), "\n".join(_list(table))]
    return github.joined([block for block in blocks if block])


def _matrix(table: Table) -> Iterator[str]:
    cells = {(one["patch"], one["check"]): one for one in table["cells"]}
    used = [name for name in table["checks"] if any(check == name for _, check in cells)]
    yield f"| patch | {' | '.join(map(github.words, used))} |"
    yield "|---" * (len(used) + 1) + "|"
    rows = [(row["number"], f"{row['number']} {row['subject']}") for row in table["rows"]]
    for number, name in [*rows, (0, "the whole series")]:
        words = (_word(cells.get((number, check))) for check in used)
        yield f"| {github.words(name)} | {' | '.join(words)} |"


def _word(cell: Table | None) -> str:
    if cell is None:
        return ""
    many = sum(one["level"] != "note" for one in cell["findings"])
    word = _WORDS.get(cell["state"], "")
    return f"{word} ({many})" if many else word


def _list(table: Table) -> Iterator[str]:
    found = [mark for mark in marks(table) if mark.weight is not Weight.NOTICE]
    for mark in found[: github.FAILURES]:
        where = f" `{mark.file.replace('`', '')}:{mark.line}`" if mark.line else ""
        yield f"- **{mark.weight}**{where} {github.words(mark.title)}"
    if len(found) > github.FAILURES:
        yield f"- and {len(found) - github.FAILURES} more"
