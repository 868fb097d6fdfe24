# SPDX-License-Identifier: GPL-2.0-only
"""Bring a person's terminal and held guests together.

``python -m harness.guest.attend FOLDER`` enters one guest from any terminal.
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
from types import TracebackType
from typing import Any

from harness.guest import folder, hold
from harness.guestside import held

_TICK = 0.2


def terminal() -> int | None:
    """Open this process's terminal, whatever standard input is; None without one."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


def lines(place: Path, said: dict[str, Any]) -> list[str]:
    """Say what is held and how one gets in."""
    name = f"guest{place.name}"
    entering = "to enter it" if said["kind"] == "shell" else "its kernel is stopped; to look at it"
    return [f"{name} is held: {said['why']}", f"{entering}: {said['enter']}"]


def shell(path: str, fd: int) -> None:
    """Give terminal ``fd`` to the shell behind the socket at ``path`` until it is left."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        size = os.get_terminal_size(fd)
        before = termios.tcgetattr(fd)
        try:
            # That forgets what was typed; what is typed once the guest has heard of us is its own.
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
    """Watches a run's ``guests`` folder; says of each held guest how to enter it.

    With a terminal ``fd`` it enters living guests itself, and waits for Enter at dead ones.
    """

    def __init__(self, guests: Path, say: Callable[[str], None], fd: int | None) -> None:
        self._guests, self._say, self._fd = guests, say, fd
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="harness-hold", daemon=True)

    def __enter__(self) -> Attendant:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * _TICK)

    def _run(self) -> None:
        told: set[tuple[str, int]] = set()
        while not self._stop.wait(_TICK):
            for place in folder.taken(self._guests):
                said, file = hold.read(place), place / hold.FILE
                if said and (mark := (str(file), file.stat().st_mtime_ns)) not in told:
                    told.add(mark)
                    for line in lines(place, said):
                        self._say(line)
                    self._attend(place, said)

    def _attend(self, place: Path, said: dict[str, Any]) -> None:
        if self._fd is None:
            self._say(f"held for {said['seconds']:g} s, or until: rm {place / hold.FILE}")
            return
        try:
            if said["kind"] == "shell":
                self._say("a shell in the guest; leave it (exit) to go on")
                shell(said["socket"], self._fd)
            else:
                self._say("Enter to go on")
                self._enter(place, self._fd)
        except OSError as error:
            self._say(f"guest{place.name} cannot be entered: {error}")
        hold.let_go(place)

    def _enter(self, place: Path, fd: int) -> None:
        while (place / hold.FILE).exists() and not self._stop.is_set():
            if select.select([fd], [], [], _TICK)[0]:
                os.read(fd, 4096)
                return


def main(argv: list[str]) -> int:
    """Enter the held guest of a folder; leaving it ends the hold."""
    place, fd = Path(argv[1]), terminal()
    said = hold.read(place)
    if fd is None or said.get("kind") != "shell":
        sys.stderr.write("harness: no terminal, or no guest held there that has a shell\n")
        return 2
    shell(said["socket"], fd)
    hold.let_go(place)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
