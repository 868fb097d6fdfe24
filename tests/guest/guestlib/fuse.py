# SPDX-License-Identifier: GPL-2.0-only
"""A file system whose server, a task of the guest, answers no write until it is told to.

It speaks the protocol of include/uapi/linux/fuse.h, as far as one file of zeros needs it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from guestlib import disks
from harness.guestside import syscalls, wait
from harness.guestside.task import Task

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _WRITE, _RELEASE, _FLUSH, _INIT, _BATCH_FORGET = (
    *(1, 2, 3, 14, 15, 16, 18, 25, 26, 42),
)
_IN_HEADER = struct.Struct("<IIQQIIIHH")
_OUT_HEADER = struct.Struct("<IiQ")
_REQUEST = (1 << 20) + 4096
_ROOT, _FILE = 1, 2  # node ids
_VALID = 3600  # seconds for which the kernel need not ask again


class StuckFiles:
    """A mounted file system with one file, ``path``, whose writes hang while ``server`` lives.

    The file is of zeros, whatever is written to it.
    """

    def __init__(self, begin: Callable[..., Task], where: Path, size: int = 1 << 20) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        wanted, self._answer = os.pipe2(os.O_CLOEXEC)
        self._told = read
        where.mkdir(exist_ok=True)
        self.path = str(where / "disk")
        self.server = begin(_serve, str(where), size, write, wanted)
        os.close(write)
        os.close(wanted)
        self._hear("the file system to be mounted")

    def wait_for_write(self) -> None:
        """Wait until a write has reached the server."""
        self._hear("a write to reach the file system")

    def answer(self) -> None:
        """Let the write that hangs succeed, and every later one."""
        os.write(self._answer, b".")

    def close_server(self) -> None:
        """Kill the server: what hangs fails."""
        self.server.kill()

    def close(self) -> None:
        """Kill the server and forget it."""
        self.close_server()
        os.close(self._told)
        os.close(self._answer)

    def _hear(self, what: str) -> None:
        ready = select.select([self._told], [], [], wait.PATIENCE)[0]
        told = os.read(self._told, 1) if ready else b""
        assert told, f"waited for {what}"


@contextlib.contextmanager
def stuck_files(begin: Callable[..., Task], where: Path) -> Iterator[StuckFiles]:
    """Mount the file system in the namespace of the task that ``begin`` starts."""
    files = StuckFiles(begin, where)
    try:
        yield files
    finally:
        files.close()


def try_to_write(device: str) -> str:
    """Write a block with O_DIRECT; return "done", or how it failed."""
    try:
        disks.write(device, disks.pattern(4096))
    except OSError as error:
        return f"failed: {error.strerror}"
    return "done"


def _serve(where: str, size: int, told: int, wanted: int) -> None:
    # Non-blocking: a request can be withdrawn between poll() and read().
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    syscalls.mount("fuse", where, "fuse", 0, f"fd={fd},rootmode=40000,user_id=0,group_id=0")
    os.write(told, b".")
    held: list[bytes] = []
    holding = True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(wanted, select.POLLIN)
    while True:
        ready = [number for number, _ in poll.poll()]
        if wanted in ready:
            poll.unregister(wanted)
            holding = False
            for request in held:
                _reply(fd, request, size)
        if fd not in ready:
            continue
        try:
            request = os.read(fd, _REQUEST)
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return
            raise
        if holding and _IN_HEADER.unpack_from(request)[1] == _WRITE:
            held.append(request)
            os.write(told, b".")
        else:
            _reply(fd, request, size)


def _reply(fd: int, request: bytes, size: int) -> None:
    _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
    if opcode not in (_FORGET, _BATCH_FORGET):
        number, answer = _answer(opcode, node, request[_IN_HEADER.size :], size)
        head = _OUT_HEADER.pack(_OUT_HEADER.size + len(answer), -number, unique)
        os.write(fd, head + answer)


def _answer(opcode: int, node: int, body: bytes, size: int) -> tuple[int, bytes]:
    """Return an error number and a reply."""
    if opcode == _INIT:
        return 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 0, 0, 1 << 17, 1, 0, 0, 0)
    if opcode == _LOOKUP:
        if body != b"disk\0":
            return errno.ENOENT, b""
        return 0, struct.pack("<QQQQII", _FILE, 0, _VALID, _VALID, 0, 0) + _attributes(_FILE, size)
    if opcode == _GETATTR:
        return 0, struct.pack("<QII", _VALID, 0, 0) + _attributes(node, size)
    if opcode == _OPEN:
        return 0, struct.pack("<QII", 0, 0, 0)
    if opcode == _READ:
        return 0, bytes(struct.unpack_from("<QQI", body)[2])
    if opcode == _WRITE:
        return 0, struct.pack("<II", struct.unpack_from("<QQI", body)[2], 0)
    return (0 if opcode in (_RELEASE, _FLUSH) else errno.ENOSYS), b""


def _attributes(node: int, size: int) -> bytes:
    mode = stat.S_IFDIR | 0o755 if node == _ROOT else stat.S_IFREG | 0o600
    whole = 0 if node == _ROOT else size
    return struct.pack(
        "<6Q10I", node, whole, whole >> 9, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
    )
