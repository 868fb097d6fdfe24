# SPDX-License-Identifier: GPL-2.0-only
"""Put many mutants into one kernel, which a parameter of the kernel chooses from.

A statement with mutants becomes a chain of ifs, a condition or an initial value a chain of ?:, and
the value of the parameter decides which mutant runs; 0 is the original.  Such a kernel is linked
and booted once.  What no condition can choose (initialised data, guards, headers) is left out.
Lines keep their numbers, which WARN_ON() and others compile into the code.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Collection, Iterable, Sequence

from tree_sitter import Node

from harness.build import line_kinds
from harness.model import Mutant

#: Where a guest writes the number of a mutant, and the name of the parameter at boot.
PARAMETERS = "/sys/module/kernel/parameters"
_CONDITIONS = ("if_statement", "while_statement", "do_statement", "for_statement")
_STATEMENTS = ("expression_statement", "return_statement", "goto_statement", "break_statement")
# Constant conditions, without which the compiler keeps calls of what does not exist; directives and
# comments to the end of a line, which cannot be moved to another line.
_FIXED = re.compile(rb"IS_(?:ENABLED|BUILTIN|MODULE|REACHABLE)|__builtin_constant_p|\n\s*#|//")
# What looks like a call and declares something, or ends with the block that it is in.
_DECLARES = re.compile(r"(?:guard|CLASS|scoped_\w+|[A-Z]*LIST_HEAD|DEFINE_\w+|DECLARE_\w+)\b")


@dataclasses.dataclass(frozen=True)
class SwitchedFile:
    """A file with all ``numbers`` of its mutants, by their names, and the parameter's name."""

    path: str
    parameter: str
    content: bytes
    numbers: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Switch:
    """How a kernel is told to be one of its mutants."""

    parameter: str
    number: int

    @property
    def at_boot(self) -> str:
        """The word for the kernel's command line."""
        return f"{self.parameter}={self.number}"

    @property
    def later(self) -> str:
        """The file to write in a guest that is up, and what to write."""
        return f"{PARAMETERS}/{self.parameter}={self.number}"


@dataclasses.dataclass(frozen=True)
class _Region:
    """The bytes that a choice replaces; ``truth``: only whether the expression is true matters."""

    start: int
    end: int
    is_statement: bool
    truth: bool = False


def switched(
    path: str, data: bytes, mutants: Sequence[Mutant], index: int, without: Collection[int] = ()
) -> SwitchedFile:
    """Return the file with those of its mutants that a parameter can choose.

    ``index`` makes the parameter's name unique in the kernel.  Regions on the lines ``without`` did
    not compile before and are left alone.
    """
    parameter = f"harness_mutant_{index}"
    root = line_kinds.parse(data.decode())
    regions: dict[_Region, list[Mutant]] = collections.defaultdict(list)
    for mutant in mutants:
        region = _region(root, data, mutant)
        if region and not set(_lines(data, region)) & set(without):
            regions[region].append(mutant)
    numbers: dict[str, int] = {}
    pieces, at = [], 0
    for region, found in sorted(regions.items(), key=lambda entry: entry[0].start):
        if region.start < at:  # a statement inside another, as in ({ })
            continue
        for mutant in found:
            numbers[mutant.name] = len(numbers) + 1
        pieces += [data[at : region.start], _choice(data, region, found, parameter, numbers)]
        at = region.end
    pieces.append(data[at:])
    head = f"static int {parameter};\n#line 1\n"
    tail = f"\n#include <linux/moduleparam.h>\ncore_param({parameter}, {parameter}, int, 0644);\n"
    content = b"".join([head.encode(), *pieces, tail.encode()])
    return SwitchedFile(path, parameter, content, numbers)


def _region(root: Node, data: bytes, mutant: Mutant) -> _Region | None:
    """Return the smallest region around a mutant in which a parameter can choose; None if none."""
    node = root.descendant_for_byte_range(mutant.start, max(mutant.start, mutant.end - 1))
    while node is not None and node.parent is not None:
        region = _region_of(node, node.parent)
        if region is not None:
            text = data[region.start : region.end]
            inside = region.start <= mutant.start and mutant.end <= region.end
            declares = region.is_statement and _DECLARES.match(text.decode())
            return region if inside and not declares and not _FIXED.search(text) else None
        if node.type in ("declaration", "function_definition"):
            return None
        node = node.parent
    return None


def _region_of(node: Node, parent: Node) -> _Region | None:
    if node.type in _STATEMENTS:
        whole = bool(node.text) and (node.text or b"").endswith(b";")
        return _Region(node.start_byte, node.end_byte, is_statement=True) if whole else None
    if parent.type in _CONDITIONS and node == parent.child_by_field_name("condition"):
        inner = node
        if node.type == "parenthesized_expression" and node.named_child_count == 1:
            inner = node.named_children[0]
        return _Region(inner.start_byte, inner.end_byte, is_statement=False, truth=True)
    in_loop = parent.type == "for_statement" and node != parent.child_by_field_name("body")
    if in_loop and node.type.endswith("_expression"):
        return _Region(node.start_byte, node.end_byte, is_statement=False)
    if parent.type == "init_declarator" and node == parent.child_by_field_name("value"):
        declaration = parent.parent
        words = [text.text for text in declaration.children] if declaration is not None else []
        in_function = declaration is not None and _function_of(declaration) is not None
        if in_function and b"static" not in words and node.type != "initializer_list":
            return _Region(node.start_byte, node.end_byte, is_statement=False)
    return None


def _function_of(node: Node) -> Node | None:
    above: Node | None = node
    while above is not None and above.type != "function_definition":
        above = above.parent
    return above


def _choice(
    data: bytes,
    region: _Region,
    mutants: Iterable[Mutant],
    parameter: str,
    numbers: dict[str, int],
) -> bytes:
    """Return the region as a choice between the mutants and, on its own lines, the original."""
    original = data[region.start : region.end]
    text = b""
    for mutant in mutants:
        before, after = data[region.start : mutant.start], data[mutant.end : region.end]
        changed = re.sub(rb"\s*\n\s*", b" ", before + mutant.text.encode() + after)
        is_it = f"unlikely({parameter} == {numbers[mutant.name]})".encode()
        if region.is_statement:
            text += b"if (%b) { %b } else " % (is_it, changed)
        elif region.truth:
            text += b"%b ? !!(%b) : " % (is_it, changed)
        else:
            text += b"%b ? (%b) : " % (is_it, changed)
    if region.is_statement:
        return b"{ %b%b }" % (text, original)
    return b"(%b%b(%b))" % (text, b"!!" if region.truth else b"", original)


def _lines(data: bytes, region: _Region) -> range:
    first = data.count(b"\n", 0, region.start) + 1
    return range(first, data.count(b"\n", 0, region.end) + 2)
