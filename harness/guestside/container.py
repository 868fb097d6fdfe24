# SPDX-License-Identifier: GPL-2.0-only
"""Containers: a task in new namespaces, and functions that run in them."""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import os
import pickle
import select
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from harness.guestside import syscalls, wait
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.task import Task, failure, fork, reap

T = TypeVar("T")

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class How(enum.StrEnum):
    """The system call that creates or enters a container's namespaces."""

    UNSHARE = "unshare"
    CLONE3 = "clone3"
    SETNS = "setns"
    OPEN_TREE = "open_tree"


class Container:
    """A task that keeps new namespaces alive until it is destroyed.

    A container always has its own mount namespace; ``network``, ``pid``, ``uts`` and ``user`` add
    others.  In a user namespace root is mapped to itself.  Mounts do not propagate to the outside.
    ``run`` forks the caller to run a function, so the function may be a closure; it starts in the
    container's root folder.  Only the container's tasks keep the namespaces alive.
    """

    def __init__(
        self,
        how: How = How.UNSHARE,
        *,
        network: bool = False,
        pid: bool = False,
        uts: bool = False,
        user: bool = False,
    ) -> None:
        wanted = {
            syscalls.CLONE_NEWNET: network,
            syscalls.CLONE_NEWPID: pid,
            syscalls.CLONE_NEWUTS: uts,
            syscalls.CLONE_NEWUSER: user,
        }
        self.flags = syscalls.CLONE_NEWNS | sum(flag for flag, on in wanted.items() if on)
        self.pid = 0
        self._pidfd = -1
        with contextlib.ExitStack() as stack:
            joined = -1
            if how is How.SETNS:
                # Another task creates the namespaces and ends once they have been joined.  It
                # cannot create the PID namespace, which ends with its first task.
                creator = Container(network=network, uts=uts, user=user)
                stack.callback(creator.destroy)
                joined = creator._pidfd
            self._start(how, joined)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    @property
    def root(self) -> Path:
        """The container's root folder as seen from outside."""
        return Path("/proc", str(self.pid), "root")

    def mount_namespace(self) -> int:
        """Return the unique id of the container's mount namespace."""
        return syscalls.mount_namespace_id(f"/proc/{self.pid}/ns/mnt")

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Task:
        """Start a function in the container without waiting for its result."""
        return Task(function, *arguments, enter=self._enter)

    def run(self, function: Callable[..., T], *arguments: Any, seconds: float = wait.PATIENCE) -> T:
        """Run a function in the container; return its result or raise its exception."""
        result: T = self.begin(function, *arguments).result(seconds)
        return result

    def mount_configfs(self, where: str = CONFIGFS) -> None:
        """Mount configfs inside, as a user of the container would; it may already be mounted.

        The kernel refuses to mount an instance on top of itself (EBUSY).  A kernel with only one,
        global instance refuses too: the container then already sees that instance.
        """
        self.run(mount_configfs, where)

    def destroy(self) -> None:
        """Kill the task and wait for it; its namespaces end unless something else is using them."""
        if self._pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(wait.PATIENCE * 1000)
        os.close(self._pidfd)
        self._pidfd = -1
        with contextlib.suppress(ChildProcessError):  # the task may be a grandchild
            reap(self.pid)

    def _enter(self) -> None:
        syscalls.setns(self._pidfd, self.flags)
        if self.flags & syscalls.CLONE_NEWPID:
            _step_into_pid_namespace()

    def _start(self, how: How, joined: int) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            pid = syscalls.clone3(self.flags) if how is How.CLONE3 else fork()
            if pid == 0:
                _first_task(write, lambda: _make(how, self.flags, joined), self.flags, how)
            os.close(write)
            write = -1
            answer = b""
            while piece := os.read(read, 1 << 16):
                answer += piece
        finally:
            os.close(read)
            if write >= 0:
                os.close(write)
        number, _, failed = answer.partition(b"\n")
        if failed or not number.isdigit():
            os.waitpid(pid, 0)
            _raise(failed or answer)
        inner = int(number)
        self.pid = inner or pid
        self._pidfd = os.pidfd_open(self.pid)
        if inner:
            os.waitpid(pid, 0)


def mount_configfs(where: str = CONFIGFS) -> None:
    """Mount configfs in the calling task's namespace; see ``Container.mount_configfs``."""
    try:
        syscalls.mount("none", where, "configfs")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise


def _raise(answer: bytes) -> NoReturn:
    if not answer:
        raise RuntimeError("a container's first task died while it created its namespaces")
    raise pickle.loads(answer)[1]


def _make(how: How, flags: int, joined: int) -> None:
    """Enter the container's namespaces, in its first task."""
    if how is How.UNSHARE:
        syscalls.unshare(flags)
    elif how is How.SETNS:
        syscalls.setns(joined, flags & ~syscalls.CLONE_NEWPID)
        if flags & syscalls.CLONE_NEWPID:
            syscalls.unshare(syscalls.CLONE_NEWPID)
    elif how is How.OPEN_TREE:
        others = flags & ~syscalls.CLONE_NEWNS
        if others:
            syscalls.unshare(others)
        fd = syscalls.open_tree("/", syscalls.OPEN_TREE_NAMESPACE | syscalls.AT_RECURSIVE)
        syscalls.setns(fd, syscalls.CLONE_NEWNS)
        os.close(fd)


def _first_task(write: int, make: Callable[[], None], flags: int, how: How) -> NoReturn:
    """Report "0", or the pid of a second task that takes over; then report an exception, or pause.

    The parent reads to the end of the pipe, so it continues once this task has failed or is set up.
    """
    try:
        try:
            make()
            if flags & syscalls.CLONE_NEWPID and how is not How.CLONE3:
                inner = os.fork()  # only a child of the caller is inside the new PID namespace
                if inner:
                    os.write(write, f"{inner}\n".encode())
                    os._exit(0)
            else:
                syscalls.die_with_parent()  # again, because a change of credentials resets it
                os.write(write, b"0\n")
            _settle(flags, how)
        except BaseException as error:
            os.write(write, failure(error))
            os._exit(1)
        # Close all descriptors of the test, because they would keep alive what they refer to.
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.closerange(3, 1 << 20)
        while True:
            signal.pause()
    finally:
        os._exit(1)


def _settle(flags: int, how: How) -> None:
    """Prepare new namespaces for use."""
    # With setns, the process that created the user namespace has already mapped its ids.
    if flags & syscalls.CLONE_NEWUSER and how is not How.SETNS:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text("0 0 1")
        Path("/proc/self/gid_map").write_text("0 0 1")
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    if flags & syscalls.CLONE_NEWPID:
        syscalls.mount("proc", "/proc", "proc")
    if flags & syscalls.CLONE_NEWNET:
        loopback_up()


def _step_into_pid_namespace() -> None:
    """Fork once more; the outer process only waits for the inner one, which continues."""
    inner = os.fork()
    if inner:
        os.waitpid(inner, 0)
        os._exit(0)


def loopback_up() -> None:
    """Bring up "lo", which is down in a new network namespace."""
    # Two ioctls are used because importing pyroute2 takes seconds under emulation.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack_from("16sH", answer)[1] | _IFF_UP
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))
