# SPDX-License-Identifier: GPL-2.0-only
"""Spare make the objects that a change of a header cannot change.

make knows only times: one prototype more in <linux/mount.h> compiles hundreds of objects again.
Where it is certain what a header gained or lost (see additive), an object in whose sources the
names do not stand gets a new time before make looks, and nothing else is touched.  It must be
known what it was compiled from: a record says which sources and config the folder was last built
from, whole.  It is not there while make runs, nor after a build that failed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness import model
from harness.build import changes, compiled
from harness.build.changes import Changes, Header
from harness.build.mentions import Wanted
from harness.model import Checkout, Toolchain

_RECORD = ".harness-built"
_SHOWN = 2
_LATER = 1 << 63  # a time after all others, in nanoseconds


@dataclasses.dataclass(frozen=True)
class Spared:
    """The objects that need not be compiled, and why: a line for each header."""

    objects: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Lines for the log of the build; none when nothing was spared."""
        if not self.objects:
            return ()
        head = f"{len(self.objects)} objects are not compiled again, nothing in them changed:"
        return head, *self.why

    def __str__(self) -> str:
        more = len(self.why) - _SHOWN
        said = "; ".join(self.why[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return f"{len(self.objects)} spared: {said}"


@dataclasses.dataclass(frozen=True)
class _Built:
    """What a folder was built from, and when: nanoseconds since 1970."""

    tree: str
    config: str
    time: int


def before(
    checkout: Checkout,
    out: Path,
    toolchain: Toolchain,
    warned: Mapping[str, Iterable[model.CompilerWarning]],
) -> Spared:
    """Give new times to the objects in ``out`` that the checkout leaves as they are.

    ``warned`` are the warnings of each object: where one is in a changed header it is compiled.
    """
    built = _record(out)
    (out / _RECORD).unlink(missing_ok=True)
    config = (out / ".config").read_text()
    if built is None or built.config != _digest(config) or "\nCONFIG_MODVERSIONS=y" in config:
        return Spared()
    found = changes.between(checkout.path, built.tree, checkout.tree)
    if not found.headers:
        return Spared()
    files = _Files(checkout.path, out, found)
    names = compiled.objects(out, toolchain, modules="\nCONFIG_MODULES=y" in config)
    paths = tuple(f"/{header.path}" for header in found.headers)
    units = [
        unit
        for unit in compiled.units(out, names, files.headers)
        if unit.time <= built.time  # else something else compiled it since
        and not _warns(warned.get(unit.object, ()), paths)
        and files.harmless(unit)
    ]
    return _spared(out, units, files.headers)


def after(checkout: Checkout, out: Path) -> None:
    """Record that ``out`` is built from the checkout, whole."""
    said = {"tree": checkout.tree, "config": _digest((out / ".config").read_text())}
    (out / _RECORD).write_text(json.dumps(said))


def _record(out: Path) -> _Built | None:
    file = out / _RECORD
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(file.read_text())
        return _Built(said["tree"], said["config"], file.stat().st_mtime_ns)
    return None


def _warns(warnings: Iterable[model.CompilerWarning], paths: tuple[str, ...]) -> bool:
    return any(f"/{warning.file}".endswith(paths) for warning in warnings)


def _digest(config: str) -> str:
    return hashlib.sha256(config.encode()).hexdigest()


def _spared(out: Path, units: Iterable[compiled.Unit], headers: Mapping[bytes, Header]) -> Spared:
    done: list[str] = []
    used: set[bytes] = set()
    for unit in units:
        with contextlib.suppress(OSError):
            os.utime(out / unit.object)
            done.append(unit.object)
            used |= unit.files & headers.keys()
    why = sorted({f"{headers[path].path} {headers[path].additions.said}" for path in used})
    return Spared(tuple(sorted(done)), tuple(why))


class _Files:
    """The files that units depend on, and whether what changed may concern who reads them."""

    def __init__(self, worktree: Path, out: Path, found: Changes) -> None:
        self._top, self._out = os.fsencode(os.path.realpath(worktree)) + b"/", out
        self._wanted = _wanted(found.headers)
        self._concerns = self._wanted.search()
        # A header that says a name which another one gained is no different from any other file.
        own = [each for each in found.headers if not self._concerned(each)]
        self._changed = found.others | {each.path for each in found.headers if each not in own}
        self._came = {os.fsencode(name) for name in found.came}
        self._times: dict[bytes, int] = {}
        #: The headers that can be passed over, by the path that .cmd files have.
        self.headers = {self._top + os.fsencode(each.path): each for each in own}

    def harmless(self, unit: compiled.Unit) -> bool:
        """Whether nothing but the times of such headers would have an object compiled again."""
        if unit.defined & (self._wanted.names | self._wanted.words):
            return False
        return all(self._time(path) <= unit.time for path in unit.files)

    def _time(self, path: bytes) -> int:
        """Give when a file changed for units that read it; _LATER when they must see it anew."""
        found = self._times.get(path)
        if found is None:
            found = self._times[path] = 0 if path in self.headers else self._looked(path)
        return found

    def _looked(self, path: bytes) -> int:
        plain = os.path.normpath(path)
        inside = plain.startswith(self._top)
        if path.startswith(b"/") and not inside:
            return _LATER
        if path.rpartition(b"/")[2] in self._came:
            return _LATER  # the compiler may find the new one in its place
        if inside and os.fsdecode(plain[len(self._top) :]) in self._changed:
            return _LATER
        file = self._out / os.fsdecode(path)
        try:
            return _LATER if self._concerns(file.read_bytes()) else file.stat().st_mtime_ns
        except OSError:
            return _LATER if inside else 0  # a generated file that an option would bring

    def _concerned(self, header: Header) -> bool:
        names = self._wanted.names - header.additions.names
        gone = self._wanted.gone - header.additions.gone
        others = dataclasses.replace(self._wanted, names=names, gone=gone).search()
        return any(others(text.encode()) for text in header.texts)


def _wanted(headers: Sequence[Header]) -> Wanted:
    every = [each.additions for each in headers]
    return Wanted(
        names=frozenset().union(*(each.names for each in every)),
        words=frozenset().union(*(each.words for each in every)),
        gone=frozenset().union(*(each.gone for each in every)),
    )
