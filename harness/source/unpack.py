# SPDX-License-Identifier: GPL-2.0-only
"""Import a tarball into a bare git repository in one pass, without unpacked files on disk.

The tarball's files are piped into git fast-import.  That needs a fifth of the space and half the
writes of unpacking and git add, with the same resulting tree object.
"""

from __future__ import annotations

import contextlib
import dataclasses
import lzma
import tarfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO

from harness import git, paths, serial
from harness.errors import HostFault
from harness.model import Source
from harness.progress import Stage
from harness.serial import DamagedError
from harness.source import releases

_RECORD = "harness.json"
_Errors = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError)


@dataclasses.dataclass(frozen=True)
class ReleaseRecord:
    """The content of the record file in the folder of an unpacked release."""

    version: str
    commit: str
    origin: str


@dataclasses.dataclass(frozen=True)
class UnpackedRelease(ReleaseRecord):
    """A release in the cache."""

    folder: Path

    @property
    def source(self) -> Source:
        """The release as a source for other stages."""
        return Source(self.folder, self.commit, f"v{self.version}", self.origin)


def cached(top: Path) -> list[UnpackedRelease]:
    """Return the releases unpacked below ``top``, newest first; kernel.org before Debian."""
    unpacked = []
    for file in top.glob(f"*/{_RECORD}"):
        with contextlib.suppress(OSError, DamagedError):
            record = serial.read(file, ReleaseRecord)
            unpacked.append(UnpackedRelease(**vars(record), folder=file.parent))
    return sorted(
        unpacked,
        key=lambda release: (
            releases.sort_key(release.version),
            release.folder.name.startswith("linux-"),
            release.folder,
        ),
        reverse=True,
    )


def unpack(tarball: Path, place: Path, version: str, origin: str, stage: Stage) -> UnpackedRelease:
    """Create the repository ``place`` with the release's tag; it only appears when complete.

    Commit ids are the same on every machine, because the date comes from the tarball.  Raises
    HostFault for a damaged tarball, a tarball of another release, or a full disk.
    """
    with paths.scratch(place) as scratch:
        repo = scratch / "repo"
        git.run(scratch, "init", "--quiet", "--bare", "repo")
        actual = releases.of_makefile(_import(tarball, repo, version, origin, stage))
        if actual != version:
            raise HostFault(
                f"{origin} contains {actual or 'no kernel'}, not {version}",
                hint="choose another release with --kernel",
            )
        record = ReleaseRecord(version, git.line(repo, "rev-parse", "HEAD"), origin)
        serial.write(repo / _RECORD, record)
        repo.rename(place)
    return UnpackedRelease(**vars(record), folder=place)


def _import(tarball: Path, repo: Path, version: str, origin: str, stage: Stage) -> str:
    """Run git fast-import on the tarball; return the top Makefile's text."""
    words = ("-c", "core.compression=1", "fast-import", "--quiet", "--depth=0")
    with git.start(repo, *words) as group:
        stream: IO[bytes] = group.popen.stdin  # type: ignore[assignment]
        try:
            with tarball.open("rb") as raw:
                tree = _Tree(stream, raw, tarball.stat().st_size, stage)
                tree.read()
            tree.commit(version, origin)
            stream.close()
        except BrokenPipeError:
            pass  # git's message is reported below
        except _Errors as error:
            raise HostFault(
                f"{tarball.name} is damaged: {error}",
                hint="run the same command again to download it again",
            ) from error
        complaints = group.popen.stderr.read().decode(errors="replace")  # type: ignore[union-attr]
        if group.popen.wait():
            full = "No space left" in complaints
            raise HostFault(
                f"git cannot import {tarball.name}{': the disk is full' if full else ''}",
                hint="free some space (harness clean), or set HARNESS_CACHE to another disk",
                details=complaints.strip(),
            )
    return tree.makefile


class _Tree:
    """Turns a tarball's members into fast-import commands."""

    def __init__(self, stream: IO[bytes], raw: BinaryIO, size: int, stage: Stage) -> None:
        self.makefile = ""
        self._stream, self._raw, self._size, self._stage = stream, raw, size, stage
        self._files: dict[str, tuple[bytes, int]] = {}  # path: (mode, mark)
        self._newest = 0.0

    def read(self) -> None:
        """Send every file's content; ``commit`` sends the names."""
        with tarfile.open(fileobj=self._raw, mode="r|*") as tar:
            for number, member in enumerate(tar):
                path = member.name.removeprefix("./").partition("/")[2]
                if not path or member.isdir():
                    continue
                self._newest = max(self._newest, member.mtime)
                self._send(tar, member, path)
                if number % 500 == 0:
                    done = self._raw.tell() / 1e6
                    self._stage.update(done, self._size / 1e6, f"MB unpacked, {path}")

    def _send(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.islnk():
            self._files[path] = self._files[member.linkname.removeprefix("./").partition("/")[2]]
            return
        if member.issym():
            mode, data = b"120000", member.linkname.encode("utf-8", "surrogateescape")
        elif member.isfile() and (content := tar.extractfile(member)):
            mode, data = (b"100755" if member.mode & 0o100 else b"100644"), content.read()
        else:
            return
        if path == "Makefile":
            self.makefile = data.decode(errors="replace")
        self._files[path] = mode, len(self._files) + 1
        self._stream.write(b"blob\nmark :%d\ndata %d\n" % (len(self._files), len(data)))
        self._stream.write(data + b"\n")

    def commit(self, version: str, origin: str) -> None:
        """Send the commit, the branch and the tag."""
        who = f"harness <harness@localhost> {int(self._newest)} +0000"
        message = f"Linux {version}\n\nFrom {origin}.\n".encode()
        head = f"commit refs/heads/main\nmark :{len(self._files) + 1}\nauthor {who}\n"
        self._stream.write(f"{head}committer {who}\ndata {len(message)}\n".encode() + message)
        for path, (mode, mark) in self._files.items():
            name = path.encode("utf-8", "surrogateescape")
            if name.startswith(b'"') or b"\n" in name:
                escaped = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
                name = b'"' + escaped.replace(b"\n", b"\\n") + b'"'
            self._stream.write(b"M %s :%d %s\n" % (mode, mark, name))
        end = f"\nreset refs/tags/v{version}\nfrom :{len(self._files) + 1}\n\n"
        self._stream.write(end.encode())
