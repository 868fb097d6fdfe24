# SPDX-License-Identifier: GPL-2.0-only
"""``harness check``: check a series patch by patch before it is merged, and show the matrix."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
from pathlib import Path

from harness import check, errors, git, history, paths, settings
from harness.check import CheckRequest, checks, commits, report
from harness.cli import check_matrix, ci
from harness.cli.parser import typed_plan
from harness.lab import plan
from harness.model import Plan, Series
from harness.progress import Progress
from harness.results import store

MOST = 50  # maximum number of tests that are run before all others


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Check a series, and show the matrix."""
    if options.no_series or options.patched_only:
        raise errors.UsageError(
            "a check needs a series and its base", hint="harness run to test a single kernel"
        )
    by_name = [entry.name for entry in checks.CHECKS if not entry.default]
    more = [name for name in by_name if getattr(options, name)]
    wanted = checks.choose(options.only, options.skip, more)
    request = CheckRequest(wanted, trust=options.trust, strict=options.strict)
    if options.b4:
        progress.quiet, progress.live = True, False
    with contextlib.ExitStack() as stack:
        stack.enter_context(paths.in_use())
        if options.b4 and not options.out:  # b4 keeps the result, so no folder is needed
            options.out = stack.enter_context(paths.scratch(paths.cache() / "b4")) / "check"
        planned, request = _plan(options, request)
        if options.previous:
            previous = plan.find_series(options.previous, settings.load(Path.cwd()))
            request = dataclasses.replace(request, previous=previous)
        if request.wants("tests"):
            first = _failed_before(request.previous or planned.series, options.db, progress)
            request = dataclasses.replace(request, first=first)
        recording = stack.enter_context(
            history.recording(
                options.verb, options.command, progress.say, db=options.db, series=planned.series
            )
        )
        matrix, folder = check.check(planned, request, progress, options.command, recording.at)
        report.write(matrix, folder)
        recording.finish(matrix.verdict, error=matrix.trouble)
    if options.b4:
        print(json.dumps(report.b4(matrix), indent=1))
        return matrix.verdict.exit_code
    if options.json:
        print(json.dumps(store.check_table(matrix), indent=1))
    else:
        check_matrix.show(matrix, folder)
    ci.tell(folder)
    return matrix.verdict.exit_code


def _plan(options: argparse.Namespace, request: CheckRequest) -> tuple[Plan, CheckRequest]:
    """Return what to check: mails, a mail from a pipe, or commits."""
    project = settings.load(Path.cwd())
    typed = typed_plan(options)
    if options.b4 and not typed.series_words:  # b4 pipes a patch in, without arguments
        typed = dataclasses.replace(typed, series_words=("-",))
    piped = "-" in typed.series_words
    own = True  # the user's own commits are trusted
    try:
        planned = plan.complete(typed, project)
    except errors.SeriesError:  # when checking the whole series, b4 pipes in the cover letter
        span = commits.reviewed_by_b4(Path(os.environ.get("B4_TRACKING_FILE", "")))
        if not (options.b4 and span):
            raise
        own = piped = False  # b4 created these commits from someone's mails
        series = tuple(span if word == "-" else word for word in typed.series_words)
        planned = plan.complete(dataclasses.replace(typed, series_words=series), project)
    if planned.series is not None:
        request = request.of_commits(planned.series, trust=own or options.trust)
    if piped and not (typed.kernel or typed.tree or planned.tree):
        # A piped mail is for the tree of the working directory.
        tree = git.top_of(Path.cwd()) or Path.cwd()
        planned = dataclasses.replace(planned, tree=tree, kernel="")
    if not planned.fragments:  # a kernel without any fragment does not boot
        planned = dataclasses.replace(planned, fragments=("base",))
    return planned, request


def _failed_before(series: Series | None, db: str, progress: Progress) -> tuple[str, ...]:
    """Return the tests that failed when this series, or an earlier revision, was last tested."""
    try:
        return history.last_failures(series, db=db)[:MOST] if series else ()
    except errors.HarnessError as error:  # the check works without this list
        progress.say(f"past failures are unknown: {error.what}")
        return ()
