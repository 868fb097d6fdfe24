# SPDX-License-Identifier: GPL-2.0-only
"""``harness report``: write a run as an HTML page, a mail, JUnit and other formats."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from harness import errors, history, paths
from harness.cli.ci import put, tell_github
from harness.errors import UsageError
from harness.history.histories import TestHistory
from harness.progress import Progress
from harness.publish import PAGE, code_annotations, markdown, outputs
from harness.publish.html import Page, page, run_page, write
from harness.publish.outputs import OUTPUTS, OutputChoices
from harness.results import store


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Write the report in the requested formats."""
    places = {o.name: getattr(options, o.name) for o in OUTPUTS if getattr(options, o.name)}
    _check_options(options, places)
    folder = history.find_folder(options.words, db=options.db)
    if error := _is_comparison(folder):
        raise error
    files: dict[str, object] = {}
    if places or options.github:
        _write_forms(folder, options, places, progress)
        files |= {n: str(Path(place).absolute()) for n, place in places.items() if place != "-"}
        if not (options.output or options.open):
            if options.json:
                print(json.dumps(files, indent=1))
            return errors.GOOD
    return _write_page(folder, options, progress, files, "-" in places.values())


def _check_options(options: argparse.Namespace, places: dict[str, str]) -> None:
    """Raise UsageError for options that have no effect, and for two results on standard output."""
    names = [name for name, p in {"output": options.output, **places}.items() if p == "-"]
    if len(names) + (options.github and not options.json) > 1:
        raise UsageError(
            "two formats cannot both go to standard output", hint="a FILE for one of them"
        )
    if names and options.json:
        raise UsageError(
            f"--json and --{names[0]} cannot both go to standard output", hint="a FILE"
        )
    for choice in ("tested_by", "origin", "side"):
        users = [output.name for output in OUTPUTS if choice in output.choices]
        if getattr(options, choice) and not any(name in places for name in users):
            flags = " or ".join(f"--{name}" for name in users)
            raise UsageError(
                f"--{choice.replace('_', '-')} has an effect only with {flags}",
                hint=f"add {flags}, or remove the option",
            )


def _write_forms(
    folder: Path, options: argparse.Namespace, places: dict[str, str], progress: Progress
) -> None:
    """Write the requested formats of the run or the check in ``folder``.

    Raises UsageError for a format that does not exist for checks, HostFault if a file cannot be
    written.
    """
    out = sys.stderr if options.json else sys.stdout
    if (folder / store.RUN).exists():
        result = outputs.load(folder)
        choices = OutputChoices(options.tested_by, options.origin, options.side)
        for output in OUTPUTS:
            if output.name in places:
                put(output.of_run(result, choices, progress), places[output.name])
        if options.github:
            tell_github(code_annotations.of_run(result), markdown.of_run(result), out)
    elif (folder / store.CHECK).exists():
        _write_check_forms(folder, places, out if options.github else None)
    else:
        raise _no_other_form(folder)


def _write_check_forms(folder: Path, places: dict[str, str], github: TextIO | None) -> None:
    for output in OUTPUTS:
        if output.name in places and output.of_check is None:
            raise UsageError(
                f"a check has no --{output.name}", hint=f"check.json or junit.xml in {folder}"
            )
    matrix = store.load_check(folder)
    for output in OUTPUTS:
        if output.name in places and output.of_check:
            put(output.of_check(matrix), places[output.name])
    if github is not None:
        tell_github(code_annotations.of_check(matrix), markdown.of_check(matrix), github)


def _no_other_form(folder: Path) -> UsageError:
    """Return the error for a folder that only has an HTML page, or no report at all."""
    command = f"harness report {shlex.quote(str(folder))}"
    if run_page.is_unfinished(folder):
        what = f"the run in {folder} did not finish, so it has only an HTML page"
        return UsageError(what, hint=command)
    if (folder / store.BISECTION).exists():
        what = f"a bisection has only an HTML page; its mail is {folder}/mail.txt"
        return UsageError(what, hint=command)
    if (folder / store.MUTATION).exists():
        what = f"a mutation has only an HTML page; its text is {folder}/mutate.txt"
        return UsageError(what, hint=command)
    if (folder / store.MATRIX).exists():
        what = "a matrix has only an HTML page; each of its cells is a run"
        return UsageError(what, hint=f"harness report {shlex.quote(str(folder))}/CELL")
    return _is_comparison(folder) or store.missing(folder, store.RUN, "the folder of a run")


def _is_comparison(folder: Path) -> UsageError | None:
    """Return the error if ``folder`` is a comparison, which has no report ("last" may be one)."""
    if (folder / store.RUN).exists() or not (folder / store.COMPARISON).exists():
        return None
    what = f"a comparison has no report; its results are in {folder / store.COMPARISON}"
    return UsageError(what, hint=f"harness show {shlex.quote(str(folder))}")


def _write_page(
    folder: Path,
    options: argparse.Namespace,
    progress: Progress,
    others: dict[str, object],
    printed: bool,
) -> int:
    """Write the HTML page, print its path and those of the ``others``, and open it.

    ``printed``: another format went to standard output, so nothing else may go there.
    """
    check = history.find_folder(options.check, db=options.db) if options.check else None

    def past_runs(tests: Sequence[str]) -> Mapping[str, TestHistory]:
        return _past_runs(tests, options.db, progress)

    file = Path(options.output).absolute() if options.output else folder / PAGE
    file = file / PAGE if file.is_dir() else file
    with progress.stage("report", folder.name) as stage:
        with paths.writing(file, "another file with -o FILE"):
            size = _write_file(page(folder, past_runs, check), file, options.output)
        stage.finish(f"{size / 1e6:.1f} MB")
    if options.output == "-":
        return errors.GOOD
    if options.json:
        print(json.dumps({**others, "report": str(file), "bytes": size}, indent=1))
    elif printed or options.github:
        progress.say(str(file))
    else:
        print(file)
    if options.open and not webbrowser.open(file.as_uri()):
        raise errors.HostFault("no browser could be started", hint=f"open {file} yourself")
    return errors.GOOD


def _write_file(made: Page, file: Path, place: str) -> int:
    """Write the page; return its size.  Standard output, pipes and devices are not replaced."""
    if place != "-" and (file.is_file() or not file.exists()):
        return write(made, file)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        size = write(made, Path(folder) / PAGE)
        put((Path(folder) / PAGE).read_bytes(), place)
    return size


def _past_runs(tests: Sequence[str], db: str, progress: Progress) -> Mapping[str, TestHistory]:
    """Return the histories of tests; if they cannot be read, show why and return none."""
    try:
        return history.of_tests(tests, last=12, db=db)
    except errors.HarnessError as error:
        progress.say(f"no history: {error.what}")
        return {}
