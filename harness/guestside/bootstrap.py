# SPDX-License-Identifier: GPL-2.0-only
"""The guest's first process: makes a usable system in a few milliseconds, then does the one job.

The kernel starts it (through init.py) with the host's own interpreter (``-P -s -S``: nothing is
looked for that nobody needs).  The keeper wrote what it needs to know into a JSON file.  The job is
a pytest-xdist worker on the results port, one command, or a shell.  It runs in a child, so that a
crash of its own never looks like one of the kernel (the kernel panics when init dies).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from typing import Any

#: What the keeper waits for on the console; the job's exit status follows LEFT.
UP = "harness: up"
LEFT = "harness: left with status"

_POWER_OFF = 0x4321FEDC
_BIND, _NOSUID_NODEV = 0x1000, 6
_AF_INET, _SOCK_DGRAM, _SIOCSIFFLAGS, _IFF_UP = 2, 2, 0x8914, 1

#: The port on which the host asks what the tests are at.
WATCHER = "harness.1"
_PERIOD = 0.2  # seconds between two looks at the worker
_LATER = 3.0  # seconds until the watcher gets ready, so that it does not delay the first test

_libc = ctypes.CDLL(None, use_errno=True)

# (type, where, options).  Those that this kernel has no support for are left out quietly; what a
# test needs, it asks for itself.
_MOUNTS = (
    ("devtmpfs", "/dev", ""),
    ("tmpfs", "/run", "mode=0755"),
    ("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("configfs", "/sys/kernel/config", ""),
    ("debugfs", "/sys/kernel/debug", ""),
    ("tracefs", "/sys/kernel/tracing", ""),
    ("securityfs", "/sys/kernel/security", ""),
    ("cgroup2", "/sys/fs/cgroup", ""),
)
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)


def mount(source: str, kind: str, where: str, options: str = "", flags: int = 0) -> None:
    """Mount a file system.  Raises OSError."""
    words = [word.encode() for word in (source, where, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), where)


def make_system(facts: dict[str, Any]) -> None:
    """Mount and link what programs expect to find on any Linux."""
    mount("proc", "proc", "/proc")
    mount("sysfs", "sysfs", "/sys")
    with open("/proc/mounts") as file:  # noqa: PTH123 - pathlib is one import more
        mounted = {line.split()[1] for line in file}
    for kind, where, options in _MOUNTS:
        try:
            if where not in mounted:
                if where in ("/dev/pts", "/dev/shm"):
                    os.makedirs(where, exist_ok=True)  # noqa: PTH103
                mount(kind, kind, where, options)
        except OSError:
            continue
    for aim, link in _LINKS:
        if not os.path.lexists(link):
            os.symlink(aim, link)  # noqa: PTH211
    for place in facts["overlays"]:
        _overlay(place)
    for tag, place, options in facts["writable"]:  # which may lie below an overlay
        mount(tag, "9p", place, options)
    if facts["modules"]:
        _modules(facts["modules"])
    _name(facts["name"])
    _loopback_up()


def _overlay(place: str) -> None:
    # Writable for the guest, untouched for the host.  Without overlayfs in the kernel an empty
    # /tmp is better than a read-only one; other folders stay read-only.
    layer = f"/run/harness{place}"
    os.makedirs(f"{layer}/upper")  # noqa: PTH103
    os.makedirs(f"{layer}/work")  # noqa: PTH103
    options = f"lowerdir={place},upperdir={layer}/upper,workdir={layer}/work,xino=off"
    try:
        mount("overlay", "overlay", place, options)
    except OSError:
        if place == "/tmp":
            mount("tmpfs", "tmpfs", place, "mode=1777")
    if place == "/tmp":
        os.chmod(place, 0o1777)  # noqa: PTH101


def _modules(folder: str) -> None:
    # Where modprobe, and the kernel when it calls it, look for them.  Not every host has the place.
    place = "/lib/modules"
    if not os.path.isdir(place):  # noqa: PTH112
        _overlay(os.path.realpath("/lib"))
        os.makedirs(place, exist_ok=True)  # noqa: PTH103
    mount(folder, "none", place, flags=_BIND)


def _name(name: str) -> None:
    _libc.sethostname(name.encode(), len(name))


def _loopback_up() -> None:
    # ifreq: name, then flags; 40 bytes in all.
    sock = _libc.socket(_AF_INET, _SOCK_DGRAM, 0)
    if sock >= 0:
        request = b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, sys.byteorder)
        _libc.ioctl(sock, ctypes.c_ulong(_SIOCSIFFLAGS), request.ljust(40, b"\0"))
        os.close(sock)


def say(text: str, level: int = 5) -> None:
    """Put a line of ours into the kernel's log, and so on the console."""
    with open("/dev/kmsg", "w") as file:  # noqa: PTH123
        file.write(f"<{level}>{text}\n")  # without its end a message waits for the next one


def enter(facts: dict[str, Any]) -> None:
    """Make this interpreter see what the host's does: environment, folder, modules."""
    os.environ.clear()
    os.environ.update(facts["environment"])
    os.chdir(facts["cwd"])
    sys.dont_write_bytecode = True
    sys.path[:] = facts["sys_path"]
    sys.pycache_prefix = None  # ours is for the modules that came before the bundle
    sys.prefix, sys.exec_prefix = facts["prefix"], facts["exec_prefix"]
    sys.executable = facts["executable"]
    sys.argv = ["-c"]
    import site  # with -S it only defines functions

    site.setquit()
    site.sethelper()
    if facts["site"]:
        site.main()


def job(facts: dict[str, Any]) -> int:
    """Do what the guest was started for; gives an exit status."""
    os.setsid()
    enter(facts)
    if facts["job"] == "worker":
        from harness.guestside import gateway

        gateway.serve(facts["port"], facts["rewritten"])
        return 0
    _terminal(facts["size"])
    words = facts["words"] or [facts["environment"].get("SHELL") or "/bin/sh"]
    os.execvp(words[0], words)
    return 126  # not reached, but linters do not know


def watch(worker: int, facts: dict[str, Any]) -> None:
    """Fork the process that tells the host what the worker is at, should it ever ask."""
    if os.fork() == 0:
        try:
            time.sleep(_LATER)
            sys.path[:] = facts["sys_path"]
            from harness.guestside import ports

            port = ports.port(WATCHER)
            while True:
                if os.read(port, 4096):
                    from harness.guestside import (
                        watcher,
                    )  # which imports more than we need till now

                    watcher.answer(port, worker)
                else:
                    time.sleep(_LATER)  # nobody is at the other end
        finally:
            os._exit(0)


def hold(facts: dict[str, Any]) -> None:
    """Fork the process that lets a person in when a test failed."""
    if os.fork() == 0:
        try:
            sys.path[:] = facts["sys_path"]
            from harness.guestside import held

            held.serve(facts)
        finally:
            os._exit(0)


def _quiet() -> None:
    # The kernel's small talk would stand between the command's words; dmesg has it.
    with open("/proc/sys/kernel/printk", "w") as file:  # noqa: PTH123
        file.write("4")


def _terminal(size: list[int]) -> None:
    # The console as controlling terminal, so that Ctrl-C reaches the program in the guest.
    with open("/proc/consoles") as file:  # noqa: PTH123
        names = [line.split()[0] for line in file if "C" in line.split("(", 1)[1].split(")")[0]]
    fd = os.open(f"/dev/{names[-1]}" if names else "/dev/console", os.O_RDWR)
    _libc.ioctl(fd, 0x540E, 1)  # TIOCSCTTY
    if size:
        packed = b"".join(number.to_bytes(2, sys.byteorder) for number in [*size, 0, 0])
        _libc.ioctl(fd, 0x5414, packed)  # TIOCSWINSZ
    for number in (0, 1, 2):
        os.dup2(fd, number)


def reap(child: int, *, watched: bool = False) -> int:
    """Be init: collect orphans until ``child`` ends; gives its status (128 + signal).

    ``watched``: when the kernel killed the child's main thread (an Oops), the rest goes, too.
    """
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG if watched else 0)
        if pid == 0:
            time.sleep(_PERIOD)
            if _headless(child):
                os.kill(child, 9)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _headless(pid: int) -> bool:
    # The leader of a process is a zombie as long as it has other threads.
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):  # no /proc: a test took it away
        return False


def main(path: str) -> None:
    """Run as init, by the facts at ``path``.  Never returns: the guest is powered off."""
    status = 125
    try:
        with open(path) as file:  # noqa: PTH123
            facts = json.load(file)
        make_system(facts)
        if facts["job"] != "worker":
            _quiet()  # before UP: what stands behind it on the console is the command's
        say(UP, 1)
        child = os.fork()
        if child == 0:
            try:
                status = job(facts)
            finally:
                sys.stderr.flush()
                os._exit(status)
        if facts["job"] == "worker":
            watch(child, facts)
        if facts["hold"]:
            hold(facts)
        status = reap(child, watched=facts["job"] == "worker")
        _libc.tcdrain(2)  # what the job printed first
        say(f"{LEFT} {status}", 0)  # whatever a test made of the console
    except BaseException as error:
        os.write(2, f"\nharness: cannot set up the guest: {error!r}\n".encode())
        time.sleep(0.1)
    _libc.sync()
    _libc.reboot(_POWER_OFF)
