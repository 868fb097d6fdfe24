# SPDX-License-Identifier: GPL-2.0-only
"""Read make's own records in a build folder, and recover the folder after make was killed.

make writes a .cmd file beside each object: the command, the source, and every file it read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import kbuild, paths, process
from harness.build import output
from harness.model import Toolchain

_LIBRARIES = re.compile(r"\S+/lib\.a\b")
_SOURCE = re.compile(rb"^source_\S+ := (\S+)$", re.MULTILINE)
_DEFINE = re.compile(rb"\s-D\s*['\"]?(\w+)")
# Without the options in $(wildcard ): the caller knows that the config is the same.
_DEPENDS = re.compile(rb"\n +([^\s$]+)")
_TOOL = re.compile(rb"\$\(wildcard ([^\s)]+)\)")
LOG = ".harness-build.log"
_FEW = 20  # files that are searched for in the records
_RUNNING = ".harness-building"  # this file exists while make is running
# Measured on 7.2: 1364 objects for 670 options (base, nvmet), 1418 for 736 (with debug).  Used only
# for the first build of a config; afterwards the actual number is known.
_OBJECTS_PER_OPTION = 2.0


@dataclasses.dataclass(frozen=True)
class CompiledObject:
    """An object of the last build, as described by its .cmd file.

    ``time`` is the object's mtime, in nanoseconds; ``files`` are all files that it was compiled
    from; ``defined`` are the macros defined on its command line.
    """

    name: str
    time: int
    files: frozenset[bytes]
    defined: frozenset[str]


def object_names(out: Path, toolchain: Toolchain, *, modules: bool) -> set[str]:
    """Return the objects linked into the kernel and into its modules, relative to ``out``.

    They are listed in the archive that vmlinux is linked from, and in modules.order.
    """
    archives = ["vmlinux.a", *_LIBRARIES.findall(_text(out / ".vmlinux.o.cmd"))]
    names: set[str] = set()
    for archive in archives:
        listed = process.run([kbuild.program(toolchain, "ar"), "t", archive], cwd=out, check=False)
        names.update(listed.stdout.splitlines() if listed.ok else ())
    for module in _text(out / "modules.order").split() if modules else ():
        names.update(_text((out / module).with_suffix(".mod")).split())
    return {name for name in names if name.endswith(".o")}


def compiled_from(out: Path, names: Iterable[str], files: Iterable[bytes]) -> list[CompiledObject]:
    """Return the objects among ``names`` compiled from C that are, or include, one of ``files``."""
    wanted = frozenset(files)
    # Looking for a few files takes less than reading each record; for many it takes more.
    few = wanted if len(wanted) <= _FEW else ()
    marks = [mark for path in few for mark in (b" " + path + b" \\\n", b" := " + path + b"\n")]
    objects = []
    same: dict[bytes, bytes] = {}  # a thousand objects list the same thousand headers
    for name in names:
        file = out / name
        with contextlib.suppress(OSError):
            record = file.with_name(f".{file.name}.cmd").read_bytes()
            if marks and not any(mark in record for mark in marks):
                continue
            command, _, rest = record.partition(b"\n")
            source = _SOURCE.search(rest)
            depends, complete, others = rest.partition(b"\ndeps_")[2].partition(b" \\\n\n")
            if source is None or not source[1].endswith(b".c") or not complete:
                continue
            paths = [source[1], *_DEPENDS.findall(depends), *_TOOL.findall(others)]
            read = frozenset(same.setdefault(path, path) for path in paths)
            if read.isdisjoint(wanted):
                continue
            defined = frozenset(macro.decode() for macro in _DEFINE.findall(command))
            objects.append(CompiledObject(name, file.stat().st_mtime_ns, read, defined))
    return objects


def may_use(out: Path, worktree: Path) -> Callable[[str], bool]:
    """Return a function that estimates whether the kernel in ``out`` is built from a file.

    Most commits touch code that a given configuration does not compile.  The result is only an
    estimate: the records are from the last build, so they do not reflect files added or removed
    since then, and any file that is neither C nor a Makefile counts as used.  If nothing was
    built, every file counts as used.
    """
    if not (out / "vmlinux").exists():
        return lambda _: True
    mark = re.compile(re.escape(os.fsencode(worktree)) + rb"/([^\s)'\"]+\.[chS])\b")
    names = set[bytes]()
    for record in out.rglob(".*.cmd"):
        names.update(mark.findall(record.read_bytes()))
    files = frozenset(os.path.normpath(os.fsdecode(name)) for name in names)
    return functools.partial(_may_use, files, frozenset(map(_folder, files)))


def _may_use(files: frozenset[str], folders: frozenset[str], path: str) -> bool:
    if path.endswith(kbuild.SOURCES):
        return path in files
    if kbuild.MAKE.match(path) or kbuild.KCONFIG.match(path):
        folder = _folder(path)
        return folder in folders or "/" not in folder
    return True


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


class ObjectCount:
    """Counts compiled objects against the number of objects in a full build of this config.

    ``total`` is None if the folder was built before: the number of objects that an incremental
    build compiles is unknown.  ``again``: the objects that must be compiled again in a folder that
    began as a copy of another config's; None for any other.
    """

    def __init__(self, out: Path, config: str, options_on: int, again: int | None = None) -> None:
        self.out = out
        self.fresh = again is None and not (out / "vmlinux").exists()
        self._record = paths.cache("builds") / f"objects-{config}"
        self.done = 0
        self.total: int | None = None if again is None else max(again, 1)
        if self.fresh:
            expected = round(options_on * _OBJECTS_PER_OPTION)
            with contextlib.suppress(OSError, ValueError):
                expected = int(self._record.read_text()) or expected
            self.total = max(expected - self._built(), 1)

    def count(self, kind: str, file: str) -> tuple[int, int | None]:
        """Count a step of make; return the number of objects done, and the total."""
        if output.is_object(kind, file):
            self.done += 1
        if self.total is not None:
            self.total = max(self.total, self.done)
        return self.done, self.total

    def save(self) -> None:
        """Record how many objects this config has, if this build compiled all of them."""
        if self.fresh:
            with contextlib.suppress(OSError):
                self._record.write_text(str(self._built()))

    def _built(self) -> int:
        """Count the existing objects; make keeps a .cmd file for each."""
        return sum(name.endswith(".o.cmd") for _, _, files in os.walk(self.out) for name in files)


def make_starts(out: Path) -> list[Path]:
    """Mark that make is running; remove incomplete files left by a killed make; return them.

    A compiler killed by SIGKILL leaves an incomplete object that is newer than its sources, beside
    the .cmd file of an earlier build: make would consider it finished.  make writes the .cmd file
    last, so an object is complete if its .cmd file is at least as new.
    """
    mark = out / _RUNNING
    removed = []
    if mark.exists():
        for file in _doubtful(out, mark.stat().st_mtime_ns):
            with contextlib.suppress(OSError):
                file.unlink()
                removed.append(file)
    mark.touch()
    return removed


def is_running(out: Path) -> bool:
    """Whether make is running in ``out``, or was killed there."""
    return (out / _RUNNING).exists()


def make_ended(out: Path) -> None:
    """Remove the mark: make exited on its own."""
    (out / _RUNNING).unlink(missing_ok=True)


def _doubtful(out: Path, begin: int) -> list[Path]:
    """Return files written since ``begin`` (nanoseconds) that have no newer .cmd file."""
    doubtful = []
    for root, _, files in os.walk(out):
        present = set(files)
        for name in files:
            record = f".{name}.cmd"
            if record not in present and not name.endswith(".o"):
                continue  # not a file that make compiles or links
            with contextlib.suppress(FileNotFoundError):
                changed = Path(root, name).stat().st_mtime_ns
                if changed < begin:
                    continue
                if record not in present or changed > Path(root, record).stat().st_mtime_ns:
                    doubtful.append(Path(root, name))
    return doubtful


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
