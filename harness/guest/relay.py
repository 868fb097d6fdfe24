# SPDX-License-Identifier: GPL-2.0-only
"""What xdist starts as a worker: claims a guest and carries bytes to and from its results port.

Called by its path with ``-I -S`` and given the spec file; everything behind that (``-u -c ...``
from execnet) is for a Python that we are not.  It imports little, because pytest waits for it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # typing's own is an import
if TYPE_CHECKING:
    from harness.guest.keepers import Keeper

_TICK = 0.01
_SIZE = 1 << 16
#: Exit statuses: the host hung up, or the guest did (or never answered).
HOST_LEFT, GUEST_LEFT = 0, 1


def claim(guests: str) -> str:
    """Take the first guest that nobody has; empty when all are taken."""
    numbers = sorted(int(name) for name in os.listdir(guests) if name.isdigit())  # noqa: PTH208
    for number in numbers:
        folder = f"{guests}/{number}"
        try:
            os.close(os.open(f"{folder}/claimed", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        return folder
    return ""


def connect(folder: str) -> socket.socket | None:
    """Connect to the guest's results port; None when the guest is over before that works."""
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
    """Whether the guest ended: its record says how, or there is a fault."""
    if os.path.exists(f"{folder}/fault.json"):  # noqa: PTH110
        return True
    try:
        with open(f"{folder}/guest.json") as file:  # noqa: PTH123
            return '"ended": ""' not in file.read()
    except OSError:
        return False


def unkept(folder: str) -> bool:
    """Whether the guest's keeper was killed, so that nobody will write how the guest ended."""
    try:
        with open(f"{folder}/keeper.pid") as file:  # noqa: PTH123
            number = int(file.read())
    except (OSError, ValueError):
        return False  # not yet, or it is done
    try:
        with open(f"/proc/{number}/cmdline") as file:  # noqa: PTH123
            return not file.read()  # dead, but its parent has not looked
    except OSError:
        return True


def carry(sock: socket.socket) -> int:
    """Copy both ways until one side ends; gives the exit status that says which."""
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


def replacement(spec_path: str) -> list[Keeper]:
    """Start one more guest; it is ours to end."""
    import site

    site.main()
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))  # noqa: PTH120
    from pathlib import Path

    from harness.guest.keepers import start
    from harness.guest.spec import GuestSpec

    return start(GuestSpec.load(Path(spec_path)), 1)


def main(argv: list[str]) -> int:
    """Be a worker's standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which then lets us go
    spec_path = argv[1]
    with open(spec_path) as file:  # noqa: PTH123
        import json

        guests = json.load(file)["folder"]
    folder = claim(guests)
    held: list[Keeper] = []
    while not folder:
        held += replacement(spec_path)
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
        for keeper in held:
            keeper.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
