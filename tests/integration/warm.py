# SPDX-License-Identifier: GPL-2.0-only
"""Start Python programs without starting Python: as subprocess.Popen, but of a fork.

To start an interpreter and import what the harness needs takes a processor longer than most of what
tests then look at, and a run starts a dozen of them.  A nursery is a process that has imported all
of it and waits; a program that tests know (see ``known``) is a fork of it.

It is a process as any other: a child of whoever started it, with its own id, folder, environment,
process group, signals and exit status, and nothing of the nursery's but modules.  The nursery has
one thread, so forks are safe in it, and its own group, so what a test does to a group spares it.
What a fork cannot be, such as a program with an environment that Python reads when it starts, is
started as ever, and so is what tests do not know.

How it becomes a child of ours: who asks is for that moment the one who gets orphans
(PR_SET_CHILD_SUBREAPER), and the nursery's child ends when it has forked the program.

``Popen`` and ``run`` are subprocess's.  Programs that are started so have a nursery of their own.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import inspect
import json
import os
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FAKE_VNG = str(Path(__file__).with_name("fake_vng.py"))
PROGRAM = str(Path(__file__).with_name("nursery.py"))
_WORKER = "exec(eval(sys.stdin.readline()))"  # in the code that execnet starts a worker with
_GATE = "harness-gate"  # harness.process starts everything so
_MODULES = ("harness", "pytest", "harness.guest.keeper")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
SIZE = 1 << 20

_real = subprocess.Popen  # what it was before we took its place
_execute = _real._execute_child  # type: ignore[attr-defined]
_form = inspect.signature(_execute)
_lock = threading.Lock()


def known(argv: Sequence[str]) -> tuple[list[str], int | None]:
    """Give the words behind python of a program that can be a fork, and its gate's descriptor.

    Empty for all others.
    """
    words, gate = list(argv), None
    if words[:2] == ["/bin/sh", "-c"] and words[3:4] == [_GATE]:
        gate, words = int(words[4]), words[5:]
    if words[:1] != [sys.executable]:
        return [], None
    words = words[1:]
    bare = words[1:] if words[:1] in (["-P"], ["-u"]) else words
    module = bare[:1] == ["-m"] and bare[1] in _MODULES
    worker = bare[:1] == ["-c"] and _WORKER in bare[1]
    return (words, gate) if module or worker or bare[:1] == [FAKE_VNG] else ([], None)


class Nursery:
    """The process that is forked, seen from the one that asks."""

    def __init__(self, sock: socket.socket, environment: dict[str, str]) -> None:
        self._sock = sock
        self._fixed = fixed(environment)

    def fits(self, environment: dict[str, str]) -> bool:
        """Whether Python would start there as the nursery has."""
        return fixed(environment) == self._fixed

    def fork(self, job: dict[str, Any], fds: Sequence[int]) -> int:
        """Start a program with these descriptors; gives its process id."""
        libc = ctypes.CDLL(None)
        with _lock:
            libc.prctl(_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._sock, [json.dumps(job).encode()], fds)
                answer = self._sock.recv(SIZE)
            finally:
                libc.prctl(_SUBREAPER, 0, 0, 0, 0)
        if not answer:
            raise BrokenPipeError("the nursery is gone")
        return int(answer)


def fixed(environment: dict[str, str]) -> dict[str, str]:
    """Give what Python reads of an environment when it starts."""
    names = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
    found = {name: value for name, value in environment.items() if name.startswith(names)}
    found.pop("PYTHONPATH", None)  # where modules are looked for can be told to a fork
    return found


_nursery: Nursery | None = None


def nursery() -> Nursery:
    """Give ours; the first who asks waits for its imports."""
    global _nursery
    if _nursery is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, PROGRAM, str(theirs.fileno())]
            waits = _real(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd="/")
        atexit.register(waits.wait)
        atexit.register(ours.close)
        assert ours.recv(SIZE) == b"ready"
        _nursery = Nursery(ours, dict(os.environ))
    return _nursery


def use(sock: socket.socket) -> None:
    """Use another nursery from now on: a fork's own."""
    global _nursery, _lock
    _lock = threading.Lock()
    _nursery = Nursery(sock, dict(os.environ))


class Popen(_real[Any]):
    """As subprocess.Popen; ``forked`` says whether it could be a fork.

    ``terminal``: its standard input is the terminal of the session that it leads.
    """

    forked = False

    def __init__(self, argv: Any, *args: Any, terminal: bool = False, **named: Any) -> None:
        self._terminal = terminal
        if terminal:
            named["start_new_session"] = True
        super().__init__(argv, *args, **named)

    def _execute_child(self, *args: Any, **named: Any) -> None:
        """Start it: the one step of subprocess.Popen that is another here."""
        given = _form.bind(self, *args, **named).arguments
        try:
            pid = _forked(given, self._terminal)
        except (BrokenPipeError, ConnectionResetError):
            pid = 0
        if not pid:
            if self._terminal:
                given["preexec_fn"] = take_terminal
            _execute(**given)
            return
        self.pid, self._child_created, self.forked = pid, True, True
        self._close_pipe_fds(  # type: ignore[attr-defined]  # subprocess's own
            *(given[name] for name in _PIPES)
        )


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_PLAIN: dict[str, Any] = {
    "executable": None, "preexec_fn": None, "close_fds": True, "shell": False,
    "gid": None, "gids": None, "uid": None, "umask": -1,
}  # fmt: skip


def take_terminal() -> None:
    """Make standard input the terminal of the session that this process leads."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _forked(given: dict[str, Any], terminal: bool) -> int:
    """Start a program by a fork; 0 when it cannot be one."""
    if any(given.get(name, value) != value for name, value in _PLAIN.items()):
        return 0
    args = given["args"]
    words, gate = known([os.fspath(word) for word in args] if not isinstance(args, str) else [])
    cwd = os.fspath(given["cwd"] or Path.cwd())
    environment = dict(os.environ if given["env"] is None else given["env"])
    if not words or not Path(cwd).is_dir() or not nursery().fits(environment):
        return 0
    streams = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
    streams = [number if fd == -1 else fd for number, fd in enumerate(streams)]
    job = {
        "words": words,
        "gate": gate,
        "cwd": cwd,
        "env": environment,
        "session": given["start_new_session"],
        "terminal": terminal,
        "group": given.get("process_group", -1),
        "ours": os.getpgid(0),
        "pass": list(given["pass_fds"]),
    }
    return nursery().fork(job, [*streams, *given["pass_fds"]])


def run(
    argv: Sequence[str],
    *,
    input: Any = None,  # noqa: A002
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **named: Any,
) -> subprocess.CompletedProcess[Any]:
    """As subprocess.run."""
    if capture_output:
        named |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        named["stdin"] = subprocess.PIPE
    with Popen(argv, **named) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(argv, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done
