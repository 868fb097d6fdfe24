# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect``: which patch, commit or option made it fail."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path

from harness import cli, errors, paths, settings
from harness.bisect import Ask, Bisected, Mode, bisect, report, state
from harness.bisect.signature import Kind, Signature
from harness.bisect.values import Call
from harness.cli.parser import parse
from harness.cli.run import guest_options, kernel_options, trust_option
from harness.model import Outcome
from harness.progress import Progress
from harness.run import Plan, plan
from harness.series import trust

DESCRIPTION = """\
Find what made a test fail, and prove it: the patch of a series (without --good), the
commit between --good and --bad, the options of a config, or the patches that only do
it together.  Behind -- stand the files that commits must touch, or a command whose
exit code is taken as `git bisect run` does.  Exit code 0 when one answer was found
and holds, 125 when what is left cannot be tested, 1 when the proof contradicts it."""

EXAMPLES = """\
examples:
  harness bisect --series patches/mine --test tests/guest/configfs/test_mount.py::test_x
  harness bisect --tree ~/linux --good v7.1 --bad v7.2 --test tests/test_nvme.py=timeout
  harness bisect --tree ~/linux --good v7.1 --bad HEAD --splat 'use-after-free' -- fs drivers/nvme
  harness bisect --tree ~/linux --good v7.2 --bad v7.1 --find-fix --boot
  harness bisect --tree ~/linux --good v7.1 --bad v7.2 --with-series --series my.mbox --test ID
  harness bisect --config-bad debug --test ID       which option of the fragment does it
  harness bisect --interaction --test ID            which patch needs which other
  harness bisect --tree . --good A --bad B -- ./mine.sh
  harness bisect --resume                           go on where it was stopped
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "bisect",
        help="find the patch, commit or option that made a test fail",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="SERIES | CONFIG_X=y", help="as harness run takes them"
    )
    _range(parser)
    _signature(parser)
    _trials(parser)
    kernel_options(parser)
    trust_option(parser)
    guest_options(parser)
    parser.set_defaults(run=run)


def _range(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where it is looked for")
    group.add_argument("--series", default="", metavar="SERIES", help="its patches are the range")
    group.add_argument(
        "--good", action="append", default=[], metavar="REF", help="a commit of --tree that works"
    )
    group.add_argument("--bad", default="", metavar="REF", help="one that does not")
    group.add_argument("--first-parent", action="store_true", help="follow first parents only")
    group.add_argument(
        "--with-series", action="store_true", help="the series on top of each commit"
    )
    group.add_argument("--find-fix", action="store_true", help="--bad is older: what made it good?")
    group.add_argument(
        "--config-good", default="", metavar="FILE|NAME", help="a .config or a fragment"
    )
    group.add_argument("--config-bad", default="", metavar="FILE|NAME", help="the same")
    group.add_argument(
        "--interaction", action="store_true", help="leave out patches, one and two at a time"
    )
    group.add_argument("--replay", default="", metavar="FILE", help="go on from a git bisect log")
    group.add_argument(
        "--resume", nargs="?", const="last", default="", metavar="DIR", help="go on (the last one)"
    )


def _signature(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what counts as bad")
    group.add_argument(
        "--test", default="", metavar="ID[=OUTCOME,...]", help="this test fails (or ends so)"
    )
    group.add_argument(
        "--splat", default="", metavar="TITLE|FINGERPRINT", help="the kernel says so (a regex)"
    )
    group.add_argument("--boot", action="store_true", help="it does not boot")
    group.add_argument("--build-error", default="", metavar="REGEX", help="it does not build so")
    group.add_argument("--warning", default="", metavar="REGEX", help="a compiler warns so")
    group.add_argument("--boot-time", type=float, metavar="S", help="it takes longer to boot")
    group.add_argument(
        "--measure", default="", metavar="REGEX", help="a number that the test prints, and"
    )
    group.add_argument("--above", type=float, metavar="N", help="... it is above N")
    group.add_argument("--below", type=float, metavar="N", help="... it is below N")
    group.add_argument(
        "--no-build", action="store_true", help="-- CMD looks at the sources, needs no kernel"
    )
    group.add_argument(
        "--suite", action="append", default=[], metavar="PATH", help="what to run for --splat"
    )
    group.add_argument("-k", default="", metavar="EXPR", help="only tests that match")
    group.add_argument(
        "--other",
        default="skip",
        choices=("skip", "good", "bad"),
        help="what another failure counts as (%(default)s)",
    )


def _trials(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trials")
    group.add_argument(
        "--confidence",
        type=float,
        default=0.99,
        metavar="P",
        help="of each call, when the failure is flaky (%(default)s)",
    )
    group.add_argument(
        "--trials",
        type=int,
        default=10,
        metavar="N",
        help="runs of the bad end for it to fail at all (%(default)s)",
    )
    group.add_argument("--out", default="", metavar="DIR", help="the folder of the evidence")
    group.add_argument("--test-timeout", type=float, default=60, metavar="S", help="of a test")
    group.add_argument("--timeout", type=float, default=0, metavar="S", help="of one trial")


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Bisect, and show what was found."""
    begun = None
    if options.resume:
        folder = paths.state("runs") if options.resume == "last" else Path(options.resume)
        begun = state.load(state.last(folder) if options.resume == "last" else folder.absolute())
        options = _again(begun.begun, options)
    with paths.in_use():
        asked = _ask(options)
        found = bisect(asked, progress, options.command, begun)
        found = dataclasses.replace(found, commands=_commands(found, options))
        code = _code(found)
        report.write(found, code)
    if options.json:
        print(json.dumps(report.to_dict(found, code), indent=1))
    else:
        print(report.text(found), end="")
    return code


def _code(found: Bisected) -> int:
    """Choose the exit code: an answer that its proof contradicts is none."""
    if not found.found:
        return errors.UNTESTABLE
    return errors.GOOD if found.proven else errors.BAD


def _again(begun: state.Begun, now: argparse.Namespace) -> argparse.Namespace:
    """Read the command line that a bisection was begun with, where it was typed."""
    os.chdir(begun.cwd)
    words = list(begun.command[1:])
    cut = words.index("--") if "--" in words else len(words)
    options = parse(cli.parser("bisect"), "bisect", words[:cut])
    options.rest, options.command = tuple(words[cut + 1 :]), begun.command
    options.json, options.quiet, options.verbose = now.json, now.quiet, now.verbose
    return options


def _ask(options: argparse.Namespace) -> Ask:
    """Understand the command line.  Raises UsageError."""
    mode = _mode(options)
    signature = _looked_for(options)
    if options.no_build and signature.kind is not Kind.COMMAND:
        raise errors.UsageError("--no-build is for a command of your own", hint="-- CMD")
    if not 0.5 <= options.confidence < 1:
        raise errors.UsageError("--confidence is below 1 and at least 0.5", hint="--confidence .99")
    return Ask(
        plan=_plan(options, mode),
        mode=mode,
        signature=signature,
        goods=tuple(options.good),
        bad=options.bad or "HEAD",
        files=() if signature.command else options.rest,
        first_parent=options.first_parent,
        reverse=options.find_fix,
        other=Call(options.other),
        confidence=options.confidence,
        trials=max(1, options.trials),
        sources_only=options.no_build,
        log=Path(options.replay).absolute() if options.replay else None,
        configs=(_place(options.config_good), _place(options.config_bad))
        if mode is Mode.CONFIG
        else None,
    )


def _place(word: str) -> str:
    """Name a file wherever we are later; a fragment's name stays."""
    return str(Path(word).absolute()) if word and Path(word).is_file() else word


def _mode(options: argparse.Namespace) -> Mode:
    asked = {
        Mode.HISTORY: bool(options.good or options.bad or options.replay),
        Mode.CONFIG: bool(options.config_good or options.config_bad),
        Mode.INTERACTION: options.interaction,
    }
    modes = [mode for mode, wanted in asked.items() if wanted] or [Mode.SERIES]
    if len(modes) > 1:
        raise errors.UsageError(
            f"one search at a time, not {' and '.join(modes)}", hint="harness bisect --help"
        )
    if modes == [Mode.HISTORY] and not (options.good or options.replay):
        raise errors.UsageError("--bad needs a --good", hint="--good REF: a commit that works")
    return modes[0]


def _plan(options: argparse.Namespace, mode: Mode) -> Plan:
    """Put together how kernels are made and run."""
    there = settings.load(Path.cwd())
    alone = mode is Mode.HISTORY and not options.with_series
    words = [*([options.series] if options.series else []), *options.words]
    usual = {"patched_only": True, "repeat": "", "retry": "", "hold": False, "hold_for": 0}
    fields = {**usual, **vars(options), "words": words}
    fields["no_series"] = options.no_series or alone or (mode is Mode.CONFIG and not words)
    if mode is Mode.HISTORY and not (options.tree or there.tree):
        fields["tree"] = "."
    made = plan.make(fields, there, ())
    if not made.fragments:  # without any a kernel does not boot
        made = dataclasses.replace(made, fragments=("base",))
    if made.series is None:
        if mode in (Mode.SERIES, Mode.INTERACTION):
            raise errors.UsageError("there is no series", hint="--series PATH, or --good and --bad")
        return made
    return dataclasses.replace(
        made, notes=(*made.series.notes, *trust.see(made.series, options.trust))
    )


def _looked_for(options: argparse.Namespace) -> Signature:
    """Understand what counts as bad: one thing."""
    number = {"above": options.above, "below": options.below}
    word, outcomes = _test(options.test)
    test = _seen_from(word, settings.load(Path.cwd()).folder)
    asked = {
        Kind.SPLAT: bool(options.splat),
        Kind.BOOT: options.boot,
        Kind.BUILD_ERROR: bool(options.build_error),
        Kind.WARNING: bool(options.warning),
        Kind.BOOT_TIME: options.boot_time is not None,
        Kind.MEASURE: bool(options.measure),
    }
    # A test beside another signature is what is run for it.
    kinds = [kind for kind, wanted in asked.items() if wanted] or [Kind.TEST] * bool(test)
    # What stands behind -- is the command where nothing else is looked for, and files otherwise.
    kinds = kinds or [Kind.COMMAND] * bool(options.rest)
    if len(kinds) != 1:
        what = " and ".join(kinds) if kinds else "nothing"
        raise errors.UsageError(
            f"what counts as bad? {what} is given", hint="one of --test ID, --splat TITLE, -- CMD"
        )
    if kinds == [Kind.MEASURE] and number["above"] is None and number["below"] is None:
        raise errors.UsageError("--measure needs a threshold", hint="--above N or --below N")
    if kinds == [Kind.BOOT_TIME]:
        number = {"above": options.boot_time, "below": None}
    pattern = options.splat or options.build_error or options.warning or options.measure
    found = Signature(
        kinds[0], pattern, test, command=options.rest if kinds == [Kind.COMMAND] else (), **number
    )
    return dataclasses.replace(found, outcomes=outcomes) if outcomes else found


def _test(word: str) -> tuple[str, frozenset[Outcome]]:
    """Read ID or ID=OUTCOME,...; an ID may have an = of its own."""
    name, equals, last = word.rpartition("=")
    known = {outcome.value for outcome in Outcome}
    if not equals or not set(last.split(",")) <= known:
        return word, frozenset()
    return name, frozenset(Outcome(one) for one in last.split(","))


def _seen_from(test: str, folder: Path) -> str:
    """Name a test as it is found from the project's folder; what is typed is seen from here."""
    file, colons, name = test.partition("::")
    here = Path(file).absolute()
    if not file or not here.exists():
        return test
    place = here.relative_to(folder) if here.is_relative_to(folder) else here
    return f"{place}{colons}{name}"


def _commands(found: Bisected, options: argparse.Namespace) -> tuple[str, ...]:
    """Give what can be typed to see it again."""
    return report.commands(found, options.command, options.tree)
