# SPDX-License-Identifier: GPL-2.0-only
"""The nursery of warm.py: a process that has imported what programs need, and is forked for them.

``python nursery.py FD``: a socket, on which warm.Nursery says what it wants.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

import warm

# Left for the program itself: as a module that is there, python -m would complain of it.
_NOT_YET: tuple[str, ...] = ("harness.__main__", "harness.guest.keeper", "harness.guest.gather")
_NOT_YET += ("harness.history.migrations", "harness.guestside.")  # and a guest is its own matter
# Without the folder of the program, which is first, and what the environment says.
_path = sys.path[1 + len([*filter(None, os.environ.get("PYTHONPATH", "").split(":"))]) :]
# What Python makes of the locale and PYTHONIOENCODING, which are the same for our forks.
_forms = [(each.encoding, each.errors) for each in (sys.stdin, sys.stdout, sys.stderr)]


def serve(sock: socket.socket) -> None:
    """Fork a program for each that is asked for, until nobody can ask any more."""
    os.setpgid(0, 0)
    faulthandler.enable(2)  # a test that has waited too long asks a program where it is
    while True:
        message, fds, _, _ = socket.recv_fds(sock, warm.SIZE, 16)
        if not message:
            os._exit(0)
        told, tells = os.pipe()
        go, waits = os.pipe()
        between = os.fork()
        if not between:
            if os.fork():
                os._exit(0)
            for fd in (told, waits, sock.fileno()):
                os.close(fd)
            _become(json.loads(message), fds, tells, go)
        os.close(tells)
        os.close(go)
        pid_words = os.read(told, 32)  # none from one that is killed before it has a group
        os.waitpid(between, 0)
        os.close(told)
        for fd in fds:
            os.close(fd)
        sock.send(pid_words)
        os.close(waits)  # it has the right parent now


def _become(job: dict[str, Any], fds: list[int], tells: int, go: int) -> None:
    """Become the program; does not come back.

    Who asked hears of it on ``tells`` when it has its group, and it goes on at the end of ``go``.
    """
    status = 1
    try:
        if job["session"]:
            os.setsid()
        else:
            group = job["group"]
            os.setpgid(0, job["ours"] if group < 0 else group)
        os.write(tells, str(os.getpid()).encode())
        os.close(tells)
        os.read(go, 1)
        _descriptors(fds, job["pass"])
        if job["terminal"]:
            warm.take_terminal()
        os.chdir(job["cwd"])
        os.environ.clear()
        os.environ.update(job["env"])
        tempfile.tempdir = None
        _streams(bare="-u" in job["words"][:1] or bool(job["env"].get("PYTHONUNBUFFERED")))
        if job["gate"] is not None and not _through(job["gate"]):
            os._exit(1)
        if "-c" not in job["words"][:2]:  # a worker starts nothing
            _own_nursery()
        status = _program(job["words"])
    except BaseException as error:
        traceback.print_exc()
        _by_signal(error)
    finally:
        os._exit(status)


def _descriptors(fds: list[int], passed: list[int]) -> None:
    """Put the descriptors where the program expects them; all others are closed."""
    wanted = [0, 1, 2, *passed]
    # Above all that is wanted first, or one would fall on another.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, max(wanted) + 1) for fd in fds]
    for fd, number in zip(high, wanted, strict=True):
        os.dup2(fd, number, inheritable=True)
    top = 2
    for number in sorted(passed):
        os.closerange(top + 1, number)
        top = number
    os.closerange(top + 1, os.sysconf("SC_OPEN_MAX"))


def _through(gate: int) -> bool:
    """Wait at the gate as the shell does; whether the guard stands."""
    said = os.read(gate, 1)
    os.close(gate)
    return said == b"\n"


def _streams(bare: bool) -> None:
    """Open the standard streams as Python does when it starts; ``bare``: as with -u."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        writes = number > 0
        raw = io.FileIO(number, "wb" if writes else "rb", closefd=False)
        raw.name = f"<{name}>"
        buffer = io.BufferedReader(raw) if not writes else raw if bare else io.BufferedWriter(raw)
        stream = io.TextIOWrapper(
            buffer,
            *_forms[number],
            line_buffering=writes and not bare and (number == 2 or raw.isatty()),
            write_through=writes and bare,
        )
        stream.mode = "w" if writes else "r"  # type: ignore[misc]  # as Python does itself
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _own_nursery() -> None:
    """Leave a fork of what we are now to be forked in turn."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        mine = os.dup(theirs.fileno())
        os.closerange(3, mine)
        os.closerange(mine + 1, os.sysconf("SC_OPEN_MAX"))
        theirs.detach()
        with contextlib.suppress(BaseException):
            serve(socket.socket(fileno=mine))
        os._exit(1)
    theirs.close()
    warm.use(ours)
    subprocess.Popen = warm.Popen  # type: ignore[misc,assignment]


def _program(words: list[str]) -> int:
    """Run it as python does; gives the exit status."""
    safe = words[0] == "-P"
    words = words[1:] if words[0] in ("-P", "-u") else words
    kind, rest = words[0], words[1:]
    first = {"-m": str(Path.cwd()), "-c": ""}.get(kind, str(Path(kind).parent))
    more = filter(None, os.environ.get("PYTHONPATH", "").split(":"))
    sys.path[:] = [*([] if safe else [first]), *more, *_path]
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    try:
        if kind == "-m":
            sys.argv = ["-m", *rest[1:]]
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(rest[0], vars(main))
        else:
            sys.argv = words
            vars(main)["__file__"] = kind
            exec(compile(Path(kind).read_bytes(), kind, "exec"), vars(main))
        status = 0
    except SystemExit as end:
        status = _status(end)
    except BaseException as error:
        status = 1
        sys.excepthook(type(error), error, error.__traceback__)
        _by_signal(error)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    return _flushed(status)


def _by_signal(error: BaseException) -> None:
    """End as Python does that was interrupted."""
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1


def _flushed(status: int) -> int:
    """Flush the streams; Python ends with 120 when it cannot."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError:
            status = 120
    return status


def _load() -> None:
    """Import what the programs need."""
    for name in ("pytest", "execnet", "xdist.workermanage", "xdist.remote", "alembic.command"):
        importlib.import_module(name)
    import harness

    for module in pkgutil.walk_packages(harness.__path__, "harness.", onerror=None):
        if not module.name.startswith(_NOT_YET):
            importlib.import_module(module.name)
    # pytest would warn that it cannot rewrite the assertions of plugins that are there already.
    for name in ("xdist", "harness", "harness.plugin"):
        plugin = sys.modules[name]
        plugin.__doc__ = f"{plugin.__doc__}\nPYTEST_DONT_REWRITE"


def main() -> None:
    """Be the nursery, for the socket that is named."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    _load()
    assert threading.active_count() == 1, threading.enumerate()
    atexit._clear()
    gc.collect()
    gc.freeze()
    sock.send(b"ready")
    serve(sock)


if __name__ == "__main__":
    main()
