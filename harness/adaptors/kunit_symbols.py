# SPDX-License-Identifier: GPL-2.0-only
"""Which KUnit suites a kernel has, and their cases in order, read from its vmlinux.

Nothing else knows the cases of a suite before they run.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

_POINTER = 8
_NAME = 256  # struct kunit_suite begins with its name, in so many bytes
_IDENTIFIER = re.compile(rb"[A-Za-z_]\w*\Z")
_FIELDS = 16  # pointers after the name to look at: one of the first is that to the cases


@dataclasses.dataclass(frozen=True)
class _Image:
    """The kernel's contents by address; ``objects`` are the data symbols' sizes by address."""

    sections: list[tuple[int, int, bool, bytes]]  # start, end, whether it is code, contents
    objects: dict[int, int]

    def read(self, address: int, size: int) -> bytes:
        for start, end, _, data in self.sections:
            if start <= address < end:
                return data[address - start : address - start + size]
        return b""

    def pointer(self, address: int) -> int:
        return int.from_bytes(self.read(address, _POINTER), "little")

    def is_code(self, address: int) -> bool:
        return any(start <= address < end and code for start, end, code, _ in self.sections)

    def text(self, address: int, size: int = 200) -> str:
        """Return the identifier at an address; empty if there is none."""
        data = self.read(address, size).partition(b"\0")[0]
        return data.decode() if _IDENTIFIER.match(data) else ""


@functools.lru_cache(maxsize=4)
def suites(vmlinux: Path) -> dict[str, list[str]]:
    """Return the cases of each KUnit suite; empty if the file has none, or cannot be read."""
    try:
        with vmlinux.open("rb") as file:
            return _suites(ELFFile(file))
    except (OSError, ELFError):
        return {}


def _suites(elf: ELFFile) -> dict[str, list[str]]:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return {}
    ends: dict[str, int] = {}
    objects: dict[int, int] = {}
    for symbol in table.iter_symbols():
        if symbol.name in ("__kunit_suites_start", "__kunit_suites_end"):
            ends[symbol.name] = symbol["st_value"]
        elif symbol["st_info"]["type"] == "STT_OBJECT":
            objects[symbol["st_value"]] = symbol["st_size"]
    if len(ends) < 2:
        return {}
    image = _Image(_sections(elf), objects)
    pointers = range(ends["__kunit_suites_start"], ends["__kunit_suites_end"], _POINTER)
    found = {}
    for place in pointers:
        suite = image.pointer(place)
        name = image.read(suite, _NAME).partition(b"\0")[0].decode(errors="replace")
        if name:
            found[name] = _cases(image, suite + _NAME)
    return found


def _sections(elf: ELFFile) -> list[tuple[int, int, bool, bytes]]:
    loaded = []
    for section in elf.iter_sections():
        flags = section["sh_flags"]
        if flags & 2 and section["sh_type"] != "SHT_NOBITS":  # SHF_ALLOC
            start = section["sh_addr"]
            loaded.append((start, start + section["sh_size"], bool(flags & 4), section.data()))
    return loaded


def _cases(image: _Image, fields: int) -> list[str]:
    """Return the names in the array of cases.

    It is the first field that points to data; a case begins with a function and a name.
    """
    pointers = (image.pointer(fields + _POINTER * n) for n in range(_FIELDS))
    cases = next((p for p in pointers if p in image.objects and not image.is_code(p)), 0)
    names = []
    for place in range(cases, cases + image.objects.get(cases, 0), _POINTER):
        function, name = image.pointer(place), image.pointer(place + _POINTER)
        if image.is_code(function) and not image.is_code(name) and image.text(name):
            names.append(image.text(name))
    return names
