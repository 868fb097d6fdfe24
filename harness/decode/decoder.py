# SPDX-License-Identifier: GPL-2.0-only
"""Decode the splats of one kernel; each frame is asked for once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import architectures
from harness.decode import lookup
from harness.decode.added import Added, of_commits
from harness.decode.sources import Sources
from harness.decode.values import Decoded, Frame, Place
from harness.model import Checkout, Kernel, Splat

MOST = 32  # frames of a stack that are decoded
_NO_LINES = "the kernel was built without debug info: --kconfig base or debuginfo gives lines"
_FRAME = re.compile(r"(?P<call>\S+\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?)(?: \[(?P<module>[\w-]+)\])?$")
_INLINE = re.compile(r"(?P<name>\S+) (?P<file>\S+):(?P<line>\d+)$")
_CLONE = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv)(?:\.\d+)*)+$")
# Where a processor stood: the address itself, not one to return to.
_STOOD = re.compile(r"(?:RIP: |EIP: |pc : |epc : |NIP |PC is at |Krnl PSW )")


class Decoder:
    """Decodes splats of one kernel.

    ``vmlinux`` is the kernel's, ``modules`` a folder with its .ko files.  ``tree`` has the sources
    and the scripts; with ``commit`` the sources are that commit's, else the files as they are.
    ``added`` says which patch added a line.
    """

    def __init__(
        self,
        vmlinux: Path,
        tree: Path,
        added: Added | None = None,
        *,
        commit: str = "",
        modules: Path | None = None,
        cross: str = "",
    ) -> None:
        self._vmlinux, self._tree, self._modules, self._cross = vmlinux, tree, modules, cross
        self._sources = Sources(tree, commit, added or {})
        self._lines: dict[Path, bool] = {}
        self._known: dict[tuple[str, bool], Frame] = {}

    @classmethod
    def of(cls, kernel: Kernel, tree: Path, added: Added | None = None) -> Decoder | None:
        """Make one for a kept kernel and the worktree it was built from; None without vmlinux."""
        if kernel.vmlinux is None:
            return None
        architecture = architectures.named(kernel.arch)
        cross = "" if architectures.is_native(architecture) else architecture.cross
        return cls(
            kernel.vmlinux,
            tree,
            added,
            commit=kernel.commit,
            modules=kernel.modules,
            cross=cross,
        )

    def decode(self, splats: Iterable[Splat]) -> tuple[Decoded, ...]:
        """Decode splats; what they share is looked up once.

        Raises HostFault when binutils are missing or a script of the tree does not end.
        """
        splats = tuple(splats)
        self._ask([one for splat in splats for stack in _stacks(splat) for one in stack])
        return tuple(self._decoded(splat) for splat in splats)

    def _decoded(self, splat: Splat) -> Decoded:
        main, alloc, free = (tuple(self._known[one] for one in stack) for stack in _stacks(splat))
        guilty, why = _guilty(splat, main), ""
        if not any(frame.places for frame in (*main, *alloc, *free)):
            # The guilty function's own reason first: another frame's may be special.
            frames = (*main[guilty:], *main, *alloc, *free)
            why = next((frame.why for frame in frames if frame.why), "")
        return Decoded(splat.title, main, alloc, free, guilty, why)

    def _ask(self, asked: Sequence[tuple[str, bool]]) -> None:
        """Look up what is not known yet, with one process for each file."""
        fresh = dict.fromkeys(one for one in asked if one not in self._known)
        files: dict[Path, list[tuple[str, bool]]] = {}
        for one in fresh:
            found = _FRAME.match(one[0])
            file = self._file(found["module"] or "") if found else None
            if found is None:
                self._known[one] = self._inline(one[0])
            elif file is None:
                self._known[one] = Frame(one[0], why=f"there is no {found['module']}.ko")
            else:
                files.setdefault(file, []).append(one)
        for file, frames in files.items():
            self._look(file, frames)

    def _look(self, file: Path, frames: list[tuple[str, bool]]) -> None:
        calls = {one: lookup.call(one[0].split(" ")[0], one[1]) for one in frames}
        asked = [call for call in calls.values() if call]
        if file not in self._lines:
            self._lines[file] = lookup.has_debug_info(file)
        symbols = lookup.symbols(file, {call.name for call in asked}, self._cross)
        own = {call: at for call in asked if (at := _address(call, symbols.get(call.name, [])))}
        lines = self._lines[file] and bool(own)
        spots = lookup.spots(self._tree, file, own, self._cross) if lines else {}
        for one, call in calls.items():
            if call is None:
                self._known[one] = Frame(one[0])
            elif call in spots:
                places = tuple(map(self._place, spots[call]))
                self._known[one] = Frame(one[0], places, own[call])
            elif call in own:
                why = "debug info has no line for it" if self._lines[file] else _NO_LINES
                self._known[one] = Frame(one[0], (), own[call], why)
            else:
                what = "has another size in" if call.name in symbols else "is not in"
                why = f"{call.name} {what} {file.name}: it is another kernel's"
                self._known[one] = Frame(one[0], (), 0, why)

    def _file(self, module: str) -> Path | None:
        if not module:
            return self._vmlinux
        if self._modules is None:
            return None
        name = re.sub("[_-]", "[_-]", module)
        return next(iter(sorted(self._modules.rglob(f"{name}.ko"))), None)

    def _place(self, spot: lookup.Spot) -> Place:
        name = _CLONE.sub("", spot.function)
        context = self._sources.around(spot.file, spot.line)
        patch = self._sources.patch(spot.file, spot.line)
        return Place(name, spot.file, spot.line, context, patch)

    def _inline(self, text: str) -> Frame:
        """Take over a frame of a log that somebody decoded before."""
        found = _INLINE.match(text)
        if found is None:
            return Frame(text)
        spot = lookup.Spot(found["name"], found["file"], int(found["line"]))
        return Frame(text, (self._place(spot),))


def decode_run(splats: Iterable[Splat], kernel: Kernel, checkout: Checkout) -> tuple[Decoded, ...]:
    """Decode the splats of a kernel with the worktree it was built from; of any number at once.

    Each frame is looked up once, each file of the kernel by one process.  The lines that the
    checkout's patches added carry their subjects.  Raises as ``Decoder.decode``.
    """
    splats = tuple(splats)
    if not splats:
        return ()
    added = of_commits(checkout.path, checkout.patches)
    decoder = Decoder.of(kernel, checkout.path, added)
    if decoder is None:
        return tuple(_undecoded(splat, "the kernel's vmlinux was not kept") for splat in splats)
    return decoder.decode(splats)


def _undecoded(splat: Splat, why: str) -> Decoded:
    stacks = (tuple(Frame(text) for text, _ in stack) for stack in _stacks(splat))
    main, alloc, free = stacks
    return Decoded(splat.title, main, alloc, free, _guilty(splat, main), why)


def decode(splat: Splat, vmlinux: Path, tree: Path, added: Added | None = None) -> Decoded:
    """Decode one splat with the sources as they lie in ``tree``; see Decoder for many."""
    return Decoder(vmlinux, tree, added).decode([splat])[0]


def _address(call: lookup.Call, symbols: Sequence[lookup.Symbol]) -> int:
    """Give the address of a call in the file whose symbols these are; 0 if it is of another."""
    same = (s for s in symbols if not (call.size and s.size) or s.size == call.size)
    return next((symbol.address + call.offset for symbol in same), 0)


def _stacks(splat: Splat) -> tuple[list[tuple[str, bool]], ...]:
    """Give the frames of the three stacks, each with whether it is where the processor stood."""
    stood = [line for line in splat.lines if _STOOD.match(line)]
    main = [(one, any(one.split(" ")[0] in line for line in stood)) for one in splat.frames[:MOST]]
    others = [
        [(one, False) for one in stack[:MOST]] for stack in (splat.alloc_stack, splat.free_stack)
    ]
    return main, *others


def _guilty(splat: Splat, frames: Sequence[Frame]) -> int:
    """Find the frame of the function to blame; the first if it is not there."""
    for n, frame in enumerate(frames):
        names = {_CLONE.sub("", frame.text.split("+")[0].split(" ")[0])}
        if splat.function and splat.function in names | {one.function for one in frame.places}:
            return n
    return 0
