# SPDX-License-Identifier: GPL-2.0-only
"""Decode the splats of one kernel; each frame is looked up once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness import architectures
from harness.decode import lookup
from harness.decode.decoded import Decoded, Frame, SourcePlace
from harness.decode.source_lines import AddedLines, SourceTree, added_by_commits
from harness.model import Checkout, Kernel, Splat

MOST = 32  # frames to decode per stack
_NO_LINES = "the kernel was built without debug info; add --kconfig base or debuginfo"
_FRAME = re.compile(r"(?P<call>\S+\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?)(?: \[(?P<module>[\w-]+)\])?$")
# "function file:line", "function (file:line)": frames of a log that was decoded before.
_DECODED = re.compile(r"(?P<name>\S+) \(?(?P<file>[^\s()]+):(?P<line>\d+)\b")
_CLONE = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv)(?:\.\d+)*)+$")
# Lines with the location of a processor: the address itself, not a return address.
_STOOD = re.compile(r"(?:RIP: |EIP: |pc : |epc : |NIP |PC is at |Krnl PSW )")


class FrameText(NamedTuple):
    """A frame as printed; ``exact``: where the processor was, not a return address."""

    text: str
    exact: bool


class Decoder:
    """Decodes splats of one kernel.

    ``vmlinux`` is the kernel's, ``modules`` a folder with its .ko files.  ``tree`` has the sources
    and the scripts; with ``commit`` the sources are taken from that commit, otherwise from the
    files.  ``added`` maps lines to the patches that added them.
    """

    def __init__(
        self,
        vmlinux: Path,
        tree: Path,
        added: AddedLines | None = None,
        *,
        commit: str = "",
        modules: Path | None = None,
        cross: str = "",
    ) -> None:
        self._vmlinux, self._tree, self._modules, self._cross = vmlinux, tree, modules, cross
        self._sources = SourceTree(tree, commit, added or {})
        self._has_lines: dict[Path, bool] = {}
        self._frames: dict[FrameText, Frame] = {}

    def decode(self, splats: Iterable[Splat]) -> tuple[Decoded, ...]:
        """Decode splats; shared frames are looked up only once.

        Raises HostFault if binutils is missing or a script of the tree times out.
        """
        splats = tuple(splats)
        self._look_up(frame for splat in splats for stack in _stacks(splat) for frame in stack)
        return tuple(self._decoded(splat) for splat in splats)

    def _decoded(self, splat: Splat) -> Decoded:
        main, alloc, free = (tuple(map(self._frames.__getitem__, s)) for s in _stacks(splat))
        guilty, why = _guilty(splat, main), ""
        if not any(frame.places for frame in (*main, *alloc, *free)):
            # Prefer the guilty function's reason: those of other frames may be special cases.
            frames = (*main[guilty:], *main, *alloc, *free)
            why = next((frame.why for frame in frames if frame.why), "")
        return Decoded(splat.title, main, alloc, free, guilty, why)

    def _look_up(self, wanted: Iterable[FrameText]) -> None:
        """Look up frames that are not known yet, with one process per file."""
        by_file: dict[Path, list[FrameText]] = {}
        for frame in dict.fromkeys(frame for frame in wanted if frame not in self._frames):
            match = _FRAME.match(frame.text)
            if match is None:
                self._frames[frame] = self._decoded_before(frame.text)
            elif file := self._file(match["module"] or ""):
                by_file.setdefault(file, []).append(frame)
            else:
                self._frames[frame] = Frame(frame.text, why=f"there is no {match['module']}.ko")
        for file, frames in by_file.items():
            self._look_up_in(file, frames)

    def _look_up_in(self, file: Path, frames: list[FrameText]) -> None:
        calls = {f: lookup.call_site(f.text.split(" ")[0], exact=f.exact) for f in frames}
        sites = [call for call in calls.values() if call]
        if file not in self._has_lines:
            self._has_lines[file] = lookup.has_debug_info(file)
        symbols = lookup.symbols(file, {call.name for call in sites}, self._cross)
        own = {call: at for call in sites if (at := _address(call, symbols.get(call.name, [])))}
        spots: lookup.Spots = {}
        if own and self._has_lines[file]:
            spots = lookup.spots(self._tree, file, own, self._cross)
        for frame, call in calls.items():
            if call is None:
                self._frames[frame] = Frame(frame.text)
            elif call in spots:
                places = tuple(map(self._place, spots[call]))
                self._frames[frame] = Frame(frame.text, places, own[call])
            elif call in own:
                why = "debug info has no line for it" if self._has_lines[file] else _NO_LINES
                self._frames[frame] = Frame(frame.text, (), own[call], why)
            else:
                what = "has a different size in" if call.name in symbols else "is not in"
                why = f"{call.name} {what} {file.name}: it is from another kernel"
                self._frames[frame] = Frame(frame.text, (), 0, why)

    def _file(self, module: str) -> Path | None:
        if not module:
            return self._vmlinux
        if self._modules is None:
            return None
        name = re.sub("[_-]", "[_-]", module)
        return next(iter(sorted(self._modules.rglob(f"{name}.ko"))), None)

    def _place(self, spot: lookup.Spot) -> SourcePlace:
        name = _CLONE.sub("", spot.function)
        context = self._sources.around(spot.file, spot.line)
        patch = self._sources.patch(spot.file, spot.line)
        return SourcePlace(name, spot.file, spot.line, context, patch)

    def _decoded_before(self, text: str) -> Frame:
        """Return a frame from a log that is already decoded."""
        match = _DECODED.match(text)
        if match is None:
            return Frame(text)
        spot = lookup.Spot(match["name"], match["file"], int(match["line"]))
        return Frame(text, (self._place(spot),))


def decode_run(splats: Iterable[Splat], kernel: Kernel, checkout: Checkout) -> tuple[Decoded, ...]:
    """Decode any number of splats of a kernel, with the worktree it was built from.

    Each frame is looked up once, with one process per file.  Lines added by the checkout's patches
    are marked with their subjects.  Raises the same errors as ``Decoder.decode``.
    """
    splats = tuple(splats)
    if not splats:
        return ()
    if kernel.vmlinux is None:
        return tuple(_undecoded(splat, "the kernel's vmlinux was not kept") for splat in splats)
    architecture = architectures.named(kernel.arch)
    decoder = Decoder(
        kernel.vmlinux,
        checkout.path,
        added_by_commits(checkout.path, checkout.patches),
        commit=kernel.commit,
        modules=kernel.modules,
        cross="" if architectures.is_native(architecture) else architecture.cross,
    )
    return decoder.decode(splats)


def _undecoded(splat: Splat, why: str) -> Decoded:
    main, alloc, free = (tuple(Frame(frame.text) for frame in s) for s in _stacks(splat))
    return Decoded(splat.title, main, alloc, free, _guilty(splat, main), why)


def decode(splat: Splat, vmlinux: Path, tree: Path, added: AddedLines | None = None) -> Decoded:
    """Decode one splat with the source files in ``tree``; use Decoder for many splats."""
    return Decoder(vmlinux, tree, added).decode([splat])[0]


def _address(call: lookup.CallSite, symbols: Sequence[lookup.Symbol]) -> int:
    """Return a call's address in the file with these symbols; 0 if it is not in this file."""
    same = (s for s in symbols if not (call.size and s.size) or s.size == call.size)
    return next((symbol.address + call.offset for symbol in same), 0)


def _stacks(splat: Splat) -> tuple[list[FrameText], ...]:
    """Return the frames of the three stacks: main, allocation and free."""
    stood = [line for line in splat.lines if _STOOD.match(line)]
    main = [
        FrameText(frame, any(frame.split(" ")[0] in line for line in stood))
        for frame in splat.frames[:MOST]
    ]
    others = (splat.alloc_stack, splat.free_stack)
    return main, *([FrameText(frame, False) for frame in stack[:MOST]] for stack in others)


def _guilty(splat: Splat, frames: Sequence[Frame]) -> int:
    """Return the index of the function to blame; 0 if it is not among the frames."""
    for n, frame in enumerate(frames):
        own = _CLONE.sub("", frame.text.split("+")[0].split(" ")[0])
        names = {own, *(place.function for place in frame.places)}
        if splat.function and splat.function in names:
            return n
    return 0
