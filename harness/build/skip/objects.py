# SPDX-License-Identifier: GPL-2.0-only
"""Decide which objects are not affected by what has a new time, and give them one too.

A file may have a new time because a header gained a name that an object does not mention, or
because other commits were checked out in between, for other build folders.

A record in the folder identifies the sources of its last complete build.  Objects not newer
than the record are from that build; what a failed or interrupted make has compiled since is newer
and left to make.  The config may be another: make touches the stamps of the options that differ
afterwards, and compiles what names them, whatever the time of the object.  If a make that did not
finish has touched stamps already, nothing is skipped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from harness import git, serial
from harness.build import make_records
from harness.build.make_records import CompiledObject
from harness.build.skip import names
from harness.build.skip.names import ChangedNames
from harness.errors import HostFault
from harness.model import Checkout, CompilerWarning, Toolchain
from harness.text import quantity

_RECORD = ".harness-built"
_LATER = 1 << 63  # a time after all others, in nanoseconds
_MOST_HEADERS = 64  # with more changed headers, nearly everything must be recompiled anyway
_MOST_MOVES = 100  # of HEAD: with more of them, make decides
_PLAIN_FILE = "100644"
_SHOWN = 2


@dataclasses.dataclass(frozen=True)
class Skipped:
    """The objects that need not be compiled, and why: one line per header."""

    objects: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Lines for the build log; empty if nothing was skipped."""
        if not self.objects:
            return ()
        head = f"{len(self.objects)} objects are not recompiled, since no change affects them:"
        return head, *self.why

    def __str__(self) -> str:
        why = "; ".join(self.why[:_SHOWN])
        more = f"; and {len(self.why) - _SHOWN} more" if len(self.why) > _SHOWN else ""
        return f"{len(self.objects)} skipped: {why}{more}"


@dataclasses.dataclass(frozen=True)
class BuiltRecord:
    """What a folder was last built from: a tree object."""

    tree: str


@dataclasses.dataclass(frozen=True)
class HeaderChange:
    """A changed header whose change affects only sources that mention certain names."""

    path: str
    texts: tuple[str, str]  # before and after
    changed: ChangedNames


@dataclasses.dataclass(frozen=True)
class SourceChanges:
    """Differences between two trees: ``headers``, ``other`` changed files, names of new files."""

    headers: tuple[HeaderChange, ...] = ()
    other: frozenset[str] = frozenset()
    new_names: frozenset[str] = frozenset()


def before_make(
    checkout: Checkout,
    out: Path,
    toolchain: Toolchain,
    warned: Mapping[str, Iterable[CompilerWarning]],
) -> Skipped:
    """Give new timestamps to the objects in ``out`` that the checkout does not affect.

    ``warned`` has the warnings of each object: objects with a warning in a changed header are
    recompiled.
    """
    file = out / _RECORD
    try:
        built, built_at = serial.read(file, BuiltRecord), file.stat().st_mtime_ns
    except (OSError, serial.DamagedError):
        return Skipped()
    config = (out / ".config").read_text()
    if "\nCONFIG_MODVERSIONS=y" in config or _touched_stamps(out, built_at):
        return Skipped()
    try:
        entries = _entries(checkout.path, built.tree, checkout.tree)
    except HostFault:  # that tree is lost
        return Skipped()
    changes = _changes(checkout.path, entries)
    same = frozenset(_written_again(checkout.path, built_at) - entries.keys())
    if not changes.headers and not same:
        return Skipped()
    files = _SourceFiles(checkout.path, out, changes, same)
    linked = make_records.object_names(out, toolchain, modules="\nCONFIG_MODULES=y" in config)
    changed = tuple(f"/{header.path}" for header in changes.headers)
    done: list[str] = []
    used: set[bytes] = set()
    for compiled in make_records.compiled_from(out, linked, files.harmless):
        if (
            compiled.time > built_at  # compiled by something else since
            or any(f"/{w.file}".endswith(changed) for w in warned.get(compiled.name, ()))
            or not files.unchanged_for(compiled)
        ):
            continue
        with contextlib.suppress(OSError):
            os.utime(out / compiled.name)
            done.append(compiled.name)
            used |= compiled.files & files.harmless
    headers = (files.headers[path] for path in used & files.headers.keys())
    why = sorted({f"{header.path} {header.changed.summary}" for header in headers})
    if again := len(used - files.headers.keys()):
        why.append(f"{quantity(again, 'file')} only checked out again")
    return Skipped(tuple(sorted(done)), tuple(why))


def _touched_stamps(out: Path, since: int) -> bool:
    """Whether make has touched the stamp of an option since a time in nanoseconds."""
    try:
        with os.scandir(out / "include/config") as entries:
            stamps = [entry for entry in entries if "." not in entry.name]  # not auto.conf
            return any(entry.stat().st_mtime_ns > since for entry in stamps)
    except OSError:
        return True


def affected(checkout: Checkout, out: Path, toolchain: Toolchain, before: str) -> tuple[str, ...]:
    """Return the objects that are compiled differently since the tree object ``before``.

    ``out`` holds the build of the checkout.  Changes of options and of make's rules do not count.
    """
    entries = _entries(checkout.path, before, checkout.tree)
    top = os.fsencode(os.path.realpath(checkout.path)) + b"/"
    modules = "\nCONFIG_MODULES=y" in (out / ".config").read_text()
    linked = make_records.object_names(out, toolchain, modules=modules)
    found = make_records.compiled_from(out, linked, [top + os.fsencode(name) for name in entries])
    changes = _changes(checkout.path, entries)
    if changes.headers:
        files = _SourceFiles(checkout.path, out, changes)
        found = [compiled for compiled in found if not files.unchanged_for(compiled)]
    return tuple(sorted(compiled.name for compiled in found))


def after_make(checkout: Checkout, out: Path) -> None:
    """Record that ``out`` was fully built from the checkout."""
    serial.write(out / _RECORD, BuiltRecord(checkout.tree))


def _entries(repo: Path, old: str, new: str) -> dict[str, list[str]]:
    """Return the files that differ between two tree objects, with what git says of each.

    These are ":old-mode", new mode, old blob, new blob and status.  Raises HostFault if a tree is
    lost.
    """
    arguments = ("diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", old, new)
    fields = git.run(repo, *arguments).stdout.split("\0")
    return {path: entry.split() for entry, path in zip(fields[::2], fields[1::2], strict=False)}


def _written_again(worktree: Path, since: int) -> set[str]:
    """Return the files that checkouts have written since a time in nanoseconds.

    A worktree serves many build folders: between two builds in one of them, others check out other
    commits, and what comes back has a new time.  The log of HEAD names these commits.
    """
    moves = dict.fromkeys(
        (old, new)
        for old, new, seconds in git.moves(worktree)
        if seconds >= since // 10**9 and old != new
    )
    if len(moves) > _MOST_MOVES:
        return set()
    found: set[str] = set()
    for old, new in moves:
        with contextlib.suppress(HostFault):  # a lost commit
            found.update(_entries(worktree, old, new))
    return {name for name in found if _time_of(worktree / name) > since}


def _time_of(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _changes(repo: Path, entries: Mapping[str, list[str]]) -> SourceChanges:
    """Return what is certain of these differences; the result has no headers if nothing is."""
    blobs = {
        path: (entry[2], entry[3])
        for path, entry in entries.items()
        if path.endswith(".h") and entry[0] == f":{_PLAIN_FILE}" and entry[1] == _PLAIN_FILE
    }
    if len(blobs) > _MOST_HEADERS:
        blobs = {}
    texts = _texts(repo, [blob for pair in blobs.values() for blob in pair]) if blobs else {}
    headers = []
    for path, pair in blobs.items():
        before, after = (texts.get(blob) for blob in pair)
        if before is None or after is None:
            continue
        if changed := names.changed(before, after):
            headers.append(HeaderChange(path, (before, after), changed))
    new_names = {Path(path).name for path, entry in entries.items() if entry[0] == ":000000"}
    other = entries.keys() - {header.path for header in headers}
    return SourceChanges(tuple(headers), frozenset(other), frozenset(new_names))


def _texts(repo: Path, blobs: Sequence[str]) -> dict[str, str]:
    """Return the content of blobs, from a single git process; empty if any is missing."""
    ids = list(dict.fromkeys(blobs))
    arguments = ("cat-file", "--batch=%(objectname)")
    rest = git.run(repo, *arguments, stdin="\n".join(ids) + "\n", check=False).stdout
    texts = {}
    for blob, after in zip(ids, [*ids[1:], ""], strict=True):
        # Each blob's content is followed by the id of the next blob, on a separate line.
        end = rest.find(f"\n{after}\n", len(blob)) if after else len(rest) - 1
        if not rest.startswith(f"{blob}\n") or end < len(blob):
            return {}
        texts[blob] = rest[len(blob) + 1 : end]
        rest = rest[end + 1 :]
    return texts


class _SourceFiles:
    """The files that objects are compiled from, and whether the changes affect these objects."""

    def __init__(
        self, worktree: Path, out: Path, changes: SourceChanges, same: Collection[str] = ()
    ) -> None:
        self._top, self._out = os.fsencode(os.path.realpath(worktree)) + b"/", out
        every = [header.changed for header in changes.headers]
        self._changed = ChangedNames(
            names=frozenset().union(*(changed.names for changed in every)),
            parameters=frozenset().union(*(changed.parameters for changed in every)),
            gone=frozenset().union(*(changed.gone for changed in every)),
        )
        self._mentions = self._changed.finder()
        # A header that mentions a changed name of another header is treated like any other file.
        alone = [header for header in changes.headers if not self._mentions_others(header)]
        together = {header.path for header in changes.headers if header not in alone}
        self._other = changes.other | together
        self._new_names = {os.fsencode(name) for name in changes.new_names}
        self._times: dict[bytes, int] = {}
        #: The headers whose change can be ignored, by their path in .cmd files.
        self.headers = {self._top + os.fsencode(header.path): header for header in alone}
        # Files with a new time and the same content.
        self._same = {self._top + os.fsencode(name) for name in same}
        #: What alone compiles nothing again.
        self.harmless = frozenset(self.headers.keys() | self._same)

    def unchanged_for(self, compiled: CompiledObject) -> bool:
        """Whether only what is ``harmless`` would cause an object to be recompiled."""
        if compiled.defined & (self._changed.names | self._changed.parameters):
            return False
        return all(self._time(path) <= compiled.time for path in compiled.files)

    def _time(self, path: bytes) -> int:
        """Return a file's effective time of change; _LATER if its users must be recompiled."""
        time = self._times.get(path)
        if time is None:
            time = self._times[path] = 0 if path in self.headers else self._file_time(path)
        return time

    def _file_time(self, path: bytes) -> int:
        plain = os.path.normpath(path)
        inside = plain.startswith(self._top)
        if path.startswith(b"/") and not inside:
            return _LATER
        if path.rpartition(b"/")[2] in self._new_names:
            return _LATER  # the compiler may find the new file instead
        if inside and os.fsdecode(plain[len(self._top) :]) in self._other:
            return _LATER
        file = self._out / os.fsdecode(path)
        try:
            if self._mentions(file.read_bytes()):
                return _LATER
            return 0 if plain in self._same else file.stat().st_mtime_ns
        except OSError:
            return _LATER if inside else 0  # a generated file that an option would add

    def _mentions_others(self, header: HeaderChange) -> bool:
        others = dataclasses.replace(
            self._changed,
            names=self._changed.names - header.changed.names,
            gone=self._changed.gone - header.changed.gone,
        ).finder()
        return any(others(text.encode()) for text in header.texts)
