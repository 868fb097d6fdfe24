# SPDX-License-Identifier: GPL-2.0-only
"""``harness shell``: a shell in the kernel that ``harness run`` would test."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

from harness import guest, paths
from harness.cli import run as run_verb
from harness.cli.parser import typed_plan
from harness.guest import GuestSpec, accel
from harness.guest.image import check as check_image
from harness.guest.image import uncompressed
from harness.lab import kernels
from harness.model import Plan
from harness.options import GUEST_ARCH, GUEST_MEMORY, parse_variables
from harness.progress import Progress


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Boot the kernel; return the exit status of the command."""
    command = list(options.rest)
    typed = dataclasses.replace(typed_plan(options), patched_only=True)
    with paths.in_use(), tempfile.TemporaryDirectory(prefix="harness-shell-") as folder:
        if options.image:  # there is nothing to build, so no series is needed
            typed = dataclasses.replace(typed, no_series=True)
        plan = run_verb.make_plan(typed)
        kind, _ = accel.choose(plan.accel, progress)
        image, modules = _given(options.image, plan) if options.image else _built(plan, progress)
        spec = GuestSpec(
            image=image,
            folder=Path(folder),
            accel=kind,
            arch=plan.arch or GUEST_ARCH,
            cpus=plan.cpus,
            memory=plan.memory or GUEST_MEMORY,
            environment=parse_variables(plan.environment),
            boot_deadline=plan.boot_timeout,
            modules=modules,
            vmlinux=uncompressed(image),
            no_snapshot=plan.no_snapshot,
        ).with_disks(plan.disks)
        status = guest.shell(spec, command)
    if options.json:  # after the command's own output
        print(json.dumps({"command": command, "status": status}))
    return status


def _given(image: str, plan: Plan) -> tuple[Path, Path | None]:
    """Return the image given by --image, and the modules next to it."""
    path = Path(image).absolute()
    check_image(path, plan.arch or GUEST_ARCH)
    modules = path.with_name("modules")
    return path, modules if modules.is_dir() else None


def _built(plan: Plan, progress: Progress) -> tuple[Path, Path | None]:
    """Build the kernel that harness run would test; return its image and its modules."""
    lab = kernels.Lab.of(plan, progress, boots=False)
    _, built = lab.kernels(kernels.find_source(plan, progress))
    kernel = built[-1].kernel
    return kernel.image, kernel.modules
