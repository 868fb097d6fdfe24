# SPDX-License-Identifier: GPL-2.0-only
"""Network links in the caller's network namespace."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.guestside import wait


def answers(address: str, port: int) -> bool:
    """Return whether anything listens on that TCP port, from the caller's network namespace."""
    try:
        socket.create_connection((address, port), timeout=wait.PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def hang_up(address: str, port: int) -> None:
    """Connect to a TCP port, and reset the connection at once."""
    with socket.create_connection((address, port), timeout=wait.PATIENCE) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ip(*words: str, commands: str = "") -> None:
    """Run ip(8) with ``commands`` as its input.  Raises RuntimeError with its message."""
    # pyroute2 takes 10 s to import under emulation; a call of ip takes 0.1 s.
    done = subprocess.run(["ip", *words], input=commands, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)} {commands}: {done.stderr.strip()}")


@contextlib.contextmanager
def cable(name: str, pid: int, address: str) -> Iterator[None]:
    """Create a veth pair: ``name`` here with ``address`` (with prefix length), "eth0" in task pid.

    The other end stays down until ``set_up`` runs there.
    """
    with _pair(name, pid):
        set_up(name, address)
        yield


@contextlib.contextmanager
def bridge(name: str) -> Iterator[None]:
    """Create a bridge without ports, and remove it at the end."""
    ip("link", "add", name, "up", "type", "bridge")
    try:
        yield
    finally:
        ip("link", "delete", name)


@contextlib.contextmanager
def plugged(into: str, name: str, pid: int, address: str) -> Iterator[None]:
    """Create a veth pair: ``name`` here, a port of bridge ``into``, and "eth0" (down) in task pid.

    ``address`` is the MAC address of eth0.  A machine that comes back must keep it, because other
    machines would use the old address for most of a minute.
    """
    with _pair(name, pid, "master", into, "up", address=address):
        yield


@contextlib.contextmanager
def _pair(name: str, pid: int, *words: str, address: str = "") -> Iterator[None]:
    link = Path("/sys/class/net", name)
    # An earlier link disappears some time after the namespace of its other end.
    wait.until(lambda: not link.exists(), f"an earlier link {name} to disappear")
    peer = ["peer", "name", "eth0", *(["address", address] if address else [])]
    ip("link", "add", name, *words, "type", "veth", *peer, "netns", str(pid))
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # it disappeared with the other end's namespace
            ip("link", "delete", name)


def set_up(name: str, address: str) -> None:
    """Set a link's address, and bring it up."""
    # nodad makes an IPv6 address usable at once, without duplicate address detection.
    more = "nodad" if ":" in address else ""
    lines = f"address add {address} dev {name} {more}\nlink set {name} up\n"
    ip("-batch", "-", commands=lines)


def switch(name: str, *, on: bool) -> None:
    """Bring a link up or down without removing its address."""
    ip("link", "set", name, "up" if on else "down")
