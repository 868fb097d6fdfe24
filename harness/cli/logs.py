# SPDX-License-Identifier: GPL-2.0-only
"""Open a log that a person names, compressed or not, and read it."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from harness import errors

# How a compressed file begins, and what reads it.
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"


@contextlib.contextmanager
def opened(name: str) -> Iterator[IO[str]]:
    """Open a log, "-" for standard input; bytes that are no text are replaced.

    Raises UsageError when there is none, HostFault when it may not be read.
    """
    with contextlib.ExitStack() as stack:
        binary = stack.enter_context(_file(name))
        plain = stack.enter_context(_plain(binary, name))
        yield stack.enter_context(
            io.TextIOWrapper(plain, encoding="utf-8", errors="replace", newline="\n")
        )


def _file(name: str) -> io.BufferedReader:
    if name == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    path = Path(name)
    if path.is_dir():
        raise errors.UsageError(
            f"{name} is a folder", hint=f"name the logs in it: {name.rstrip('/')}/*.log"
        )
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise errors.UsageError(f"there is no file {name}", hint="check the path") from None
    except PermissionError:
        raise errors.HostFault(
            f"{name} may not be read", hint="become its owner, or root"
        ) from None


def _plain(file: io.BufferedReader, name: str) -> BinaryIO:
    """Give what a file holds, after decompression if it is compressed."""
    try:
        start = file.peek(6)
    except OSError as error:
        raise errors.HostFault(f"{name} cannot be read: {error.strerror}") from error
    if start.startswith(_ZSTD):
        raise errors.UsageError(
            f"{name} is compressed with zstd", hint=f"zstdcat {name} | harness splats -"
        )
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if start.startswith(_BZIP2):
        return bz2.BZ2File(file)  # type: ignore[return-value]
    if start.startswith(_XZ):
        return lzma.LZMAFile(file)  # type: ignore[return-value]
    return file


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Raise HostFault when the log that is read in here cannot be read to its end."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise errors.HostFault(f"{name} cannot be read to its end: {reason}") from error
