# SPDX-License-Identifier: GPL-2.0-only
"""What the command line of ``harness bisect`` asks for."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path

from harness import errors, settings
from harness.bisect import Ask
from harness.bisect.signature import Signature, SignatureKind
from harness.lab import plan
from harness.lab.plan import Plan
from harness.model import BisectMode, Call, Outcome
from harness.series import trust

_MUST_SAY = (BisectMode.CONFIG, BisectMode.INTERACTION)  # elsewhere the suites tell what fails


def ask(options: argparse.Namespace) -> Ask:
    """Understand the command line.  Raises UsageError."""
    _see_said(options)
    mode = _mode(options)
    signature = _looked_for(options, mode)
    if options.no_build and signature.kind is not SignatureKind.COMMAND:
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
        if mode is BisectMode.CONFIG
        else None,
    )


def _see_said(options: argparse.Namespace) -> None:
    """Refuse to search for hours because a word was forgotten: say where to look, or for what."""
    where = ("series", "words", "good", "bad", "replay", "config_good", "config_bad")
    what = ("test", "splat", "boot", "build_error", "warning", "measure", "rest")
    words = (*where, *what, "interaction", "suite", "k")
    if options.boot_time is not None or any(getattr(options, name) for name in words):
        return
    series = settings.load(Path.cwd()).series or "SERIES"
    raise errors.UsageError(
        "what is to be found?",
        hint=f"harness bisect --series {shlex.quote(series)} looks for whatever fails,"
        " --test ID for a test",
    )


def _place(word: str) -> str:
    """Name a file wherever we are later; a fragment's name stays."""
    return str(Path(word).absolute()) if word and Path(word).is_file() else word


def _mode(options: argparse.Namespace) -> BisectMode:
    asked = {
        BisectMode.HISTORY: bool(options.good or options.bad or options.replay),
        BisectMode.CONFIG: bool(options.config_good or options.config_bad),
        BisectMode.INTERACTION: options.interaction,
    }
    modes = [mode for mode, wanted in asked.items() if wanted] or [BisectMode.SERIES]
    if len(modes) > 1:
        raise errors.UsageError(
            f"one search at a time, not {' and '.join(modes)}", hint="harness bisect --help"
        )
    if modes == [BisectMode.HISTORY] and not (options.good or options.replay):
        raise errors.UsageError("--bad needs a --good", hint="--good REF: a commit that works")
    return modes[0]


def _plan(options: argparse.Namespace, mode: BisectMode) -> Plan:
    """Put together how kernels are made and run."""
    there = settings.load(Path.cwd())
    alone = mode is BisectMode.HISTORY and not options.with_series
    words = [*([options.series] if options.series else []), *options.words]
    named, _ = plan.tell(words)
    if alone and named:
        raise errors.UsageError(
            f"what is {named[0]} for, beside --good and --bad?",
            hint="--with-series puts it on top of every step",
        )
    usual = {"patched_only": True, "retry": "", "hold": False, "hold_for": 0}
    fields = {**usual, **vars(options), "words": words}
    fields["no_series"] = options.no_series or alone or (mode is BisectMode.CONFIG and not named)
    if mode is BisectMode.HISTORY and not (options.tree or there.tree):
        fields["tree"] = "."
    made = plan.make(fields, there, ())
    if not made.fragments:  # without any a kernel does not boot
        made = dataclasses.replace(made, fragments=("base",))
    if made.series is None:
        if mode in (BisectMode.SERIES, BisectMode.INTERACTION):
            raise errors.UsageError("there is no series", hint="--series PATH, or --good and --bad")
        return made
    return dataclasses.replace(
        made, notes=(*made.series.notes, *trust.require(made.series, options.trust))
    )


def _looked_for(options: argparse.Namespace, mode: BisectMode) -> Signature:
    """Understand what counts as bad: one thing."""
    number = {"above": options.above, "below": options.below}
    word, outcomes = _test(options.test)
    test = _seen_from(word, settings.load(Path.cwd()).folder)
    asked = {
        SignatureKind.SPLAT: bool(options.splat),
        SignatureKind.BOOT: options.boot,
        SignatureKind.BUILD_ERROR: bool(options.build_error),
        SignatureKind.WARNING: bool(options.warning),
        SignatureKind.BOOT_TIME: options.boot_time is not None,
        SignatureKind.MEASURE: bool(options.measure),
    }
    # A test beside another signature is what is run for it.
    kinds = [kind for kind, wanted in asked.items() if wanted] or [SignatureKind.TEST] * bool(test)
    # What stands behind -- is the command where nothing else is looked for, and files otherwise.
    kinds = kinds or [SignatureKind.COMMAND if options.rest else SignatureKind.TEST]
    if len(kinds) > 1 or (kinds == [SignatureKind.TEST] and not test and mode in _MUST_SAY):
        what = " and ".join(kinds) if len(kinds) > 1 else "nothing"
        raise errors.UsageError(
            f"what counts as bad? {what} is given", hint="one of --test ID, --splat TITLE, -- CMD"
        )
    if kinds == [SignatureKind.MEASURE] and number["above"] is None and number["below"] is None:
        raise errors.UsageError("--measure needs a threshold", hint="--above N or --below N")
    if kinds == [SignatureKind.BOOT_TIME]:
        number = {"above": options.boot_time, "below": None}
    pattern = options.splat or options.build_error or options.warning or options.measure
    found = Signature(
        kinds[0],
        pattern,
        test,
        command=options.rest if kinds == [SignatureKind.COMMAND] else (),
        **number,
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
