# SPDX-License-Identifier: GPL-2.0-only
"""What a run's folder holds as JSON, written and read as values: run.json and its siblings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from harness import serial
from harness.errors import UsageError
from harness.model import Run
from harness.serial import DamagedError, to_json

RUN = "run.json"
RUN_SCHEMA = 1

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


def read(folder: Path, name: str, schema: int, kind: type[Stored]) -> Stored:
    """Read one of the JSON files of a run's folder.

    Raises UsageError where the file is missing, damaged or was written in another form.
    """
    path = folder / name
    try:
        table = serial.load(path)
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no {name}", hint="name a folder that a run made"
        ) from None
    except DamagedError as error:
        raise UsageError(f"{path} is damaged: {error}", hint=DAMAGED) from error
    if not isinstance(table, dict) or "schema" not in table:
        raise UsageError(f"{path} was not written by a run", hint="name a folder that a run made")
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
