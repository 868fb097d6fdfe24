# SPDX-License-Identifier: GPL-2.0-only
"""Build each commit of a series in one folder with W=1: the kernels, and the check ``build``."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness import build, tree
from harness.check.findings import TreeFindings
from harness.errors import NotBuilt, NotConfigured, Untestable
from harness.lab.kernels import Lab
from harness.model import WHOLE_SERIES, Cell, Checkout, CompilerWarning, Finding, Kernel, Severity

COMPILER = 768  # MiB that one compiler may take; most take less
_ERROR = re.compile(r"^([^\s:][^:]*):(\d+)(?::\d+)?: (?:fatal )?error: (.*)$")

# All warnings.  kbuild would also have each file's kernel-doc read, by a Python of its own: a third
# of the build's time, and only touched files can have new complaints.  Those are read by the check
# of that name.
WARN = ("W=1", "cmd_checkdoc=")


@dataclasses.dataclass(frozen=True)
class Build:
    """A commit's kernel, or the ``errors`` why there is none.

    ``digest`` identifies what a guest would load; ``warnings`` are all of the whole kernel.
    """

    checkout: Checkout
    kernel: Kernel | None
    errors: tuple[Finding, ...] = ()
    digest: str = ""

    @property
    def warnings(self) -> tuple[Finding, ...] | None:
        """The compiler's warnings; None when they are not all known."""
        return None if self.kernel is None else as_findings(self.kernel.warnings)


def as_findings(warnings: Iterable[CompilerWarning]) -> tuple[Finding, ...]:
    """Return the compiler's warnings as findings: a new one makes the series bad."""
    return tuple(
        Finding(Severity.ERROR, warning.text, warning.file, warning.line, "warning")
        for warning in warnings
    )


def jobs(asked: int) -> int:
    """Return make's -j: what was asked for, or by cores and memory, since guests run beside it."""
    if asked:
        return asked
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = [int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:")]
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, free[0] // COMPILER if free else cores))


class Builder:
    """Builds commits of one slot, all with the same options and compiler."""

    def __init__(self, lab: Lab, slot: tree.Slot) -> None:
        toolchain = dataclasses.replace(lab.toolchain, words=(*lab.toolchain.words, *WARN))
        self.lab, self.slot = dataclasses.replace(lab, toolchain=toolchain), slot

    def build(self, checkout: Checkout) -> Build:
        """Build a commit; that it cannot be configured or built is an answer."""
        try:
            kernel = self.lab.kernel(self.slot, checkout)
        except (NotBuilt, NotConfigured) as error:
            return Build(checkout, None, errors(error))
        digest = build.loaded_digest(kernel, checkout, self.lab.toolchain)
        return Build(checkout, kernel, digest=digest)


def errors(error: Untestable) -> tuple[Finding, ...]:
    """Return the compiler's own errors, or what the stage says where there are none."""
    findings = [
        Finding(Severity.ERROR, match[3], match[1], int(match[2]), "error")
        for match in map(_ERROR.match, error.details.splitlines())
        if match
    ]
    stage = Finding(Severity.ERROR, error.what, rule="error")
    return tuple(dict.fromkeys(findings)) or (stage,)


def unbuilt(builds: Sequence[Build]) -> dict[int, str]:
    """Return a note for each patch that does not build."""
    patches = enumerate(builds[1:], 1)
    return {number: "does not build" for number, build in patches if build.kernel is None}


def unchanged(builds: Sequence[Build]) -> frozenset[int]:
    """Return the patches whose kernel is byte for byte that of the commit before."""
    pairs = enumerate(itertools.pairwise(builds), 1)
    return frozenset(
        number for number, (before, build) in pairs if build.digest == before.digest != ""
    )


def cells(builds: Sequence[Build], check: str, renames: Mapping[str, str]) -> list[Cell]:
    """Return what the compiler has to say; ``builds`` are the base and then each patch."""
    notes = dict.fromkeys(unchanged(builds), "same kernel as before")
    if known := builds[0].warnings:
        notes[WHOLE_SERIES] = f"the base has {len(known)} warnings"
    errors = TreeFindings(check, [build.errors for build in builds])
    warnings = TreeFindings(check, [build.warnings for build in builds], notes)
    return [*errors.cells(renames), *warnings.cells(renames)]
