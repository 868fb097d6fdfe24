# SPDX-License-Identifier: GPL-2.0-only
"""``harness run``: the main job."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from harness import errors, history, paths, settings, vmcore
from harness.cli import formats, series, summary
from harness.lab import plan
from harness.lab.plan import Plan
from harness.progress import Progress
from harness.results import store
from harness.run import run
from harness.series import trust

DESCRIPTION = """\
Apply a series to a kernel, build both, boot both, run the suites in their guests,
and say what the series changed.  Exit code 1 when the series breaks a test, adds a
splat or a compiler warning, or keeps the kernel from building or booting; 0 otherwise.
A test that also fails on the base is listed, and is bad only with --strict.  Without a
base (--patched-only, --no-series) every failure is bad."""

EXAMPLES = """\
examples:
  harness run                                   the default series on its kernel
  harness run patches/configfs-ns --kernel 7.2  the newest Linux 7.2.x there is
  harness run my.mbox --tree ~/linux --base v7.1
  harness run --kconfig debug CONFIG_KASAN_INLINE=n
  harness run --suite tests/guest/nvmet -k tcp -- -x --lf
  git bisect run harness run --no-series --tree . --suite tests/guest/nvmet
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "run",
        help="test a series: apply, build, boot, run the suites",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SERIES | CONFIG_X=y",
        help="the series: a folder, mbox, maildir, -, A..B, message id or a name below patches/;"
        " or config options",
    )
    kernel_options(parser)
    trust_option(parser)
    suite_options(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="failures that the base has too, and flaky tests, count as bad",
    )
    aftermath_options(parser)
    guest_options(parser)
    parser.set_defaults(run=run_verb)


def suite_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to run, for how long, and where the results go."""
    parser.add_argument("--patched-only", action="store_true", help="do not test the base")
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="PATH",
        help="pytest files to run in the guest",
    )
    parser.add_argument(
        "-k", default="", metavar="EXPR", help="only tests that match, as in pytest"
    )
    parser.add_argument("--out", default="", metavar="DIR", help="the run's folder")
    db_option(parser)
    parser.add_argument(
        "--test-timeout",
        type=float,
        default=60,
        metavar="S",
        help="deadline of a test in seconds; emulation stretches it (%(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=0,
        metavar="S",
        help="deadline for all tests of one kernel, in real seconds (never stretched)",
    )
    parser.add_argument(
        "--repeat", type=number, default="", metavar="N", help="run each test N times"
    )
    retry = "rerun what failed, alone (crashes: once)"
    parser.add_argument("--retry", type=number, default="", metavar="N", help=retry)
    rerun_option(parser)
    parser.add_argument("--allow-flaky", action="store_true", help="flaky tests are not bad")


def rerun_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how often what looks broken is run again."""
    parser.add_argument(
        "--rerun",
        type=count,
        default=2,
        metavar="N",
        help="rerun what looks broken N times on both kernels (%(default)s)",
    )


def db_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the history is."""
    parser.add_argument(
        "--db", default="", metavar="URL|FILE", help="the history's database (see docs/history.md)"
    )


def aftermath_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is left of a guest in which something failed."""
    parser.add_argument(
        "--hold",
        action="store_true",
        help="leave the guest of a failing test as it is, and enter it from this terminal",
    )
    parser.add_argument(
        "--hold-for", type=float, default=0, metavar="S", help="the same without a terminal"
    )
    parser.add_argument(
        "--vmcore",
        action="store_true",
        help="dump the memory of a kernel that panics or hangs, for drgn",
    )


def trust_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a series bring programs for this machine."""
    parser.add_argument(
        "--trust", action="store_true", help="run scripts and build rules that the series changes"
    )


def kernel_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which kernel, for verbs that make one."""
    parser.add_argument("--kernel", default="", metavar="X.Y[.Z]", help="a release")
    parser.add_argument(
        "--refresh", action="store_true", help="look for a newer X.Y.Z now, not just once a day"
    )
    parser.add_argument("--tree", default="", metavar="DIR", help="a git tree of your own")
    parser.add_argument(
        "--base", default="", metavar="REF", help="the commit in --tree to start from"
    )
    parser.add_argument("--no-series", action="store_true", help="the kernel as it is")
    series.options(parser)
    parser.add_argument(
        "--kconfig",
        action="append",
        default=[],
        metavar="FILE|NAME",
        help="an additional config fragment, such as debug",
    )
    parser.add_argument("--arch", default="", help="x86_64 or arm64")
    parser.add_argument("--llvm", action="store_true", help="build with clang and lld")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="make jobs (all cores)")


def guest_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how guests are booted."""
    parser.add_argument(
        "--accel", default="", choices=("auto", "kvm", "tcg"), help="how QEMU runs guest code"
    )
    guests = "guests at once, or auto (by cores and memory)"
    parser.add_argument("--guests", type=auto, default="", metavar="N", help=guests)
    parser.add_argument("--memory", default="", metavar="SIZE", help="memory of a guest (1G)")
    parser.add_argument("--cpus", type=int, default=0, metavar="N", help="processors of a guest")
    parser.add_argument(
        "--disk",
        action="append",
        default=[],
        metavar="FILE",
        help="an additional disk: FILE or null_blk",
    )
    parser.add_argument(
        "--guest-env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="an environment variable for the guests",
    )
    parser.add_argument(
        "--boot-timeout",
        type=float,
        default=30,
        metavar="S",
        help="deadline of a boot in seconds; emulation stretches it (%(default)s)",
    )


def count(text: str) -> int:
    """Take a number that is not negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number (0 or more), got {text!r}")
    return int(text)


def number(text: str) -> str:
    """Take a number as pytest will, which gets it from us: now, not after an hour of building."""
    if text and not text.isdecimal():  # argparse asks of the default too, which is empty
        raise argparse.ArgumentTypeError(f"expected a whole number (0 or more), got {text!r}")
    return text


def auto(text: str) -> str:
    """Take a number or "auto"."""
    if text not in ("", "auto") and not (text.isdecimal() and int(text)):
        what = f"expected a whole number (1 or more) or auto, got {text!r}"
        raise argparse.ArgumentTypeError(what)
    return text


def make_plan(options: argparse.Namespace) -> Plan:
    """Put the plan together from the command line and the project's settings.

    Raises UsageError for a series that would run its own programs here and is not trusted.
    """
    there = settings.load(Path.cwd())
    made = plan.make(vars(options), there, options.rest)
    if made.series is None:
        return made
    runs = trust.require(made.series, options.trust)
    return dataclasses.replace(made, notes=(*made.series.notes, *runs))


def run_verb(options: argparse.Namespace, progress: Progress) -> int:
    """Do the main job and show what it found."""
    if options.hold and not options.hold_for:
        if not sys.stdin.isatty() or options.json:
            raise errors.UsageError("--hold needs a terminal", hint="--hold-for SECONDS does not")
        progress.live = False  # the terminal is the guest's now and then
    with paths.in_use():
        planned = make_plan(options)
        for note in planned.notes:
            progress.say(note)
        with history.recording(
            options.verb, options.command, progress.say, db=options.db, series=planned.series
        ) as recording:
            found = run(planned, progress, options.command, recording.at)
            recording.finish(found.verdict, found)
    if options.json:
        more = {"exit_code": found.verdict.exit_code, "cpu_seconds": _cpu()}
        table = {**store.run_table(found), **more}
        print(json.dumps(table, indent=1))
    else:
        summary.show(found)
        for side in found.sides:
            for line in vmcore.heads(found.folder / side.side / "guests"):
                print(line)
    formats.in_ci(found.folder)
    return found.verdict.exit_code


def _cpu() -> dict[str, float]:
    """Say what this process itself used, and what its children did, in CPU seconds."""
    times = os.times()
    return {
        "own": times.user + times.system,
        "children": times.children_user + times.children_system,
    }
