# SPDX-License-Identifier: GPL-2.0-only
"""What a test may do to the guest it runs in, and what must become of it.  Read on both sides.

``does`` runs in the guest.  Each is one test, with a harmless one behind it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
LONG = 1000.0  # seconds; longer than any deadline here
_MNT_DETACH = 2
_CONSOLE_OFF = 6
_TEN_YEARS = 3652 * 86400


@dataclasses.dataclass(frozen=True)
class Mischief:
    """``outcome`` is what the test must get, ``says`` stands in its message (both are regexes).

    ``why`` explains an outcome that is not obvious.
    """

    name: str
    does: Callable[[], object]
    outcome: str
    says: str = ""
    why: str = ""


def _write(file: str, text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    fd = os.open(file, os.O_WRONLY)
    os.write(fd, data)
    os.close(fd)


def _sysrq(key: str) -> None:
    _write("/proc/sysrq-trigger", key)
    time.sleep(LONG)


def _child(does: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            does()
        os._exit(0)
    return pid


def _mount(source: str, place: str, kind: str) -> None:
    done = _libc.mount(source.encode(), place.encode(), kind.encode(), 0, None)
    assert done == 0, os.strerror(ctypes.get_errno())


# What leaves something behind.


def leaves_children() -> None:
    for _ in range(20):
        _child(lambda: time.sleep(LONG))


def leaves_a_daemon() -> None:
    def daemon() -> None:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(LONG)

    _child(daemon)


def forks_until_refused() -> None:
    Path("/proc/sys/kernel/pid_max").write_text("400")
    children: list[int] = []
    with contextlib.suppress(OSError):
        while len(children) < 1000:
            children.append(_child(lambda: time.sleep(LONG)))
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert len(children) < 400


def _fill(path: str) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        while True:
            file.write(bytes(1 << 20))


def fills_tmp() -> None:
    _fill("/tmp/much")


def fills_run() -> None:
    _fill("/run/much")


def goes_away() -> None:
    os.chdir("/proc/1")


def leaves_a_limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def leaves_a_variable() -> None:
    os.environ["PATH"] = "/nowhere"


def leaves_its_network() -> None:
    assert _libc.unshare(0x40000000) == 0, os.strerror(ctypes.get_errno())


def has_children_come_out() -> None:
    """Let them leave the test as a test does: with an exception, and without."""
    for status in (1, 0):
        pid = os.fork()
        if pid == 0:
            if status:
                raise ValueError("in a child")
            return
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status


def lowers_its_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


# What takes the system away from under the worker.


def eats_all_memory() -> None:
    held = []
    while True:
        held.append(b"x" * (16 << 20))


def has_a_child_eat_all_memory() -> None:
    def eat() -> None:
        _write("/proc/self/oom_score_adj", "1000")
        eats_all_memory()

    os.waitpid(_child(eat), 0)


def closes_all_files() -> None:
    os.closerange(0, 4096)


def mounts_over_root() -> None:
    _mount("none", "/", "tmpfs")
    os.chdir("/")


def mounts_over_its_libraries() -> None:
    for place in ("/usr", sys.prefix):
        _mount("none", place, "tmpfs")


def unmounts_proc() -> None:
    assert _libc.umount2(b"/proc", _MNT_DETACH) == 0


def changes_root() -> None:
    os.chroot("/run")
    os.chdir("/")


def sets_the_clock(years: int) -> Callable[[], None]:
    def does() -> None:
        time.clock_settime(time.CLOCK_REALTIME, time.time() + years * _TEN_YEARS / 10)

    return does


def stops_loopback() -> None:
    with socket.socket() as sock:
        request = b"lo".ljust(16, b"\0") + bytes(24)
        assert _libc.ioctl(sock.fileno(), ctypes.c_ulong(0x8914), request) == 0


# What ends the worker, or the guest.


def exits(status: int) -> Callable[[], None]:
    return lambda: os._exit(status)


def becomes_another_program() -> None:
    os.execv("/bin/true", ["true"])


def accesses_no_memory() -> None:
    ctypes.string_at(0)


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kills_init() -> None:
    os.kill(1, signal.SIGKILL)
    time.sleep(0.2)


def freezes_init_and_exits() -> None:
    """Leave nobody who could turn the machine off."""
    group = Path("/sys/fs/cgroup/frozen")
    group.mkdir()
    (group / "cgroup.procs").write_text("1")
    (group / "cgroup.freeze").write_text("1")
    while "frozen 1" not in (group / "cgroup.events").read_text():
        time.sleep(0.01)
    os._exit(0)


def interrupts_init() -> None:
    os.kill(1, signal.SIGINT)
    time.sleep(LONG)


def reboots(how: int) -> Callable[[], None]:
    def does() -> None:
        _libc.reboot(how)
        time.sleep(LONG)

    return does


def panics_and_stays() -> None:
    Path("/proc/sys/kernel/panic").write_text("0")
    _sysrq("c")


def panics_silently() -> None:
    _libc.klogctl(_CONSOLE_OFF, None, 0)
    _sysrq("c")


# What hangs.


def stops_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def takes_the_processor() -> None:
    Path("/proc/sys/kernel/sched_rt_runtime_us").write_text("-1")
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
    while True:
        pass


def waits() -> None:
    time.sleep(LONG)


# What it says.


def talks_garbage() -> None:
    noise = bytes(range(256)) * 64
    for place in ("/dev/console", "/dev/ttyS0"):
        _write(place, noise)
    for start in range(0, len(noise), 500):
        _write("/dev/kmsg", noise[start : start + 500])


def silences_the_console() -> None:
    _libc.klogctl(_CONSOLE_OFF, None, 0)


def has_level_zero() -> None:
    Path("/proc/sys/kernel/printk").write_text("0 4 0 7")


def talks_like_a_kernel() -> None:
    for line in ("Kernel panic - not syncing: said a test", "Oops: 0000 [#1] SMP", "sysrq: HELP"):
        _write("/dev/kmsg", line)


def talks_like_init() -> None:
    for line in ("harness: left with status 0", "harness: up", "harness: start other::test"):
        _write("/dev/kmsg", line)


def asks_sysrq() -> None:
    for key in "wlt":
        _write("/proc/sysrq-trigger", key)


def prints_much() -> None:
    for _ in range(8000):
        sys.stdout.write("x" * 999 + "\n")


def prints_control_characters() -> None:
    sys.stdout.write("\x00\x01\x1b[31m\x7f\ufffe ]]> \x0c")
    raise AssertionError("\x00\x1b]0;title\x07 ]]> ")


def _results() -> list[int]:
    ours = [fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return [int(fd.name) for fd in ours if "vport" in str(fd.readlink())]


def talks_into_the_results() -> None:
    os.write(_results()[0], b"\xff" * 4096)
    time.sleep(LONG)


def cuts_the_results() -> None:
    for fd in _results():
        os.close(fd)


def ends_the_session() -> None:
    import pytest

    pytest.exit("enough")


def interrupts_the_session() -> None:
    raise KeyboardInterrupt


def exits_python() -> None:
    sys.exit(0)


def recurses() -> None:
    recurses()


def starts_programs() -> None:
    subprocess.run(["sh", "-c", "exit 3"], check=True)


ALL = (
    Mischief("leaves_children", leaves_children, "pass"),
    Mischief("leaves_a_daemon", leaves_a_daemon, "pass"),
    Mischief("forks_until_refused", forks_until_refused, "pass"),
    Mischief("fills_tmp", fills_tmp, "fail", "No space left"),
    Mischief("fills_run", fills_run, "fail", "No space left"),
    Mischief("goes_away", goes_away, "pass"),
    Mischief("leaves_a_limit", leaves_a_limit, "pass"),
    Mischief("leaves_a_variable", leaves_a_variable, "pass"),
    Mischief("leaves_its_network", leaves_its_network, "pass"),
    Mischief("has_children_come_out", has_children_come_out, "pass"),
    Mischief("lowers_its_limits", lowers_its_limits, "crash", "SIGKILL|SIGXCPU"),
    Mischief("eats_all_memory", eats_all_memory, "crash", "[Oo]ut of memory"),
    Mischief(
        "has_a_child_eat_all_memory",
        has_a_child_eat_all_memory,
        "error",
        "[Oo]ut of memory",
        why="the kernel complained, though nothing the test looked at was wrong",
    ),
    # Whether anybody notices depends on who was just reading.
    Mischief("closes_all_files", closes_all_files, "crash|timeout"),
    Mischief("mounts_over_root", mounts_over_root, "pass"),
    Mischief("mounts_over_its_libraries", mounts_over_its_libraries, "pass"),
    Mischief("unmounts_proc", unmounts_proc, "pass"),
    Mischief("changes_root", changes_root, "pass"),
    # Whatever those above took away, it is there again: their guests were replaced.
    Mischief("starts_programs", starts_programs, "fail", "exit status 3"),
    Mischief("sets_the_clock_forward", sets_the_clock(10), "pass"),
    Mischief("sets_the_clock_back", sets_the_clock(-10), "pass"),
    Mischief("stops_loopback", stops_loopback, "pass"),
    Mischief("exits_0", exits(0), "crash", "ended with status 0"),
    Mischief("exits_3", exits(3), "crash", "ended with status 3"),
    Mischief("aborts", os.abort, "crash", "SIGABRT"),
    Mischief("becomes_another_program", becomes_another_program, "crash", "ended with status 0"),
    Mischief("accesses_no_memory", accesses_no_memory, "crash", "SIGSEGV"),
    Mischief("kills_itself", kills_itself, "crash", "SIGKILL"),
    Mischief("kills_init", kills_init, "pass", why="the kernel lets nobody kill init"),
    Mischief("interrupts_init", interrupts_init, "crash"),
    Mischief("freezes_init_and_exits", freezes_init_and_exits, "timeout", "deadline"),
    Mischief("reboots", reboots(0x01234567), "crash", "powered off by itself"),
    Mischief("powers_off", reboots(0x4321FEDC), "crash", "powered off by itself"),
    Mischief("halts", reboots(0xCDEF0123 - (1 << 32)), "timeout", why="its machine stays on"),
    Mischief("sysrq_b", lambda: _sysrq("b"), "crash", "powered off by itself"),
    Mischief("sysrq_o", lambda: _sysrq("o"), "crash", "powered off by itself"),
    Mischief("sysrq_c", lambda: _sysrq("c"), "crash", "sysrq triggered crash"),
    Mischief("sysrq_i", lambda: _sysrq("i"), "crash"),
    Mischief("panics_and_stays", panics_and_stays, "crash", "sysrq triggered crash"),
    Mischief("panics_silently", panics_silently, "crash", "sysrq triggered crash"),
    Mischief("stops_itself", stops_itself, "timeout", "deadline"),
    Mischief("takes_the_processor", takes_the_processor, "timeout", "deadline"),
    Mischief("waits", waits, "timeout", "deadline"),
    Mischief("talks_garbage", talks_garbage, "pass"),
    Mischief("silences_the_console", silences_the_console, "pass"),
    Mischief("has_level_zero", has_level_zero, "pass"),
    Mischief("talks_like_a_kernel", talks_like_a_kernel, "pass"),
    Mischief("talks_like_init", talks_like_init, "pass"),
    Mischief("asks_sysrq", asks_sysrq, "pass"),
    Mischief("prints_much", prints_much, "pass"),
    Mischief("prints_control_characters", prints_control_characters, "fail"),
    Mischief(
        "talks_into_the_results",
        talks_into_the_results,
        "crash",
        "was lost twice",
        why="once may be the host's fault",
    ),
    Mischief(
        "cuts_the_results",
        cuts_the_results,
        "crash|timeout",
        "ended with status 0|over its deadline",
        why="whether anybody notices a closed port depends on who was just reading from it",
    ),
    Mischief("exits_python", exits_python, "fail"),
    Mischief("recurses", recurses, "fail", "recursion"),
)
BY_NAME = {one.name: one for one in ALL}

#: What CI does: one for each way in which a worker, its guest or what they say can go wrong.
CHOSEN = frozenset(
    {
        *("leaves_a_daemon", "fills_run", "goes_away", "lowers_its_limits"),
        *("leaves_a_limit", "has_children_come_out"),
        *("has_a_child_eat_all_memory", "closes_all_files", "mounts_over_its_libraries"),
        *("changes_root", "starts_programs", "sets_the_clock_back", "exits_0", "kills_itself"),
        *("powers_off", "sysrq_c", "panics_silently", "takes_the_processor", "talks_garbage"),
        *("talks_like_init", "prints_control_characters", "talks_into_the_results"),
        "exits_python",
    }
)
