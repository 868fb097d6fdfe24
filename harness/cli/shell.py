# SPDX-License-Identifier: GPL-2.0-only
"""``harness shell``: boot the kernel that ``harness run`` would test, with a prompt."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from harness import guest, paths
from harness.cli import run as run_verb
from harness.guest import GuestSpec, accel, facts
from harness.guest.image import check as check_image
from harness.lab import kernels
from harness.lab.plan import mebibytes
from harness.progress import Progress

DESCRIPTION = """\
Boot the kernel that `harness run` would test and give a prompt in it, or run one
command.  The guest sees this machine's files and cannot change them.
Exit code: the command's."""

EXAMPLES = """\
examples:
  harness shell                          the default series' kernel
  harness shell --no-series --kernel 7.2
  harness shell --image arch/x86/boot/bzImage
  harness shell -- dmesg                 one command
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "shell",
        help="boot the same kernel with a prompt",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="SERIES | CONFIG_X=y", help="as for run")
    parser.add_argument("--image", default="", metavar="FILE", help="a kernel image you have")
    run_verb.kernel_options(parser)
    run_verb.trust_option(parser)
    run_verb.guest_options(parser)
    parser.set_defaults(
        run=run, patched_only=True, suite=[], k="", out="", test_timeout=0, timeout=0
    )


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Boot it; gives the command's status."""
    command, options.rest = list(options.rest), ()
    kind, _ = accel.choose(options.accel or "auto", progress)
    with paths.in_use(), tempfile.TemporaryDirectory(prefix="harness-shell-") as folder:
        image, modules = _kernel(options, progress)
        spec = GuestSpec(
            image=image,
            folder=Path(folder),
            accel=kind,
            arch=options.arch or "x86_64",
            cpus=options.cpus,
            memory=mebibytes(options.memory or "1024"),
            disks=tuple(Path(disk).absolute() for disk in options.disk),
            environment=facts.variables(options.guest_env),
            boot_deadline=options.boot_timeout,
            modules=modules,
        )
        status = guest.shell(spec, command)
    if options.json:  # behind what the command itself printed
        print(json.dumps({"command": command, "status": status}))
    return status


def _kernel(options: argparse.Namespace, progress: Progress) -> tuple[Path, Path | None]:
    """Give the image that was named, or make the one that run would test; and its modules."""
    if options.image:
        named = Path(options.image).absolute()
        check_image(named, options.arch or "x86_64")
        beside = named.with_name("modules")
        return named, beside if beside.is_dir() else None
    plan = run_verb.make_plan(options)
    lab = kernels.Lab.of(plan, progress, boots=False)
    kernel = lab.kernels(kernels.find_source(plan, progress))[-1].kernel
    return kernel.image, kernel.modules
