# SPDX-License-Identifier: GPL-2.0-only
"""Connect the user's terminal to held guests.

``python -m harness.guest.attend FOLDER`` enters a held guest from any terminal.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from harness.guest import hold, records
from harness.guestside import held

_TICK = 0.2


def terminal() -> int | None:
    """Open the controlling terminal, even if stdin is redirected; return None if there is none."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


def enter_shell(path: str, fd: int) -> None:
    """Connect terminal ``fd`` to the shell behind the socket ``path`` until the shell exits."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        size = os.get_terminal_size(fd)
        before = termios.tcgetattr(fd)
        try:
            # Raw mode first: it discards earlier input.  Then the guest starts the shell.
            tty.setraw(fd)
            sock.sendall(b"%s %d %d\n" % (held.SHELL, size.lines, size.columns))
            _carry(sock, fd)
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _carry(sock: socket.socket, fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(sock, select.POLLIN)
    seen = b""
    while held.LEFT not in seen:
        for ready, _ in poll.poll():
            data = os.read(ready, 65536)
            if not data:
                return
            if ready == fd:
                sock.sendall(data)
            else:
                seen = seen[-len(held.LEFT) :] + data
                os.write(fd, data.replace(held.LEFT, b""))


class Attendant:
    """Watches a run's ``guests`` folder and prints how to enter each held guest.

    With a terminal ``fd`` it opens a shell in running guests, and waits for Enter if the kernel
    is dead.
    """

    def __init__(self, guests: Path, say: Callable[[str], None], fd: int | None) -> None:
        self._guests, self._say, self._fd = guests, say, fd
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="harness-hold", daemon=True)

    def __enter__(self) -> Attendant:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * _TICK)

    def _run(self) -> None:
        announced: set[tuple[str, int]] = set()
        while not self._stop.wait(_TICK):
            for folder in records.taken(self._guests):
                held_guest, file = hold.read(folder), folder / hold.FILE
                if held_guest and (mark := (str(file), file.stat().st_mtime_ns)) not in announced:
                    announced.add(mark)
                    self._attend(folder, held_guest)

    def _attend(self, folder: Path, held_guest: hold.Hold) -> None:
        name = records.name(folder)
        shell = held_guest.kind == hold.SHELL
        purpose = "to enter it" if shell else "its processors are stopped; to inspect it"
        self._say(f"{name} is held: {held_guest.why}")
        self._say(f"{purpose}: {held_guest.enter}")
        if self._fd is None:
            self._say(f"held for {held_guest.seconds:g} s; to end it: rm {folder / hold.FILE}")
            return
        try:
            if shell:
                self._say("this is a shell in the guest; type exit to continue the tests")
                enter_shell(held_guest.socket, self._fd)
            else:
                self._say("press Enter to continue")
                self._wait_for_enter(folder, self._fd)
        except OSError as error:
            self._say(f"{name} cannot be entered: {error}")
        hold.let_go(folder)

    def _wait_for_enter(self, folder: Path, fd: int) -> None:
        while (folder / hold.FILE).exists() and not self._stop.is_set():
            if select.select([fd], [], [], _TICK)[0]:
                os.read(fd, 4096)
                return


def main(argv: list[str]) -> int:
    """Open a shell in the held guest of a folder; the hold ends when the shell exits."""
    folder, fd = Path(argv[1]), terminal()
    held_guest = hold.read(folder)
    if fd is None or held_guest is None or held_guest.kind != hold.SHELL:
        what = "there is no terminal" if fd is None else f"{folder}: no held guest with a shell"
        sys.stderr.write(f"harness: {what}\n")
        return 2
    enter_shell(held_guest.socket, fd)
    hold.let_go(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
