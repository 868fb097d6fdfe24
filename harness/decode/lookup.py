# SPDX-License-Identifier: GPL-2.0-only
"""Ask where functions plus offsets are in the sources.

For a kernel's vmlinux one addr2line answers for all frames, since the symbol table has told their
addresses: a tenth of a second.  The tree's scripts, which start a dozen programs for each, serve
for modules, whose sections have no addresses yet.
"""

from __future__ import annotations

import bisect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness import process

SECONDS = 120.0  # a script may take for all frames of one file
_CALL = re.compile(r"(?P<name>[^+\s]+)\+(?P<at>0x[0-9a-f]+)(?:/(?P<size>0x[0-9a-f]+))?$")
_ANSWER = re.compile(r"(?P<call>\S+\+(?:0x)?[0-9a-f]+/0x[0-9a-f]+):$")
_PLACE = re.compile(
    r"(?:\(inlined by\) )?(?P<name>\S+) at (?P<file>.+?):(?P<line>\d+)(?: \(discriminator \d+\))?$"
)
# What addr2line answers: an address, then by turns functions and places.
_ADDRESS = re.compile(r"0x[0-9a-f]+$")
_ANSWERED = re.compile(r"(?P<file>[^?].*):(?P<line>\d+)(?: \(discriminator \d+\))?$")
_DECODED = re.compile(r"\s*(?P<name>[^\s(]+) \((?P<places>[^()]*:\d+[^()]*(?:\([^()]*\))?[^()]*)\)")
_SPOT = re.compile(r"(?P<file>\S+):(?P<line>\d+)")
_SYMBOL = re.compile(r"^([0-9a-f]+) [tTwWvV] (\S+)$", re.MULTILINE)


class Call(NamedTuple):
    """A frame to look up: function, offset and size of the function, 0 if unknown."""

    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        """Write it as the scripts want it."""
        size = f"/{self.size:#x}" if self.size else ""
        return f"{self.name}+{self.offset:#x}{size}"


class Symbol(NamedTuple):
    """Where a function begins, and its size, 0 if unknown."""

    address: int
    size: int


class Spot(NamedTuple):
    """A function at a line of a file."""

    function: str
    file: str
    line: int


def call(frame: str, exact: bool) -> Call | None:
    """Read a frame "function+0xoffset/0xsize"; None for what is none.

    A stack holds return addresses: the call is in front of them, unless ``exact``.
    """
    found = _CALL.match(frame)
    if found is None:
        return None
    offset = int(found["at"], 16)
    if offset and not exact:
        offset -= 1
    return Call(found["name"], offset, int(found["size"] or "0", 16))


def has_debug_info(file: Path) -> bool:
    """Whether an ELF file says which line an instruction comes from."""
    sections = process.run(["readelf", "--section-headers", "--wide", file], check=False)
    return ".debug_line" in sections.stdout


def spots(
    tree: Path, file: Path, calls: Mapping[Call, int], cross: str = ""
) -> dict[Call, tuple[Spot, ...]]:
    """Look calls, with their addresses, up in ``file``; what is not found is not in the answer.

    ``cross`` is the prefix of the binutils for another architecture.  Raises HostFault when
    a program cannot be started or does not end.
    """
    if file.suffix == ".ko":
        found = _scripts(tree, file, list(calls), cross)
    else:
        found = _addr2line(file, calls, cross)
    top = os.path.realpath(tree)
    return {
        one: tuple(spot._replace(file=_below(spot.file, top)) for spot in each)
        for one, each in found.items()
    }


def _addr2line(file: Path, calls: Mapping[Call, int], cross: str) -> dict[Call, tuple[Spot, ...]]:
    asked = {f"{address:#x}": one for one, address in calls.items()}
    words = [f"{cross}addr2line", "--addresses", "--functions", "--inlines", f"--exe={file}"]
    stdin = "".join(f"{address}\n" for address in asked)
    said = process.run(words, stdin=stdin, timeout=SECONDS, check=False).stdout
    found: dict[Call, tuple[Spot, ...]] = {}
    name, current = "", None
    for line in said.splitlines():
        if _ADDRESS.match(line):
            name, current = "", asked.get(f"{int(line, 16):#x}")
        elif not name:
            name = line
        else:
            place = _ANSWERED.match(line)
            if current is not None and place:
                spot = Spot(name, place["file"], int(place["line"]))
                found[current] = (*found.get(current, ()), spot)
            name = ""
    return found


def _scripts(
    tree: Path, file: Path, calls: Sequence[Call], cross: str
) -> dict[Call, tuple[Spot, ...]]:
    env = {"CROSS_COMPILE": cross, "LLVM": None}
    found = _faddr2line(tree, file, calls, env)
    rest = [one for one in calls if one not in found]
    return found | _decode_stacktrace(tree, file, rest, env) if rest else found


def _faddr2line(
    tree: Path, file: Path, calls: Sequence[Call], env: dict[str, str | None]
) -> dict[Call, tuple[Spot, ...]]:
    script = tree / "scripts" / "faddr2line"
    if not script.is_file():
        return {}
    words: list[str | os.PathLike[str]] = ["bash", script, file, *map(str, calls)]
    said = process.run(words, env=env, timeout=SECONDS, check=False).stdout
    wanted = {f"{one.name}+{one.offset:#x}": one for one in calls}
    found: dict[Call, tuple[Spot, ...]] = {}
    current: Call | None = None
    for line in said.splitlines():
        if answer := _ANSWER.match(line.strip()):
            one = wanted.get(answer["call"].rpartition("/")[0])
            current = one if one not in found else None  # a second function of that name
        elif current is not None and (place := _PLACE.match(line.strip())):
            spot = Spot(place["name"], place["file"], int(place["line"]))
            found[current] = (*found.get(current, ()), spot)
    return found


def _decode_stacktrace(
    tree: Path, file: Path, calls: Sequence[Call], env: dict[str, str | None]
) -> dict[Call, tuple[Spot, ...]]:
    """Ask the other script, for trees without the first and for what that did not find.

    It takes one off an offset by itself, and prints one line for each it is given.
    """
    script = tree / "scripts" / "decode_stacktrace.sh"
    if not script.is_file():
        return {}
    asked = "".join(f" {one._replace(offset=one.offset + 1)}\n" for one in calls)
    words: list[str | os.PathLike[str]] = ["bash", script, file, os.path.realpath(tree)]
    said = process.run(words, env=env, stdin=asked, timeout=SECONDS, check=False).stdout
    found: dict[Call, tuple[Spot, ...]] = {}
    for one, line in zip(calls, said.splitlines(), strict=False):
        answer = _DECODED.match(line)
        if answer and answer["name"] == one.name:
            places = _SPOT.findall(answer["places"])
            # It names no inlined functions: only the outermost is sure.
            names = ["(inlined)"] * (len(places) - 1) + [one.name]
            pairs = zip(names, places, strict=True)
            found[one] = tuple(Spot(name, at, int(n)) for name, (at, n) in pairs)
    return found


def _below(file: str, top: str) -> str:
    """Give a file's name from the top of the tree, however the compiler wrote it.

    A kept kernel may have been built in another worktree of the same sources.
    """
    plain = os.path.normpath(file)
    if plain.startswith(top + os.sep):
        return os.path.relpath(plain, top)
    parts = Path(plain).parts[1:] if plain.startswith(os.sep) else ()
    shorter = (Path(*parts[n:]) for n in range(1, len(parts) - 1))
    return next((str(name) for name in shorter if Path(top, name).is_file()), plain)


def symbols(file: Path, names: Iterable[str], cross: str = "") -> dict[str, list[Symbol]]:
    """Give the functions of these names in an ELF file, as its symbol table has them.

    The size is what the kernel prints: the way to the next symbol.  It is 0 in a module, whose
    sections overlap until it is loaded.
    """
    wanted = set(names)
    table = process.run([f"{cross}nm", "--defined-only", "--numeric-sort", file], check=False)
    rows = [(int(at, 16), name) for at, name in _SYMBOL.findall(table.stdout)]
    starts = sorted({at for at, _ in rows})
    found: dict[str, list[Symbol]] = {}
    for at, name in rows:
        if name in wanted:
            after = bisect.bisect_right(starts, at)
            sized = after < len(starts) and file.suffix != ".ko"
            found.setdefault(name, []).append(Symbol(at, starts[after] - at if sized else 0))
    return found
