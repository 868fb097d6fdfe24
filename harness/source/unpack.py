# SPDX-License-Identifier: GPL-2.0-only
"""Make a bare git repository out of a tarball, in one pass and without a file on disk.

The tarball's files go straight into git fast-import.  That takes a fifth of the disk and half the
writing of unpacking and adding, and the tree object is the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import lzma
import tarfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO

from harness import git, paths
from harness.errors import HostFault
from harness.model import Source
from harness.progress import Stage
from harness.source import version

_RECORD = "harness.json"
_Errors = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError)


@dataclasses.dataclass(frozen=True)
class Unpacked:
    """A release in the cache, as its record file tells."""

    folder: Path
    version: str
    commit: str
    origin: str

    @property
    def source(self) -> Source:
        """The value the other stages take."""
        return Source(self.folder, self.commit, f"v{self.version}", self.origin)


def known(top: Path) -> list[Unpacked]:
    """Give the releases unpacked below ``top``, newest first; at equal release kernel.org's."""
    found = []
    for record in top.glob(f"*/{_RECORD}"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            said = json.loads(record.read_text())
            found.append(Unpacked(record.parent, said["version"], said["commit"], said["origin"]))
    by_origin = sorted(found, key=lambda one: (one.folder.name.startswith("linux-"), one.folder))
    return sorted(by_origin, key=lambda one: version.key(one.version))[::-1]


def unpack(tarball: Path, place: Path, number: str, origin: str, stage: Stage) -> Unpacked:
    """Make the repository ``place`` with the tag of release ``number``; whole or not at all.

    Commit ids are the same on every machine: author and date come from the tarball.  Raises
    HostFault for a damaged tarball, one that holds another release, and a full disk.
    """
    with paths.scratch(place) as scratch:
        repo = scratch / "repo"
        git.run(scratch, "init", "--quiet", "--bare", "repo")
        makefile = _import(tarball, repo, number, origin, stage)
        if version.of_makefile(makefile) != number:
            raise HostFault(
                f"{origin} holds {version.of_makefile(makefile) or 'no kernel'}, not {number}",
                hint="name another release with --kernel",
            )
        commit = git.line(repo, "rev-parse", "HEAD")
        record = {"version": number, "commit": commit, "origin": origin}
        (repo / _RECORD).write_text(json.dumps(record))
        repo.rename(place)
    return Unpacked(place, number, commit, origin)


def _import(tarball: Path, repo: Path, number: str, origin: str, stage: Stage) -> str:
    """Run git fast-import over the tarball; gives the top Makefile's text."""
    words = ("-c", "core.compression=1", "fast-import", "--quiet", "--depth=0")
    with git.start(repo, *words) as group:
        stream: IO[bytes] = group.popen.stdin  # type: ignore[assignment]
        try:
            with tarball.open("rb") as raw:
                tree = _Tree(stream, raw, tarball.stat().st_size, stage)
                tree.read()
            tree.commit(number, origin)
            stream.close()
        except BrokenPipeError:
            pass  # git says why below
        except _Errors as error:
            raise HostFault(
                f"{tarball.name} is damaged: {error}", hint="start again, to download it anew"
            ) from error
        complaints = group.popen.stderr.read().decode(errors="replace")  # type: ignore[union-attr]
        if group.popen.wait():
            full = "No space left" in complaints
            raise HostFault(
                f"git cannot take in {tarball.name}{': the disk is full' if full else ''}",
                hint="free some space (harness clean), or set HARNESS_CACHE elsewhere",
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
        """Send every file's content; the names come with the commit."""
        with tarfile.open(fileobj=self._raw, mode="r|*") as tar:
            for number, member in enumerate(tar):
                path = member.name.removeprefix("./").partition("/")[2]
                if not path or member.isdir():
                    continue
                self._newest = max(self._newest, member.mtime)
                self._take(tar, member, path)
                if number % 500 == 0:
                    done = self._raw.tell() / 1e6
                    self._stage.update(done, self._size / 1e6, f"MB unpacked, {path}")

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
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

    def commit(self, number: str, origin: str) -> None:
        """Send the one commit, the branch and the tag."""
        who = f"harness <harness@localhost> {int(self._newest)} +0000"
        message = f"Linux {number}\n\nFrom {origin}.\n".encode()
        head = f"commit refs/heads/main\nmark :{len(self._files) + 1}\nauthor {who}\n"
        self._stream.write(f"{head}committer {who}\ndata {len(message)}\n".encode() + message)
        for path, (mode, mark) in self._files.items():
            name = path.encode("utf-8", "surrogateescape")
            if name.startswith(b'"') or b"\n" in name:
                escaped = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
                name = b'"' + escaped.replace(b"\n", b"\\n") + b'"'
            self._stream.write(b"M %s :%d %s\n" % (mode, mark, name))
        end = f"\nreset refs/tags/v{number}\nfrom :{len(self._files) + 1}\n\n"
        self._stream.write(end.encode())
