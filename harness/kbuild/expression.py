# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig expressions: parse and evaluate them, and find the parts that are not met.

Values are 0 (n), 1 (m) and 2 (y), or None if they depend on the compiler ($(cc-option,...)).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

LEVELS = {"n": 0, "m": 1, "y": 2}
_COMPARISONS = ("=", "!=", "<", ">", "<=", ">=")

# Macro calls may be nested three deep; expressions in the kernel are never deeper.
_CALL = r"\$\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)"
_TOKEN = re.compile(
    rf"""\s*(?:({_CALL})|("(?:[^"\\]|\\.)*"|'[^']*')|(&&|\|\||!=|<=|>=|[!=<>()])|([\w$./-]+))"""
)


@dataclasses.dataclass(frozen=True)
class Name:
    """A symbol, a constant (``text`` in quotes) or a macro call (``text`` starts with ``$(``)."""

    text: str


@dataclasses.dataclass(frozen=True)
class Not:
    """``!inner``."""

    inner: Expression


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two expressions and the operator between them: && || = != < > <= >=."""

    operator: str
    left: Expression
    right: Expression


Expression = Name | Not | Pair

ALWAYS: Expression = Name("y")


def both(left: Expression, right: Expression) -> Expression:
    """Return ``left && right``, without what is always true."""
    known = _parts(left)
    new = [part for part in _parts(right) if part not in known and part != ALWAYS]
    if left == ALWAYS and new:
        left = new.pop(0)
    return functools.reduce(lambda joined, part: Pair("&&", joined, part), new, left)


def either(expressions: Iterable[Expression]) -> Expression | None:
    """Return the expressions joined by ``||``; None if there are none."""
    different = list(dict.fromkeys(expressions))
    if ALWAYS in different:
        return ALWAYS
    joined = different[0] if different else None
    for expression in different[1:]:
        joined = Pair("||", joined, expression) if joined else expression
    return joined


def read(text: str) -> Expression | None:
    """Parse an expression; None if the syntax is unknown, for example from a newer kernel."""
    tokens = _Tokens(text)
    try:
        expression = _or(tokens)
    except _SyntaxError:
        return None
    return expression if tokens.next is None else None


def tokens(text: str) -> list[str]:
    """Split a line into macro calls, quoted strings, operators and words."""
    return ["".join(filter(None, match.groups())) for match in _TOKEN.finditer(text)]


def show(expression: Expression) -> str:
    """Format an expression in Kconfig syntax."""
    match expression:
        case Name(text):
            return text
        case Not(inner):
            return f"!({show(inner)})" if isinstance(inner, Pair) else f"!{show(inner)}"
        case Pair(operator, left, right):
            # A comparison binds tighter than && and ||, so it needs no parentheses.
            sides = [
                f"({show(side)})"
                if isinstance(side, Pair)
                and side.operator in ("&&", "||")
                and side.operator != operator
                else show(side)
                for side in (left, right)
            ]
            return (f" {operator} " if operator in ("&&", "||") else operator).join(sides)


def level(expression: Expression, values: Mapping[str, str]) -> int | None:
    """Evaluate an expression with the values of a .config (which lacks unset options)."""
    match expression:
        case Name(text) if text.startswith("$("):
            return None
        case Name(text):
            return LEVELS.get(_text(text, values), 0)
        case Not(inner):
            return _inverse(level(inner, values))
        case Pair("&&", left, right):
            return _both(level(left, values), level(right, values))
        case Pair("||", left, right):
            neither = _both(_inverse(level(left, values)), _inverse(level(right, values)))
            return _inverse(neither)
        case Pair(operator, left, right):
            return _compared(operator, left, right, values)


def names(expression: Expression) -> Iterator[str]:
    """Yield the symbols in an expression."""
    match expression:
        case Name(text):
            if text[0] not in "$\"'" and text not in LEVELS and not text.isdigit():
                yield text
        case Not(inner):
            yield from names(inner)
        case Pair(_, left, right):
            yield from names(left)
            yield from names(right)


def unmet(expression: Expression, values: Mapping[str, str], need: int = 2) -> list[Expression]:
    """Return the smallest parts (joined by &&) that keep an expression below ``need``."""
    levels = ((part, level(part, values)) for part in _parts(expression))
    return [part for part, value in levels if value is not None and value < need]


def doubtful(expression: Expression, values: Mapping[str, str]) -> list[Expression]:
    """Return the parts (joined by &&) that depend on the compiler."""
    return [part for part in _parts(expression) if level(part, values) is None]


def _parts(expression: Expression) -> list[Expression]:
    """Return the expressions that && joins."""
    if isinstance(expression, Pair) and expression.operator == "&&":
        return _parts(expression.left) + _parts(expression.right)
    return [expression]


class _SyntaxError(Exception):
    pass


class _Tokens:
    def __init__(self, text: str) -> None:
        self.rest = tokens(text)

    @property
    def next(self) -> str | None:
        return self.rest[0] if self.rest else None

    def take(self) -> str:
        if not self.rest:
            raise _SyntaxError
        return self.rest.pop(0)


def _or(tokens: _Tokens) -> Expression:
    return _chain(tokens, "||", lambda: _chain(tokens, "&&", lambda: _term(tokens)))


def _chain(tokens: _Tokens, operator: str, inner: Callable[[], Expression]) -> Expression:
    left = inner()
    while tokens.next == operator:
        tokens.take()
        left = Pair(operator, left, inner())
    return left


def _term(tokens: _Tokens) -> Expression:
    token = tokens.take()
    if token == "!":
        return Not(_term(tokens))
    if token == "(":
        inner = _or(tokens)
        if tokens.take() != ")":
            raise _SyntaxError
        return inner
    if token in ("&&", "||", ")", *_COMPARISONS):
        raise _SyntaxError
    if tokens.next in _COMPARISONS:
        return Pair(tokens.take(), Name(token), Name(tokens.take()))
    return Name(token)


def _text(name: str, values: Mapping[str, str]) -> str:
    if name[0] in "\"'":
        return name[1:-1]
    if name in LEVELS or name.lstrip("-").isdigit() or name.startswith("0x"):
        return name
    return values.get(name, "n").strip('"')


def _both(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return 0 if 0 in (left, right) else None
    return min(left, right)


def _inverse(value: int | None) -> int | None:
    return None if value is None else 2 - value


def _compared(
    operator: str, left: Expression, right: Expression, values: Mapping[str, str]
) -> int | None:
    sides = [_text(side.text, values) for side in (left, right) if isinstance(side, Name)]
    if any(side.startswith("$(") for side in sides):
        return None
    try:
        first, second = (int(side, 0) for side in sides)
        order = (first > second) - (first < second)
    except ValueError:
        order = (sides[0] > sides[1]) - (sides[0] < sides[1])
    met = {
        "=": order == 0,
        "!=": order != 0,
        "<": order < 0,
        ">": order > 0,
        "<=": order <= 0,
        ">=": order >= 0,
    }
    return 2 if met[operator] else 0
