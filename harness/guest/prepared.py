# SPDX-License-Identifier: GPL-2.0-only
"""The prepared image: an initramfs with Python and the bundle, at the same paths as on the host.

A guest that boots from it reaches its gate without the host's files, so it can be saved there.
The image is kept in the cache under a name made from everything in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import py_compile
import tempfile
from pathlib import Path, PurePosixPath

from virtme.cpiowriter import CpioWriter

from harness import paths, process, serial
from harness.errors import HostFault
from harness.guest import bundle as bundles
from harness.guest import gather, initplan
from harness.guest.spec import GuestSpec
from harness.guestside import gate

_LOADED = Path(__file__).with_name("loaded.py")
_LIMIT = 600.0  # seconds to import all modules: usually one, on a busy machine a minute
_FOLDERS = ("/dev", "/proc", "/sys", "/root", "/run", "/tmp")


@dataclasses.dataclass(frozen=True)
class LoadedFiles:
    """What loaded.py writes; ``modules`` are pairs of a source and its compiled file, if any.

    ``packages`` are the folders in which installed packages describe themselves, in their order.
    """

    files: tuple[str, ...]
    modules: tuple[tuple[str, str], ...]
    packages: tuple[str, ...]


def with_gate(spec: GuestSpec) -> GuestSpec:
    """Return ``spec`` with the prepared image, if its guests can be copies.

    Only x86-64 was tried.  A saved kernel would believe a disk to be as it was, so guests with
    disks that are not empty boot truly.
    """
    wanted = spec.arch == "x86_64" and not (spec.no_snapshot or spec.booter or spec.disks)
    if not wanted or spec.bundle is None or spec.gate is not None:
        return spec
    return dataclasses.replace(spec, gate=ready(spec.python, spec.bundle))


def ready(python: Path, bundle: Path) -> Path | None:
    """Return the image for guests that run ``python``; None if it cannot be made."""
    known = {"rewritten": str(bundle / bundles.COMPILED), "late": gather.LATE}
    settings = json.dumps({"sys_path": initplan.search_path(), **known})
    place = paths.cache("images") / f"gate-{_key(python, bundle, settings)}.cpio"
    if place.is_file():
        return place
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".") as scratch:
            draft = Path(scratch) / place.name
            _build(python, bundle, settings, draft)
            draft.rename(place)
    except (HostFault, OSError, serial.DamagedError, ValueError):
        return None
    return place


def _key(python: Path, bundle: Path, settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    own = (Path(__file__), _LOADED, *sorted(Path(gate.__file__).parent.glob("*.py")))
    for path in (python, bundle / bundles.MODULES, *own):
        status = path.stat()
        digest.update(f"\0{path}={status.st_mtime_ns},{status.st_size}".encode())
    return digest.hexdigest()[:20]


def _build(python: Path, bundle: Path, settings: str, draft: Path) -> None:
    compiled = bundle / bundles.COMPILED
    argv = [str(python), "-P", "-s", "-S", "-X", f"pycache_prefix={compiled}"]
    table = draft.with_name("loaded.json")
    argv += [str(_LOADED), settings, str(bundle / bundles.MODULES), str(table)]
    variables = {"PYTHONPATH": None, "PYTHONHOME": None, "HARNESS_GUEST": "none"}
    process.run(argv, env=variables, timeout=_LIMIT)
    loaded = serial.read(table, LoadedFiles)
    with draft.open("wb") as file:
        image = Image(CpioWriter(file))
        for folder in _FOLDERS:
            image.folder(PurePosixPath(folder))
        known = {**json.loads(settings), "packages": loaded.packages}
        image.data(PurePosixPath(gate.SETTINGS), json.dumps(known).encode())
        for name in loaded.files:
            image.file(Path(name))
        for source, cached in loaded.modules:
            image.file(Path(source))
            if cached:
                image.data(PurePosixPath(cached), _compiled(source, draft.with_name("code.pyc")))
        image.close()


def _compiled(source: str, scratch: Path) -> bytes:
    # Unchecked, because an initramfs does not keep the modification times of its files.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(source, str(scratch), doraise=True, invalidation_mode=mode)
    return scratch.read_bytes()


class Image:
    """An initramfs that is being written; folders and links on the way to a file come with it."""

    def __init__(self, writer: CpioWriter) -> None:
        self._writer = writer
        self._present: set[PurePosixPath] = {PurePosixPath("/")}

    def folder(self, path: PurePosixPath) -> None:
        """Add a folder and those above it."""
        if path not in self._present:
            self.folder(path.parent)
            self._present.add(path)
            self._writer.mkdir(os.fsencode(path.relative_to("/")), 0o755)

    def data(self, path: PurePosixPath, data: bytes, mode: int = 0o644) -> None:
        """Add a file with this content."""
        if path not in self._present:
            self.folder(path.parent)
            self._present.add(path)
            self._writer.write_file(os.fsencode(path.relative_to("/")), data, mode)

    def file(self, path: Path) -> None:
        """Add a file of the host, and every symbolic link that its path contains."""
        place = Path("/")
        parts = list(path.parts[1:])
        while parts:
            part = parts.pop(0)
            if part == "..":
                place = place.parent
                continue
            place = place / part
            if place.is_symlink():
                link = place.readlink()
                if PurePosixPath(place) not in self._present:
                    self.folder(PurePosixPath(place.parent))
                    self._present.add(PurePosixPath(place))
                    name = os.fsencode(place.relative_to("/"))
                    self._writer.symlink(os.fsencode(link), name)
                place = Path("/") if link.is_absolute() else place.parent
                parts = [*(part for part in link.parts if part != "/"), *parts]
            elif parts:
                self.folder(PurePosixPath(place))
        self.data(PurePosixPath(place), place.read_bytes(), place.stat().st_mode & 0o777 | 0o400)

    def close(self) -> None:
        """Write the end of the image."""
        self._writer.write_trailer()
