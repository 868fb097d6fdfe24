# SPDX-License-Identifier: GPL-2.0-only
"""Programs that read C as the compiler does: sparse, smatch.

make runs both in the same way: CHECK= names one, C=2 has it look at files that are compiled.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import build, kbuild, kconfig, process, tree
from harness.check.builds import Made
from harness.model import Finding, Kernel, Request, Severity, Toolchain
from harness.progress import Progress

Found = tuple[Finding, ...]

# What make is told to run.
COMMANDS = {"sparse": "sparse", "smatch": "smatch -p=kernel"}
# "file:line:column: warning: text" of sparse, "file:line f() warn: text" of smatch.
_LINE = re.compile(
    r"^(?P<file>[^\s:][^:]*):(?P<line>\d+)(?::\d+)?:? (?:(?P<in>\w+\(\)) )?"
    r"(?P<level>warning|warn|error): (?P<text>.*)$"
)


def installed(name: str) -> bool:
    """Whether the program of a checker is there."""
    return shutil.which(COMMANDS[name].partition(" ")[0]) is not None


@dataclasses.dataclass(frozen=True)
class Checkers:
    """Runs them on files of one kernel after another, in the folder where these are built."""

    slot: tree.Slot
    request: Request
    toolchain: Toolchain
    jobs: int
    progress: Progress

    def look(self, names: Sequence[str], made: Made, files: Iterable[str]) -> dict[str, Found]:
        """Give all that each says of those of ``files`` that are in this kernel.

        One that fails, and all of them where there is no kernel, are missing.
        """
        if made.kernel is None:
            return {}
        out = build.folder(made.checkout, self.request, self.toolchain)
        source = made.checkout.path
        self.slot.check_out(made.checkout)
        inside = _files(made.kernel)
        there = [one for one in files if one.endswith(".c") and (source / one).is_file()]
        goals = [_object(one) for one in there if Path(one).name in inside]
        found: dict[str, Found] = {} if goals else dict.fromkeys(names, ())
        if goals:
            kconfig.configure(source, out, self.request, self.toolchain, self.progress)
            self._compile(source, out, goals)
        for name in names if goals else ():
            with self.progress.stage(name, f"{len(goals)} files"):
                said = self._run(name, source, out, goals)
            if said is not None:
                found[name] = said
        if made.kernel.reused:  # a build to come must hear the compiler's warnings of these
            for goal in goals:
                (out / goal).unlink(missing_ok=True)
        return found

    def _compile(self, source: Path, out: Path, goals: Sequence[str]) -> None:
        """Compile what a kept kernel did not have to."""
        env = {**kbuild.environment(), **build.ccache()}
        process.follow([*self._make(source, out), *goals], lambda _: None, env=env)

    def _run(self, name: str, source: Path, out: Path, goals: Sequence[str]) -> Found | None:
        said: list[str] = []
        argv = [*self._make(source, out), "C=2", f"CHECK={COMMANDS[name]}", *goals]
        status = process.follow(argv, said.append, env=kbuild.environment())
        return None if status else read(said, str(source), name)

    def _make(self, source: Path, out: Path) -> list[str]:
        jobs = self.jobs or len(os.sched_getaffinity(0))
        words = kbuild.command(source, out, self.toolchain)
        return [*words, f"-j{jobs}", "--output-sync=target", "--keep-going"]


def read(lines: Iterable[str], source: str, name: str) -> Found:
    """Read what a checker says; files are named as in the tree."""
    found: dict[Finding, None] = {}
    for line in lines:
        if match := _LINE.match(line):
            file = match["file"].removeprefix(f"{source}/")
            text = f"{match['in']}: {match['text']}" if match["in"] else match["text"]
            found[Finding(Severity.WARNING, text.strip(), file, int(match["line"]), name)] = None
    return tuple(found)


def _files(kernel: Kernel) -> set[str]:
    """Give the names, without folders, of the C files that a kernel and its modules are made of."""
    images = [*([kernel.vmlinux] if kernel.vmlinux else [])]
    images += sorted(kernel.modules.rglob("*.ko")) if kernel.modules else []
    if not images:
        return set()
    said = process.run(["readelf", "--syms", "--wide", *images], check=False).stdout
    return {line.split()[-1] for line in said.splitlines() if " FILE " in line}


def _object(file: str) -> str:
    return str(Path(file).with_suffix(".o"))
