# SPDX-License-Identifier: GPL-2.0-only
"""The table of outputs: each format of ``harness report`` besides the HTML page."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import HostFault, UsageError
from harness.model import CheckMatrix, Run, Trial
from harness.progress import Progress
from harness.publish import code_annotations, junit, kcidb, lcov, markdown, reply, sentences, tap
from harness.results import evidence, store
from harness.results.regression import settled


@dataclasses.dataclass(frozen=True)
class OutputChoices:
    """Options of some outputs: the mail's sender, KCIDB's origin, the only kernel to report.

    An option that was not given is empty.
    """

    tested_by: str = ""
    origin: str = ""
    side: str = ""


@dataclasses.dataclass(frozen=True)
class Output:
    """A report format, which the option ``--name FILE`` selects.

    ``choices`` are the fields of OutputChoices that it uses.  ``of_check`` generates the format
    from a check's matrix; None if this format does not exist for checks.
    """

    name: str
    help: str
    of_run: Callable[[Run, OutputChoices, Progress], str | bytes]
    of_check: Callable[[CheckMatrix], str] | None = None
    choices: tuple[str, ...] = ()


def load(folder: Path) -> Run:
    """Read the run in ``folder``, which may have been moved, for example from a CI system.

    Raises UsageError if there is no run, or if run.json has a different format.
    """
    run = settled(store.load_run(folder))
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


def _sides(run: Run, choices: OutputChoices) -> tuple[Trial, ...]:
    return tuple(side for side in run.sides if choices.side in ("", side.side))


def _mail(run: Run, choices: OutputChoices, progress: Progress) -> bytes:
    sender = reply.person(choices.tested_by) if choices.tested_by else None
    if sender and (why := reply.no_tested_by(run)):
        progress.say(f"the mail has no Tested-by: {why}")
    if not reply.thread_of(run).id:
        progress.say("the series has no Message-ID, so the mail is not a reply to anything")

    def maintainers() -> tuple[reply.Lines, reply.Lines]:
        patches = run.series.patches if run.series else ()
        files = [evidence.patch_file(run.folder, patch) for patch in patches]
        try:
            return reply.ask_maintainers(run.source, [file for file in files if file.is_file()])
        except HostFault as error:  # a mail without recipients is better than none
            progress.say(f"the mail has no maintainers in Cc: {error.what}")
            return (), ()

    return reply.compose(run, maintainers, sender)


def _junit(run: Run, choices: OutputChoices, _: Progress) -> bytes:
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        return junit.write(Path(folder) / "junit.xml", run, _sides(run, choices)).read_bytes()


def _kcidb(run: Run, choices: OutputChoices, _: Progress) -> str:
    if not choices.origin:
        raise UsageError(
            "--kcidb needs an origin", hint="--origin NAME, the name that KernelCI gave you"
        )
    run = dataclasses.replace(run, sides=_sides(run, choices))
    return json.dumps(kcidb.report(run, choices.origin), indent=1) + "\n"


def _lcov(run: Run, _: OutputChoices, __: Progress) -> str:
    found = store.load_coverage(run.folder / run.judged.side) if run.sides else None
    if found is None:
        raise UsageError(
            f"the run in {run.folder} did not count what its tests execute",
            hint="harness run --coverage",
        )
    return lcov.tracefile(found, sentences.title(run))


OUTPUTS = (
    Output(
        "mail",
        "a reply to the cover letter, for git send-email, mutt or b4",
        _mail,
        choices=("tested_by",),
    ),
    Output("junit", "JUnit, for Jenkins, GitLab and others", _junit, choices=("side",)),
    Output("tap", "TAP 14 for the kernel under test", lambda run, *_: tap.tap(run)),
    Output("ktap", "KTAP, the kernel's own form of TAP", lambda run, *_: tap.ktap(run)),
    Output("kcidb", "JSON for KernelCI's database", _kcidb, choices=("origin", "side")),
    Output("lcov", "an lcov tracefile of the lines of the series, for genhtml", _lcov),
    Output(
        "gitlab",
        "GitLab's code quality report: annotations at lines",
        lambda run, *_: code_annotations.gitlab(code_annotations.of_run(run)),
        lambda matrix: code_annotations.gitlab(code_annotations.of_check(matrix)),
    ),
    Output(
        "summary",
        "Markdown, for the summary of a GitHub job",
        lambda run, *_: markdown.of_run(run),
        markdown.of_check,
    ),
)
