# SPDX-License-Identifier: GPL-2.0-only
"""JSON Schemas of the --json output of verbs, made from the classes that they print."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing

from harness.history.histories import Match, RunRow, SeriesHistory, SplatHistory, TestHistory
from harness.model import Bisected, CheckMatrix, Comparison, Mutation, Run, RunMatrix
from harness.results.store import BISECTION_SCHEMA as BISECT
from harness.results.store import CHECK_SCHEMA as CHECK
from harness.results.store import MATRIX_SCHEMA as MATRIX
from harness.results.store import MUTATION_SCHEMA as MUTATE
from harness.results.store import RUN_SCHEMA as RUN

Schema = dict[str, typing.Any]

_NUMBER = {"type": "number"}
_CODE = {"enum": [0, 1, 125, 128, 129, 130]}
_SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_SIMPLE |= {"Path": "string", "NoneType": "null"}


def made(comment: str) -> dict[str, Schema]:
    """Return the schema of each verb that prints one of our values."""
    own = {"own": _NUMBER, "children": _NUMBER}
    run = {"exit_code": {"enum": [0, 1]}, "cpu_seconds": {"type": "object", "properties": own}}
    verdict = {"bad": {"type": "boolean"}, "exit_code": _CODE}
    proof = {name: {"type": "boolean"} for name in ("found", "proven")}
    score = {name: {"type": "integer"} for name in ("killed", "survived", "not_executed")}
    score |= {"percent": {"type": ["number", "null"]}}
    scored = {"score": {"type": "object", "properties": score}, "exit_code": _CODE}
    found = {
        "run": _object(Run, run, RUN),
        "check": _object(CheckMatrix, verdict, CHECK),
        "compare": _object(Comparison, verdict),
        "bisect": _object(Bisected, {**proof, "exit_code": _CODE}, BISECT),
        "mutate": _object(Mutation, scored, MUTATE),
        "matrix": _object(RunMatrix, {"exit_code": _CODE}, MATRIX),
        "runs": _one({"runs": tuple[RunRow, ...]}),
        "history": _one(
            {
                "test": TestHistory,
                "series": SeriesHistory,
                "splat": SplatHistory,
                "matches": tuple[Match, ...],
            }
        ),
    }
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": comment}
    return {
        name: {**about, "title": f"harness {name} --json", **one} for name, one in found.items()
    }


def _object(kind: type, more: Schema, version: int | None = None) -> Schema:
    """Return the schema of a class; ``more`` are keys that are printed beside its own."""
    known = definitions(kind)
    top = known.pop(kind.__name__)
    first = {"schema": {"const": version}} if version else {}
    return {
        "type": "object",
        "properties": {**first, **top["properties"], **more},
        "required": [*first, *top["required"]],
        "$defs": known,
    }


def _one(kinds: dict[str, typing.Any]) -> Schema:
    """Return the schema of an object that has exactly one of these keys."""
    known: dict[str, Schema] = {}
    for kind in kinds.values():
        known |= definitions(kind)
    return {
        "type": "object",
        "properties": {name: _schema(kind) for name, kind in kinds.items()},
        "oneOf": [{"required": [name]} for name in kinds],
        "$defs": known,
    }


def definitions(hint: typing.Any) -> dict[str, Schema]:
    """Return the schemas of all classes that a type refers to, by their names."""
    known: dict[str, Schema] = {}
    names: dict[str, type] = {}
    left = [hint]
    while left:
        one = left.pop()
        left += typing.get_args(one)
        if not isinstance(one, type) or one.__name__ in _SIMPLE or one is types.EllipsisType:
            continue
        if names.setdefault(one.__name__, one) is not one:
            raise ValueError(f"two classes have the name {one.__name__}")
        if one.__name__ in known:
            continue
        if issubclass(one, enum.Enum):
            known[one.__name__] = {"enum": [word.value for word in one]}
        elif dataclasses.is_dataclass(one):
            hints = typing.get_type_hints(one)
            fields = [field.name for field in dataclasses.fields(one)]
            left += [hints[name] for name in fields]
            known[one.__name__] = {
                "type": "object",
                "properties": {name: _schema(hints[name]) for name in fields},
                "required": fields,
            }
    return dict(sorted(known.items()))


def _schema(hint: typing.Any) -> Schema:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and args[-1] is ...:
        return {"type": "array", "items": _schema(args[0])}
    if origin is tuple:
        fixed = [_schema(one) for one in args]
        return {"type": "array", "prefixItems": fixed, "minItems": len(fixed), "items": False}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_schema(one) for one in args]}
    if hint.__name__ in _SIMPLE:
        return {"type": _SIMPLE[hint.__name__]}
    return {"$ref": f"#/$defs/{hint.__name__}"}
