# SPDX-License-Identifier: GPL-2.0-only
"""``harness matrix``: run all combinations of series, kernels, configs, compilers and suites."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

from harness import errors, history, matrix, options, paths, publish
from harness.cli import terminal
from harness.cli.parser import typed_plan
from harness.cli.terminal import Line, ended_text, verdict_text
from harness.lab import folder as run_folder
from harness.model import AXES, RunMatrix
from harness.progress import Progress, clock
from harness.results import store


def run(typed: argparse.Namespace, progress: Progress) -> int:
    """Run the cells, and show the table."""
    with paths.in_use():
        found = _resumed(typed) if typed.resume else _new(typed)
        chosen = matrix.named(found.cells, typed.only)
        if typed.list:
            matrix.plans(found)
            found = dataclasses.replace(found, cells=chosen)
        else:
            with history.recording(
                typed.verb, typed.command, progress.say, db=found.plan.db
            ) as recording:
                found = matrix.run_matrix(found, chosen, progress, recording.at)
                recording.finish(found.verdict)
    if typed.json:
        print(json.dumps(store.matrix_table(found), indent=1))
    else:
        show(found, listed=typed.list)
    return errors.GOOD if typed.list else found.verdict.exit_code


def _new(typed: argparse.Namespace) -> RunMatrix:
    if typed.file is None:
        raise errors.UsageError("no matrix was given", hint="harness matrix FILE.toml")
    return RunMatrix(
        name=typed.file.stem,
        folder=Path(),  # run_matrix makes it
        plan=typed_plan(typed, ()),
        cells=matrix.read(typed.file),
        command=typed.command,
    )


def _resumed(typed: argparse.Namespace) -> RunMatrix:
    """Return the matrix to continue; --on may name other workers."""
    if typed.file is not None:
        raise errors.UsageError(
            "--resume continues with the cells that it has", hint="leave out FILE.toml"
        )
    found = store.load_matrix(run_folder.to_resume(typed.resume, store.MATRIX, "matrix"))
    os.chdir(found.plan.folder)
    if typed.on:
        places = {name: getattr(typed, name) for name in ("on", "tls", "insecure")}
        found = dataclasses.replace(found, plan=dataclasses.replace(found.plan, **places))
    return found


def show(found: RunMatrix, *, listed: bool = False) -> None:
    """Print the cells as a table, and the verdict; ``listed``: only the cells."""
    terminal.show(_lines(found, listed=listed))


def _lines(found: RunMatrix, *, listed: bool) -> Iterator[Line]:
    axes = found.axes
    titles = ("cell", *(AXES[axis] for axis in axes))
    rows: list[tuple[terminal.TableCell, ...]] = []
    for cell in found.cells:
        row: tuple[terminal.TableCell, ...] = (cell.name, *(cell.value(axis) for axis in axes))
        if not listed:
            took = clock(cell.seconds) if cell.code is not None else ""
            row += (ended_text("done", cell.verdict) if took else cell.state, cell.tests, took)
        rows.append(row)
    titles += () if listed else ("verdict", "tests", "took")
    soft = {"cell": 16, "tests": 16, **{AXES[axis]: 10 for axis in axes}}
    yield terminal.table(titles, rows, soft, ("took", *(AXES[axis] for axis in reversed(axes))))
    if listed:
        shared = " ".join(options.words(found.plan))
        yield f"\n{len(found.cells)} cells" + (f", all with {shared}" if shared else "")
        return
    unclear = [cell for cell in found.cells if cell.code is not None and cell.text]
    for cell in unclear:
        if cell.verdict.exit_code:
            yield f"\n{cell.name}: {cell.text}"
    yield ""
    yield verdict_text(found.verdict).append(f" {found.name}", "")
    yield f"report   {found.folder / publish.PAGE}"
