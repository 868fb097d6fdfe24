# SPDX-License-Identifier: GPL-2.0-only
"""The warnings of a whole kernel, although make compiles only what changed.

A warning is shown when its object is compiled, and then not again.  So each build folder
remembers them by object; compiling an object replaces its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from harness import git, model
from harness.build import output
from harness.model import Checkout

_KEPT = ".harness-warnings.json"


class Collector:
    """Takes make's lines, knows all warnings of the build folder ``out``."""

    def __init__(self, out: Path, source: Path) -> None:
        self.out, self.source = out, str(source)
        self.found: dict[str, list[model.CompilerWarning]] = {}
        self._object = ""
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = json.loads((out / _KEPT).read_text())
            self.found = {
                name: [model.CompilerWarning(**each) for each in some]
                for name, some in kept.items()
            }

    def line(self, line: str) -> None:
        """Take one line of make's output."""
        if step := output.step(line):
            self._object = step[1]
            self.found.pop(self._object, None)
        elif warning := output.warning(line, self.source):
            some = self.found.setdefault(self._object, [])
            if warning not in some:
                some.append(warning)

    def save(self) -> None:
        """Remember the warnings for the next build in this folder."""
        data = {
            name: [dataclasses.asdict(warning) for warning in some]
            for name, some in self.found.items()
            if not name.endswith(".o") or (self.out / name).exists()
        }
        (self.out / _KEPT).write_text(json.dumps(data))

    def all(self) -> list[model.CompilerWarning]:
        """Give every warning once (headers warn in each object), by file and line."""
        each = {warning for some in self.found.values() for warning in some}
        return sorted(each, key=lambda warning: (warning.file, warning.line, warning.text))


def with_patches(
    warnings: Iterable[model.CompilerWarning], checkout: Checkout
) -> tuple[model.CompilerWarning, ...]:
    """Name the patch that last touched each warning's line, for files the series touches."""
    subjects = dict(checkout.patches)
    touched = _touched(checkout) if subjects else set()
    return tuple(
        dataclasses.replace(warning, patch=subjects.get(_commit(warning, checkout.path), ""))
        if warning.file in touched and warning.line
        else warning
        for warning in warnings
    )


def _touched(checkout: Checkout) -> set[str]:
    base = f"{checkout.patches[0][0]}^"
    words = ("diff", "--name-only", "-z", base, checkout.commit)
    result = git.run(checkout.path, *words, check=False)
    return set(result.stdout.split("\0")) if result.ok else set()


def _commit(warning: model.CompilerWarning, worktree: Path) -> str:
    where = f"-L{warning.line},{warning.line}"
    words = ("blame", "--porcelain", where, "HEAD", "--", warning.file)
    result = git.run(worktree, *words, check=False)
    return result.stdout.partition(" ")[0] if result.ok else ""
