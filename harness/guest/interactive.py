# SPDX-License-Identifier: GPL-2.0-only
"""Boot a kernel for interactive use: a shell on the terminal, or a single command."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence

import pexpect

from harness.errors import GuestFault
from harness.guest import initplan, qemu, records
from harness.guest.console import left
from harness.guest.private import Private
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
    folder = records.take(spec.folder)
    name = records.name(folder)
    private = Private()
    try:
        initplan.write(spec, name, private.path, command)
        argv = qemu.argv(spec, name, private.path, gateway=False)
        with (folder / records.CONSOLE).open("wb") as log:
            child = pexpect.spawn(
                argv[0], argv[1:], env=environment(), timeout=spec.deadline, cwd=str(spec.cwd)
            )
            child.logfile_read = log
            watcher = guard(child.pid)
            try:
                return _use(child, bool(command), name)
            finally:
                child.close(force=True)
                watcher.communicate(timeout=5)  # closes its pipe: it then ends the process group
    finally:
        private.remove()


def _use(child: pexpect.spawn, command_only: bool, name: str) -> int:
    begin = time.monotonic()
    if child.expect([_UP, pexpect.EOF, pexpect.TIMEOUT]) != 0:
        waited = time.monotonic() - begin
        raise GuestFault(
            f"{name} did not come up ({waited:.0f} s)",
            hint="its last messages are above; on a slow machine: --boot-timeout SECONDS",
            details=_end_of(child.before or b""),
        )
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
