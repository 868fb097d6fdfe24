# SPDX-License-Identifier: GPL-2.0-only
"""Build each commit of a series in one folder with W=1; the check ``build``."""

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
from harness.model import (
    WHOLE_SERIES,
    Cell,
    Checkout,
    CompilerWarning,
    Finding,
    Kernel,
    SeriesLines,
    Severity,
)

COMPILER = 768  # MiB of memory per compiler; most use less
_ERROR = re.compile(r"^([^\s:][^:]*):(\d+)(?::\d+)?: (?:fatal )?error: (.*)$")

# With W=1, kbuild would also check each file's kernel-doc in a separate Python process: a third of
# the build time.  The check ``kernel-doc`` does that for the touched files.
WARN = ("W=1", "cmd_checkdoc=")


@dataclasses.dataclass(frozen=True)
class Build:
    """A commit's kernel, or the ``errors`` that prevented it.

    ``digest`` identifies what a guest would load; ``warnings`` are those of the whole kernel.
    ``lines`` says which lines of the series are in it, if the builder knows that.
    """

    checkout: Checkout
    kernel: Kernel | None
    errors: tuple[Finding, ...] = ()
    digest: str = ""
    lines: SeriesLines | None = None

    @property
    def warnings(self) -> tuple[Finding, ...] | None:
        """The compiler's warnings; None if there is no kernel."""
        return None if self.kernel is None else as_findings(self.kernel.warnings)


def as_findings(warnings: Iterable[CompilerWarning]) -> tuple[Finding, ...]:
    """Return the compiler's warnings as findings: a new one makes the series bad."""
    return tuple(
        Finding(Severity.ERROR, warning.text, warning.file, warning.line, "warning")
        for warning in warnings
    )


def jobs(asked: int) -> int:
    """Return make's -j: as requested, or by CPUs and free memory, since guests run alongside it."""
    if asked:
        return asked
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = [int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:")]
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, free[0] // COMPILER if free else cores))


class Builder:
    """Builds commits in one slot with the same options and compiler."""

    def __init__(self, lab: Lab, slot: tree.Slot) -> None:
        toolchain = dataclasses.replace(lab.toolchain, words=(*lab.toolchain.words, *WARN))
        self.lab, self.slot = dataclasses.replace(lab, toolchain=toolchain), slot

    def build(self, checkout: Checkout) -> Build:
        """Build a commit; if it cannot be configured or built, return the errors."""
        try:
            kernel = self.lab.kernel(self.slot, checkout)
        except (NotBuilt, NotConfigured) as error:
            return Build(checkout, None, errors(error))
        digest = build.loaded_digest(kernel, checkout, self.lab.toolchain)
        return Build(checkout, kernel, digest=digest)


def errors(error: Untestable) -> tuple[Finding, ...]:
    """Return the compiler's own errors, or the stage's message if there are none."""
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
    """Return the patches whose kernel is identical to that of the previous commit."""
    pairs = enumerate(itertools.pairwise(builds), 1)
    return frozenset(
        number for number, (before, build) in pairs if build.digest == before.digest != ""
    )


def cells(builds: Sequence[Build], check: str, renames: Mapping[str, str]) -> list[Cell]:
    """Return the compiler's errors and warnings; ``builds`` are the base and then each patch."""
    notes = dict.fromkeys(unchanged(builds), "same kernel as the previous patch")
    if known := builds[0].warnings:
        notes[WHOLE_SERIES] = f"the base has {len(known)} warnings"
    errors = TreeFindings(check, [build.errors for build in builds])
    warnings = TreeFindings(check, [build.warnings for build in builds], notes)
    return [*errors.cells(renames), *warnings.cells(renames)]
