# SPDX-License-Identifier: GPL-2.0-only
"""The userspace API: the output of ``make headers`` before and after a patch."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator

from harness import build, kbuild, process
from harness.check.findings import diff_of_texts, shortened
from harness.check.walk import Step, Walk
from harness.model import Cell, CellState, Checkout, Finding, Request, Severity

_TOUCHED = re.compile(r"^(?:arch/[^/]+/)?include/uapi/|/syscall(?:_\w+)?\.tbl$")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)")
_WORD = re.compile(r"\w")
SHOWN = 40  # maximum number of lines shown for one patch
_LIMIT = 600.0  # seconds

#: Each header's text by its name.
HeaderTexts = dict[str, str]


def touched(files: Iterable[str]) -> bool:
    """Whether a patch to these files can change the userspace API."""
    return any(_TOUCHED.search(file) for file in files)


@dataclasses.dataclass
class Headers:
    """The check ``headers``: makes them for the base and after each patch that can change them."""

    walk: Walk
    check: str
    before: HeaderTexts | Finding | None = None

    def take(self, step: Step) -> Iterator[Cell]:
        files = step.mail.patch.files if step.mail else self.walk.files
        if step.checkout is None or not touched(files):
            return
        before, self.before = self.before, self._make(step.checkout)
        if step.mail is None:
            return
        if isinstance(self.before, Finding):
            yield Cell.of(step.number, self.check, (self.before,))
        elif before is None or isinstance(before, Finding):
            note = f"before: {before.text if before else ''}"
            yield Cell(step.number, self.check, CellState.UNKNOWN, note=note)
        else:
            yield Cell.of(step.number, self.check, compare(before, self.before))
            sides = ("a/usr/include/", "b/usr/include/")
            diff = diff_of_texts(before, self.before, sides)
            self.walk.write_diff(self.check, step.number, diff)

    def finish(self) -> Iterable[Cell]:
        return ()

    def _make(self, checkout: Checkout) -> HeaderTexts | Finding:
        """Return each header's text, or the error that stopped make."""
        compiler = self.walk.lab.toolchain
        kbuild.check(compiler)
        # A separate build folder.
        own = dataclasses.replace(compiler, words=(*compiler.words, "HARNESS=headers"))
        out = build.folder(checkout, Request(()), own)
        self.walk.slot.check_out(checkout)
        argv = [*kbuild.command(checkout.path, out, compiler), "headers"]
        with self.walk.progress.stage(self.check, checkout.commit[:12]):
            result = process.run(argv, env=kbuild.environment(), timeout=_LIMIT, check=False)
        if not result.ok:
            lines = (result.stderr or result.stdout).strip().splitlines()
            text = next((line for line in lines if "error" in line.lower()), "".join(lines[-1:]))
            return Finding(Severity.ERROR, f"make headers failed: {text}", rule="headers")
        place = out / "usr" / "include"
        return {
            str(file.relative_to(place)): file.read_text(errors="replace")
            for file in sorted(place.rglob("*.h"))
        }


def compare(before: HeaderTexts, after: HeaderTexts) -> tuple[Finding, ...]:
    """Return the lines that are new in the headers, and those that were removed."""
    findings = [
        finding
        for name in dict.fromkeys((*before, *after))
        for finding in _lines(name, before.get(name, ""), after.get(name, ""))
    ]
    return shortened(findings, SHOWN, "lines differ")


def _lines(name: str, old: str, new: str) -> Iterator[Finding]:
    number, file = 0, f"usr/include/{name}"
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    for line in list(diff)[2:]:  # after --- and +++
        text = " ".join(line[1:].split())
        if match := _HUNK.match(line):
            number = int(match[1])
        elif line.startswith("+"):
            if _WORD.search(text):
                yield Finding(Severity.NOTE, f"new: {text}", file, number, "new")
            number += 1
        elif line.startswith("-") and _WORD.search(text):
            yield Finding(Severity.WARNING, f"removed: {text}", file, 0, "gone")
