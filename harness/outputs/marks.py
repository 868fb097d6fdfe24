# SPDX-License-Identifier: GPL-2.0-only
"""What a run has to say about lines of the sources: for annotations at a patch's lines."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from collections.abc import Iterator

from harness import plain
from harness.model import Run, Splat
from harness.outputs import said

MOST = 100  # failures that are no splat; who shows marks shows fewer

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
    side, seen = run.judged, set()
    owners = [("boot", side.boot_splats), *((t.id, t.splats) for t in said.wrong(side))]
    for name, splats in owners:
        for splat in splats:
            key = splat.fingerprint or splat.title
            if key not in seen:
                seen.add(key)
                yield _splat(splat, name)


def _splat(splat: Splat, test: str) -> Mark:
    file, line = _placed(splat.place)
    through = [f'through lines of "{plain.line(one)}"' for one in splat.patches]
    lines = [f"in {plain.line(test)}", *through, *said.trimmed(splat, 20)]
    return Mark(
        Weight.ERROR, f"splat: {splat.kind}", plain.line(splat.title), "\n".join(lines), file, line
    )


def _placed(place: str) -> tuple[str, int]:
    match = _PLACE.fullmatch(place)
    return (plain.line(match[1]), int(match[2])) if match else ("", 0)


def _failures(run: Run) -> Iterator[Mark]:
    """Marks for failures without a splat: the kernel's sources have no line for them."""
    changed = {change.test: change for change in run.changes if change.regression}
    if run.judged.error:
        error = run.judged.error
        yield Mark(Weight.ERROR, "boot", plain.line(error), plain.text(plain.clip(error, 2000)))
    for test in said.wrong(run.judged)[:MOST]:
        if not any(splat.title and splat.title in test.headline for splat in test.splats):
            change = changed.get(test.id)
            new = f"{change.base} -> {change.patched}, the series breaks it" if change else ""
            text = "\n".join(filter(None, (new, plain.line(test.headline, 500))))
            title = f"{test.outcome}: {plain.line(test.id)}"
            yield Mark(Weight.ERROR, f"test: {test.outcome}", title, text)


def _warnings(run: Run) -> Iterator[Mark]:
    """Marks at the compiler's warnings: the series' own, and others as they are."""
    old = {(w.file, w.text) for side in run.sides[:-1] for w in side.kernel.warnings}
    for one in run.judged.kernel.warnings:
        if (one.file, one.text) in old and not one.patch:
            continue
        text = f'in a line of "{plain.line(one.patch)}"' if one.patch else ""
        yield Mark(
            Weight.WARNING,
            "compiler",
            plain.line(one.text),
            "\n".join(filter(None, (plain.line(one.text, 1000), text))),
            plain.line(one.file),
            one.line,
        )
