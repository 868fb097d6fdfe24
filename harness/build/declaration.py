# SPDX-License-Identifier: GPL-2.0-only
"""Understand single declarations of a header, the plain ones.  Pure.

What is not understood to the last word is refused: each function then gives None or False.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

_TYPE_NAMES = (
    "u8 u16 u32 u64 s8 s16 s32 s64 __u8 __u16 __u32 __u64 __s8 __s16 __s32 __s64 "
    "__le16 __le32 __le64 __be16 __be32 __be64 bool size_t ssize_t ptrdiff_t uintptr_t "
    "loff_t off_t ino_t dev_t pid_t uid_t gid_t mode_t umode_t gfp_t fmode_t pgoff_t sector_t "
    "blkcnt_t phys_addr_t resource_size_t dma_addr_t atomic_t uint8_t uint16_t uint32_t uint64_t "
    "int8_t int16_t int32_t int64_t"
)
#: What <linux/types.h> declares on every machine.
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
_SPACES = ("__user", "__iomem")  # known in every unit of the kernel, on pointers only
_TAKEN = (
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while asm typeof alignas alignof bool constexpr false nullptr "
    "static_assert thread_local true typeof_unqual defined linux unix i386"
)
_WORDS = frozenset(_TAKEN.split())
# With the names that have no underscore, or begin with one, these are all that gcc and clang know.
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

# What may be moved to other lines: whatever may expand to a function's body may hold the number of
# its line.
_TYPE = re.compile(r"(?:typedef )?(?:struct|union|enum)\b[^(){}=;]*\{.*\}[^{}=]*;", re.DOTALL)
_VALUE = re.compile(r"\}[^{};]*=")  # of a variable that is declared with its type
_ALIAS = re.compile(r"typedef\b[^{}=;]*;")
_VARIABLE = re.compile(r"extern\b[^(){}=;]*;")
_FUNCTION = re.compile(r"(?:extern )?(?!(?:static|inline)\b)\w+[\s*][\w\s*]*?(\w+) ?\([^{}=;]*;")


@dataclasses.dataclass(frozen=True)
class Declared:
    """A new name, how people write it, and the other words that must mean nothing else."""

    name: str
    said: str
    words: frozenset[str] = frozenset()


def prototype(text: str, known: Collection[str]) -> Declared | None:
    """Understand a function's prototype; ``known`` are the types that are declared there."""
    match = _PROTOTYPE.fullmatch(" ".join(text.split()))
    if match is None or not text.isascii() or not _function_name(match["name"]):
        return None
    if not _is_type(match["result"], known, result=True):
        return None
    parameters = [each.strip() for each in match["parameters"].split(",")]
    if len(parameters) > 1 and parameters[-1] == "...":
        parameters.pop()
    names: list[str] = []
    for each in parameters if parameters != ["void"] else ():
        if _is_type(each, known):
            continue
        kind, name = each[: -len(_last(each))], _last(each)
        if not name or not _is_type(kind, known) or not _free(name) or name in (*names, *known):
            return None
        names.append(name)
    return Declared(match["name"], f"{match['name']}()", frozenset(names))


def forward(text: str) -> Declared | None:
    """Understand a struct or union that is named before it is defined.

    Not an enum: that is an extension that not every compiler takes in silence.
    """
    match = _FORWARD.fullmatch(text)
    return Declared(match["tag"], match["type"]) if match and _free(match["tag"]) else None


def macro(text: str) -> Declared | None:
    """Understand a #define that says nothing until it is used."""
    match = _MACRO.fullmatch(text)
    if match is None or not text.isascii() or not _free(match["name"]):
        return None
    name, parameters, body = match["name"], match["parameters"], match["body"]
    if name.startswith("CONFIG_") or "#" in body:
        return None
    if parameters is None:
        plain = (not body or body.startswith(" ")) and "__VA_" not in body
        return Declared(name, name) if plain else None
    words = [word.strip() for word in parameters[1:-1].split(",")] if parameters != "()" else []
    some = words[:-1] if words[-1:] == ["..."] else words
    right = all(re.fullmatch(r"[A-Za-z]\w*", word) for word in some) and len(set(some)) == len(some)
    if not right or ("__VA_" in body and some == words):
        return None
    return Declared(name, f"{name}()")


def types(text: str) -> str:
    """Give the type that a declaration makes known, like "struct file"; else an empty string."""
    match = _TAGGED.match(" ".join(text.split()))
    return " ".join(filter(None, match.groups())) if match else ""


def settled(text: str) -> bool:
    """Whether a declaration is the same for the compiler when it stands some lines further on."""
    if any(form.fullmatch(text) for form in (_TYPE, _ALIAS, _VARIABLE)):
        return not _VALUE.search(text)
    if types(text) == text[:-1]:
        return True
    function = _FUNCTION.fullmatch(text)
    return function is not None and function[1].islower()


def _is_type(text: str, known: Collection[str], *, result: bool = False) -> bool:
    base, *pointers = text.split("*")
    words = base.split()
    marks = [word for word in words if word in (*_QUALIFIERS, *_SPACES)]
    for each in (marks, *(pointer.split() for pointer in pointers)):
        if len(set(each)) < len(each) or not set(each) <= {*_QUALIFIERS, *_SPACES}:
            return False
    if result and (pointers[-1].strip() if pointers else marks):
        return False  # a result that is const itself makes compilers warn
    if not pointers and set(marks) & set(_SPACES):
        return False
    name = " ".join(word for word in words if word not in marks)
    if name == "void":
        return result or bool(pointers)
    return name in _BUILTIN or name in known


def _last(text: str) -> str:
    match = re.search(r"(?<=[\s*])[A-Za-z]\w*$", text)
    return match[0] if match else ""


def _free(name: str) -> bool:
    return name not in _WORDS and not name.startswith("_")


def _function_name(name: str) -> bool:
    """Whether a compiler surely knows no function of this name by itself, as it knows memcpy()."""
    if "_" not in name or name in _LIBRARY or name.endswith(("_", "_unlocked", "_r")):
        return False
    return _free(name)
