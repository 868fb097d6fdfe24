# SPDX-License-Identifier: GPL-2.0-only
"""Boot a kernel for interactive use: a shell on the terminal, or a single command."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pexpect

from harness.errors import GuestFault, HostFault
from harness.guest import bundle as bundles
from harness.guest import initplan, prepared, qemu, records, snapshot
from harness.guest.console import left
from harness.guest.private import Private
from harness.guest.snapshot import Snapshot
from harness.guest.spec import GuestSpec
from harness.guestside import bootstrap
from harness.process import environment, guard

_UP = re.compile(re.escape(bootstrap.UP).encode() + rb"\s*\n")
_LEFT = re.compile(rb"(?:\[ *[\d.]+\] )?" + re.escape(bootstrap.LEFT).encode() + rb" \d+\r*\n")
# A possible start of a _LEFT line (from its timestamp on) at the end of the data.
_PARTIAL = re.compile(rb"(?:\[[ \d.]*(?:\] ?(?:h[ \w:]*)?)?)?\r*$")
_END = re.compile(rb"\r+\n")  # the guest's terminal and QEMU's terminal each add a \r
_KEPT = 8192  # bytes of the console shown in a message about a dead guest


def shell(spec: GuestSpec, command: Sequence[str] = ()) -> int:
    """Boot ``spec`` and connect the terminal to a shell in the guest, or to ``command``.

    The guest's output goes to standard output; boot messages are only kept in ``spec.folder``.
    Returns the command's exit status.  Raises GuestFault if the guest does not come up or dies
    before the command has ended; its details are the end of the console log.
    """
    spec = dataclasses.replace(spec, bundle=spec.bundle or bundles.ready(spec.python))
    spec = prepared.with_gate(spec)
    folder = records.take(spec.folder)
    name = records.name(folder)
    private = Private()
    try:
        initplan.write(spec, name, private.path, command)
        qemu.make_disks(spec, private.path)
        saved = snapshot.obtain(spec, lambda: False)
        if saved is not None:
            argv = saved.copy_argv(spec, name, private.path)
            with _started(spec, folder, argv) as child:
                if _passes_gate(child, private.path, saved):
                    return _use(child, bool(command), name)
            snapshot.refuse(spec, "a copy did not come up", broken=saved)
        with _started(spec, folder, qemu.argv(spec, name, private.path, gateway=False)) as child:
            begin = time.monotonic()
            if not _comes_up(child):
                raise GuestFault(
                    f"{name} did not come up ({time.monotonic() - begin:.0f} s)",
                    hint="its last messages are above; on a slow machine: --boot-timeout SECONDS",
                    details=_end_of(child.before or b""),
                )
            return _use(child, bool(command), name)
    finally:
        private.remove()


@contextlib.contextmanager
def _started(spec: GuestSpec, folder: Path, argv: list[str]) -> Iterator[pexpect.spawn]:
    """Run QEMU on a terminal of its own during the context."""
    with (folder / records.CONSOLE).open("wb") as log:
        child = pexpect.spawn(
            argv[0], argv[1:], env=environment(), timeout=spec.deadline, cwd=str(spec.cwd)
        )
        child.logfile_read = log
        watcher = guard(child.pid)
        try:
            yield child
        finally:
            child.close(force=True)
            watcher.communicate(timeout=5)  # closes its pipe: it then ends the process group


def _passes_gate(child: pexpect.spawn, run: Path, saved: Snapshot) -> bool:
    """Let a copy of a saved guest go on; return whether it comes up."""
    end = time.monotonic() + child.timeout / 2
    try:
        order = saved.load(run, lambda: time.monotonic() > end or not child.isalive())
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(run / qemu.WATCHER))
            sock.sendall(order)
            return _comes_up(child)
    except (HostFault, OSError):
        return False


def _comes_up(child: pexpect.spawn) -> bool:
    return bool(child.expect([_UP, pexpect.EOF, pexpect.TIMEOUT]) == 0)


def _use(child: pexpect.spawn, command_only: bool, name: str) -> int:
    output = _GuestOutput()
    # Output that arrived together with UP has been read already.
    early, child.buffer = output.filter(child.buffer), b""
    os.write(1, early)
    if sys.stdin.isatty() and not command_only:
        child.interact(escape_character=None, output_filter=output.filter)
    else:
        while not output.left:
            try:
                os.write(1, output.filter(child.read_nonblocking(65536, timeout=None)))
            except pexpect.EOF:
                break
    if not output.left:
        what = "its kernel panicked" if b"Kernel panic" in output.seen else "it ended by itself"
        raise GuestFault(
            f"{name} died: {what}", hint="run harness shell again", details=_end_of(output.seen)
        )
    return left(output.left)


class _GuestOutput:
    """Passes on the guest's output, up to the final line of our init (``left``)."""

    def __init__(self) -> None:
        self.left = b""
        self.seen = b""
        self._held = b""
        self._end = b"\r\n" if os.isatty(1) else b"\n"

    def filter(self, data: bytes) -> bytes:
        if self.left:
            return b""
        self.seen = (self.seen + data)[-_KEPT:]
        data = self._held + data
        goodbye = _LEFT.search(data)
        partial = _PARTIAL.search(data)
        if goodbye:
            self.left = goodbye[0]
            stop = goodbye.start()
        else:
            stop = partial.start() if partial else len(data)
        self._held = data[stop:]
        return _END.sub(self._end, data[:stop])


def _end_of(console: bytes) -> str:
    return console[-_KEPT:].decode(errors="backslashreplace").replace("\r", "").strip()
