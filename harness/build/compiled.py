# SPDX-License-Identifier: GPL-2.0-only
"""What the last build in a folder is made of: its objects, and what each was compiled from.

make writes that down: the archive that vmlinux is linked from, modules.order, and a .cmd file
beside each object.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from harness import kbuild, process
from harness.model import Toolchain

_LIBRARIES = re.compile(r"\S+/lib\.a\b")
_SOURCE = re.compile(rb"^source_\S+ := (\S+)$", re.MULTILINE)
_DEFINE = re.compile(rb"\s-D\s*['\"]?(\w+)")
# Not the options in $(wildcard ): who asks knows that the config is the same.
_DEPENDS = re.compile(rb"\n +([^\s$]+)")
_TOOL = re.compile(rb"\$\(wildcard ([^\s)]+)\)")


@dataclasses.dataclass(frozen=True)
class Unit:
    """An object and all it depends on, as its .cmd file names that.

    ``time`` is the object's, in nanoseconds; ``defined`` are the macros its command defines.
    """

    object: str
    time: int
    files: frozenset[bytes]
    defined: frozenset[str]


def objects(out: Path, toolchain: Toolchain, *, modules: bool) -> set[str]:
    """Name the objects that are in the kernel, and in its modules, as they lie below ``out``."""
    archives = ["vmlinux.a", *_LIBRARIES.findall(_text(out / ".vmlinux.o.cmd"))]
    found: set[str] = set()
    for archive in archives:
        listed = process.run([kbuild.program(toolchain, "ar"), "t", archive], cwd=out, check=False)
        found.update(listed.stdout.splitlines() if listed.ok else ())
    for module in _text(out / "modules.order").split() if modules else ():
        found.update(_text((out / module).with_suffix(".mod")).split())
    return {name for name in found if name.endswith(".o")}


def units(out: Path, names: Iterable[str], wanted: Iterable[bytes]) -> list[Unit]:
    """Read what was compiled from C and depends on one of the ``wanted`` files."""
    marks = [b" " + path + b" \\\n" for path in wanted]
    found = []
    same: dict[bytes, bytes] = {}  # a thousand units name the same thousand headers
    for name in names:
        file = out / name
        with contextlib.suppress(OSError):
            record = file.with_name(f".{file.name}.cmd").read_bytes()
            if any(mark in record for mark in marks):
                found += _unit(name, file.stat().st_mtime_ns, record, same)
    return found


def _unit(name: str, time: int, record: bytes, same: dict[bytes, bytes]) -> list[Unit]:
    command, _, rest = record.partition(b"\n")
    source = _SOURCE.search(rest)
    listed, ended, others = rest.partition(b"\ndeps_")[2].partition(b" \\\n\n")
    if source is None or not source[1].endswith(b".c") or not ended:
        return []
    paths = [source[1], *_DEPENDS.findall(listed), *_TOOL.findall(others)]
    files = frozenset(same.setdefault(path, path) for path in paths)
    defined = frozenset(each.decode() for each in _DEFINE.findall(command))
    return [Unit(name, time, files, defined)]


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
