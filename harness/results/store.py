# SPDX-License-Identifier: GPL-2.0-only
"""The JSON files in a run's folder, written and read as values: run.json and others."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any, TypeVar

from harness import serial
from harness.errors import UsageError
from harness.model import (
    Bisected,
    CellState,
    CheckMatrix,
    Comparison,
    Coverage,
    Mutation,
    Outcome,
    Run,
    RunMatrix,
    SearchState,
)
from harness.serial import DamagedError, to_json

COMMAND = "command"  # holds the command line; what creates it owns the folder
RUN, CHECK, BISECTION, COMPARISON = "run.json", "check.json", "bisect.json", "compare.json"
RUN_SCHEMA, CHECK_SCHEMA, BISECTION_SCHEMA = 1, 1, 1
MUTATION, MUTATION_SCHEMA = "mutate.json", 1
MATRIX, MATRIX_SCHEMA = "matrix.json", 1
COVERAGE, COVERAGE_SCHEMA = "coverage.json", 1  # in the folder of a trial
SEARCH_STATE, SEARCH_STATE_SCHEMA = "state.json", 1  # what `harness bisect --resume` reads

# Hints for run files that cannot be read.
DAMAGED = "`harness runs` lists the runs in the history"
OTHER_FORM = "read it with the version of the harness that wrote it"

Stored = TypeVar("Stored")


def _save(path: Path, table: dict[str, Any]) -> Path:
    serial.write(path, table, indent=1)
    return path


def run_table(run: Run) -> dict[str, Any]:
    """Return the content of run.json: the run, and its verdict for other programs."""
    return {"schema": RUN_SCHEMA, **to_json(run), "verdict": run.verdict.value}


def save_run(run: Run) -> Path:
    """Write run.json into the run's folder atomically; return its path."""
    return _save(run.folder / RUN, run_table(run))


def load_run(folder: Path) -> Run:
    """Read run.json.  Raises UsageError if it is missing or has another format."""
    return read(folder, RUN, RUN_SCHEMA, Run)


def check_table(matrix: CheckMatrix) -> dict[str, Any]:
    """Return the content of check.json: the matrix, and its verdict for other programs."""
    cells = tuple(cell for cell in matrix.cells if cell.state is not CellState.NONE)
    verdict = matrix.verdict
    return {
        "schema": CHECK_SCHEMA,
        **to_json(dataclasses.replace(matrix, cells=cells)),
        "bad": matrix.bad,
        "verdict": verdict.value,
        "exit_code": verdict.exit_code,
    }


def save_check(folder: Path, matrix: CheckMatrix) -> Path:
    """Write check.json into the folder of a check atomically; return its path."""
    return _save(folder / CHECK, check_table(matrix))


def load_check(folder: Path) -> CheckMatrix:
    """Read check.json.  Raises UsageError if it is missing or has another format."""
    return read(folder, CHECK, CHECK_SCHEMA, CheckMatrix, "harness check")


def bisection_table(value: Bisected) -> dict[str, Any]:
    """Return the content of bisect.json: the answer, and its verdict for other programs."""
    return {
        "schema": BISECTION_SCHEMA,
        **to_json(value),
        "found": value.found,
        "proven": value.proven,
        "verdict": value.verdict.value,
        "exit_code": value.verdict.exit_code,
    }


def save_bisection(folder: Path, value: Bisected) -> Path:
    """Write bisect.json atomically; return its path."""
    return _save(folder / BISECTION, bisection_table(value))


def load_bisection(folder: Path) -> Bisected:
    """Read bisect.json; raises the same errors as ``load_run``."""
    return read(folder, BISECTION, BISECTION_SCHEMA, Bisected, "harness bisect")


def mutation_table(value: Mutation) -> dict[str, Any]:
    """Return the content of mutate.json: the mutation, and its score for other programs."""
    score = value.score
    percent = score.percent
    return {
        "schema": MUTATION_SCHEMA,
        **to_json(value),
        "score": {**to_json(score), "percent": None if percent is None else round(percent, 1)},
        "verdict": value.verdict.value,
        "exit_code": value.verdict.exit_code,
    }


def save_mutation(folder: Path, value: Mutation) -> Path:
    """Write mutate.json atomically; return its path."""
    return _save(folder / MUTATION, mutation_table(value))


def load_mutation(folder: Path) -> Mutation:
    """Read mutate.json; raises the same errors as ``load_run``."""
    return read(folder, MUTATION, MUTATION_SCHEMA, Mutation, "harness mutate")


def matrix_table(matrix: RunMatrix) -> dict[str, Any]:
    """Return the content of matrix.json: the matrix, and its verdicts for other programs."""
    table, verdict = to_json(matrix), matrix.verdict
    for cell, row in zip(matrix.cells, table["cells"], strict=True):
        row["verdict"] = None if cell.code is None else cell.verdict.value
    exit_code = verdict.exit_code
    return {"schema": MATRIX_SCHEMA, **table, "verdict": verdict.value, "exit_code": exit_code}


def save_matrix(matrix: RunMatrix) -> Path:
    """Write matrix.json into the folder of the matrix atomically; return its path."""
    return _save(matrix.folder / MATRIX, matrix_table(matrix))


def load_matrix(folder: Path) -> RunMatrix:
    """Read matrix.json; raises the same errors as ``load_run``.  The folder may have been moved."""
    found = read(folder, MATRIX, MATRIX_SCHEMA, RunMatrix, "harness matrix")
    return dataclasses.replace(found, folder=folder)


def comparison_table(value: Comparison) -> dict[str, Any]:
    """Return the content of compare.json: the comparison, and its verdict."""
    verdict = value.verdict
    return {**to_json(value), "verdict": verdict.value, "exit_code": verdict.exit_code}


def save_comparison(folder: Path, value: Comparison) -> Path:
    """Write compare.json atomically; return its path."""
    return _save(folder / COMPARISON, comparison_table(value))


def load_comparison(folder: Path) -> Comparison:
    """Read compare.json.  Raises UsageError if it is damaged."""
    path = folder / COMPARISON
    try:
        table = dict(serial.load(path))
        for test in table["tests"]:  # older harnesses wrote null for a missing test
            test |= {side: test[side] or Outcome.NOTRUN for side in ("base", "patched")}
        return serial.from_json(Comparison, table)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {why(error)}", hint=DAMAGED) from error


def save_coverage(folder: Path, value: Coverage) -> Path:
    """Write coverage.json into the folder of a trial atomically; return its path."""
    path = folder / COVERAGE
    serial.write(path, {"schema": COVERAGE_SCHEMA, **to_json(value)})  # large, so without indent
    return path


def load_coverage(folder: Path) -> Coverage | None:
    """Read the coverage of a trial; None if its kernel had no counters.

    The judged trial of a run is in ``run.folder / run.judged.side``.  Raises the same errors as
    ``load_run`` if the file is damaged.
    """
    if not (folder / COVERAGE).exists():
        return None
    return read(folder, COVERAGE, COVERAGE_SCHEMA, Coverage, "harness run --coverage")


def save_search_state(folder: Path, state: SearchState) -> None:
    """Write state.json atomically, so that it survives a power failure."""
    table = {"schema": SEARCH_STATE_SCHEMA, **to_json(state)}
    serial.write(folder / SEARCH_STATE, table, indent=1, sync=True)


def load_search_state(folder: Path) -> SearchState:
    """Read state.json.  Raises UsageError if there is nothing to resume."""
    return read(
        folder,
        SEARCH_STATE,
        SEARCH_STATE_SCHEMA,
        SearchState,
        "harness bisect",
        damaged="leave out --resume to start a new bisection",
    )


def missing(folder: Path, name: str, hint: str) -> UsageError:
    """Return the error for a folder without one of the JSON files."""
    if name == RUN and (folder / COMMAND).exists():
        what = f"the run in {folder} has no results yet, or was stopped before it had any"
        return UsageError(what, hint=f"harness show {shlex.quote(str(folder))}")
    return UsageError(f"{folder} holds no {name}", hint=hint)


def read(
    folder: Path,
    name: str,
    schema: int,
    kind: type[Stored],
    writer: str = "a run",
    *,
    damaged: str = DAMAGED,
) -> Stored:
    """Read one of the JSON files that ``writer`` writes; ``damaged`` is the hint if it is damaged.

    Raises UsageError if the file is missing, damaged or has another format.
    """
    path, hint = folder / name, f"name a folder written by {writer}"
    try:
        table = serial.load(path)
    except FileNotFoundError:
        raise missing(folder, name, hint) from None
    except DamagedError as error:
        raise UsageError(f"{path} is damaged: {error}", hint=damaged) from error
    if not isinstance(table, dict):
        raise UsageError(f"{path} is damaged: it does not have the expected form", hint=damaged)
    if "schema" not in table:
        raise UsageError(f"{path} was not written by {writer}", hint=hint)
    if table["schema"] != schema:
        what = f"{path} has format {table['schema']}, this harness reads format {schema}"
        raise UsageError(what, hint=OTHER_FORM)
    try:
        return serial.from_json(kind, table)
    except DamagedError as error:
        raise UsageError(f"{path} is damaged: {error}", hint=damaged) from error


def why(error: Exception) -> str:
    """Explain what is wrong with an unreadable file, without Python's own messages."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, (OSError, ValueError)) and not isinstance(error, KeyError):
        return str(error)
    return "a value does not have the expected form"
