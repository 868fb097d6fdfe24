# SPDX-License-Identifier: GPL-2.0-only
"""run.json: a Run as JSON and back, with the version of its form."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.model import Run

SCHEMA = 1
NAME = "run.json"

_hints = functools.cache(typing.get_type_hints)  # a run has thousands of tests

# What to try when a file of a run cannot be read back.
DAMAGED = "`harness runs` lists the runs the history still knows"
OTHER_FORM = "read it with the harness that wrote it"


def to_json(value: Any) -> Any:
    """Turn a frozen value into what json can write; paths and enums become strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [to_json(one) for one in value]
    return value


class OddValueError(ValueError):
    """What was read is not of the form it should have; says which value."""


def why(error: Exception) -> str:
    """Say what is wrong with a file that cannot be read back, without Python's words for it."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, (OSError, json.JSONDecodeError, OddValueError)):
        return str(error)
    return "a value is not of the form it should have"


def from_json(kind: Any, value: Any) -> Any:
    """Make a value of type ``kind`` from what ``to_json`` gave; unknown keys are left out.

    Raises OddValueError for anything else.
    """
    try:
        return _made(kind, value)
    except OddValueError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise OddValueError(why(error)) from error


def _member(name: str, kind: Any, value: Any) -> Any:
    try:
        return _made(kind, value)
    except OddValueError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        what = f"the value of {name!r} is not of the form it should have"
        raise OddValueError(what) from error


def _made(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _made(next(one for one in args if one is not type(None)), value)
    if origin is tuple:
        each = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(_made(one, part) for one, part in zip(each, value, strict=True))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        known = {f.name for f in dataclasses.fields(kind) if f.init} & value.keys()
        return kind(**{name: _member(name, hints[name], value[name]) for name in known})
    return kind(value)


def table(run: Run) -> dict[str, Any]:
    """Give what run.json holds: the run, and what follows from it for who has not our code."""
    return {"schema": SCHEMA, **to_json(run), "verdict": run.verdict.value}


def save(run: Run) -> Path:
    """Write run.json into the run's folder, whole or not at all; gives its path."""
    path = run.folder / NAME
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(table(run), indent=1), encoding="utf-8")
    draft.replace(path)
    return path


def load(folder: Path) -> Run:
    """Read a run back.  Raises UsageError when the folder holds none or one of another form."""
    path = folder / NAME
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no {NAME}", hint="name a folder that a run made"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {why(error)}", hint=DAMAGED) from error
    if not isinstance(table, dict) or "schema" not in table:
        raise UsageError(f"{path} was not written by a run", hint="name a folder that a run made")
    if table["schema"] != SCHEMA:
        raise UsageError(
            f"{path} has form {table['schema']}, this harness reads {SCHEMA}",
            hint=OTHER_FORM,
        )
    try:
        run: Run = from_json(Run, table)
    except OddValueError as error:
        raise UsageError(f"{path} is damaged: {error}", hint=DAMAGED) from error
    return run
