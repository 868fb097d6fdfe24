# SPDX-License-Identifier: GPL-2.0-only
"""The program that xdist starts as a worker: it connects xdist to the results port of a guest.

It is called by its path, with ``-I -S`` and the spec file.  execnet adds ``-u -c ...``, as it would
for Python; these are ignored.  It imports little, because pytest waits for it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # avoids importing typing
if TYPE_CHECKING:
    from harness.guest.handle import GuestHandle

_TICK = 0.01
_SIZE = 1 << 16
#: Exit statuses: the host closed the connection; the guest closed it or never answered.
HOST_LEFT, GUEST_LEFT = 0, 1


def claim(guests: str) -> str:
    """Claim a free guest, if possible one that has not ended; return its folder or ""."""
    numbers = sorted(int(name) for name in os.listdir(guests) if name.isdigit())  # noqa: PTH208
    for folder in sorted((f"{guests}/{number}" for number in numbers), key=over):
        try:
            os.close(os.open(f"{folder}/claimed", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        return folder
    return ""


def connect(folder: str) -> socket.socket | None:
    """Connect to the guest's results port; None if the guest ends first."""
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(f"{os.readlink(f'{folder}/run')}/gateway")  # noqa: PTH115
        except OSError:
            sock.close()
        else:
            return sock
        if over(folder) or unkept(folder):
            return None
        time.sleep(_TICK)


def over(folder: str) -> bool:
    """Return whether the guest has ended, according to its record, or could not be started."""
    if os.path.exists(f"{folder}/fault.json"):  # noqa: PTH110
        return True
    try:
        with open(f"{folder}/guest.json") as file:  # noqa: PTH123
            return '"ended": ""' not in file.read()
    except OSError:
        return False


def unkept(folder: str) -> bool:
    """Return whether the guest's keeper was killed, so that there will be no final record."""
    try:
        with open(f"{folder}/keeper.pid") as file:  # noqa: PTH123
            number = int(file.read())
    except (OSError, ValueError):
        return False  # not written yet, or removed already
    try:
        with open(f"/proc/{number}/cmdline") as file:  # noqa: PTH123
            return not file.read()  # a zombie
    except OSError:
        return True


def carry(sock: socket.socket) -> int:
    """Copy data both ways until one side closes; return the exit status for that side."""
    port = sock.fileno()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(port, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            data = os.read(fd, _SIZE)
            if not data:
                return HOST_LEFT if fd == 0 else GUEST_LEFT
            to = port if fd == 0 else 1
            while data:
                data = data[os.write(to, data) :]


def replacement(spec_path: str) -> list[GuestHandle]:
    """Start another guest, which the caller must end."""
    import site

    site.main()
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(__file__))))  # noqa: PTH120
    from pathlib import Path

    from harness.guest.handle import start
    from harness.guest.spec import GuestSpec

    return start(GuestSpec.load(Path(spec_path)), 1)


def main(argv: list[str]) -> int:
    """Serve as a worker's standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest handles Ctrl-C, then ends this process
    spec_path = argv[1]
    with open(spec_path) as file:  # noqa: PTH123
        import json

        guests = json.load(file)["folder"]
    folder = claim(guests)
    started: list[GuestHandle] = []
    while not folder:
        started += replacement(spec_path)
        folder = claim(guests)
    try:
        sock = connect(folder)
        if sock is None:
            return GUEST_LEFT
        with sock:
            return carry(sock)
    except OSError:
        return GUEST_LEFT
    finally:
        for guest in started:
            guest.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
