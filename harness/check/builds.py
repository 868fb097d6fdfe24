# SPDX-License-Identifier: GPL-2.0-only
"""Build each patch in one folder with W=1, and keep what the compilers have to say."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from harness import build, tree
from harness.errors import NotBuilt, NotConfigured, Untestable
from harness.lab import kernels
from harness.model import Checkout, Finding, Kernel, Severity

COMPILER = 768  # MiB that one compiler may take; most take less
_ERROR = re.compile(r"^([^\s:][^:]*):(\d+)(?::\d+)?: (?:fatal )?error: (.*)$")

# make's words for all warnings.  kbuild would also have each file's kernel-doc read, by a Python of
# its own: a third of the whole build's time, and only files that are touched can say anything new.
# Those are read by the check of that name.
WARN = ("W=1", "cmd_checkdoc=")


@dataclasses.dataclass(frozen=True)
class Made:
    """What building one commit gave: a kernel, or the ``errors`` why there is none.

    ``digest`` names what would run in a guest; ``warnings`` are all of the whole kernel.
    """

    checkout: Checkout
    kernel: Kernel | None
    errors: tuple[Finding, ...] = ()
    digest: str = ""

    @property
    def warnings(self) -> tuple[Finding, ...] | None:
        """The compilers' warnings; None when they are not all known."""
        if self.kernel is None:
            return None
        return tuple(
            Finding(Severity.ERROR, one.text, one.file, one.line, "warning")
            for one in self.kernel.warnings
        )


def jobs(asked: int) -> int:
    """Give make's -j: what was asked for, or by cores and memory, since guests run beside it."""
    if asked:
        return asked
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = [int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:")]
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, free[0] // COMPILER if free else cores))


class Builder:
    """Builds checkouts of one slot, all with the same options and compiler."""

    def __init__(self, lab: kernels.Lab, slot: tree.Slot) -> None:
        toolchain = dataclasses.replace(lab.toolchain, words=(*lab.toolchain.words, *WARN))
        self.lab, self.slot = dataclasses.replace(lab, toolchain=toolchain), slot

    def make(self, checkout: Checkout) -> Made:
        """Build one checkout; that it cannot be configured or built is an answer."""
        try:
            kernel = self.lab.kernel(self.slot, checkout)
        except (NotBuilt, NotConfigured) as error:
            return Made(checkout, None, errors(error))
        return Made(
            checkout, kernel, digest=build.loaded_digest(kernel, checkout, self.lab.toolchain)
        )


def errors(error: Untestable) -> tuple[Finding, ...]:
    """Read the compiler's own errors; where there are none it is what the stage says."""
    found = [
        Finding(Severity.ERROR, match[3], match[1], int(match[2]), "error")
        for match in map(_ERROR.match, error.details.splitlines())
        if match
    ]
    if found:
        return tuple(dict.fromkeys(found))
    return (Finding(Severity.ERROR, error.what, rule="error"),)
