# SPDX-License-Identifier: GPL-2.0-only
"""Find the source locations of frames, given as function+offset.

For a kernel's vmlinux a single addr2line looks up all frames in a tenth of a second, since their
addresses are known from the symbol table.  The tree's scripts, which start a dozen programs per
frame, are used for modules, whose sections have no addresses yet.
"""

from __future__ import annotations

import bisect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from harness import process

TIME_LIMIT = 120.0  # seconds that a program may take for all frames of a file
_CALL = re.compile(r"(?P<name>[^+\s]+)\+(?P<at>0x[0-9a-f]+)(?:/(?P<size>0x[0-9a-f]+))?$")
# Output of addr2line: an address, then alternating functions and locations.
_ADDRESS = re.compile(r"0x[0-9a-f]+$")
_PLACE = re.compile(r"(?P<file>[^?].*):(?P<line>\d+)(?: \(discriminator \d+\))?$")
# Output of faddr2line: the call, then one line per location.
_FADDR_CALL = re.compile(r"(?P<call>\S+\+(?:0x)?[0-9a-f]+/0x[0-9a-f]+):$")
_FADDR_PLACE = re.compile(
    r"(?:\(inlined by\) )?(?P<name>\S+) at (?P<file>.+?):(?P<line>\d+)(?: \(discriminator \d+\))?$"
)
# Output of decode_stacktrace.sh: one line per call, with all locations.
_DECODED = re.compile(r"\s*(?P<name>[^\s(]+) \((?P<places>[^()]*:\d+[^()]*(?:\([^()]*\))?[^()]*)\)")
_DECODED_PLACE = re.compile(r"(?P<file>\S+):(?P<line>\d+)")
_SYMBOL = re.compile(r"^([0-9a-f]+) [tTwWvV] (\S+)$", re.MULTILINE)


class CallSite(NamedTuple):
    """A frame to look up: function, offset, and size of the function, 0 if unknown."""

    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        """Format it as expected by the scripts."""
        size = f"/{self.size:#x}" if self.size else ""
        return f"{self.name}+{self.offset:#x}{size}"


class Symbol(NamedTuple):
    """The start address of a function, and its size, 0 if unknown."""

    address: int
    size: int


class Spot(NamedTuple):
    """A function at a line of a file."""

    function: str
    file: str
    line: int


Spots = dict[CallSite, tuple[Spot, ...]]


def call_site(frame: str, *, exact: bool) -> CallSite | None:
    """Parse a frame "function+0xoffset/0xsize"; None for anything else.

    A stack holds return addresses: the call is just before, unless ``exact``.
    """
    match = _CALL.match(frame)
    if match is None:
        return None
    offset = int(match["at"], 16)
    if offset and not exact:
        offset -= 1
    return CallSite(match["name"], offset, int(match["size"] or "0", 16))


def has_debug_info(file: Path) -> bool:
    """Whether an ELF file maps instructions to source lines."""
    try:
        with file.open("rb") as data:
            return ELFFile(data).get_section_by_name(".debug_line") is not None
    except (OSError, ELFError):
        return False


def symbols(file: Path, names: Iterable[str], cross: str = "") -> dict[str, list[Symbol]]:
    """Return the functions with these names in an ELF file's symbol table.

    The size is the one that the kernel prints: the distance to the next symbol.  It is 0 in a
    module, whose sections overlap until it is loaded.
    """
    # Use nm: pyelftools takes 20 times as long, three seconds for a vmlinux.
    wanted = set(names)
    table = process.run([f"{cross}nm", "--defined-only", "--numeric-sort", file], check=False)
    rows = [(int(at, 16), name) for at, name in _SYMBOL.findall(table.stdout)]
    starts = sorted({at for at, _ in rows})
    by_name: dict[str, list[Symbol]] = {}
    for at, name in rows:
        if name in wanted:
            after = bisect.bisect_right(starts, at)
            sized = after < len(starts) and file.suffix != ".ko"
            by_name.setdefault(name, []).append(Symbol(at, starts[after] - at if sized else 0))
    return by_name


def spots(tree: Path, file: Path, calls: Mapping[CallSite, int], cross: str = "") -> Spots:
    """Look up calls, given with their addresses, in ``file``; omit those not found.

    ``cross`` is the binutils prefix for another architecture.  Raises HostFault if a program cannot
    be started or times out.
    """
    if file.suffix == ".ko":
        env = {"CROSS_COMPILE": cross, "LLVM": None}
        result = _faddr2line(tree, file, list(calls), env)
        if rest := [call for call in calls if call not in result]:
            result |= _decode_stacktrace(tree, file, rest, env)
    else:
        result = _addr2line(file, calls, cross)
    top = os.path.realpath(tree)
    return {
        call: tuple(spot._replace(file=_relative(spot.file, top)) for spot in places)
        for call, places in result.items()
    }


def _addr2line(file: Path, calls: Mapping[CallSite, int], cross: str) -> Spots:
    by_address = {f"{address:#x}": call for call, address in calls.items()}
    argv = [f"{cross}addr2line", "--addresses", "--functions", "--inlines", f"--exe={file}"]
    stdin = "".join(f"{address}\n" for address in by_address)
    output = process.run(argv, stdin=stdin, timeout=TIME_LIMIT, check=False).stdout
    result: Spots = {}
    function, current = "", None
    for line in output.splitlines():
        if _ADDRESS.match(line):
            function, current = "", by_address.get(f"{int(line, 16):#x}")
        elif not function:
            function = line
        else:
            place = _PLACE.match(line)
            if current is not None and place:
                spot = Spot(function, place["file"], int(place["line"]))
                result[current] = (*result.get(current, ()), spot)
            function = ""
    return result


def _faddr2line(
    tree: Path, file: Path, calls: Sequence[CallSite], env: Mapping[str, str | None]
) -> Spots:
    script = tree / "scripts" / "faddr2line"
    if not script.is_file():
        return {}
    argv: list[str | os.PathLike[str]] = ["bash", script, file, *map(str, calls)]
    output = process.run(argv, env=env, timeout=TIME_LIMIT, check=False).stdout
    by_text = {f"{call.name}+{call.offset:#x}": call for call in calls}
    result: Spots = {}
    current: CallSite | None = None
    for line in output.splitlines():
        if answer := _FADDR_CALL.match(line.strip()):
            call = by_text.get(answer["call"].rpartition("/")[0])
            current = call if call not in result else None  # another function with that name
        elif current is not None and (place := _FADDR_PLACE.match(line.strip())):
            spot = Spot(place["name"], place["file"], int(place["line"]))
            result[current] = (*result.get(current, ()), spot)
    return result


def _decode_stacktrace(
    tree: Path, file: Path, calls: Sequence[CallSite], env: Mapping[str, str | None]
) -> Spots:
    """Use decode_stacktrace.sh if faddr2line does not exist or did not find the calls.

    The script itself subtracts one from offsets, and prints one line per input line.
    """
    script = tree / "scripts" / "decode_stacktrace.sh"
    if not script.is_file():
        return {}
    stdin = "".join(f" {call._replace(offset=call.offset + 1)}\n" for call in calls)
    argv: list[str | os.PathLike[str]] = ["bash", script, file, os.path.realpath(tree)]
    output = process.run(argv, env=env, stdin=stdin, timeout=TIME_LIMIT, check=False).stdout
    result: Spots = {}
    for call, line in zip(calls, output.splitlines(), strict=False):
        answer = _DECODED.match(line)
        if answer and answer["name"] == call.name:
            places = _DECODED_PLACE.findall(answer["places"])
            # The script does not print inlined functions: only the outermost is known.
            names = ["(inlined)"] * (len(places) - 1) + [call.name]
            pairs = zip(names, places, strict=True)
            result[call] = tuple(Spot(name, at, int(n)) for name, (at, n) in pairs)
    return result


def _relative(file: str, top: str) -> str:
    """Return a file's name relative to the top of the tree, for any form of the path.

    A kept kernel may have been built in another worktree of the same sources.
    """
    plain = os.path.normpath(file)
    if plain.startswith(top + os.sep):
        return os.path.relpath(plain, top)
    parts = Path(plain).parts[1:] if plain.startswith(os.sep) else ()
    shorter = (Path(*parts[n:]) for n in range(1, len(parts) - 1))
    return next((str(name) for name in shorter if Path(top, name).is_file()), plain)
