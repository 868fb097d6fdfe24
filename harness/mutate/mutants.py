# SPDX-License-Identifier: GPL-2.0-only
"""The mutants of a series: every kind of mutation, on the lines that it adds and the kernel has."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from harness import git
from harness.build import line_kinds
from harness.model import ChangedFile, Checkout, LineState, Mutant, SeriesLines
from harness.mutate.kinds import KINDS, Edit
from harness.mutate.scope import Scope, with_scopes

_BLAMED = re.compile(r"^([0-9a-f]{40,64}) \d+ (\d+)", re.MULTILINE)
BATCH = 4  # mutants that a worker tries before it sends their results
_CONTEXT = 3  # lines around a change in its diff


def of_series(base: Checkout, tip: Checkout, lines: SeriesLines) -> tuple[Mutant, ...]:
    """Return all mutants of the lines that were compiled, by file and line.

    ``tip`` is the base with the series.  Assembly, and macros, which are compiled where they are
    used, have none.
    """
    found: list[Mutant] = []
    for file in lines.files:
        compiled = {line.number for line in file.of(LineState.COMPILED)}
        if not compiled or not file.path.endswith((".c", ".h")):
            continue
        text = git.content(tip.path, tip.commit, file.path)
        if text is None or "\ufffd" in text:  # not UTF-8: offsets would be wrong
            continue
        patches = _patch_of_lines(base, tip, file.path)
        found += in_file(file.path, text, compiled, _own_lines(file), patches)
    return tuple(found)


def _own_lines(file: ChangedFile) -> set[int]:
    """Return the lines that an edit may touch: a statement may contain a line of braces only."""
    return {line.number for line in file.lines if line.state is not LineState.NOT_COMPILED}


def _patch_of_lines(base: Checkout, tip: Checkout, path: str) -> dict[int, int]:
    """Return the number of the patch that added each line of a file."""
    numbers = {commit: number for number, (commit, _) in enumerate(tip.patches, 1)}
    argv = ("blame", "-s", "--porcelain", f"{base.commit}..{tip.commit}", "--", path)
    blamed = _BLAMED.findall(git.run(tip.path, *argv).stdout)
    return {int(line): numbers[commit] for commit, line in blamed if commit in numbers}


def in_file(
    path: str,
    text: str,
    compiled: Collection[int],
    own: Collection[int],
    patches: Mapping[int, int],
) -> Iterator[Mutant]:
    """Yield the mutants of a file that begin on a compiled line and touch only lines of its own.

    Lines count from 1; ``patches`` maps them to the numbers of the patches that added them.
    """
    data = text.encode()
    seen: set[Edit] = set()
    root = line_kinds.parse(text)
    for node, scope in with_scopes(root):
        if node.end_point.row + 1 < min(compiled, default=0):
            continue
        for kind in KINDS:
            if node.type not in kind.nodes:
                continue
            for edit in kind.edits(node, scope):
                mutant = _mutant(path, data, edit, kind.name, scope, patches)
                touched = set(range(mutant.line, mutant.last + 1))
                if edit not in seen and mutant.line in compiled and touched <= set(own):
                    seen.add(edit)
                    yield mutant


def _mutant(
    path: str, data: bytes, edit: Edit, kind: str, scope: Scope, patches: Mapping[int, int]
) -> Mutant:
    first = data.count(b"\n", 0, edit.start) + 1
    last = data.count(b"\n", 0, edit.end) + 1
    begin = data.rfind(b"\n", 0, edit.start) + 1
    stop = data.find(b"\n", edit.end)
    stop = stop if stop >= 0 else len(data)
    # The lines below keep their numbers, which WARN_ON() and others compile into the code.
    text = edit.text + "\n" * (data.count(b"\n", edit.start, edit.end) - edit.text.count("\n"))
    changed = data[begin : edit.start] + edit.text.encode() + data[edit.end : stop]
    before, after = data[begin:stop].decode(), changed.decode()
    # A statement that is gone leaves no line of blanks.
    after = "" if not after.strip() else after
    return Mutant(
        file=path,
        line=first,
        last=last,
        kind=kind,
        patch=patches.get(first, 0),
        function=scope.function,
        before=before,
        after=after,
        diff=_diff(path, data, first, last, after),
        start=edit.start,
        end=edit.end,
        text=text,
    )


def _diff(path: str, data: bytes, first: int, last: int, after: str) -> str:
    """Return a unified diff of the lines ``first`` to ``last``, which become ``after``."""
    lines = data.decode().split("\n")
    top, bottom = max(0, first - 1 - _CONTEXT), last + _CONTEXT
    old = lines[top:bottom]
    new = [*lines[top : first - 1], *after.split("\n"), *lines[last:bottom]]
    body = list(difflib.unified_diff(old, new, lineterm="", n=_CONTEXT))[2:]
    head = re.compile(r"^@@ -(\d+)((?:,\d+)?) \+(\d+)")
    shifted = [
        head.sub(lambda m: f"@@ -{int(m[1]) + top}{m[2]} +{int(m[3]) + top}", line) for line in body
    ]
    return "\n".join([f"--- a/{path}", f"+++ b/{path}", *shifted]) + "\n"


def applied(mutant: Mutant, data: bytes) -> bytes:
    """Return a file's content with the mutant in it."""
    return data[: mutant.start] + mutant.text.encode() + data[mutant.end :]


def fair_order(mutants: Sequence[Mutant], seed: int) -> list[Mutant]:
    """Return the mutants in an order of which each beginning is a fair sample.

    Patches take turns, and within a patch the kinds do; chance decides which mutant of a kind
    comes first.  The same seed gives the same order.
    """
    chance = random.Random(seed)
    patches: dict[int, dict[str, list[Mutant]]] = {}
    for mutant in mutants:
        patches.setdefault(mutant.patch, {}).setdefault(mutant.kind, []).append(mutant)
    queues = []
    for _, kinds in sorted(patches.items()):
        for own in kinds.values():
            chance.shuffle(own)
        order = sorted(kinds)
        chance.shuffle(order)
        queues.append(_in_turn([kinds[kind] for kind in order]))
    return _in_turn(queues)


def _in_turn(queues: Iterable[Sequence[Mutant]]) -> list[Mutant]:
    """Take the first of each queue, then the second of each, ..."""
    left = [list(queue) for queue in queues if queue]
    taken = []
    for turn in range(max(map(len, left), default=0)):
        taken += [queue[turn] for queue in left if turn < len(queue)]
    return taken


def batch(left: list[Mutant], batches: int) -> list[Mutant]:
    """Take the next mutant from a list, and the next ones of its file: they are built together.

    At least so many ``batches`` are made of what is left, as long as there are enough mutants.
    """
    file = left[0].file if left else ""
    found = [mutant for mutant in left if mutant.file == file]
    found = found[: min(BATCH, max(1, len(left) // batches))]
    left[:] = [mutant for mutant in left if mutant not in found]
    return found
