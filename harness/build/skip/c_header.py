# SPDX-License-Identifier: GPL-2.0-only
"""Parse a C header as far as needed here: its pieces without comments, and plain declarations.

Nothing is guessed.  ``pieces`` raises Unclear for text that is ambiguous; the functions that parse
a declaration return None if it is not plain.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

_COMMENT = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*|["\']', re.DOTALL
)
_LITERAL = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.DOTALL)
# Unusual line ends, line splices inside comment delimiters or followed by spaces, digraphs, raw
# strings.
_ODD = re.compile(r'[\r\f\v\0]|[/*]\\\n[/*]|\\[ \t]+\n|%:|<%|<:|\b(?:u8|[uUL])?R"')
_SPACE = re.compile(rf"({_LITERAL.pattern})|\s+", re.DOTALL)
_STRUCTURE = re.compile(r"[(){};]|[^\s(){};]+")
_WORD = re.compile(r"#\s*(\w*)", re.ASCII)
_PLAIN = ("include", "include_next", "define", "undef", "pragma", "error", "warning", "")

_TYPE_NAMES = (
    "u8 u16 u32 u64 s8 s16 s32 s64 __u8 __u16 __u32 __u64 __s8 __s16 __s32 __s64 "
    "__le16 __le32 __le64 __be16 __be32 __be64 bool size_t ssize_t ptrdiff_t uintptr_t "
    "loff_t off_t ino_t dev_t pid_t uid_t gid_t mode_t umode_t gfp_t fmode_t pgoff_t sector_t "
    "blkcnt_t phys_addr_t resource_size_t dma_addr_t atomic_t uint8_t uint16_t uint32_t uint64_t "
    "int8_t int16_t int32_t int64_t"
)
#: Types that <linux/types.h> declares on all architectures.
TYPES = frozenset(_TYPE_NAMES.split())
_SIZES = [
    f"{sign}{size}{end}"
    for sign in ("", "unsigned ", "signed ")
    for size in ("short", "long", "long long")
    for end in ("", " int")
]
_SHORT = ("void", "char", "signed char", "unsigned char", "int", "unsigned", "signed")
_BUILTIN = frozenset((*_SHORT, "unsigned int", "signed int", *_SIZES))
_QUALIFIERS = ("const", "volatile")
_SPACES = ("__user", "__iomem")  # defined in all kernel code, on pointers only
_TAKEN = (
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while asm typeof alignas alignof bool constexpr false nullptr "
    "static_assert thread_local true typeof_unqual defined linux unix i386"
)
_WORDS = frozenset(_TAKEN.split())
# Names built into gcc and clang; those without an underscore or with a leading one are left out.
_LIBRARY = (
    "posix_memalign",
    "aligned_alloc",
    "memset_explicit",
    "free_sized",
    "free_aligned_sized",
)

_PROTOTYPE = re.compile(
    r"(?:extern )?(?P<result>[\w\s*]+[\s*])(?P<name>\w+) ?\((?P<parameters>[\w\s*,.]+)\) ?;"
)
_FORWARD = re.compile(r"(?P<type>(?:struct|union) (?P<tag>[A-Za-z]\w*)) ?;")
_TAGGED = re.compile(r"(?:(struct|union) (\w+) ?[;{]|(enum) (\w+) ?\{)")
_MACRO = re.compile(r"#define (?P<name>[A-Za-z]\w*)(?P<parameters>\([^()]*\))?(?P<body>.*)")

# Declarations that may move to other lines.  Text that may expand to a function's body must not
# move: it may contain its line number.
_DEFINED_TYPE = re.compile(
    r"(?:typedef )?(?:struct|union|enum)\b[^(){}=;]*\{.*\}[^{}=]*;", re.DOTALL
)
_INITIALIZED = re.compile(r"\}[^{};]*=")  # a variable that is declared with its type
_TYPEDEF = re.compile(r"typedef\b[^{}=;]*;")
_VARIABLE = re.compile(r"extern\b[^(){}=;]*;")
_FUNCTION = re.compile(r"(?:extern )?(?!(?:static|inline)\b)\w+[\s*][\w\s*]*?(\w+) ?\([^{}=;]*;")


class Unclear(ValueError):
    """The text cannot be parsed with certainty."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """A directive, or all lines of a declaration outside of all braces.

    ``text`` is its code, ``places`` are its line numbers, ``conditions`` the enclosing #ifs,
    outermost first.
    """

    text: str
    places: tuple[int, ...]
    conditions: tuple[str, ...]
    directive: bool = False

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """A key for the piece, independent of its line numbers."""
        return self.text, self.conditions


@dataclasses.dataclass(frozen=True)
class Declaration:
    """A declared name, its form for display, and the names of a prototype's parameters."""

    name: str
    shown: str
    parameters: frozenset[str] = frozenset()


def pieces(text: str) -> list[Piece]:
    """Return the pieces of a header in order.  Raises Unclear."""
    if _ODD.search(text):
        raise Unclear("unusual characters")
    reader = _PieceReader()
    lines = enumerate(_COMMENT.sub(_blank, text).split("\n"), 1)
    for number, line in lines:
        if line.lstrip().startswith("#"):
            logical = line
            while logical.endswith("\\"):
                logical = logical[:-1] + next(lines, (0, ""))[1]
            reader.directive(number, _one_space(logical))
        elif line.endswith("\\"):
            raise Unclear("a declaration with a continued line")
        elif line.strip():
            reader.code(number, _one_space(line))
    return reader.end()


def guard(pieces: list[Piece]) -> str:
    """Return the first line of the include guard around all pieces; "" if there is none."""
    if len(pieces) < 3 or pieces[0].conditions or pieces[-1].conditions:
        return ""
    first, second = pieces[:2]
    match = re.fullmatch(r"#ifndef (\w+)", first.text)
    inside = all(piece.conditions[:1] == (first.text,) for piece in pieces[1:-1])
    begins = match and re.fullmatch(rf"#define {match[1]}( 1)?", second.text)
    return first.text if begins and inside and len(second.conditions) == 1 else ""


def _blank(match: re.Match[str]) -> str:
    """Remove a comment; all lines keep their numbers."""
    literal = match[0]
    if literal in ('"', "'", "/*"):
        raise Unclear("an unterminated comment or string")
    if not literal.startswith("/"):
        return literal
    if (literal.startswith("/*") and "/*" in literal[2:]) or literal.endswith("\\"):
        raise Unclear("a comment that compilers warn about")
    lines = literal.count("\n")
    end = match.string.find("\n", match.end())
    if lines and match.string[match.end() : end if end >= 0 else None].strip():
        raise Unclear("code after a multi-line comment")
    return " " + "\n" * lines


def _one_space(line: str) -> str:
    """Return a line with single spaces, except in literals, which are unchanged."""
    text = _SPACE.sub(lambda match: match[1] or " ", line).strip()
    return text.replace("# ", "#", 1) if text.startswith("# ") else text


class _PieceReader:
    """Joins lines into pieces."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._conditions: list[tuple[str, tuple[int, int, bool]]] = []
        self._open: list[tuple[int, str]] = []  # the lines of the unfinished piece
        self._outside: tuple[str, ...] = ()  # its conditions
        self._braces = self._parens = 0
        self._last = ""
        self._function: bool | None = None  # whether its first brace opened a function's body

    def directive(self, number: int, text: str) -> None:
        """Process a directive, with its continued lines joined."""
        match = _WORD.match(text)
        word = match[1] if match else ""
        state = (self._braces, self._parens, bool(self._open))
        outside = self._around()
        if word in ("if", "ifdef", "ifndef"):
            self._conditions.append((text, state))
        elif word in ("elif", "elifdef", "elifndef", "else", "endif"):
            # Each branch must have balanced braces and complete declarations.
            if not self._conditions or self._conditions[-1][1] != state:
                raise Unclear("a condition around part of a declaration")
            before, _ = self._conditions.pop()
            outside = self._around()
            if word != "endif":
                self._conditions.append((f"{before} {text}", state))
        elif word not in _PLAIN:
            raise Unclear(f"#{word}")
        if self._open:
            self._open.append((number, text))
        else:
            self.pieces.append(Piece(text, (number,), outside, directive=True))

    def code(self, number: int, text: str) -> None:
        """Process a line that is not a directive."""
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
                raise Unclear("unbalanced brackets")
            ended = token == ";" or (token == "}" and bool(self._function))
            done = ended and not self._braces and not self._parens
            self._last = token
        if done:
            self._close()

    def end(self) -> list[Piece]:
        """Return all pieces."""
        if self._open or self._conditions:
            raise Unclear("an unterminated declaration")
        return self.pieces

    def _around(self) -> tuple[str, ...]:
        return tuple(text for text, _ in self._conditions)

    def _close(self) -> None:
        if self._around() != self._outside:
            raise Unclear("a declaration that ends under a different condition")
        text = "\n".join(line for _, line in self._open)
        self.pieces.append(Piece(text, tuple(number for number, _ in self._open), self._outside))
        self._open = []


def prototype(text: str, types: Collection[str]) -> Declaration | None:
    """Parse a function's prototype; ``types`` are those declared above it."""
    match = _PROTOTYPE.fullmatch(" ".join(text.split()))
    if match is None or not text.isascii() or not _function_name(match["name"]):
        return None
    if not _is_type(match["result"], types, result=True):
        return None
    parameters = [parameter.strip() for parameter in match["parameters"].split(",")]
    if len(parameters) > 1 and parameters[-1] == "...":
        parameters.pop()
    names: list[str] = []
    for parameter in parameters if parameters != ["void"] else ():
        if _is_type(parameter, types):
            continue
        last = re.search(r"(?<=[\s*])[A-Za-z]\w*$", parameter)
        if last is None or not _is_type(parameter[: last.start()], types):
            return None
        if not _free(last[0]) or last[0] in (*names, *types):
            return None
        names.append(last[0])
    return Declaration(match["name"], f"{match['name']}()", frozenset(names))


def forward(text: str) -> Declaration | None:
    """Parse a forward declaration of a struct or union.

    An enum's is not accepted, because some compilers warn about it.
    """
    match = _FORWARD.fullmatch(text)
    return Declaration(match["tag"], match["type"]) if match and _free(match["tag"]) else None


def macro(text: str) -> Declaration | None:
    """Parse a #define that has no effect until it is used."""
    match = _MACRO.fullmatch(text)
    if match is None or not text.isascii() or not _free(match["name"]):
        return None
    name, parameters, body = match["name"], match["parameters"], match["body"]
    if name.startswith("CONFIG_") or "#" in body:
        return None
    if parameters is None:
        plain = (not body or body.startswith(" ")) and "__VA_" not in body
        return Declaration(name, name) if plain else None
    listed = [name.strip() for name in parameters[1:-1].split(",")] if parameters != "()" else []
    named = listed[:-1] if listed[-1:] == ["..."] else listed
    if len(set(named)) < len(named) or not all(re.fullmatch(r"[A-Za-z]\w*", w) for w in named):
        return None
    if "__VA_" in body and named == listed:
        return None
    return Declaration(name, f"{name}()")


def declared_type(text: str) -> str:
    """Return the type that a declaration introduces, such as "struct file"; "" if none."""
    match = _TAGGED.match(" ".join(text.split()))
    return " ".join(filter(None, match.groups())) if match else ""


def may_move(text: str) -> bool:
    """Whether a declaration means the same to the compiler on other lines."""
    if any(form.fullmatch(text) for form in (_DEFINED_TYPE, _TYPEDEF, _VARIABLE)):
        return not _INITIALIZED.search(text)
    if declared_type(text) == text[:-1]:
        return True
    function = _FUNCTION.fullmatch(text)
    return function is not None and function[1].islower()


def _is_type(text: str, types: Collection[str], *, result: bool = False) -> bool:
    base, *pointers = text.split("*")
    parts = base.split()
    marks = [part for part in parts if part in (*_QUALIFIERS, *_SPACES)]
    for group in (marks, *(pointer.split() for pointer in pointers)):
        if len(set(group)) < len(group) or not set(group) <= {*_QUALIFIERS, *_SPACES}:
            return False
    if result and (pointers[-1].strip() if pointers else marks):
        return False  # compilers warn about a const return type
    if not pointers and set(marks) & set(_SPACES):
        return False
    name = " ".join(part for part in parts if part not in marks)
    if name == "void":
        return result or bool(pointers)
    return name in _BUILTIN or name in types


def _free(name: str) -> bool:
    return name not in _WORDS and not name.startswith("_")


def _function_name(name: str) -> bool:
    """Whether no compiler has a built-in function of this name, such as memcpy()."""
    if "_" not in name or name in _LIBRARY or name.endswith(("_", "_unlocked", "_r")):
        return False
    return _free(name)
