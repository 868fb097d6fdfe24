# SPDX-License-Identifier: GPL-2.0-only
"""What the command line of ``harness bisect`` asks for."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import Any

from harness import errors, settings
from harness.bisect import BisectPlan, signature
from harness.bisect.signature import COMMAND, TEST, Signature, SignatureKind
from harness.cli.parser import typed_plan
from harness.lab import plan
from harness.model import BisectMode, Call, Outcome, Plan

_MUST_SAY = (BisectMode.CONFIG, BisectMode.INTERACTION)  # elsewhere the suites tell what fails


def ask(options: argparse.Namespace) -> BisectPlan:
    """Understand the command line.  Raises UsageError."""
    _see_said(options)
    mode = _mode(options)
    looked_for = _looked_for(options, mode)
    if options.no_build and looked_for.kind is not COMMAND:
        raise errors.UsageError("--no-build is for a command of your own", hint="-- CMD")
    if not 0.5 <= options.confidence < 1:
        raise errors.UsageError("--confidence is below 1 and at least 0.5", hint="--confidence .99")
    return BisectPlan(
        run=_plan(options, mode),
        mode=mode,
        signature=looked_for,
        goods=tuple(options.good),
        bad=options.bad or "HEAD",
        files=() if looked_for.command else options.rest,
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
    words = (*where, "rest", "interaction", "suites", "keyword")
    if _kinds(options) or any(getattr(options, name) for name in words):
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
    typed = typed_plan(options, words)
    if alone and typed.series_words:
        raise errors.UsageError(
            f"what is {typed.series_words[0]} for, beside --good and --bad?",
            hint="--with-series puts it on top of every step",
        )
    bare = alone or (mode is BisectMode.CONFIG and not typed.series_words)
    typed = dataclasses.replace(typed, patched_only=True, no_series=typed.no_series or bare)
    if mode is BisectMode.HISTORY and not (typed.tree or there.tree):
        typed = dataclasses.replace(typed, tree=Path())
    made = plan.trusted(plan.complete(typed, there))
    if made.series is None and mode in (BisectMode.SERIES, BisectMode.INTERACTION):
        raise errors.UsageError("there is no series", hint="--series PATH, or --good and --bad")
    # Without any fragment a kernel does not boot.
    return made if made.fragments else dataclasses.replace(made, fragments=("base",))


def _kinds(options: argparse.Namespace) -> dict[SignatureKind, Any]:
    """Return the kinds of signatures that are asked for, each with the value of its option."""
    values = {kind: getattr(options, kind.dest) for kind in signature.KINDS if kind.option}
    return {
        kind: value
        for kind, value in values.items()
        if value is not None and value is not False and value != ""
    }


def _looked_for(options: argparse.Namespace, mode: BisectMode) -> Signature:
    """Understand what counts as bad: one thing.  A test beside it is what is run for it."""
    kinds = _kinds(options)
    word, outcomes = _test(kinds.pop(TEST, ""))
    test = _seen_from(word, settings.load(Path.cwd()).folder)
    # What stands behind -- is the command where nothing else is looked for, and files otherwise.
    kind = next(iter(kinds), COMMAND if options.rest and not test else TEST)
    if len(kinds) > 1 or (kind is TEST and not test and mode in _MUST_SAY):
        what = " and ".join(kind.name for kind in kinds) if kinds else "nothing"
        raise errors.UsageError(
            f"what counts as bad? {what} is given", hint="one of --test ID, --splat TITLE, -- CMD"
        )
    fields: dict[str, Any] = {"test": test}
    if outcomes:
        fields["outcomes"] = outcomes
    if kind.bounds:
        fields |= {"above": options.above, "below": options.below}
        if options.above is None and options.below is None:
            raise errors.UsageError(
                f"{kind.option} needs a threshold", hint="--above N or --below N"
            )
    if kind is COMMAND:
        fields["command"] = options.rest
    elif kind is not TEST and kind.field:
        fields[kind.field] = kinds[kind]
    return Signature(kind, **fields)


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
