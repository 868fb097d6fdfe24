# SPDX-License-Identifier: GPL-2.0-only
"""Report the results of a run or a check to the CI system, if running in one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from harness import paths
from harness.errors import HarnessError
from harness.publish import code_annotations, markdown, outputs
from harness.publish.code_annotations import Annotation, AnnotationLevel
from harness.results import store

QUALITY = "gl-code-quality-report.json"
_ELSEWHERE = "another path for this file"


def tell(folder: Path) -> None:
    """Report the run or the check in ``folder`` to the CI system.

    GitHub gets annotations (on standard error, which it reads too) and the job summary; GitLab gets
    a code quality report in the run's folder.
    """
    github, gitlab = os.environ.get("GITHUB_ACTIONS") == "true", bool(os.environ.get("GITLAB_CI"))
    if not (github or gitlab):
        return
    if (folder / store.RUN).exists():
        run = outputs.load(folder)
        annotations, summary = code_annotations.of_run(run), markdown.of_run(run)
    else:
        matrix = store.load_check(folder)
        annotations, summary = code_annotations.of_check(matrix), markdown.of_check(matrix)
    if github:
        tell_github(annotations, summary, sys.stderr)
    if gitlab:
        put(code_annotations.gitlab(annotations), str(folder / QUALITY))


def annotate_error(error: HarnessError) -> None:
    """On GitHub, annotate an error that prevented a verdict."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    text = "\n".join(filter(None, (error.what, error.hint, error.details)))
    annotation = Annotation(AnnotationLevel.ERROR, "harness", error.what, text)
    tell_github([annotation], "", sys.stderr)


def tell_github(annotations: Sequence[Annotation], summary: str, out: TextIO) -> None:
    """Print annotations to ``out``, and append ``summary`` to the job summary."""
    for line in code_annotations.github(annotations):
        print(line, file=out)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place and summary:
        with (
            paths.writing(Path(place), _ELSEWHERE),
            Path(place).open("a", encoding="utf-8") as file,
        ):
            file.write(summary)


def put(content: str | bytes, place: str) -> None:
    """Write a file; "-" is standard output.  Raises HostFault."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if place == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    with paths.writing(Path(place), _ELSEWHERE):
        Path(place).write_bytes(data)
