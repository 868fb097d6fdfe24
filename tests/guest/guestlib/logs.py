# SPDX-License-Identifier: GPL-2.0-only
"""What a controller tells when asked with an admin command: log pages, identify data.

Layouts: include/linux/nvme.h.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import os
import struct

_ADMIN_CMD = 0xC0484E41  # NVME_IOCTL_ADMIN_CMD
_GET_LOG, _IDENTIFY = 0x02, 0x06
_ANA, _DISCOVERY = 0x0C, 0x70
_IDENTIFY_CONTROLLER = 1
_CAPSULE = 1792  # where ioccsz is
_SIZE = 1 << 14
ANA_HEADER = 16  # bytes
_ENTRY = 1024  # bytes of an entry of the discovery log, and of its header
_KINDS = {1: "discovery subsystem referral", 2: "nvme subsystem", 3: "current discovery subsystem"}
_TRANSPORTS = {1: "rdma", 2: "fc", 3: "tcp", 254: "loop"}


@dataclasses.dataclass(frozen=True)
class AnaLog:
    """The ANA log: its change count, and the groups in it, each with its own count."""

    changes: int
    groups: dict[int, int]


@dataclasses.dataclass(frozen=True)
class LogEntry:
    """A record of a discovery log."""

    nqn: str
    trtype: str
    traddr: str
    trsvcid: str
    port: int
    kind: str


def ana(device: str) -> AnaLog:
    """Read a controller's ANA log, in which all groups have their namespaces."""
    page = _log(device, _ANA)
    changes, count = struct.unpack_from("<QH", page)
    groups, at = {}, ANA_HEADER
    for _ in range(count):
        group, namespaces, changed = struct.unpack_from("<IIQ", page, at)
        groups[group] = changed
        at += 32 + 4 * namespaces
    return AnaLog(changes, groups)


def ana_header(device: str, size: int) -> tuple[int, int]:
    """Read the first bytes of a controller's ANA log; return its counts of changes and groups."""
    changes, count = struct.unpack_from("<QH", _log(device, _ANA, size))
    return changes, count


def discovery(device: str) -> tuple[int, list[LogEntry]]:
    """Read a discovery controller's log: its generation counter, and its records.

    Having read it, the host can be told of the next change.
    """
    page = _log(device, _DISCOVERY)
    generation, count = struct.unpack_from("<QQ", page)
    assert count < _SIZE // _ENTRY, f"{count} records do not fit into {_SIZE} bytes"
    return generation, [_entry(page[_ENTRY * n : _ENTRY * (n + 1)]) for n in range(1, count + 1)]


def capsule(device: str) -> int:
    """Return the bytes of data that a command may contain."""
    page = _ask(device, _IDENTIFY, _IDENTIFY_CONTROLLER, nsid=0, size=4096)
    return int(struct.unpack_from("<I", page, _CAPSULE)[0]) * 16 - 64  # a command has 64 bytes


def _entry(entry: bytes) -> LogEntry:
    kind, port = entry[2], struct.unpack_from("<H", entry, 4)[0]
    return LogEntry(
        nqn=_text(entry[256:512]),
        trtype=_TRANSPORTS.get(entry[0], str(entry[0])),
        traddr=_text(entry[512:768]),
        trsvcid=_text(entry[32:64]),
        port=port,
        kind=_KINDS.get(kind, str(kind)),
    )


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode().strip()


def _log(device: str, page: int, size: int = _SIZE) -> bytes:
    return _ask(device, _GET_LOG, page | (size // 4 - 1) << 16, nsid=0xFFFFFFFF, size=size)


def _ask(device: str, opcode: int, word: int, *, nsid: int, size: int) -> bytes:
    """Send an admin command with its word 10 set; return the data that comes back."""
    data = ctypes.create_string_buffer(size)
    address = ctypes.addressof(data)
    command = struct.pack("<B3xI8xQQIII28x", opcode, nsid, 0, address, 0, size, word)
    fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        status = fcntl.ioctl(fd, _ADMIN_CMD, bytearray(command))
    finally:
        os.close(fd)
    assert status == 0, f"{device} refused command {opcode:#x}: status {status:#x}"
    return data.raw
