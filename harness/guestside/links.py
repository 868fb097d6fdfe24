# SPDX-License-Identifier: GPL-2.0-only
"""Network links of the namespace the caller is in."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.guestside import wait

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def loopback_up() -> None:
    """Switch "lo" on; a new network namespace has it, but off."""
    # Two ioctls: pyroute2 would do it too, but takes seconds to import under emulation.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack_from("16sH", answer)[1] | _IFF_UP
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))


def answers(address: str, port: int) -> bool:
    """Whether somebody listens on that TCP port, seen from the caller's network."""
    try:
        socket.create_connection((address, port), timeout=wait.PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def ip(*words: str, said: str = "") -> None:
    """Run ip(8), which reads ``said``; RuntimeError with its words when it fails."""
    # Not pyroute2: its import takes 10 s under emulation, a call of ip a tenth of one.
    done = subprocess.run(["ip", *words], input=said, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)} {said}: {done.stderr.strip()}")


@contextlib.contextmanager
def cable(name: str, pid: int, address: str) -> Iterator[None]:
    """A veth pair: ``name`` with ``address`` (with its prefix length) here, "eth0" with task pid.

    The other end stays down until ``set_up`` runs there.
    """
    with _pair(name, pid):
        set_up(name, address)
        yield


@contextlib.contextmanager
def bridge(name: str) -> Iterator[None]:
    """A switch without a plug, while it exists."""
    ip("link", "add", name, "up", "type", "bridge")
    try:
        yield
    finally:
        ip("link", "delete", name)


@contextlib.contextmanager
def plugged(into: str, name: str, pid: int, address: str) -> Iterator[None]:
    """A veth pair: ``name`` here, plugged ``into`` a bridge, "eth0" with task pid, down for now.

    ``address`` is its hardware address.  A machine that comes back keeps it: with another one the
    rest of the network would go on talking to the old one for most of a minute.
    """
    with _pair(name, pid, "master", into, "up", address=address):
        yield


@contextlib.contextmanager
def _pair(name: str, pid: int, *words: str, address: str = "") -> Iterator[None]:
    there = Path("/sys/class/net", name)
    # One that was here goes some time after the namespace of its other end.
    wait.until(lambda: not there.exists(), f"an older link {name} to be gone")
    peer = ["peer", "name", "eth0", *(["address", address] if address else [])]
    ip("link", "add", name, *words, "type", "veth", *peer, "netns", str(pid))
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # gone with the other end's namespace
            ip("link", "delete", name)


def set_up(name: str, address: str) -> None:
    """Give a link its address, and switch it on."""
    # An IPv6 address is usable at once, without the wait for duplicates.
    more = "nodad" if ":" in address else ""
    lines = f"address add {address} dev {name} {more}\nlink set {name} up\n"
    ip("-batch", "-", said=lines)


def switch(name: str, *, on: bool) -> None:
    """Switch a link on or off; its address stays."""
    ip("link", "set", name, "up" if on else "down")
