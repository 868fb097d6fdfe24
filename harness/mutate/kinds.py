# SPDX-License-Identifier: GPL-2.0-only
"""The table of mutation kinds: what is broken, and which mistake of real patches it stands for.

Each kind names the nodes of the syntax tree that it looks at, and a function that returns edits of
such a node.  An edit replaces bytes; whether the result compiles is for the compiler to say.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from tree_sitter import Node

from harness.mutate.scope import Scope, text_of

_NOTHING = "do { } while (0);"  # a statement in any place, also below an if without braces
_ERROR_NUMBER = re.compile(r"-E[A-Z0-9]+")
_RELEASES = re.compile(
    r"(?:^|_)(?:put|unlock|k?v?free|free|del|del_init|del_rcu|delete|release|unpin|unref"
    r"|unregister|destroy|remove|dput|iput|fput|kfree|mntput|unlink|cancel|flush|cleanup"
    r"|deactivate|detach|teardown|exit|up|erase|complete)(?:_\w+)?$"
    r"|^(?:dput|iput|fput|mntput|path_put|kfree\w*|kvfree\w*|vfree\w*)$"
)
_ACQUIRES = re.compile(
    r"(?:^|_)(?:get|lock|hold|pin|ref|down|inc|dget|mntget|igrab|grab)(?:_\w+)?$"
    r"|^(?:dget|mntget|ihold|igrab|get_\w+|down_(?:read|write)\w*|try_module_get)$"
)
_NO_ACQUIRE = re.compile(r"(?:un|try)lock|trylock|_init$|assert|lockdep|is_locked")
_INITIALISERS = re.compile(r"^(?:INIT|DEFINE|init)_\w+$|_init(?:_\w+)?$|^memset$")
_RETURNS_ARGUMENT = re.compile(r"(?:^|_)(?:get|dget|mntget|hold|grab)$")
_ERROR_POINTERS = re.compile(r"IS_ERR\w*|PTR_ERR\w*|ERR_CAST")
_INSIDE = ("field_expression", "pointer_expression", "subscript_expression")
_SHIFTED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_ARITHMETIC = re.compile(r"(?:un)?signed|int|long|short|char|bool|size_t|ssize_t|loff_t")
_FIXED_WIDTH = re.compile(r"(?:__)?(?:[usib]|[lb]e)(?:8|16|32|64)|u?int\d+_t|umode_t|gfp_t|dev_t")

#: The initial namespaces, by the type of a pointer to one.
INITIAL_NAMESPACES: Mapping[str, str] = {
    "struct net *": "&init_net",
    "struct user_namespace *": "&init_user_ns",
    "struct pid_namespace *": "&init_pid_ns",
    "struct uts_namespace *": "&init_uts_ns",
    "struct ipc_namespace *": "&init_ipc_ns",
    "struct cgroup_namespace *": "&init_cgroup_ns",
    "struct time_namespace *": "&init_time_ns",
    "struct mnt_namespace *": "init_nsproxy.mnt_ns",
    "struct nsproxy *": "&init_nsproxy",
}
# What the calling task has of its own, by the member's name; the id of its mount namespace.
_INITIAL_MEMBERS = {"net_ns": "&init_net", "mnt_ns": "init_nsproxy.mnt_ns"}
_INITIAL_IDS = {"ns_id": "MNT_NS_INIT_ID"}


@dataclasses.dataclass(frozen=True)
class Edit:
    """Replaces the bytes from ``start`` to ``end`` of a source with ``text``."""

    start: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class MutationKind:
    """A way to break a line.

    ``what`` says in a few words what a mutant of it does; ``reason`` is the mistake that it stands
    for.  ``nodes`` are the types of tree-sitter's nodes to which ``edits`` is applied.
    """

    name: str
    what: str
    reason: str
    nodes: tuple[str, ...]
    edits: Callable[[Node, Scope], Iterator[Edit]]


def replaced(node: Node, text: str) -> Edit:
    """Return the edit that replaces a node."""
    return Edit(node.start_byte, node.end_byte, text)


def _inverted(node: Node, _: Scope) -> Iterator[Edit]:
    condition = node.child_by_field_name("condition")
    if condition is None:
        return
    inner = condition
    if condition.type == "parenthesized_expression" and condition.named_child_count == 1:
        inner = condition.named_children[0]
    if inner.type in ("number_literal", "true", "false", "comment"):
        return  # do { } while (0)
    text = text_of(inner)
    if inner.type == "unary_expression" and text.startswith("!"):
        yield replaced(inner, text[1:].strip())
    elif inner.type in ("identifier", "field_expression", "call_expression"):
        yield replaced(inner, f"!{text}")
    else:
        yield replaced(inner, f"!({text})")


def _other_label(node: Node, scope: Scope) -> Iterator[Edit]:
    label = node.child_by_field_name("label")
    if label is None or text_of(label) not in scope.labels:
        return
    at = scope.labels.index(text_of(label))
    # Jumping into the wrong step of the unwinding is the common mistake: one too far, or too few.
    for other in (at + 1, at - 1):
        if 0 <= other < len(scope.labels):
            yield replaced(label, scope.labels[other])


def _without_jump(node: Node, scope: Scope) -> Iterator[Edit]:
    label = node.child_by_field_name("label")
    if label is not None and text_of(label) in scope.labels:
        yield replaced(node, _NOTHING)


def _no_error(node: Node, _: Scope) -> Iterator[Edit]:
    """Replace each -E... that is returned, or kept for the return, with success."""
    for child in _within(node):
        text = text_of(child)
        if child.type == "unary_expression" and _ERROR_NUMBER.fullmatch(text):
            parent = child.parent
            call = parent.parent if parent is not None and parent.type == "argument_list" else None
            if call is not None and _name(call) == "ERR_PTR":
                yield replaced(call, "NULL")
            elif call is None:
                yield replaced(child, "0")


def _dropped_call(
    names: re.Pattern[str], unless: re.Pattern[str] | None = None
) -> Callable[[Node, Scope], Iterator[Edit]]:
    def edits(node: Node, _: Scope) -> Iterator[Edit]:
        call = _statement_call(node)
        if call is None:
            return
        name = _name(call)
        if names.search(name) and not (unless and unless.search(name)) and "for_each" not in name:
            yield replaced(node, _NOTHING)

    return edits


def _without_release(node: Node, scope: Scope) -> Iterator[Edit]:
    yield from _dropped_call(_RELEASES)(node, scope)
    if _counts(node, "--"):
        yield replaced(node, _NOTHING)


def _without_acquire(node: Node, scope: Scope) -> Iterator[Edit]:
    if node.type == "call_expression":  # x = dget(y) becomes x = y
        arguments, returns = _arguments(node), _RETURNS_ARGUMENT.search(_name(node))
        if returns and len(arguments) == 1 and not _is_statement(node):
            yield replaced(node, text_of(arguments[0]))
        return
    call = _statement_call(node)
    if call is not None and _name(call) in ("guard", "scoped_guard"):
        yield replaced(node, _NOTHING)
        return
    yield from _dropped_call(_ACQUIRES, _NO_ACQUIRE)(node, scope)
    if _counts(node, "++"):
        yield replaced(node, _NOTHING)


def _one_more(node: Node, _: Scope) -> Iterator[Edit]:
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text_of(node))
    if match is None or _is_constant_condition(node):
        return
    digits, suffix = match.groups()
    if digits[:2].lower() == "0x":
        written = f"{int(digits, 16) + 1:#x}"
    elif digits[0] == "0" and len(digits) > 1:  # octal: modes of files
        written = f"0{int(digits, 8) + 1:o}"
    else:
        written = str(int(digits) + 1)
    yield replaced(node, written + suffix)


def _shifted_bound(node: Node, _: Scope) -> Iterator[Edit]:
    operator = node.child_by_field_name("operator")
    if operator is not None and text_of(operator) in _SHIFTED:
        yield replaced(operator, _SHIFTED[text_of(operator)])


def _exchanged(node: Node, scope: Scope) -> Iterator[Edit]:
    """Exchange neighbouring arguments whose declared types are the same, or are both numbers."""
    arguments = [] if "for_each" in _name(node) else _arguments(node)
    for left, right in itertools.pairwise(arguments):
        one, other = scope.type_of(left), scope.type_of(right)
        same = one == other or (_is_number(one) and _is_number(other))
        if one and other and same and text_of(left) != text_of(right):
            yield Edit(left.start_byte, right.end_byte, f"{text_of(right)}, {text_of(left)}")


def _initial(node: Node, scope: Scope) -> Iterator[Edit]:
    """Replace what selects a namespace or an instance with the initial one."""
    if not scope.function:
        return
    text = text_of(node)
    member = node.child_by_field_name("field") if node.type == "field_expression" else None
    name = text_of(member) if member is not None else text
    initial = ""
    if member is not None and "nsproxy" in text:
        initial = _INITIAL_MEMBERS.get(name, "")
    elif _is_used(node):
        declared = scope.type_of(node)
        initial = (
            INITIAL_NAMESPACES.get(declared)
            or scope.initial_objects.get(declared)
            or _INITIAL_IDS.get(name, "")
        )
    inside = node.parent is not None and node.parent.type == "field_expression"
    if initial and initial.lstrip("&") != text:
        yield replaced(node, f"({initial})" if inside and initial.startswith("&") else initial)


def _without_member(node: Node, _: Scope) -> Iterator[Edit]:
    """Leave a designated initialiser out, with the comma after it."""
    following = node.next_sibling
    comma = following is not None and following.type == ","
    end = following.end_byte if following is not None and comma else node.end_byte
    if node.child_by_field_name("designator") is not None:
        yield Edit(node.start_byte, end, "")


KINDS = (
    MutationKind(
        "condition",
        "condition inverted",
        "a check the wrong way round",
        ("if_statement", "while_statement", "for_statement", "conditional_expression"),
        _inverted,
    ),
    MutationKind(
        "error-path",
        "jumps to another label",
        "an error path that undoes too little or too much",
        ("goto_statement",),
        _other_label,
    ),
    MutationKind(
        "no-error-path",
        "goto left out",
        "an error that is detected and not acted upon",
        ("goto_statement",),
        _without_jump,
    ),
    MutationKind(
        "error-code",
        "error becomes success",
        "a function that fails and does not say so",
        ("return_statement", "assignment_expression"),
        _no_error,
    ),
    MutationKind(
        "release",
        "release left out",
        "a forgotten put, unlock, free or list_del: leaks and deadlocks",
        ("expression_statement",),
        _without_release,
    ),
    MutationKind(
        "acquire",
        "get or lock left out",
        "a forgotten get or lock: use after free and races",
        ("expression_statement", "call_expression"),
        _without_acquire,
    ),
    MutationKind(
        "constant",
        "constant plus one",
        "a size, an index or a start value that is off by one",
        ("number_literal",),
        _one_more,
    ),
    MutationKind(
        "bound",
        "bound moved by one",
        "< instead of <=, the other form of off by one",
        ("binary_expression",),
        _shifted_bound,
    ),
    MutationKind(
        "arguments",
        "arguments exchanged",
        "arguments in the wrong order where the compiler cannot tell",
        ("call_expression",),
        _exchanged,
    ),
    MutationKind(
        "namespace",
        "initial namespace or instance instead",
        "code that works on the initial namespace, whoever calls it",
        ("identifier", "field_expression"),
        _initial,
    ),
    MutationKind(
        "initialiser",
        "initialisation left out",
        "a member or an object that nobody sets up",
        ("initializer_pair", "expression_statement"),
        lambda node, scope: (
            _without_member(node, scope)
            if node.type == "initializer_pair"
            else _dropped_call(_INITIALISERS)(node, scope)
        ),
    ),
)


def kind_named(name: str) -> MutationKind | None:
    """Return the kind with this name, or None."""
    return next((kind for kind in KINDS if kind.name == name), None)


def _within(node: Node) -> Iterator[Node]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack += reversed(current.children)


def _name(call: Node) -> str:
    """Return the called function's name; guard for ``guard(mutex)(&lock)``."""
    function = call.child_by_field_name("function")
    while function is not None and function.type == "call_expression":
        function = function.child_by_field_name("function")
    return text_of(function) if function is not None and function.type == "identifier" else ""


def _arguments(call: Node) -> list[Node]:
    listed = call.child_by_field_name("arguments")
    return [] if listed is None else [n for n in listed.named_children if n.type != "comment"]


def _statement_call(node: Node) -> Node | None:
    """Return the call that a statement consists of; macros such as list_for_each have no ;."""
    if node.type != "expression_statement" or not node.text or not node.text.endswith(b";"):
        return None
    first = node.named_children[0] if node.named_children else None
    return first if first is not None and first.type == "call_expression" else None


def _is_statement(call: Node) -> bool:
    return call.parent is not None and call.parent.type == "expression_statement"


def _counts(node: Node, operator: str) -> bool:
    """Whether a statement only counts something up or down."""
    first = node.named_children[0] if node.named_children else None
    return (
        node.type == "expression_statement"
        and first is not None
        and first.type == "update_expression"
        and operator in text_of(first)
        and text_of(node).endswith(";")
    )


def _is_constant_condition(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "parenthesized_expression"


def _is_number(declared: str) -> bool:
    words = declared.replace("const", "").split()
    return bool(words) and all(
        _ARITHMETIC.fullmatch(word) or _FIXED_WIDTH.fullmatch(word) for word in words
    )


def _is_used(node: Node) -> bool:
    """Whether the value of an identifier or member is used, itself or by way of a member.

    It is an argument, what is assigned, compared, counted or returned.  The object that a function
    has just made, or checks for an error, is not meant to be another.
    """
    alone = True
    while node.parent is not None and node.parent.type in _INSIDE:
        if node.parent.type == "field_expression":
            alone = False
        node = node.parent
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "argument_list":
        return not (parent.parent and _ERROR_POINTERS.fullmatch(_name(parent.parent)))
    if parent.type == "return_statement":
        return not alone
    if parent.type in ("binary_expression", "update_expression"):
        return True
    right = parent.child_by_field_name("right" if "assignment" in parent.type else "value")
    return parent.type in ("assignment_expression", "init_declarator") and right == node
