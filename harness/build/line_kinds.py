# SPDX-License-Identifier: GPL-2.0-only
"""Tell which lines of a source file have code: the others leave nothing for a test to execute.

C is parsed by tree-sitter, which needs no preprocessor and survives what it does not understand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator

import tree_sitter
import tree_sitter_c

_COMMENT, _DECLARATION, _MACRO = "a comment", "a declaration", "a macro, compiled where it is used"
_DIRECTIVE, _BLANK, _BRACES = "a directive", "blank", "only braces"
_KINDS = {
    "comment": _COMMENT,
    "preproc_def": _MACRO,
    "preproc_function_def": _MACRO,
    "preproc_include": _DIRECTIVE,
    "preproc_call": _DIRECTIVE,
    "field_declaration": _DECLARATION,
    "enumerator": _DECLARATION,
    "type_definition": _DECLARATION,
    "struct_specifier": _DECLARATION,
    "union_specifier": _DECLARATION,
    "enum_specifier": _DECLARATION,
}
# Their braces and names stand on lines of their own.
_CODE = {"compound_statement", "initializer_list", "function_definition", "expression_statement"}
_ASSEMBLY_COMMENT = re.compile(r"\s*(?:/[*/].*|\*.*|#.*|)$")


def without_code(text: str, lines: Collection[int], *, is_c: bool) -> dict[int, str]:
    """Return, for each of the lines (from 1) that has no code, what it is instead."""
    rows = text.split("\n")
    found: dict[int, str] = {}
    kinds = _c_kinds(text, lines) if is_c else {}
    for number in lines:
        row = rows[number - 1].strip() if number <= len(rows) else ""
        if not row:
            found[number] = _BLANK
        elif not set(row) - set("{}();,"):
            found[number] = _BRACES
        elif number in kinds:
            found[number] = kinds[number]
        elif row.startswith("#") and is_c:
            found[number] = _DIRECTIVE
        elif not is_c and _ASSEMBLY_COMMENT.fullmatch(row):
            found[number] = _COMMENT
    return found


def parse(text: str) -> tree_sitter.Node:
    """Parse C; return the root of the syntax tree, in which positions count bytes."""
    return _parser().parse(text.encode()).root_node


@functools.cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))


def _c_kinds(text: str, lines: Collection[int]) -> dict[int, str]:
    """Return what the lines are whose every word belongs to a comment, a declaration, ..."""
    by_line: dict[int, set[str]] = {}
    for first, last, kind in _words(parse(text), ""):
        for number in range(first, last + 1):
            if number in lines:
                by_line.setdefault(number, set()).add(kind)
    return {
        number: next(iter(sorted(kinds - {_COMMENT}) or [_COMMENT]))
        for number, kinds in by_line.items()
        if "" not in kinds
    }


def _words(node: tree_sitter.Node, kind: str) -> Iterator[tuple[int, int, str]]:
    """Yield first line, last line and kind ("" for code) of each word, without recursion."""
    stack = [(node, kind)]
    while stack:
        node, kind = stack.pop()
        own = _kind(node)
        kind = kind if own is None else own
        if node.child_count and kind not in (_COMMENT, _MACRO, _DIRECTIVE):
            stack += [(child, kind) for child in node.children]
        else:
            last = node.end_point.row + (node.end_point.column > 0)
            yield node.start_point.row + 1, max(last, node.start_point.row + 1), kind


def _kind(node: tree_sitter.Node) -> str | None:
    """Return the kind of a node's words; None if they are what the node around it is."""
    if node.type in _CODE:
        return ""
    if node.type == "declaration":
        has_value = any(child.type == "init_declarator" for child in node.children)
        return "" if has_value else _DECLARATION
    return _KINDS.get(node.type)


_CONDITIONAL = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b(.*)$")


def conditions(text: str, lines: Collection[int]) -> dict[int, str]:
    """Return the innermost ``#if`` around each of the lines, as it is written."""
    stack: list[str] = []
    found: dict[int, str] = {}
    for number, row in enumerate(text.split("\n"), 1):
        if match := _CONDITIONAL.match(row):
            word, rest = match[1], " ".join(match[2].split())
            if word.startswith("if"):
                stack.append(f"inside #{word} {rest}")
            elif word == "endif":
                del stack[-1:]
            elif stack and word == "else":
                stack[-1] = f"in the #else of {stack[-1].removeprefix('inside ')}"
            elif stack:
                stack[-1] = f"inside #{word} {rest}"
        elif number in lines and stack:
            found[number] = stack[-1]
    return found


# What is executed as a whole, so that a line of it without counters has those of another.
_WHOLE = {
    *("expression_statement", "return_statement", "declaration", "goto_statement"),
    *("break_statement", "continue_statement", "else_clause", "do_statement"),
    *("labeled_statement", "case_statement"),
}
# Statements with a body of their own: only what stands before it is executed as a whole.
_HEADED = {
    "function_definition": "body",
    "if_statement": "consequence",
    "for_statement": "body",
    "while_statement": "body",
    "switch_statement": "body",
}


def statements(text: str, lines: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return the first and the last line of the smallest statement around each of the lines.

    Of a statement with a body, it is the part before the body.  Lines outside functions, such as
    those of initialisers, are left out.
    """
    found: dict[int, tuple[int, int]] = {}
    stack = [(_parser().parse(text.encode()).root_node, False)]
    while stack:
        node, inside = stack.pop()
        first, last = node.start_point.row + 1, node.end_point.row + 1
        inside = inside or node.type == "function_definition"
        body = node.child_by_field_name(_HEADED.get(node.type, "")) if inside else None
        if inside and (node.type in _WHOLE or node.type in _HEADED):
            end = body.start_point.row + 1 if body else last
            for number in range(first, end + 1):
                if number in lines and _smaller((first, end), found.get(number)):
                    found[number] = (first, end)
        stack += [(child, inside) for child in node.children]
    return found


def _smaller(span: tuple[int, int], other: tuple[int, int] | None) -> bool:
    return other is None or span[1] - span[0] <= other[1] - other[0]


_FAILS = re.compile(
    rb"return\s+(?:-E\w+|ERR_(?:PTR|CAST)\(|(?:err|error|ret|rc|res|status)\w*\s*;|NULL\s*;)"
    rb"|goto\s|BUG\(|panic\("
)
_CLEANS = re.compile(rb"(?:err(?:or)?|fail(?:ed)?|out|un\w+|free|put|bad)(?:_|\b|\d)")
_BODIES = {"consequence", "alternative"}


def error_paths(text: str, lines: Collection[int]) -> frozenset[int]:
    """Return which of the lines look like a part of an error path.

    These are the lines of a branch that ends by returning an error or with a jump, and those after
    a label with such a name.
    """
    found: set[int] = set()
    stack = [_parser().parse(text.encode()).root_node]
    while stack:
        node = stack.pop()
        stack += node.children
        if node.type == "labeled_statement":
            label, parent = node.child_by_field_name("label"), node.parent
            if label and parent and label.text and _CLEANS.match(label.text):
                found.update(range(node.start_point.row + 1, parent.end_point.row + 2))
        elif node.type == "if_statement":
            for branch in filter(None, map(node.child_by_field_name, _BODIES)):
                last = branch
                while last.named_children and last.type in ("compound_statement", "else_clause"):
                    last = last.named_children[-1]
                if last.type.endswith("_statement") and _FAILS.match(last.text or b""):
                    found.update(range(branch.start_point.row + 1, branch.end_point.row + 2))
    return frozenset(found & set(lines))


_LEAVES = {"return_statement", "goto_statement", "break_statement", "continue_statement"}
# Calls that cannot sleep and only look at their argument.
_TESTS = {b"IS_ERR", b"IS_ERR_OR_NULL", b"likely", b"unlikely", b"list_empty"}


def leaving(text: str, lines: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return which of the lines only leave the code around an ``if``, such as ``return -ENOMEM``.

    The compiler often merges them with others, so that they have no counter.  The values are the
    lines of the ``if`` and of the statement behind it: what was counted in the first and not in the
    second has left.  Conditions with other calls than a few tests are left out: at any moment a
    task may be asleep in them.
    """
    found: dict[int, tuple[int, int]] = {}
    stack = [_parser().parse(text.encode()).root_node]
    while stack:
        node = stack.pop()
        stack += node.children
        if node.type != "if_statement" or node.child_by_field_name("alternative"):
            continue
        branch, condition = map(node.child_by_field_name, ("consequence", "condition"))
        if branch and branch.type == "compound_statement" and branch.named_child_count == 1:
            branch = branch.named_children[0]
        after = node.next_named_sibling
        while after and after.type == "comment":
            after = after.next_named_sibling
        if not (branch and condition and after) or branch.type not in _LEAVES:
            continue
        if after.type in ("labeled_statement", "case_statement") or not _only_tests(condition):
            continue
        for number in range(branch.start_point.row + 1, branch.end_point.row + 2):
            if number in lines:
                found[number] = (node.start_point.row + 1, after.start_point.row + 1)
    return found


def _only_tests(condition: tree_sitter.Node) -> bool:
    stack = [condition]
    while stack:
        node = stack.pop()
        stack += node.children
        called = node.child_by_field_name("function") if node.type == "call_expression" else None
        if called and called.text not in _TESTS:
            return False
    return True
