# SPDX-License-Identifier: GPL-2.0-only
"""The tree's semantic patches (scripts/coccinelle) on the files that a series touches.

``make coccicheck`` reads a whole folder, and stops at the first rule that this machine's spatch
cannot run.  So the rules are run here, each on the touched files alone.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import git, process
from harness.check.scripts import Scripts
from harness.errors import HostFault
from harness.model import Checkout, Finding, Severity
from harness.progress import Progress
from harness.text import clean, one_line

FOLDER = "scripts/coccinelle"
LIMIT = 300.0  # seconds for one rule; the slowest takes 30 for eleven large files

_REPORT = re.compile(r"^virtual\s+(?:\w+\s*,\s*)*report\b", re.MULTILINE)
_OPTIONS = re.compile(r"^//+[ \t]*Options:[ \t]*(-.*)$", re.MULTILINE)
_LINE = re.compile(r"^([^\s:][^:]*):(\d+):\d+(?:-\d+)?: (.*)$")
_INCLUDE = ("-I", "include", "-I", "include/uapi", "-I", "arch/x86/include")


def installed() -> bool:
    """Whether coccinelle is installed."""
    return shutil.which("spatch") is not None


class Rules:
    """All rules of the base that can report; what was said of a file's content is remembered."""

    def __init__(self, tools: Scripts, jobs: int, progress: Progress) -> None:
        self.tools, self.progress = tools, progress
        self.jobs = jobs or len(os.sched_getaffinity(0))
        files = sorted((tools.folder / FOLDER).rglob("*.cocci"))
        self.rules = [file for file in files if _REPORT.search(file.read_text(errors="replace"))]
        self.broken: dict[str, str] = {}  # rules that did not come to their end once, and why
        self._known: dict[tuple[str, str], tuple[Finding, ...]] = {}

    @property
    def note(self) -> str:
        """Say which rules spatch could not run, and why."""
        reasons: dict[str, list[str]] = {}
        for name, why in sorted(self.broken.items()):
            reasons.setdefault(why, []).append(name)
        said = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
        return f"spatch cannot run {said}" if said else ""

    def sure(self, found: Iterable[Finding]) -> tuple[Finding, ...]:
        """Leave out what rules say that failed elsewhere: what is old would look new there."""
        return tuple(one for one in found if one.rule not in self.broken)

    def look(self, checkout: Checkout, files: Iterable[str]) -> tuple[Finding, ...]:
        """Give what all rules say of ``files``; the checkout must be in the worktree."""
        blobs = _blobs(checkout, [file for file in files if file.endswith(".c")])
        fresh = [file for file, blob in blobs.items() if (file, blob) not in self._known]
        if fresh:
            what = f"{len(self.rules)} rules on {len(fresh)} files"
            with self.progress.stage("coccinelle", what):
                said = self._run(fresh)
            for file in fresh:
                found = tuple(dict.fromkeys(one for one in said if one.file == file))
                self._known[file, blobs[file]] = found
        return tuple(one for pair in blobs.items() for one in self._known[pair])

    def _run(self, files: Sequence[str]) -> list[Finding]:
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            try:
                found = list(pool.map(lambda rule: self._one(rule, files), self.rules))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                process.interrupt_all()
                raise
        return [one for some in found for one in some]

    def _one(self, rule: Path, files: Sequence[str]) -> list[Finding]:
        asked = options(rule.read_text(errors="replace"))
        words = ("--very-quiet", "-D", "report", "--no-show-diff", "--cocci-file", rule)
        argv: list[str | Path] = ["spatch", *words, *asked, *_INCLUDE, *files]
        try:
            said = process.run(argv, cwd=self.tools.worktree, timeout=LIMIT, check=False)
        except HostFault:
            self.broken[rule.stem] = f"not done in {LIMIT:g} s"
            return []
        if not said.ok:
            self.broken[rule.stem] = _reason(said)
        return read(said.stdout.splitlines(), rule.stem)


def _reason(said: process.Result) -> str:
    lines = clean(said.stderr).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return one_line(last, 100) or f"status {said.status}"


def options(rule: str) -> list[str]:
    """Give the words for spatch that a rule's own head asks for; most ask for none."""
    return " ".join(_OPTIONS.findall(rule)).split()


def read(lines: Iterable[str], rule: str) -> list[Finding]:
    """Read what spatch reports."""
    matches = (match for line in lines if (match := _LINE.match(line)))
    return [
        Finding(Severity.WARNING, f"{re.sub(r'^(WARNING|ERROR)[: ]+', '', m[3])} ({rule})", m[1],
                int(m[2]), rule)
        for m in matches
    ]  # fmt: skip


def _blobs(checkout: Checkout, files: Sequence[str]) -> dict[str, str]:
    if not files:
        return {}
    said = git.run(checkout.path, "ls-tree", "-z", checkout.commit, "--", *files).stdout
    entries = (one.split("\t", 1) for one in said.split("\0") if one)
    return {file: head.split()[2] for head, file in entries}
