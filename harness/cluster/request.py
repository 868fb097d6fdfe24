# SPDX-License-Identifier: GPL-2.0-only
"""What travels between driver and workers: a request, a reply, and folders as archives.

Both are the JSON of frozen values, with checksums: a reply that is not the one to the request, or
that lost something on its way, is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import lzma
import posixpath
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from harness import errors, paths, serial
from harness.errors import HarnessError, HostFault
from harness.model import (
    Accel,
    Checkout,
    Followed,
    Kernel,
    MutantTrial,
    Plan,
    Request,
    SeriesLines,
    Side,
    Source,
    Toolchain,
)
from harness.results import journal


@dataclasses.dataclass(frozen=True)
class SourceParcel:
    """The sources of a trial: a git pack of what a worker lacks, and what it needs beside that.

    ``digest`` is that of the pack, which holds ``commit`` and all others above ``base``.  With
    ``release`` the pack is thin: the worker unpacks that release, whose tree object must be
    ``tree``.  ``repo`` is where the driver has the sources: who shares its cache uses them there.
    """

    digest: str
    base: str
    commit: str
    release: str
    tree: str
    repo: Source


@dataclasses.dataclass(frozen=True)
class TrialRequest:
    """One trial: a commit, its options and compiler, and the suites.

    ``base`` and ``tip`` are the ends of the series, ``counted`` the objects that get counters.
    ``suites`` is the digest of the archive with the suites' files.  ``keep``: the result of an
    earlier trial of the same kernel will do.  ``lean``: so will a kernel without debug info.
    ``boots``: without it the kernel is only built.  ``mutants``: these are tried instead, one after
    another.  ``token`` names a file in the driver's cache:
    who finds it there shares that cache.  ``number`` tells requests apart that repeat a trial.
    """

    plan: Plan
    request: Request
    toolchain: Toolchain
    accel: Accel
    followed: Followed
    base: Checkout | None
    tip: Checkout | None
    side: Side
    checkout: Checkout
    suites: str
    counted: tuple[str, ...] = ()
    sources: SourceParcel | None = None
    keep: bool = False
    lean: bool = False
    boots: bool = True
    mutants: tuple[MutantTrial, ...] = ()
    token: str = ""
    number: int = 0

    @property
    def text(self) -> str:
        """The request as JSON."""
        return json.dumps(serial.to_json(self), sort_keys=True)

    @property
    def config(self) -> str:
        """Identifies the build folder that a worker uses for it."""
        words = (self.request.without(self._followed).digest, str(self.toolchain))
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]

    @property
    def _followed(self) -> frozenset[str]:
        return frozenset(option.name for option in self.followed.options)


def key_of(text: str) -> str:
    """Return the key of a request from its JSON."""
    return f"trial-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


@dataclasses.dataclass(frozen=True)
class Fault:
    """A HarnessError that ended a trial on a worker; ``kind`` is the name of its class."""

    kind: str
    what: str
    hint: str = ""
    details: str = ""

    @classmethod
    def of(cls, error: HarnessError) -> Fault:
        """Return the fault that describes an error."""
        return cls(type(error).__name__, error.what, error.hint, error.details)

    @property
    def error(self) -> HarnessError:
        """The error, to be raised again."""
        kind = getattr(errors, self.kind, HarnessError)
        error: HarnessError = kind(self.what, hint=self.hint, details=self.details)
        return error

    @property
    def of_host(self) -> bool:
        """Whether the worker's machine is at fault, so that another one may do better."""
        return isinstance(self.error, HostFault)


@dataclasses.dataclass(frozen=True)
class TrialReply:
    """The end of a trial: a kernel and evidence, or a fault.

    ``kernel`` has the worker's paths.  ``digest`` identifies the code that its guests load.
    ``cached``: the evidence is that of an earlier trial.  ``folder`` is where the evidence was
    written, and ``checksum`` that of its archive.  ``seconds`` are those of the trial, ``building``
    those of them that went into building the kernel.
    """

    key: str
    worker: str
    kernel: Kernel | None = None
    lines: SeriesLines | None = None
    digest: str = ""
    fault: Fault | None = None
    cached: bool = False
    folder: str = ""
    checksum: str = ""
    seconds: float = 0.0
    building: float = 0.0


class RefusedReply(HostFault):
    """A reply that cannot be believed: it belongs to another trial, or is damaged."""


def opened(key: str, text: str, archive: bytes) -> TrialReply:
    """Read the reply to the request ``key``.  Raises RefusedReply."""
    try:
        reply = serial.from_json(TrialReply, json.loads(text))
    except (ValueError, TypeError) as error:
        raise RefusedReply(f"a worker's reply is damaged: {error}") from error
    if reply.key != key:
        raise RefusedReply(f"{reply.worker} sent the result of another trial ({reply.key})")
    if digest_of(archive) != reply.checksum:
        raise RefusedReply(f"the evidence from {reply.worker} is damaged: its checksum is wrong")
    return reply


def digest_of(data: bytes) -> str:
    """Return the checksum of an archive or a pack, by which it is also named."""
    return hashlib.sha256(data).hexdigest()


def archive(files: Iterable[tuple[str, Path]]) -> bytes:
    """Pack files under these names.  The same files give the same bytes on every machine.

    Raises HostFault if a file cannot be read.
    """
    packed = io.BytesIO()
    with (
        paths.writing(Path(), "check the permissions of the files"),
        tarfile.open(fileobj=packed, mode="w:xz", preset=1, format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, file in sorted(files):
            member = tar.gettarinfo(file, name)
            if member is None or not _travels(member):
                continue
            member.mtime = member.uid = member.gid = 0
            member.uname = member.gname = ""
            with file.open("rb") if member.isreg() else contextlib.nullcontext() as content:
                tar.addfile(member, content)
    return packed.getvalue()


def archive_folder(folder: Path) -> bytes:
    """Pack everything in a folder."""
    files = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return archive((path.relative_to(folder).as_posix(), path) for path in files)


def unpack(data: bytes, folder: Path) -> None:
    """Unpack an archive into a folder, which is replaced.  Raises RefusedReply and HostFault."""
    with paths.writing(folder), paths.scratch(folder) as draft:
        new = draft / "new"
        new.mkdir()
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:xz") as tar:
                for member in tar:
                    if not _travels(member):
                        raise RefusedReply(f"an archive has a file outside of it: {member.name}")
                    tar.extract(member, new, set_attrs=member.isreg())
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise RefusedReply(f"an archive cannot be unpacked: {error}") from error
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)


def _travels(member: tarfile.TarInfo) -> bool:
    """Whether a member is a file, or a link, that stays below the archive's folder."""
    place = posixpath.normpath(member.name)
    if member.issym():
        if member.linkname.startswith("/"):
            return False
        end = posixpath.normpath(posixpath.join(posixpath.dirname(place), member.linkname))
    else:
        end = place
    inside = not any(path.startswith("/") or path.split("/")[0] == ".." for path in (place, end))
    return inside and (member.isreg() or member.issym())


def move_paths(folder: Path, before: str) -> None:
    """Let the journal in a folder name it, instead of the folder that it was written in."""
    file = folder / journal.NAME
    old, new = (json.dumps(path)[1:-1] for path in (before, str(folder)))
    if not file.is_file():
        return
    with paths.writing(file):
        text = file.read_text("utf-8", "surrogateescape")
        if old in text:
            file.write_text(text.replace(old, new), "utf-8", "surrogateescape")
