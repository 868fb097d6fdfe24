# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect``: find the patch, commit or option that made a test fail."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
from pathlib import Path
from typing import Any

from harness import cli, errors, history, paths, settings
from harness.bisect import prober, report, signature
from harness.bisect.engine import bisect
from harness.bisect.job import BisectPlan
from harness.bisect.signature import COMMAND, TEST, Signature, SignatureKind
from harness.cli.parser import parse, typed_plan
from harness.lab import folder as run_folder
from harness.lab import plan
from harness.model import BisectMode, Call, Outcome, Plan, SearchStart
from harness.progress import Progress
from harness.results import store
from harness.text import one_line

# The other modes can run the suites to find out what fails.
_NEED_SIGNATURE = (BisectMode.CONFIG, BisectMode.INTERACTION)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Bisect, and show the result."""
    state, command = None, options.command
    with paths.in_use():
        if options.resume:
            folder = run_folder.to_resume(options.resume, store.SEARCH_STATE, "bisection")
            state = prober.StateFile.load(folder)
            command = state.begun.command
            planned = _resumed(folder, state.begun)
        else:
            planned = bisect_plan(options)
        series = planned.run.series
        if planned.mode is BisectMode.SERIES and series is not None:
            # Show the series: the search takes long, and the series may be the project's default.
            many = len(series.patches)
            patches = f"{many} patch{'es' if many > 1 else ''}"
            name = one_line(series.title or series.name)
            progress.say(f"searching the {patches} of {name}: {planned.signature}")
        with history.recording(
            options.verb, command, progress.say, db=planned.run.db, series=series
        ) as recording:
            answer = bisect(planned, progress, command, state, recording.at)
            recording.finish(answer.verdict)
    if options.json:
        print(json.dumps(store.bisection_table(answer), indent=1))
    else:
        print(report.text(answer), end="")
    return answer.verdict.exit_code


def _resumed(folder: Path, start: SearchStart) -> BisectPlan:
    """Return the plan of a stopped bisection; change to the folder where it began.

    Older versions of the harness stored only the command line.
    """
    os.chdir(start.cwd)
    planned = BisectPlan.load(folder)
    if planned is not None:
        return planned
    return bisect_plan(parse(cli.parser("bisect"), "bisect", start.command[1:]))


def bisect_plan(options: argparse.Namespace) -> BisectPlan:
    """Return the bisection that the command line requests.  Raises UsageError."""
    _require_subject(options)
    mode = _mode(options)
    wanted = _signature(options, mode)
    if options.no_build and wanted.kind is not COMMAND:
        raise errors.UsageError("--no-build needs a command", hint="add -- CMD")
    if not 0.5 <= options.confidence < 1:
        raise errors.UsageError(
            "--confidence must be at least 0.5 and below 1", hint="--confidence .99"
        )
    configs = (_config(options.config_good), _config(options.config_bad))
    return BisectPlan(
        run=_run_plan(options, mode),
        mode=mode,
        signature=wanted,
        goods=tuple(options.good),
        bad=options.bad or "HEAD",
        files=() if wanted.command else options.rest,
        first_parent=options.first_parent,
        reverse=options.find_fix,
        other=Call(options.other),
        confidence=options.confidence,
        trials=max(1, options.trials),
        sources_only=options.no_build,
        log=Path(options.replay).absolute() if options.replay else None,
        configs=configs if mode is BisectMode.CONFIG else None,
    )


def _require_subject(options: argparse.Namespace) -> None:
    """Raise UsageError if neither a range nor a failure is named: a search can take hours."""
    where = ("series", "words", "good", "bad", "replay", "config_good", "config_bad")
    names = (*where, "rest", "interaction", "suites", "keyword")
    if _kinds(options) or any(getattr(options, name) for name in names):
        return
    series = settings.load(Path.cwd()).series or "SERIES"
    raise errors.UsageError(
        "no range and no failure given",
        hint=f"harness bisect --series {shlex.quote(series)} to search for any failure,"
        " or add --test ID to search for the failure of one test",
    )


def _config(word: str) -> str:
    """Return the absolute path of a .config or fragment; a fragment's name stays as it is."""
    return str(Path(word).absolute()) if word and Path(word).is_file() else word


def _mode(options: argparse.Namespace) -> BisectMode:
    given = {
        BisectMode.HISTORY: bool(options.good or options.bad or options.replay),
        BisectMode.CONFIG: bool(options.config_good or options.config_bad),
        BisectMode.INTERACTION: options.interaction,
    }
    modes = [mode for mode, wanted in given.items() if wanted] or [BisectMode.SERIES]
    if len(modes) > 1:
        raise errors.UsageError(
            f"one search at a time, not {' and '.join(modes)}", hint="harness bisect --help"
        )
    if modes == [BisectMode.HISTORY] and not (options.good or options.replay):
        raise errors.UsageError("--bad needs a --good", hint="--good REF, a commit that works")
    return modes[0]


def _run_plan(options: argparse.Namespace, mode: BisectMode) -> Plan:
    """Return the plan for building and testing each kernel."""
    project = settings.load(Path.cwd())
    bare = mode is BisectMode.HISTORY and not options.with_series
    words = [*([options.series] if options.series else []), *options.words]
    typed = typed_plan(options, words)
    if bare and typed.series_words:
        raise errors.UsageError(
            f"{typed.series_words[0]} has no effect with --good and --bad",
            hint="--with-series applies it on top of each commit",
        )
    bare = bare or (mode is BisectMode.CONFIG and not typed.series_words)
    typed = dataclasses.replace(typed, patched_only=True, no_series=typed.no_series or bare)
    if mode is BisectMode.HISTORY and not (typed.tree or project.tree):
        typed = dataclasses.replace(typed, tree=Path())
    planned = plan.trusted(plan.complete(typed, project))
    if planned.series is None and mode in (BisectMode.SERIES, BisectMode.INTERACTION):
        raise errors.UsageError("no series given", hint="--series PATH, or --good and --bad")
    if not planned.fragments:  # a kernel without any fragment does not boot
        return dataclasses.replace(planned, fragments=("base",))
    return planned


def _kinds(options: argparse.Namespace) -> dict[SignatureKind, Any]:
    """Return the signature kinds given on the command line, each with the value of its option."""
    values = {kind: getattr(options, kind.dest) for kind in signature.KINDS if kind.option}
    return {
        kind: value
        for kind, value in values.items()
        if value is not None and value is not False and value != ""
    }


def _signature(options: argparse.Namespace, mode: BisectMode) -> Signature:
    """Return the failure that counts as bad.  With another kind, --test is only the test to run."""
    kinds = _kinds(options)
    word, outcomes = _split_outcomes(kinds.pop(TEST, ""))
    test = _test_path(word, settings.load(Path.cwd()).folder)
    # The arguments after -- are a command if no other kind is given, and files otherwise.
    kind = next(iter(kinds), COMMAND if options.rest and not test else TEST)
    if len(kinds) > 1 or (kind is TEST and not test and mode in _NEED_SIGNATURE):
        given = " and ".join(kind.name for kind in kinds) if kinds else "nothing"
        raise errors.UsageError(
            f"exactly one failure must count as bad, got {given}",
            hint="one of --test ID, --splat TITLE, -- CMD",
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


def _split_outcomes(word: str) -> tuple[str, frozenset[Outcome]]:
    """Split ID=OUTCOME,...; the ID itself may contain =."""
    name, equals, last = word.rpartition("=")
    outcomes = last.split(",")
    if not equals or not set(outcomes) <= {outcome.value for outcome in Outcome}:
        return word, frozenset()
    return name, frozenset(map(Outcome, outcomes))


def _test_path(test: str, folder: Path) -> str:
    """Convert a test's path from relative to the working directory to relative to the project."""
    file, colons, name = test.partition("::")
    path = Path(file).absolute()
    if not file or not path.exists():
        return test
    return f"{path.relative_to(folder) if path.is_relative_to(folder) else path}{colons}{name}"
