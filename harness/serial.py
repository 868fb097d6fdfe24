# SPDX-License-Identifier: GPL-2.0-only
"""Frozen values to JSON and back: the harness stores all of its data this way.

A value is a frozen dataclass.  Its fields may be numbers, strings, enums, paths, tuples, mappings
and other values.  Unknown keys, written by a newer harness, are ignored; a field that an older
harness did not write gets its default.  A class with ``by_name`` is a table: its entries are
stored by name.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import os
import typing
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import cattrs.gen
import cattrs.preconf.json
from cattrs.strategies import configure_union_passthrough

Value = TypeVar("Value")


class DamagedError(ValueError):
    """The data that was read does not have the expected form; the message names the location."""


def to_json(value: Any) -> Any:
    """Return data that ``json`` can write: values become objects, paths and enums strings."""
    return _converter().unstructure(value)


def from_json(kind: type[Value], table: Any) -> Value:
    """Build a value of type ``kind`` from the result of ``to_json``.  Raises DamagedError."""
    try:
        return _converter().structure(table, kind)
    except cattrs.BaseValidationError as error:
        faults = cattrs.transform_error(error, "", lambda cause, _: type(cause).__name__)
        malformed = [fault for fault in faults if not fault.startswith("KeyError")]
        where = (malformed or faults)[0].partition(" @ ")[2].removeprefix(".") or "top level"
        what = "does not have the expected form" if malformed else "is missing"
        raise DamagedError(f"the value of {where!r} {what}") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DamagedError("a value does not have the expected form") from error


def read(path: Path, kind: type[Value]) -> Value:
    """Read a value from a file.  Raises DamagedError, and OSError if the file cannot be read."""
    return from_json(kind, load(path))


def load(path: Path) -> Any:
    """Read plain JSON data from a file.  Raises DamagedError and OSError like ``read``."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DamagedError("it is not UTF-8") from error
    except ValueError as error:
        raise DamagedError(str(error)) from error


def write(path: Path, value: Any, *, indent: int | None = None, sync: bool = False) -> None:
    """Write a value atomically; with ``sync`` it survives a power failure.

    Raises OSError.
    """
    text = json.dumps(to_json(value), indent=indent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.preconf.json.make_converter()
    configure_union_passthrough(str | bool | int | float | None, converter)
    for kind, accepted in ((str, str), (int, int), (float, (int, float)), (bool, bool)):
        converter.register_structure_hook(kind, functools.partial(_exactly, accepted))
    converter.register_unstructure_hook(enum.StrEnum, lambda value: value.value)
    converter.register_unstructure_hook_func(
        lambda kind: tuple in (kind, typing.get_origin(kind)),
        lambda value: [converter.unstructure(item) for item in value],
    )
    converter.register_unstructure_hook_factory(
        dataclasses.is_dataclass,
        lambda kind: cattrs.gen.make_dict_unstructure_fn(
            kind, converter, _cattrs_include_init_false=True
        ),
    )
    converter.register_unstructure_hook_func(_is_table_entry, lambda value: value.name)
    converter.register_structure_hook_func(_is_table_entry, lambda name, kind: kind.by_name(name))
    return converter


def _is_table_entry(kind: Any) -> bool:
    """Whether values of this class are entries of a table, such as the kinds of signatures."""
    return isinstance(kind, type) and hasattr(kind, "by_name")


def _exactly(accepted: type | tuple[type, ...], value: Any, kind: type) -> Any:
    """Accept only a value of the right type: converting any input to a string would hide damage."""
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"not a {kind.__name__}")
    return kind(value)
