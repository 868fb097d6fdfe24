# SPDX-License-Identifier: GPL-2.0-only
"""Build each patch in one folder with W=1, and keep what the compilers have to say."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from harness import build, kbuild, kconfig, process, tree
from harness.build import output
from harness.check.values import Finding, Level
from harness.errors import NotBuilt, NotConfigured, Untestable
from harness.model import Checkout, Kernel, Request, Toolchain
from harness.progress import Progress
from harness.run import Plan, kernels

_ERROR = re.compile(r"^([^\s:][^:]*):(\d+)(?::\d+)?: (?:fatal )?error: (.*)$")


@dataclasses.dataclass(frozen=True)
class Made:
    """What building one commit gave: a kernel, or the ``errors`` why there is none.

    ``digest`` names the bytes that would be booted; ``warnings`` are all of the whole kernel.
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
            Finding(Level.ERROR, one.text, one.file, one.line, "warning")
            for one in self.kernel.warnings
        )


class Builder:
    """Builds checkouts of one slot, all with the same options and compiler."""

    def __init__(
        self, plan: Plan, slot: tree.Slot, request: Request, compiler: Toolchain, progress: Progress
    ) -> None:
        self.plan, self.slot, self.request, self.progress = plan, slot, request, progress
        self.toolchain = dataclasses.replace(compiler, words=(*compiler.words, "W=1"))

    def make(self, checkout: Checkout) -> Made:
        """Build one checkout; that it cannot be configured or built is an answer."""
        try:
            kernel = kernels.kernel(
                self.plan, self.slot, checkout, self.request, self.toolchain, self.progress
            )
        except (NotBuilt, NotConfigured) as error:
            return Made(checkout, None, errors(error))
        return Made(checkout, kernel, digest=digest(kernel))

    def sparse(self, made: Made, files: Iterable[str]) -> tuple[Finding, ...] | None:
        """Give all that sparse says of those of ``files`` that are in this kernel."""
        out = build.folder(made.checkout, self.request, self.toolchain)
        objects = [Path(file).with_suffix(".o") for file in files if file.endswith(".c")]
        built = [str(one) for one in objects if (out / one).exists()]
        if made.kernel is None or not built:
            return None if made.kernel is None else ()
        jobs = self.plan.jobs or len(os.sched_getaffinity(0))
        words = kbuild.command(made.checkout.path, out, self.toolchain)
        said: list[str] = []
        with self.progress.stage("sparse", f"{len(built)} objects"):
            self._configured(made)
            argv = [*words, "C=2", f"-j{jobs}", "--output-sync=target", *built]
            status = process.follow(argv, said.append, env=kbuild.environment())
        if status:
            return None
        source = str(made.checkout.path)
        return tuple(
            Finding(Level.WARNING, one.text, one.file, one.line, "sparse")
            for one in dict.fromkeys(output.warning(line, source) for line in said)
            if one is not None
        )

    def _configured(self, made: Made) -> None:
        """Check the sources out, and build what a kept kernel did not have to."""
        self.slot.check_out(made.checkout)
        out = build.folder(made.checkout, self.request, self.toolchain)
        kconfig.configure(made.checkout.path, out, self.request, self.toolchain, self.progress)


def has_sparse() -> bool:
    """Whether sparse is installed."""
    return shutil.which("sparse") is not None


def errors(error: Untestable) -> tuple[Finding, ...]:
    """Read the compiler's own errors; where there are none it is what the stage says."""
    found = [
        Finding(Level.ERROR, match[3], match[1], int(match[2]), "error")
        for match in map(_ERROR.match, error.details.splitlines())
        if match
    ]
    if found:
        return tuple(dict.fromkeys(found))
    return (Finding(Level.ERROR, error.what, rule="error"),)


def digest(kernel: Kernel) -> str:
    """Name what a guest of this kernel would run: its image and its modules, byte by byte."""
    found = hashlib.sha256()
    modules = sorted(kernel.modules.rglob("*.ko")) if kernel.modules else []
    for file in (kernel.image, *modules):
        found.update(file.name.encode() + b"\0")
        with file.open("rb") as data:
            found.update(hashlib.file_digest(data, "sha256").digest())
    return found.hexdigest()
