# SPDX-License-Identifier: GPL-2.0-only
"""The same bytes written many times by one system call: nothing of Python is in between."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

from harness.guestside.syscalls import syscall

_SETUP, _DESTROY, _SUBMIT = {"x86_64": (206, 207, 209), "aarch64": (0, 1, 2)}.get(
    platform.machine(), (0, 0, 0)
)
_PWRITE = 1
_IOCB = struct.Struct("<QIiHhIQQqQII")


def write(path: Path, data: bytes, times: int) -> None:
    """Write to the start of a file, again and again.  Raises OSError."""
    buffer = ctypes.create_string_buffer(data, len(data))
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    context = ctypes.c_ulong()
    try:
        syscall("io_setup", _SETUP, times, ctypes.byref(context))
        where = ctypes.addressof(buffer)
        one = _IOCB.pack(0, 0, 0, _PWRITE, 0, fd, where, len(data), 0, 0, 0, 0)
        requests = [ctypes.create_string_buffer(one, len(one)) for _ in range(times)]
        pointers = (ctypes.c_void_p * times)(*map(ctypes.addressof, requests))
        submitted = syscall("io_submit", _SUBMIT, context, times, pointers)
        assert submitted == times, f"{submitted} of {times} writes"
        syscall("io_destroy", _DESTROY, context)  # waits for them
    finally:
        os.close(fd)
