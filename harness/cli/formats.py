# SPDX-License-Identifier: GPL-2.0-only
"""A run in other forms: the options of ``harness report`` for them, and what CI systems get."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from harness import paths
from harness.errors import HarnessError, HostFault, UsageError
from harness.model import Run, SideResult
from harness.progress import Progress
from harness.publish import (
    checked,
    github,
    gitlab,
    junit,
    kcidb,
    letter,
    mail,
    maintainers,
    marks,
    tap,
)
from harness.results import store
from harness.results.regression import settled

COMPARED = "compare.json"
QUALITY = "gl-code-quality-report.json"
_ELSEWHERE = "choose another place for it"
# Options that say how, and the forms that they are for.
_NEEDED = {"tested_by": ("mail",), "origin": ("kcidb",), "side": ("junit", "kcidb")}
_FORMS = ("mail", "junit", "tap", "ktap", "kcidb", "gitlab", "summary")


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that write a run in other forms."""
    forms = parser.add_argument_group(
        "other forms", "each into a FILE, or with - to standard output"
    )
    for name, what in (
        ("mail", "a reply to the cover letter, for git send-email, mutt or b4"),
        ("junit", "JUnit, for Jenkins, GitLab and others"),
        ("tap", "TAP 14 of the judged kernel"),
        ("ktap", "the same as the kernel's own KTAP"),
        ("kcidb", "JSON for KernelCI's database"),
        ("gitlab", "GitLab's code quality: what is to be said at lines"),
        ("summary", "Markdown, as for a GitHub job's summary"),
    ):
        forms.add_argument(f"--{name}", default="", metavar="FILE", help=what)
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


def asked(given: argparse.Namespace) -> bool:
    """Whether any other form than the report itself is asked for."""
    return given.github or any(getattr(given, name) for name in _FORMS)


def printed(given: argparse.Namespace) -> bool:
    """Whether a form goes to standard output, which is its alone."""
    return given.github or any(getattr(given, name) == "-" for name in _FORMS)


def check(given: argparse.Namespace) -> None:
    """Refuse options that would do nothing, and two things for standard output at once."""
    places = [name for name in ("output", *_FORMS) if getattr(given, name) == "-"]
    if len(places) + (given.github and not given.json) > 1:
        raise UsageError("two forms cannot both go to standard output", hint="name a FILE for one")
    if places and given.json:
        raise UsageError(
            f"--json and --{places[0]} cannot both go to standard output", hint="name a FILE"
        )
    for name, forms in _NEEDED.items():
        if getattr(given, name) and not any(getattr(given, one) for one in forms):
            of = " or ".join(f"--{one}" for one in forms)
            word = name.replace("_", "-")
            raise UsageError(f"--{word} is about {of}", hint=f"give {of} as well, or leave it out")


def write(folder: Path, given: argparse.Namespace, progress: Progress) -> dict[str, str]:
    """Write all forms that are asked for of the run or the check in ``folder``; gives the files.

    Raises UsageError for a form that a check has not, HostFault when a file cannot be written.
    """
    if not (folder / store.RUN).exists():
        if not (folder / store.CHECK).exists():
            raise _no_other_form(folder)
        _write_check(folder, given)
        return _files(given)
    run = _here(settled(store.load_run(folder)), folder)
    make: dict[str, Callable[[], str | bytes]] = {
        "mail": lambda: _mail(run, given.tested_by, progress),
        "junit": lambda: _junit(run, given.side),
        "tap": lambda: tap.tap(run),
        "ktap": lambda: tap.ktap(run),
        "kcidb": lambda: _json(kcidb.report(_one_side(run, given.side), _origin(given.origin))),
        "gitlab": lambda: gitlab.quality(marks.of_run(run)),
        "summary": lambda: github.summary(run),
    }
    for name in (name for name in _FORMS if getattr(given, name)):
        put(make[name](), getattr(given, name))
    if given.github:
        _github(marks.of_run(run), github.summary(run), sys.stderr if given.json else sys.stdout)
    return _files(given)


def _files(given: argparse.Namespace) -> dict[str, str]:
    places = {name: getattr(given, name) for name in _FORMS}
    return {n: str(Path(place).absolute()) for n, place in places.items() if place not in ("", "-")}


def _here(run: Run, folder: Path) -> Run:
    """Give a run whose folder may have been moved since, say off a CI system."""
    before, now = str(run.folder.absolute()) + os.sep, str(folder.absolute()) + os.sep
    sides = tuple(
        dataclasses.replace(
            side,
            guests=tuple(
                dataclasses.replace(guest, console=guest.console.replace(before, now, 1))
                for guest in side.guests
            ),
        )
        for side in run.sides
    )
    return dataclasses.replace(run, folder=folder, sides=sides)


def _write_check(folder: Path, given: argparse.Namespace) -> None:
    other = next((n for n in ("mail", "junit", "tap", "ktap", "kcidb") if getattr(given, n)), "")
    if other:
        raise UsageError(
            f"a check has no --{other}", hint=f"see {folder} for check.json, junit.xml"
        )
    matrix = store.load_check(folder)
    found, summary = checked.marks(matrix), checked.summary(matrix)
    if given.gitlab:
        put(gitlab.quality(found), given.gitlab)
    if given.summary:
        put(summary, given.summary)
    if given.github:
        _github(found, summary, sys.stderr if given.json else sys.stdout)


def _no_other_form(folder: Path) -> UsageError:
    """Say why what lies there can be a page at most."""
    from harness.publish.html import bisection, unfinished

    again = f"harness report {shlex.quote(str(folder))}"
    if unfinished.is_one(folder):
        what = f"the run in {folder} did not come to its end: it has only a page"
        return UsageError(what, hint=again)
    if (folder / bisection.NAME).exists():
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
        run = _here(settled(store.load_run(folder)), folder)
        found, summary = marks.of_run(run), github.summary(run)
    else:
        matrix = store.load_check(folder)
        found, summary = checked.marks(matrix), checked.summary(matrix)
    if here[0]:
        _github(found, summary, sys.stderr)
    if here[1]:
        put(gitlab.quality(found), str(folder / QUALITY))


def error_in_ci(error: HarnessError) -> None:
    """Make what kept us from a verdict an annotation, when we run on GitHub."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        text = "\n".join(filter(None, (error.what, error.hint, error.details)))
        mark = marks.Mark(marks.Weight.ERROR, "harness", error.what, text)
        _github([mark], "", sys.stderr)


def _github(found: Sequence[marks.Mark], summary: str, out: TextIO) -> None:
    for line in github.commands(found):
        print(line, file=out)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place and summary:
        with (
            paths.writing(Path(place), _ELSEWHERE),
            Path(place).open("a", encoding="utf-8") as file,
        ):
            file.write(summary)


def _mail(run: Run, tested_by: str, progress: Progress) -> bytes:
    sender = mail.person(tested_by) if tested_by else None
    if sender and (why := letter.deserved(run)):
        progress.say(f"the mail has no Tested-by: {why}")
    if not mail.answered(run).id:
        progress.say("the series has no Message-ID, so the mail is not a reply to anything")
    return mail.compose(run, lambda: _maintainers(run, progress), sender)


def _maintainers(run: Run, progress: Progress) -> mail.Asked:
    """Ask the tree; a mail without receivers is better than none."""
    patches = run.series.patches if run.series else ()
    there = [patch for patch in patches if patch.path.is_file()]
    try:
        return maintainers.ask(run.source, there)
    except HostFault as error:
        progress.say(f"nobody is named as Cc: {error.what}")
        return (), ()


def _junit(run: Run, side: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        return junit.of_run(Path(folder) / "junit.xml", run, _sides(run, side)).read_bytes()


def _sides(run: Run, side: str) -> tuple[SideResult, ...]:
    return tuple(one for one in run.sides if side in ("", one.side))


def _one_side(run: Run, side: str) -> Run:
    return dataclasses.replace(run, sides=_sides(run, side))


def _origin(name: str) -> str:
    if not name:
        raise UsageError(
            "--kcidb needs an origin", hint="--origin NAME, as KernelCI gave it to you"
        )
    return name


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


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
