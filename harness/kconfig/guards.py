# SPDX-License-Identifier: GPL-2.0-only
"""Find the options that decide whether lines of a C or assembly file are compiled.

This only chooses options to request: what was compiled is known from the compiler afterwards, so a
condition that is not understood here may be ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator

from harness.kbuild.expression import ALWAYS, Expression, Not, both, read

_DIRECTIVE = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b(.*)$")
_COMMENT = re.compile(r"/\*.*?(?:\*/|$)|//.*")
_OPTION = re.compile(r"CONFIG_(\w+)")
_ENABLED = re.compile(r"\bIS_(ENABLED|BUILTIN|REACHABLE|MODULE)\s*\(\s*CONFIG_(\w+)\s*\)")
_DEFINED = re.compile(r"\bdefined\s*\(?\s*CONFIG_(\w+?)(_MODULE)?\b\s*\)?")
_OTHER_DEFINED = re.compile(r"\bdefined\s*\(?\s*(\w+)\s*\)?")
_SPELLED = re.compile(r"\$\(\w+\)|\b(CONFIG_)?([A-Za-z_]\w*)\b(?:\s*\([^()]*\))?")
_IF_ENABLED = re.compile(r"^\s*(?:\}\s*else\s+)?if\s*\(.*IS_ENABLED\(CONFIG_\w+\)")
_FUNCTION_LINES = 400  # how far above a line the conditions of its block are searched


def conditions(text: str, lines: Collection[int]) -> dict[int, Expression]:
    """Return for each line (from 1) when it is compiled, as far as options decide that."""
    stack: list[list[Expression | None]] = []  # the branches of each open #if
    found: dict[int, Expression] = {}
    rows = text.split("\n")
    for number, row in enumerate(rows, 1):
        if match := _DIRECTIVE.match(row):
            _take(stack, match[1], _joined(rows, number, match[2]))
        elif number in lines:
            inside = [_branch(branches) for branches in stack]
            inside += _enabled(rows, number)
            found[number] = functools.reduce(both, inside, ALWAYS)
    return found


def _take(stack: list[list[Expression | None]], word: str, rest: str) -> None:
    """Follow a directive into or out of a conditional."""
    if word == "endif":
        del stack[-1:]
    elif word.startswith("if"):
        stack.append([_condition(word, rest)])
    elif stack:
        stack[-1].append(ALWAYS if word == "else" else _condition(word.removeprefix("el"), rest))


def _branch(branches: list[Expression | None]) -> Expression:
    """Return the condition of the last branch: it is true, and those before it are not."""
    others = [Not(branch) for branch in branches[:-1] if branch is not None]
    return functools.reduce(both, others, branches[-1] or ALWAYS)


def _joined(rows: list[str], number: int, rest: str) -> str:
    """Return a directive with its continuation lines, without comments."""
    while rest.endswith("\\") and number < len(rows):
        rest = f"{rest[:-1]} {rows[number]}"
        number += 1
    return _COMMENT.sub(" ", rest).strip()


def _condition(word: str, rest: str) -> Expression | None:
    """Return the condition of a directive as a Kconfig expression, None without any option."""
    if "CONFIG_" not in rest:
        return None
    rest = f"defined({rest.split()[0]})" if word != "if" else rest
    text = _ENABLED.sub(lambda m: f" {_of_macro(m[1], f'CONFIG_{m[2]}')} ", rest)
    text = _DEFINED.sub(lambda m: f" (CONFIG_{m[1]}{'=m' if m[2] else ''}) ", text)
    text = _OTHER_DEFINED.sub(r" $(\1) ", text)
    text = _SPELLED.sub(_spelled, text.replace("==", "="))
    expression = read(text)
    return Not(expression) if expression and word == "ifndef" else expression


def _of_macro(macro: str, option: str) -> str:
    return f"({option}=m)" if macro == "MODULE" else option


def _spelled(match: re.Match[str]) -> str:
    """Spell a name as in Kconfig; what is no option becomes a macro, which has no known value."""
    if match[0].startswith("$") or match[0] == "m":
        return match[0]
    return match[2] if match[1] else f"$({match[2]})"


def _enabled(rows: list[str], number: int) -> Iterator[Expression]:
    """Yield the options that IS_ENABLED() names on a line, or in an ``if`` around it."""
    depth = _indent(rows[number - 1])
    yield from _mentioned(rows[number - 1])
    for row in reversed(rows[max(0, number - 1 - _FUNCTION_LINES) : number - 1]):
        if row.strip() and (indent := _indent(row)) < depth:
            depth = indent
            if _IF_ENABLED.match(row) and "!IS_ENABLED" not in row:
                yield from _mentioned(row)
        if depth == 0:
            return


def _mentioned(row: str) -> Iterator[Expression]:
    for macro, option in _ENABLED.findall(row):
        if f"!IS_{macro}" not in row and (expression := read(_of_macro(macro, option))):
            yield expression


def _indent(row: str) -> int:
    wide = row.expandtabs()
    return len(wide) - len(wide.lstrip())
