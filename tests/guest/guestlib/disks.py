# SPDX-License-Identifier: GPL-2.0-only
"""Block devices and files to export."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.guestside import kernelfiles, wait

MEBI = 1 << 20
NULLB = Path("/sys/kernel/config/nullb")
_LOOP_SET_FD, _LOOP_CLR_FD, _LOOP_CTL_GET_FREE = 0x4C00, 0x4C01, 0x4C82
_BLKGETSIZE64 = 0x80081272


@dataclasses.dataclass(frozen=True)
class NullBlock:
    """A null_blk device that stores its data."""

    name: str
    size: int = 16  # MiB

    @contextlib.contextmanager
    def made(self) -> Iterator[str]:
        """Create the device and yield its path; remove it at the end."""
        folder = NULLB / self.name
        folder.mkdir()
        try:
            for name, value in (("memory_backed", 1), ("size", self.size), ("power", 1)):
                kernelfiles.store(folder / name, value)
            # Named after its folder, or after its index by older kernels.
            index = (folder / "index").read_text().strip()
            paths = (f"/dev/{self.name}", f"/dev/nullb{index}")
            yield wait.until(
                lambda: next((p for p in paths if Path(p).is_block_device()), ""),
                f"null_blk device {' or '.join(paths)}",
            )
        finally:
            folder.rmdir()


def null_blocks() -> list[str]:
    """Return the names of null_blk devices created through configfs."""
    if not NULLB.is_dir():
        return []
    return sorted(entry.name for entry in NULLB.iterdir() if entry.is_dir())


@contextlib.contextmanager
def loop_device(file: str) -> Iterator[str]:
    """Create a loop device for a file and yield its path; remove it at the end."""
    path = take_loop(file)
    try:
        yield path
    finally:
        free_loop(path)


def take_loop(file: str) -> str:
    """Attach a file to a free loop device; return its path, to be freed with free_loop."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
    finally:
        os.close(control)
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _LOOP_SET_FD, backing)
    finally:
        os.close(device)
        os.close(backing)
    return path


def free_loop(path: str) -> None:
    """Detach the file from a loop device."""
    device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _LOOP_CLR_FD)
    except OSError as error:
        if error.errno != errno.ENXIO:  # already free
            raise
    finally:
        os.close(device)


def loops() -> dict[str, str]:
    """Return the loop devices in use: device path to backing file."""
    files = {}
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            files[f"/dev/{entry.parts[3]}"] = entry.read_text().strip()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):  # detached meanwhile
                raise
    return files


def sparse_file(path: str, size: int = 16) -> str:
    """Create a sparse file of ``size`` MiB; return its path."""
    with Path(path).open("wb") as file:
        file.truncate(size * MEBI)
    return path


def open_for_writing(file: str) -> bool:
    """Return whether anything, including the kernel, has the file open for writing."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A read lease is refused while there is a writer.
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def changed(file: str) -> bool:
    """Return whether a file that was created empty has data at its start."""
    with Path(file).open("rb") as opened:
        return any(opened.read(4096))


def done(device: str) -> tuple[int, int]:
    """Return how many reads and writes a block device has completed since its creation."""
    fields = (Path("/sys/block") / Path(device).name / "stat").read_text().split()
    return int(fields[0]), int(fields[4])


def size_of(device: str) -> int:
    """Return the present size of a block device in bytes."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int.from_bytes(fcntl.ioctl(fd, _BLKGETSIZE64, b"\0" * 8), "little")
    finally:
        os.close(fd)


def pattern(size: int, seed: int = 1) -> bytes:
    """Return ``size`` bytes in which all sectors differ; they depend on ``seed``."""
    return hashlib.shake_128(seed.to_bytes(8, "little")).digest(size)


def _direct(device: str, flags: int) -> int:
    return os.open(device, flags | os.O_DIRECT | os.O_CLOEXEC)


def write(device: str, data: bytes, offset: int = 0) -> None:
    """Write to the device with O_DIRECT."""
    fd = _direct(device, os.O_WRONLY)
    try:
        with mmap.mmap(-1, len(data)) as aligned:
            aligned[:] = data
            with memoryview(aligned) as view:
                _all(lambda at: os.pwrite(fd, view[at : at + MEBI], offset + at), len(data))
        os.fsync(fd)
    finally:
        os.close(fd)


def read(device: str, size: int, offset: int = 0) -> bytes:
    """Read from the device with O_DIRECT."""
    fd = _direct(device, os.O_RDONLY)
    try:
        with mmap.mmap(-1, size) as aligned:
            with memoryview(aligned) as view:
                _all(lambda at: os.preadv(fd, [view[at : at + MEBI]], offset + at), size)
            return aligned[:]
    finally:
        os.close(fd)


def fill(file: str, data: bytes) -> None:
    """Write data at the start of a file without truncating it."""
    with Path(file).open("r+b") as opened:
        opened.write(data)


def held(backing: str, size: int) -> bytes:
    """Return the first ``size`` bytes of an exported device or file."""
    if Path(backing).is_block_device():
        return read(backing, size)
    with Path(backing).open("rb") as file:
        return file.read(size)


def check_data(device: str, backing: str, size: int = 8 * MEBI, seed: int = 1) -> None:
    """Write to ``device``, and check the data read from it and from ``backing``."""
    data = pattern(size, seed)
    write(device, data)
    assert read(device, size) == data, f"data read from {device} differs from data written"
    stored = held(backing, size)
    assert stored == data, f"data in {backing} differs from data written to {device}"


def _all(step: Callable[[int], int], size: int) -> None:
    at = 0
    while at < size:
        done = step(at)
        if done == 0:
            # The kernel's error for access beyond the end.
            raise OSError(errno.ENXIO, f"end of device after {at} of {size} bytes")
        at += done
