# SPDX-License-Identifier: GPL-2.0-only
"""Values go to JSON and come back equal; what is damaged says where."""

from __future__ import annotations

import dataclasses
import enum
import json
from pathlib import Path
from typing import Any

import pytest

from harness import serial
from harness.serial import DamagedError, from_json, to_json


class Colour(enum.StrEnum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Leaf:
    name: str
    size: int = 0
    seconds: float = 0.0
    alive: bool = False
    colour: Colour = Colour.RED
    pair: tuple[str, int] = ("", 0)
    doubled: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "doubled", 2 * self.size)


@dataclasses.dataclass(frozen=True)
class Tree:
    path: Path
    leaves: tuple[Leaf, ...] = ()
    first: Leaf | None = None
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    note: str | int | None = None


TREE = Tree(Path("/a b"), (Leaf("x", 2, 1.5, True, pair=("p", 1)),), None, {"k": 3}, 7)


def test_a_value_comes_back_equal() -> None:
    assert from_json(Tree, json.loads(json.dumps(to_json(TREE)))) == TREE


def test_json_has_only_what_json_knows() -> None:
    leaf = to_json(TREE)["leaves"][0]
    assert leaf == {
        "name": "x",
        "size": 2,
        "seconds": 1.5,
        "alive": True,
        "colour": "red",
        "pair": ["p", 1],
        "doubled": 4,
    }
    assert type(leaf["colour"]) is str


def test_older_and_newer_files_are_read() -> None:
    assert from_json(Leaf, {"name": "x", "seconds": 1, "later": [1], "doubled": 99}) == Leaf(
        "x", seconds=1.0
    )


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ({"path": "/", "leaves": [{"name": 3}]}, "leaves[0].name"),
        ({"path": "/", "leaves": [{"name": "x", "size": "2"}]}, "leaves[0].size"),
        ({"path": "/", "leaves": [{"name": "x", "size": True}]}, "leaves[0].size"),
        ({"path": "/", "leaves": [{"name": "x", "alive": 1}]}, "leaves[0].alive"),
        ({"path": "/", "leaves": [{"name": "x", "colour": "blue"}]}, "leaves[0].colour"),
        ({"path": 7}, "path"),
        ({}, "path"),
        ([], "path"),
        (None, ""),
    ],
)
def test_what_is_damaged_says_where(table: Any, where: str) -> None:
    with pytest.raises(DamagedError) as raised:
        from_json(Tree, table)
    assert where in str(raised.value)
    fault = "is missing" if table == {} else "does not have the expected form"
    assert fault in str(raised.value)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "tree.json"
    serial.write(file, TREE)
    with pytest.raises(TypeError):
        serial.write(file, object())
    assert serial.read(file, Tree) == TREE
    assert [path.name for path in tmp_path.iterdir()] == ["tree.json"]


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b""])
def test_a_file_that_is_no_json_is_damaged(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tree.json"
    file.write_bytes(data)
    with pytest.raises(DamagedError):
        serial.read(file, Tree)
    with pytest.raises(OSError, match="No such file"):
        serial.read(tmp_path / "none", Tree)
