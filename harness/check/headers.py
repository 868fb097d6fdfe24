# SPDX-License-Identifier: GPL-2.0-only
"""What programs see: the headers that ``make headers`` makes, before a patch and after it."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from harness import build, kbuild, process, tree
from harness.model import Checkout, Finding, Request, Severity, Toolchain
from harness.progress import Progress

_TOUCHED = re.compile(r"^(?:arch/[^/]+/)?include/uapi/|/syscall(?:_\w+)?\.tbl$")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)")
_WORD = re.compile(r"\w")
SHOWN = 40  # lines that are named for one patch
_LIMIT = 600.0  # seconds

Text = dict[str, str]


def touched(files: Iterable[str]) -> bool:
    """Whether a patch that changes these files can change what programs see."""
    return any(_TOUCHED.search(file) for file in files)


@dataclasses.dataclass(frozen=True)
class Headers:
    """Makes them, all in one folder."""

    slot: tree.Slot
    toolchain: Toolchain
    progress: Progress

    def make(self, checkout: Checkout) -> Text | Finding:
        """Give each header's text, or the error that stops make."""
        words = (*self.toolchain.words, "HARNESS=headers")  # for a folder of their own
        out = build.folder(checkout, Request(()), dataclasses.replace(self.toolchain, words=words))
        self.slot.check_out(checkout)
        argv = [*kbuild.command(checkout.path, out, self.toolchain), "headers"]
        with self.progress.stage("headers", checkout.commit[:12]):
            said = process.run(argv, env=kbuild.environment(), timeout=_LIMIT, check=False)
        if not said.ok:
            lines = (said.stderr or said.stdout).strip().splitlines()
            text = next((one for one in lines if "error" in one.lower()), "".join(lines[-1:]))
            return Finding(Severity.ERROR, f"make headers fails: {text}", rule="headers")
        place = out / "usr" / "include"
        return {
            str(file.relative_to(place)): file.read_text(errors="replace")
            for file in sorted(place.rglob("*.h"))
        }


def compare(before: Text, after: Text) -> tuple[Finding, ...]:
    """Give the lines that programs see now, and those they see no more."""
    found = [
        one
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
        for one in _lines(name, before.get(name, ""), after.get(name, ""))
    ]
    more = len(found) - SHOWN
    rest = [Finding(Severity.NOTE, f"{more} more lines differ", rule="more")] if more > 0 else []
    return (*found[:SHOWN], *rest)


def _lines(name: str, old: str, new: str) -> list[Finding]:
    number, found, file = 0, [], f"usr/include/{name}"
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""):
        text = " ".join(line[1:].split())
        if match := _HUNK.match(line):
            number = int(match[1])
        elif line.startswith("+") and not line.startswith("+++ "):
            if _WORD.search(text):
                found.append(Finding(Severity.NOTE, f"new: {text}", file, number, "new"))
            number += 1
        elif line.startswith("-") and not line.startswith("--- ") and _WORD.search(text):
            words = f"not there any more: {text}"
            found.append(Finding(Severity.WARNING, words, file, 0, "gone"))
    return found


def write(folder: Path, number: int, before: Text, after: Text) -> None:
    """Keep the whole difference in the run's folder."""
    lines: list[str] = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            words = (old.splitlines(), new.splitlines(), f"a/usr/include/{name}")
            lines += difflib.unified_diff(*words, f"b/usr/include/{name}", lineterm="")
    place = folder / "headers" / f"{number}.diff"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
