# SPDX-License-Identifier: GPL-2.0-only
"""Read a C header as far as it must be understood here: its pieces, without comments.  Pure.

A piece is a directive, or all the lines of a declaration outside of every brace.  What could be
read in two ways is not guessed: Unclear.
"""

from __future__ import annotations

import dataclasses
import re

_COMMENT = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*|["\']', re.DOTALL
)
_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.DOTALL)
# Line ends of other kinds, splices in the middle of a comment's marks or with space behind,
# digraphs, raw strings.
_ODD = re.compile(r'[\r\f\v\0]|[/*]\\\n[/*]|\\[ \t]+\n|%:|<%|<:|\b(?:u8|[uUL])?R"')
_SPACE = re.compile(rf"({_LITERAL.pattern})|\s+", re.DOTALL)
_STRUCTURE = re.compile(r"[(){};]|[^\s(){};]+")
_WORD = re.compile(r"#\s*(\w*)", re.ASCII)
_PLAIN = ("include", "include_next", "define", "undef", "pragma", "error", "warning", "")


class Unclear(ValueError):
    """The text is nothing that can be read for certain."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """A directive or a declaration.

    ``text`` has its lines of code, ``places`` their numbers, ``conditions`` the #if around it, the
    outermost first.
    """

    text: str
    places: tuple[int, ...]
    conditions: tuple[str, ...]
    directive: bool = False

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What it is, wherever it stands."""
        return self.text, self.conditions


def pieces(text: str) -> list[Piece]:
    """Give the pieces of a header in their order.  Raises Unclear."""
    reader = _Reader()
    lines = enumerate(_bare(text).split("\n"), 1)
    for number, line in lines:
        if line.lstrip().startswith("#"):
            whole = line
            while whole.endswith("\\"):
                whole = whole[:-1] + next(lines, (0, ""))[1]
            reader.directive(number, _one_space(whole))
        elif line.endswith("\\"):
            raise Unclear("a declaration with a continued line")
        elif line.strip():
            reader.code(number, _one_space(line))
    return reader.end()


def guard(found: list[Piece]) -> str:
    """Give the line that begins the include guard around all pieces; empty when there is none."""
    if len(found) < 3 or any(piece.conditions for piece in (*found[:1], *found[-1:])):
        return ""
    match = re.fullmatch(r"#ifndef (\w+)", found[0].text)
    inside = all(piece.conditions[:1] == (found[0].text,) for piece in found[1:-1])
    begins = match and re.fullmatch(rf"#define {match[1]}( 1)?", found[1].text)
    return found[0].text if begins and inside and len(found[1].conditions) == 1 else ""


def _bare(text: str) -> str:
    """Take the comments out; every line keeps its number."""
    if _ODD.search(text):
        raise Unclear("odd characters")
    return _COMMENT.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    if found in ('"', "'", "/*"):
        raise Unclear("a comment or string without an end")
    if not found.startswith("/"):
        return found
    if (found.startswith("/*") and "/*" in found[2:]) or found.endswith("\\"):
        raise Unclear("a comment that compilers warn of")
    lines = found.count("\n")
    end = match.string.find("\n", match.end())
    if lines and match.string[match.end() : end if end >= 0 else None].strip():
        raise Unclear("code behind a comment of several lines")
    return " " + "\n" * lines


def _one_space(line: str) -> str:
    """Give a line with single spaces, but in literals, where each counts."""
    text = _SPACE.sub(lambda match: match[1] or " ", line).strip()
    return text.replace("# ", "#", 1) if text.startswith("# ") else text


class _Reader:
    """Puts lines together to pieces."""

    def __init__(self) -> None:
        self.found: list[Piece] = []
        self._conditions: list[tuple[str, tuple[int, int, bool]]] = []
        self._open: list[tuple[int, str]] = []  # the lines of the piece that has not ended
        self._outside: tuple[str, ...] = ()  # its conditions
        self._braces = self._parens = 0
        self._last = ""
        self._function: bool | None = None  # whether its first brace began a function's body

    def directive(self, number: int, text: str) -> None:
        """Take a directive, continued lines joined to it."""
        match = _WORD.match(text)
        word = match[1] if match else ""
        state = (self._braces, self._parens, bool(self._open))
        outside = self._around()
        if word in ("if", "ifdef", "ifndef"):
            self._conditions.append((text, state))
        elif word in ("elif", "elifdef", "elifndef", "else", "endif"):
            # Each branch must leave braces and declarations as it found them.
            if not self._conditions or self._conditions[-1][1] != state:
                raise Unclear("a condition around half a declaration")
            before, _ = self._conditions.pop()
            outside = self._around()
            if word != "endif":
                self._conditions.append((f"{before} {text}", state))
        elif word not in _PLAIN:
            raise Unclear(f"#{word}")
        if self._open:
            self._open.append((number, text))
        else:
            self.found.append(Piece(text, (number,), outside, directive=True))

    def code(self, number: int, text: str) -> None:
        """Take a line that is no directive."""
        if not self._open:
            self._outside, self._function = self._around(), None
        self._open.append((number, text))
        done = False
        for token in _STRUCTURE.findall(_LITERAL.sub("0", text)):
            if done and token != ";":
                raise Unclear("two declarations in a line")
            if token == "{" and self._function is None and not (self._braces or self._parens):
                self._function = self._last == ")"
            self._braces += {"{": 1, "}": -1}.get(token, 0)
            self._parens += {"(": 1, ")": -1}.get(token, 0)
            if min(self._braces, self._parens) < 0:
                raise Unclear("more is closed than was opened")
            ended = token == ";" or (token == "}" and bool(self._function))
            done = ended and not self._braces and not self._parens
            self._last = token
        if done:
            self._close()

    def end(self) -> list[Piece]:
        """Give all pieces."""
        if self._open or self._conditions:
            raise Unclear("something that does not end")
        return self.found

    def _around(self) -> tuple[str, ...]:
        return tuple(text for text, _ in self._conditions)

    def _close(self) -> None:
        if self._around() != self._outside:
            raise Unclear("a declaration that ends under another condition")
        text = "\n".join(line for _, line in self._open)
        self.found.append(Piece(text, tuple(number for number, _ in self._open), self._outside))
        self._open = []
