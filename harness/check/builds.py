# SPDX-License-Identifier: GPL-2.0-only
"""Build each commit of a series in one folder; the check ``build``."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness import build, tree
from harness.check import extra_warnings
from harness.check.extra_warnings import ChangedWarnings
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
from harness.text import quantity

COMPILER = 768  # MiB of memory per compiler; most use less
_ERROR = re.compile(r"^([^\s:][^:]*):(\d+)(?::\d+)?: (?:fatal )?error: (.*)$")


@dataclasses.dataclass(frozen=True)
class Build:
    """A commit's kernel, or the ``errors`` that prevented it.

    ``digest`` identifies what a guest would load; ``warnings`` are those of the whole kernel.
    ``lines`` says which lines of the series are in it, if the builder knows that.  ``changed`` are
    the warnings of W=1 in the objects that differ from the previous kernel, if they were wanted.
    """

    checkout: Checkout
    kernel: Kernel | None
    errors: tuple[Finding, ...] = ()
    digest: str = ""
    lines: SeriesLines | None = None
    changed: ChangedWarnings | None = None


def as_findings(warnings: Iterable[CompilerWarning]) -> tuple[Finding, ...]:
    """Return the compiler's warnings as findings: a new one makes the series bad."""
    return tuple(
        Finding(Severity.ERROR, warning.text, warning.file, warning.line, "warning")
        for warning in sorted(warnings, key=lambda warning: (warning.file, warning.line))
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
    """Builds commits in one slot with the same options and compiler; ``warn``: also with W=1."""

    def __init__(self, lab: Lab, slot: tree.Slot, *, warn: bool) -> None:
        self.lab, self.slot, self.warn = lab, slot, warn
        self._known: set[str] = set()  # objects whose warnings with W=1 are known

    def build(self, checkout: Checkout, previous: Checkout | None = None) -> Build:
        """Build a commit; if it cannot be configured or built, return the errors.

        Its new warnings are those that the ``previous`` commit with a kernel does not have.
        """
        changed = None
        try:
            kernel = self.lab.kernel(self.slot, checkout)
            if previous and self.warn:
                kernel, changed = self._changed(previous, checkout, kernel)
                self._known |= changed.after.keys()
        except (NotBuilt, NotConfigured) as error:
            return Build(checkout, None, errors(error))
        digest = build.loaded_digest(kernel, checkout, self.lab.toolchain)
        return Build(checkout, kernel, digest=digest, changed=changed)

    def _changed(
        self, previous: Checkout, checkout: Checkout, kernel: Kernel
    ) -> tuple[Kernel, ChangedWarnings]:
        if found := extra_warnings.kept(previous, kernel, self._known):
            return kernel, found
        if kernel.reused:
            # Only a folder with that very build knows which objects the changed files are in.
            kernel = self.lab.build(self.slot, checkout, self.lab.request_for(checkout))
        arguments = (self.lab, self.slot, previous, checkout, kernel, self._known)
        return kernel, extra_warnings.find(*arguments)


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


def _plain(kernel: Kernel) -> Iterator[CompilerWarning]:
    """Yield a kernel's warnings as make prints them, without the patch that caused them."""
    return (dataclasses.replace(warning, patch="") for warning in kernel.warnings)


def cells(builds: Sequence[Build], check: str, renames: Mapping[str, str]) -> list[Cell]:
    """Return the compiler's errors and warnings; ``builds`` are the base and then each patch."""
    notes = dict.fromkeys(unchanged(builds), "same kernel as the previous patch")
    extra = extra_warnings.by_commit([build.changed for build in builds])
    trees = [
        None if build.kernel is None else as_findings({*_plain(build.kernel), *more})
        for build, more in zip(builds, extra, strict=True)
    ]
    if known := trees[0]:
        where = "in the objects that the series affects"
        notes[WHOLE_SERIES] = f"the base has {quantity(len(known), 'warning')} {where}"
    errors = TreeFindings(check, [build.errors for build in builds])
    warnings = TreeFindings(check, trees, notes)
    return [*errors.cells(renames), *warnings.cells(renames)]
