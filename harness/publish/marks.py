# SPDX-License-Identifier: GPL-2.0-only
"""What a run has to say about lines of the sources: for annotations at a patch's lines."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.model import Run, Splat
from harness.publish import sentences
from harness.text import clean, clip, one_line

MOST = 100  # failures that are no splat; who shows marks shows fewer

DECODED = "splats.json"  # in a kernel's folder: the splats with the places of all frames

_PLACE = re.compile(r"(.+):(\d+)")


class Weight(enum.StrEnum):
    """How much a mark weighs."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclasses.dataclass(frozen=True)
class Mark:
    """Something at a line of a file of the kernel's tree; ``file`` is empty where there is none.

    ``rule`` is its sort, ``title`` says it in a line, ``text`` more of it in many.
    """

    weight: Weight
    rule: str
    title: str
    text: str
    file: str = ""
    line: int = 0

    @property
    def fingerprint(self) -> str:
        """The same for the same mark in the next run, as far as that can be known."""
        words = "\0".join((self.rule, self.file, self.title))
        return hashlib.sha256(words.encode(errors="replace")).hexdigest()[:40]


def of_run(run: Run) -> tuple[Mark, ...]:
    """Give the marks of the judged kernel: what is an error first, each once."""
    if not run.sides:
        return ()
    found = dict.fromkeys((*_splats(run), *_failures(run), *_warnings(run)))
    order = list(Weight)
    return tuple(sorted(found, key=lambda mark: order.index(mark.weight)))


def _splats(run: Run) -> Iterator[Mark]:
    """Marks where splats were; one that several tests met is one mark."""
    side, seen, own = run.judged, set(), _own_lines(run.folder / run.judged.side)
    tests = [test for some in sentences.failures(run) for test in some.tests]
    new = None if run.strict or not run.compared else {one.name for one in run.splats}
    owners = [("boot", side.boot_splats), *((test.id, test.splats) for test in tests)]
    for name, splats in owners:
        for splat in splats:
            if splat.name not in seen:
                seen.add(splat.name)
                weight = Weight.ERROR if new is None or splat.name in new else Weight.NOTICE
                yield _splat(splat, name, own.get((splat.title, splat.frames), ""), weight)


def _own_lines(folder: Path) -> dict[tuple[str, tuple[str, ...]], str]:
    """Read of each splat the innermost line of its stack that a patch added, as file:line.

    There a reviewer looks, and only there a pull request shows an annotation.
    """
    try:
        table = json.loads((folder / DECODED).read_text(encoding="utf-8"))
        return {
            (one["title"], tuple(one["frames"])): f"{place['file']}:{place['line']}"
            for one in table
            for place in _added(one["decoded"])[:1]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _added(decoded: dict[str, Any]) -> list[dict[str, Any]]:
    frames = [*decoded["frames"][decoded["guilty"] :], *decoded["alloc"], *decoded["free"]]
    return [place for frame in frames for place in frame["places"] if place["patch"]]


def _splat(splat: Splat, test: str, own: str, weight: Weight) -> Mark:
    file, line = _placed(own or splat.place)
    through = [f'through lines of "{one_line(one)}"' for one in splat.patches]
    at = [f"at {one_line(splat.place)}"] if own and splat.place else []
    lines = [f"in {one_line(test)}", *at, *through, *sentences.trimmed(splat, 20)]
    rule = f"splat: {splat.kind}"
    return Mark(weight, rule, one_line(splat.title), "\n".join(lines), file, line)


def _placed(place: str) -> tuple[str, int]:
    match = _PLACE.fullmatch(place)
    return (one_line(match[1]), int(match[2])) if match else ("", 0)


def _failures(run: Run) -> Iterator[Mark]:
    """Marks for failures without a splat: the kernel's sources have no line for them."""
    error = run.judged.error
    if error and not any(splat.title in error for splat in run.judged.boot_splats):
        yield Mark(Weight.ERROR, "boot", one_line(error), clean(clip(error, 2000)))
    for some in sentences.failures(run):
        weight = Weight.ERROR if some.counts else Weight.NOTICE
        for test in some.tests[:MOST]:
            if not any(splat.title and splat.title in test.headline for splat in test.splats):
                change = run.change(test.id)
                before = f"{change.base} -> {change.patched}, " if change else ""
                text = "\n".join((f"{before}{some.title}", one_line(test.headline, 500)))
                title = f"{test.outcome}: {one_line(test.id)}"
                yield Mark(weight, f"test: {test.outcome}", title, text.strip())
    if left := sentences.left(run.judged):
        yield Mark(Weight.ERROR, "test: notrun", left, left)


def _warnings(run: Run) -> Iterator[Mark]:
    """Marks at the compiler's warnings: the series' own, and others as they are."""
    new = set(run.warnings)
    for one in run.judged.kernel.warnings:
        if run.compared and one not in new and not one.patch:
            continue
        text = f'in a line of "{one_line(one.patch)}"' if one.patch else ""
        yield Mark(
            Weight.ERROR if one in new else Weight.WARNING,
            "compiler",
            one_line(one.text),
            "\n".join(filter(None, (one_line(one.text, 1000), text))),
            one_line(one.file),
            one.line,
        )
