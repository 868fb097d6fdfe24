# SPDX-License-Identifier: GPL-2.0-only
"""Names of functions in stacks, and groups of functions that mean the same in every stack."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection

# Suffixes of functions cloned by the compiler, and of allocators with profiling.
_CLONE = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv)(?:\.\d+)*)+$")
_ENTRY_OF_SYSCALL = re.compile(r"__(?:x64|ia32|arm64|s390x?|riscv|powerpc|loongarch|mips|parisc)_")
# A BPF program is named after a hash of its instructions, a trampoline after a number.
_GENERATED = re.compile(r"(bpf_prog|bpf_trampoline)_(?:[0-9a-f]{16}|\d+)")
_MANGLED = re.compile(r"_R[A-Z]|_ZN?\d")
_ARGUMENTS = re.compile(r"\(.*\)$")


@dataclasses.dataclass(frozen=True)
class FunctionGroup:
    """Functions that mean the same wherever they stand in a stack, and why.

    ``functions`` are names, separated by blanks.  ``*`` stands for any text and ``?`` for any
    character.  Leading underscores do not count, unless the name in the list has some, and neither
    does __pi_, under which arm64 has its library a second time.
    """

    name: str
    why: str
    functions: str

    @property
    def known_as(self) -> str:
        """The first name of the list, where a fault is known by one name for the whole group."""
        return self.functions.split()[0]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _pattern((self,)).match(name) is not None


def in_any(groups: tuple[FunctionGroup, ...], name: str) -> bool:
    """Whether a function, as `function_of` returns it, belongs to one of the groups."""
    return _pattern(groups).match(name) is not None


@functools.lru_cache
def _pattern(groups: tuple[FunctionGroup, ...]) -> re.Pattern[str]:
    return _pattern_of({name for group in groups for name in group.functions.split()})


def _pattern_of(names: Collection[str]) -> re.Pattern[str]:
    loose = "|".join(_glob(name) for name in sorted(names) if not name.startswith("_"))
    exact = "|".join(_glob(name) for name in sorted(names) if name.startswith("_")) or "(?!)"
    return re.compile(rf"(?:(?:__pi_)?_*(?:{loose})|{exact})(?:_noprof)?$")


def _glob(name: str) -> str:
    return re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")


@functools.lru_cache(maxsize=8192)
def function_of(frame: str) -> str:
    """Return a frame's function, as named in the source: a system call without its architecture."""
    name = frame.split("+0x", 1)[0].split(" ", 1)[0].strip().rstrip(".")
    name = _CLONE.sub("", name)
    if _MANGLED.match(name):
        return _demangled(name)
    if name.startswith("bpf_"):
        return _GENERATED.sub(r"\1_ADDR", name)
    entry = _ENTRY_OF_SYSCALL.match(name)
    return name[entry.end() :] if entry and "sys_" in name else name


def _demangled(name: str) -> str:
    """Return the path of a Rust function, or a C++ function without its arguments."""
    import demangle  # takes 0.1 s, and few stacks have such names

    return _ARGUMENTS.sub("", demangle.demangle(name))
