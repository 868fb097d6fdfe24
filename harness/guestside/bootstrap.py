# SPDX-License-Identifier: GPL-2.0-only
"""The guest's init: sets up a usable system in a few milliseconds, then runs its job.

The kernel starts it (through init.py) with the host's own interpreter (``-P -s -S``, to avoid
searching for modules).  It reads a JSON file from the keeper: see ``harness.guest.initplan``.
The job is a pytest-xdist worker on the results port, a command, or a shell.  It runs in a child
process, because the kernel panics if init itself crashes.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from typing import Any

#: The keeper waits for these lines on the console; the job's exit status follows LEFT.
UP = "harness: up"
LEFT = "harness: left with status"

_POWER_OFF = 0x4321FEDC
_BIND = 0x1000
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}  # numbers of the system call
_AF_INET, _SOCK_DGRAM, _SIOCSIFFLAGS, _IFF_UP = 2, 2, 0x8914, 1

#: The port through which the host asks what the tests are doing.
WATCHER = "harness.1"
_PERIOD = 0.2  # seconds between checks of the worker
_LATER = 3.0  # seconds before the watcher starts, so that it does not delay the first test
_PORTS = "/sys/class/virtio-ports"
_PORT_PATIENCE = 10.0  # seconds for a port to appear; its name appears after the device

_libc = ctypes.CDLL(None, use_errno=True)

# (type, mount point, options).  File systems that this kernel lacks are silently skipped: tests
# declare what they need.
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
    names = [name.encode() for name in (source, where, kind)]
    if _libc.mount(*names, ctypes.c_ulong(flags), options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), where)


def unmount(where: str, flags: int) -> None:
    """Unmount a file system.  Raises OSError."""
    if _libc.umount2(where.encode(), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), where)


def pivot_root() -> bool:
    """Make the working directory the root, and put the old root over it; return whether it did."""
    return not _libc.syscall(ctypes.c_long(_PIVOT_ROOT[os.uname().machine]), b".", b".")


def mount_kernel() -> None:
    """Mount the kernel's own file systems, and create the links that programs expect in /dev."""
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
    for path, link in _LINKS:
        if not os.path.lexists(link):
            os.symlink(path, link)  # noqa: PTH211


def make_system(facts: dict[str, Any]) -> None:
    """Make the host's root a system in which programs can run."""
    if not os.path.exists("/proc/mounts"):  # noqa: PTH110 - a copy has taken them with it
        mount_kernel()
    for place in facts["overlays"]:
        _overlay(place)
    for tag, place, options in facts["writable"]:  # after overlays: these may be in them
        mount(tag, "9p", place, options)
    if facts["modules"]:
        _modules(facts["modules"])
    _name(facts["name"])
    _loopback_up()


def _overlay(place: str) -> None:
    # The guest can write to an overlay without changing the host's files.  If the kernel lacks
    # overlayfs, /tmp becomes an empty writable folder, and other folders stay read-only.
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
    # modprobe searches /lib/modules, which does not exist on every host.
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
    """Write a line to the kernel log, and thereby to the console."""
    with open("/dev/kmsg", "w") as file:  # noqa: PTH123
        # Without the newline, the kernel would hold the message back until the next one.
        file.write(f"<{level}>{text}\n")


def enter(facts: dict[str, Any]) -> None:
    """Set up this interpreter like the host's: its environment, working directory and modules."""
    os.environ.clear()
    os.environ.update(facts["environment"])
    os.chdir(facts["cwd"])
    sys.dont_write_bytecode = True
    sys.path[:] = facts["sys_path"]
    sys.pycache_prefix = None  # it was only needed for modules imported before the bundle
    sys.prefix, sys.exec_prefix = facts["prefix"], facts["exec_prefix"]
    sys.executable = facts["executable"]
    sys.argv = ["-c"]
    import site  # with -S it only defines functions

    site.setquit()
    site.sethelper()
    if facts["site"]:
        site.main()


def job(facts: dict[str, Any]) -> int:
    """Run the guest's job; return an exit status."""
    os.setsid()
    enter(facts)
    if facts["job"] == "worker":
        from harness.guestside import gateway

        gateway.serve(port(facts["port"]), facts["rewritten"])
        return 0
    _terminal(facts["size"])
    command = facts["command"] or [facts["environment"].get("SHELL") or "/bin/sh"]
    os.execvp(command[0], command)
    return 126  # not reached, but linters need it


def port(name: str) -> int:
    """Open the virtio-serial port called ``name``.  Raises OSError if it does not appear.

    The port is looked up in sysfs, because no udev creates links with the ports' names.
    """
    end = time.monotonic() + _PORT_PATIENCE
    while True:
        for entry in os.listdir(_PORTS) if os.path.isdir(_PORTS) else ():  # noqa: PTH112, PTH208
            try:
                with open(f"{_PORTS}/{entry}/name") as file:  # noqa: PTH123
                    if file.read().strip() == name:
                        return os.open(f"/dev/{entry}", os.O_RDWR)
            except OSError:
                continue
        if time.monotonic() > end:
            raise OSError(f"no virtio-serial port {name}")
        time.sleep(0.005)


def watch(worker: int, facts: dict[str, Any]) -> None:
    """Fork the process that tells the host, on request, what the worker is doing."""
    if os.fork() == 0:
        try:
            time.sleep(_LATER)
            sys.path[:] = facts["sys_path"]
            fd = port(WATCHER)
            while True:
                if os.read(fd, 4096):
                    from harness.guestside import watcher  # imported late, because that takes time

                    watcher.answer(fd, worker)
                else:
                    time.sleep(_LATER)  # the host is not connected
        finally:
            os._exit(0)


def hold(facts: dict[str, Any]) -> None:
    """Fork the process that gives the user a shell in a held guest."""
    if os.fork() == 0:
        try:
            sys.path[:] = facts["sys_path"]
            from harness.guestside import held

            held.serve(port(held.PORT), facts)
        finally:
            os._exit(0)


def _quiet() -> None:
    # Keep kernel messages out of the command's output; dmesg still has them.
    with open("/proc/sys/kernel/printk", "w") as file:  # noqa: PTH123
        file.write("4")


def _terminal(size: list[int]) -> None:
    # The console becomes the controlling terminal, so that Ctrl-C reaches the program.
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
    """Reap orphans, as init must, until ``child`` ends; return its status (128 + signal).

    ``watched``: if the kernel killed the child's main thread (an Oops), kill its other threads too.
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
    # The main thread of a process is a zombie while other threads still run.
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):  # a test unmounted /proc
        return False


def main(path: str) -> None:
    """Run as init, with the plan at ``path``.  Does not return: the guest is powered off."""
    status = 125
    try:
        with open(path) as file:  # noqa: PTH123
            facts = json.load(file)
        make_system(facts)
        if facts["job"] != "worker":
            _quiet()  # before UP, because everything after UP is the command's output
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
        _libc.tcdrain(2)  # the job's output must come first
        say(f"{LEFT} {status}", 0)  # at level 0, in case a test silenced the console
    except BaseException as error:
        os.write(2, f"\nharness: cannot set up the guest: {error!r}\n".encode())
        time.sleep(0.1)
    _libc.sync()
    _libc.reboot(_POWER_OFF)
