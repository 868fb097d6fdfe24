# SPDX-License-Identifier: GPL-2.0-only
"""A run in other forms: the options of ``harness report`` for them, and what CI systems get."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from harness import paths
from harness.errors import HarnessError, UsageError
from harness.progress import Progress
from harness.publish import ci, markdown, outputs
from harness.publish.ci import Annotation, AnnotationLevel
from harness.publish.outputs import OUTPUTS, OutputChoices
from harness.results import store

COMPARED = "compare.json"
QUALITY = "gl-code-quality-report.json"
_ELSEWHERE = "choose another place for it"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that write a run in other forms."""
    forms = parser.add_argument_group(
        "other forms", "each into a FILE, or with - to standard output"
    )
    for output in OUTPUTS:
        forms.add_argument(f"--{output.name}", default="", metavar="FILE", help=output.help)
    forms.add_argument(
        "--github", action="store_true", help="GitHub's annotations, and the job's summary there"
    )
    forms.add_argument(
        "--tested-by",
        default="",
        metavar="NAME <MAIL>",
        help="who sends the mail; the trailer stands in it only if everything passed",
    )
    forms.add_argument(
        "--origin", default="", metavar="NAME", help="what KernelCI calls you, for --kcidb"
    )
    forms.add_argument(
        "--side", default="", choices=("base", "patched"), help="only this kernel (JUnit, KCIDB)"
    )


def _places(given: argparse.Namespace) -> dict[str, str]:
    """Return the outputs that are asked for, with the FILE of each."""
    places = {output.name: getattr(given, output.name) for output in OUTPUTS}
    return {name: place for name, place in places.items() if place}


def asked(given: argparse.Namespace) -> bool:
    """Whether any other form than the report itself is asked for."""
    return given.github or bool(_places(given))


def printed(given: argparse.Namespace) -> bool:
    """Whether a form goes to standard output, which is its alone."""
    return given.github or "-" in _places(given).values()


def check(given: argparse.Namespace) -> None:
    """Refuse options that would do nothing, and two things for standard output at once."""
    places = {"output": given.output, **_places(given)}
    standard = [name for name, place in places.items() if place == "-"]
    if len(standard) + (given.github and not given.json) > 1:
        raise UsageError("two forms cannot both go to standard output", hint="name a FILE for one")
    if standard and given.json:
        raise UsageError(
            f"--json and --{standard[0]} cannot both go to standard output", hint="name a FILE"
        )
    for choice in ("tested_by", "origin", "side"):
        users = [output.name for output in OUTPUTS if choice in output.choices]
        if getattr(given, choice) and not any(name in places for name in users):
            of = " or ".join(f"--{name}" for name in users)
            word = choice.replace("_", "-")
            raise UsageError(f"--{word} is about {of}", hint=f"give {of} as well, or leave it out")


def write(folder: Path, given: argparse.Namespace, progress: Progress) -> dict[str, str]:
    """Write all forms that are asked for of the run or the check in ``folder``; return the files.

    Raises UsageError for a form that a check has not, HostFault when a file cannot be written.
    """
    places, out = _places(given), sys.stderr if given.json else sys.stdout
    wanted = [output for output in OUTPUTS if output.name in places]
    if (folder / store.RUN).exists():
        run = outputs.load(folder)
        choices = OutputChoices(given.tested_by, given.origin, given.side)
        for output in wanted:
            put(output.of_run(run, choices, progress), places[output.name])
        if given.github:
            _github(ci.run_annotations(run), markdown.of_run(run), out)
    elif (folder / store.CHECK).exists():
        _write_check(folder, given, places, out)
    else:
        raise _no_other_form(folder)
    return {name: str(Path(place).absolute()) for name, place in places.items() if place != "-"}


def _write_check(
    folder: Path, given: argparse.Namespace, places: dict[str, str], out: TextIO
) -> None:
    for output in OUTPUTS:
        if output.name in places and output.of_check is None:
            raise UsageError(
                f"a check has no --{output.name}", hint=f"see {folder} for check.json, junit.xml"
            )
    matrix = store.load_check(folder)
    for output in OUTPUTS:
        if output.name in places and output.of_check:
            put(output.of_check(matrix), places[output.name])
    if given.github:
        _github(ci.check_annotations(matrix), markdown.of_check(matrix), out)


def _no_other_form(folder: Path) -> UsageError:
    """Say why what lies there can be a page at most."""
    from harness.publish.html import run_page

    again = f"harness report {shlex.quote(str(folder))}"
    if run_page.is_unfinished(folder):
        what = f"the run in {folder} did not come to its end: it has only a page"
        return UsageError(what, hint=again)
    if (folder / store.BISECTION).exists():
        return UsageError(f"a bisection has only a page; its mail is {folder}/mail.txt", hint=again)
    return compared(folder) or UsageError(
        f"{folder} holds no {store.RUN}", hint="name a folder that a run made"
    )


def compared(folder: Path) -> UsageError | None:
    """Say that a comparison, which `last` may be, is for the terminal and for programs only."""
    if (folder / store.RUN).exists() or not (folder / COMPARED).exists():
        return None
    what = f"a comparison has no report: {folder / COMPARED} has all of it"
    return UsageError(what, hint=f"harness show {shlex.quote(str(folder))}")


def in_ci(folder: Path) -> None:
    """Tell the CI system we run in, if any, of the run or the check in ``folder``.

    GitHub gets annotations (on standard error, which it reads as well) and the job's summary;
    GitLab a code quality report beside the run.
    """
    here = os.environ.get("GITHUB_ACTIONS") == "true", bool(os.environ.get("GITLAB_CI"))
    if not any(here):
        return
    if (folder / store.RUN).exists():
        run = outputs.load(folder)
        found, summary = ci.run_annotations(run), markdown.of_run(run)
    else:
        matrix = store.load_check(folder)
        found, summary = ci.check_annotations(matrix), markdown.of_check(matrix)
    if here[0]:
        _github(found, summary, sys.stderr)
    if here[1]:
        put(ci.gitlab(found), str(folder / QUALITY))


def error_in_ci(error: HarnessError) -> None:
    """Make what kept us from a verdict an annotation, when we run on GitHub."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        text = "\n".join(filter(None, (error.what, error.hint, error.details)))
        annotation = Annotation(AnnotationLevel.ERROR, "harness", error.what, text)
        _github([annotation], "", sys.stderr)


def _github(found: Sequence[Annotation], summary: str, out: TextIO) -> None:
    for line in ci.github(found):
        print(line, file=out)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place and summary:
        with (
            paths.writing(Path(place), _ELSEWHERE),
            Path(place).open("a", encoding="utf-8") as file,
        ):
            file.write(summary)


def put(what: str | bytes, place: str) -> None:
    """Write a file, or with - to standard output.  Raises HostFault."""
    data = what.encode("utf-8", "replace") if isinstance(what, str) else what
    if place == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    with paths.writing(Path(place), _ELSEWHERE):
        Path(place).write_bytes(data)
