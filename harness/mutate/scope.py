# SPDX-License-Identifier: GPL-2.0-only
"""What the names in a function mean: its labels, and the types that its variables are declared as.

Only what is written down in the file is known.  A type that is not known is "", and then a mutation
that depends on it is not made.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from tree_sitter import Node

_INITIAL = re.compile(r"(?:^|_)(?:init|initial|default)(?:_|$)")
_LITERALS = {"number_literal": "int", "true": "bool", "false": "bool"}


@dataclasses.dataclass(frozen=True)
class Scope:
    """The names that are known at a node.

    ``initial_objects`` are expressions for the file's initial objects, such as a pointer called
    ``foo_initial_instance``, by their types.
    """

    function: str
    labels: tuple[str, ...]
    types: dict[str, str]
    initial_objects: dict[str, str]

    def type_of(self, node: Node) -> str:
        """Return the declared type of a variable, or the type of a literal; "" if not known."""
        if node.type == "identifier":
            return self.types.get(text_of(node), "")
        return _LITERALS.get(node.type, "")


def text_of(node: Node) -> str:
    """Return the source text of a node."""
    return (node.text or b"").decode(errors="replace")


def with_scopes(root: Node) -> Iterator[tuple[Node, Scope]]:
    """Yield all nodes of a file, each with its scope; parents come before their children."""
    globals_: dict[str, str] = {}
    for child in _top_level(root):
        if child.type == "declaration":
            globals_ |= _declared(child)
    initial = {
        declared if declared.endswith("*") else f"{declared} *": (
            name if declared.endswith("*") else f"&{name}"
        )
        for name, declared in globals_.items()
        if declared.startswith("struct ") and _INITIAL.search(name)
    }
    outside = Scope("", (), globals_, initial)
    stack = [(root, outside)]
    while stack:
        node, scope = stack.pop()
        if node.type == "function_definition":
            scope = _of_function(node, outside)
        yield node, scope
        # The guards themselves stay: what #if says decides which lines are compiled.
        guard = node.child_by_field_name("condition") if "preproc" in node.type else None
        stack += [(child, scope) for child in reversed(node.children) if child != guard]


def _top_level(root: Node) -> Iterator[Node]:
    """Yield the declarations of a file, also those below #if."""
    stack = [root]
    while stack:
        node = stack.pop()
        for child in node.children:
            if child.type.startswith("preproc_"):
                stack.append(child)
            yield child


def _of_function(node: Node, outside: Scope) -> Scope:
    types, labels, name = dict(outside.types), [], ""
    stack = [node]
    while stack:
        current = stack.pop()
        if current.type == "labeled_statement":
            label = current.child_by_field_name("label")
            if label is not None:
                labels.append(text_of(label))
        elif current.type in ("declaration", "parameter_declaration"):
            types |= _declared(current)
        elif current.type == "function_declarator" and not name:
            declarator = current.child_by_field_name("declarator")
            name = text_of(declarator) if declarator is not None else ""
        stack += reversed(current.children)
    return Scope(name, tuple(labels), types, outside.initial_objects)


def _declared(declaration: Node) -> dict[str, str]:
    """Return the variables of a declaration with their types, such as "struct net *"."""
    kind = declaration.child_by_field_name("type")
    if kind is None:
        return {}
    found = {}
    for declarator in declaration.children_by_field_name("declarator"):
        stars, inner = 0, declarator
        while inner.type in ("init_declarator", "pointer_declarator"):
            stars += inner.type == "pointer_declarator"
            below = inner.child_by_field_name("declarator")
            if below is None:
                break
            inner = below
        if inner.type == "identifier":
            base = " ".join(text_of(kind).partition("{")[0].split())
            found[text_of(inner)] = f"{base} {'*' * stars}".strip()
    return found
