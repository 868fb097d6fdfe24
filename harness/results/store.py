# SPDX-License-Identifier: GPL-2.0-only
"""What a run's folder holds as JSON, written and read as values: run.json and its siblings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from harness import serial
from harness.errors import UsageError
from harness.model import CellState, Matrix, Run
from harness.serial import DamagedError, to_json

RUN, CHECK = "run.json", "check.json"
RUN_SCHEMA, CHECK_SCHEMA = 1, 1

# What to try when a file of a run cannot be read back.
DAMAGED = "`harness runs` lists the runs the history still knows"
OTHER_FORM = "read it with the harness that wrote it"

Stored = TypeVar("Stored")


def run_table(run: Run) -> dict[str, Any]:
    """Return what run.json holds: the run, and its verdict for programs that lack our rule."""
    return {"schema": RUN_SCHEMA, **to_json(run), "verdict": run.verdict.value}


def save_run(run: Run) -> Path:
    """Write run.json into the run's folder, whole or not at all; returns its path."""
    path = run.folder / RUN
    serial.write(path, run_table(run), indent=1)
    return path


def load_run(folder: Path) -> Run:
    """Read a run back.  Raises UsageError when the folder holds none or one of another form."""
    return read(folder, RUN, RUN_SCHEMA, Run)


def check_table(matrix: Matrix) -> dict[str, Any]:
    """Return what check.json holds: the matrix, and its verdict for programs without our rule."""
    cells = tuple(cell for cell in matrix.cells if cell.state is not CellState.NONE)
    verdict = matrix.verdict
    return {
        "schema": CHECK_SCHEMA,
        **to_json(dataclasses.replace(matrix, cells=cells)),
        "bad": matrix.bad,
        "verdict": verdict.value,
        "exit_code": verdict.exit_code,
    }


def save_check(folder: Path, matrix: Matrix) -> Path:
    """Write check.json into the folder of a check, whole or not at all; returns its path."""
    path = folder / CHECK
    serial.write(path, check_table(matrix), indent=1)
    return path


def load_check(folder: Path) -> Matrix:
    """Read check.json.  Raises UsageError when there is none or one of another form."""
    return read(folder, CHECK, CHECK_SCHEMA, Matrix, "harness check")


def read(folder: Path, name: str, schema: int, kind: type[Stored], writer: str = "a run") -> Stored:
    """Read one of the JSON files that ``writer`` leaves in its folder.

    Raises UsageError where the file is missing, damaged or was written in another form.
    """
    path, hint = folder / name, f"name a folder that {writer} made"
    try:
        table = serial.load(path)
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no {name}", hint=hint) from None
    except DamagedError as error:
        raise UsageError(f"{path} is damaged: {error}", hint=DAMAGED) from error
    if not isinstance(table, dict):
        raise UsageError(f"{path} is damaged: it holds no table", hint=DAMAGED)
    if "schema" not in table:
        raise UsageError(f"{path} was not written by {writer}", hint=hint)
    if table["schema"] != schema:
        what = f"{path} has form {table['schema']}, this harness reads {schema}"
        raise UsageError(what, hint=OTHER_FORM)
    try:
        return serial.from_json(kind, table)
    except DamagedError as error:
        raise UsageError(f"{path} is damaged: {error}", hint=DAMAGED) from error


def why(error: Exception) -> str:
    """Say what is wrong with a file that cannot be read, without Python's words for it."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, (OSError, ValueError)) and not isinstance(error, KeyError):
        return str(error)
    return "a value does not have the expected form"
