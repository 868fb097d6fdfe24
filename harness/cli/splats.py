# SPDX-License-Identifier: GPL-2.0-only
"""``harness splats``: find kernel splats in any log."""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import io
import json
import lzma
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

import rich.console

from harness import decode, errors, series, splat
from harness.decode import Decoded, Decoder
from harness.model import Splat
from harness.progress import Progress
from harness.serial import to_json
from harness.series import SeriesRequest
from harness.series.mail import parse

# The first bytes of compressed files.
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Read logs and show the splats in them."""
    decoder = _decoder(options)
    ignored = splat.known_kinds(options.ignore)
    code = errors.GOOD
    for name in options.files:
        with progress.stage("splats", name), _opened(name) as file, _reading(name):
            splats = splat.find(file, ignored=ignored)
        decoded = decoder.decode(splats) if decoder else ()
        code = errors.BAD if splats else code
        if options.json:
            print(json.dumps(_table(name, splats, decoded), ensure_ascii=False))
        else:
            show(name, splats, decoded, full=options.full)
    return code


def _table(name: str, splats: tuple[Splat, ...], decoded: tuple[Decoded, ...]) -> dict[str, Any]:
    rows = to_json(splats)
    for row, frames in zip(rows, decoded, strict=False):
        row["decoded"] = to_json(frames)
    return {"file": name, "splats": rows}


def _decoder(options: argparse.Namespace) -> Decoder | None:
    """Return the decoder if the options request it.  Raises UsageError if some are missing."""
    details = (options.tree, options.commit, options.modules, options.series)
    if options.vmlinux is None and not any(details):
        return None
    if options.vmlinux is None or options.tree is None:
        raise errors.UsageError(
            "decoding to file and line needs the kernel and its sources",
            hint="give both: --vmlinux FILE --tree DIR",
        )
    if not options.vmlinux.is_file():
        raise errors.UsageError(f"there is no file {options.vmlinux}", hint="check the path")
    scripts = options.tree / "scripts"
    if not scripts.is_dir():
        raise errors.UsageError(f"there is no folder {scripts}", hint="check the path")
    added = decode.added_lines(_diffs(options.series)) if options.series else None
    return Decoder(
        options.vmlinux, options.tree, added, commit=options.commit, modules=options.modules
    )


def _diffs(path: Path) -> list[tuple[str, bytes]]:
    """Return (subject, diff) of each patch of a series."""
    diffs = []
    with tempfile.TemporaryDirectory() as home:
        for patch in series.load(path, SeriesRequest(home=Path(home))).patches:
            mail = parse(patch.path.read_bytes(), str(patch.path))
            diffs.append((patch.subject, mail.patch))
    return diffs


def show(name: str, splats: tuple[Splat, ...], decoded: tuple[Decoded, ...], *, full: bool) -> None:
    """Print splats in the order of the log, one line each."""
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{name}: {len(splats) or 'no'} splat{'' if len(splats) == 1 else 's'}")
    for number, found in enumerate(splats):
        taint = f"taint {found.taint}" if found.taint else ""
        about = ", ".join(filter(None, (found.task, taint)))
        test = f"after {found.test}" if found.phase == "after" else found.test
        console.print(f"  {found.line:7}  {found.title}  [{test}]  {about}".rstrip())
        if found.panic and found.kind != "panic":
            console.print(f"           then a panic: {found.panic}")
        if decoded:
            lines = decode.render(decoded[number]).split("\n")[1:]
            console.print("".join(f"         {line}\n" for line in lines))
        if full:
            console.print("".join(f"           {line}\n" for line in found.lines))


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    """Open a log; "-" is standard input.  Bytes that are not UTF-8 are replaced.

    Raises UsageError if it does not exist, HostFault if it cannot be read.
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
            f"no permission to read {name}", hint="run as its owner, or as root"
        ) from None


def _plain(file: io.BufferedReader, name: str) -> BinaryIO:
    """Decompress a file if it is compressed."""
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
def _reading(name: str) -> Iterator[None]:
    """Raise HostFault if the log that is read in the block cannot be read to its end."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise errors.HostFault(f"{name} cannot be read to its end: {reason}") from error
