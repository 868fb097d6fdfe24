# SPDX-License-Identifier: GPL-2.0-only
"""Run other programs, and leave none behind.

``run`` waits for a program and returns its output; ``Group`` is a long-running program in its own
session that cannot outlive us, even if we are killed with SIGKILL.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from harness.errors import HostFault

Argv = Sequence[str | os.PathLike[str]]

_log = logging.getLogger(__name__)  # logs commands, for -v

PARTING = 15.0  # seconds for a program to end after Ctrl-C, before it is killed

# Kills a process group at the end of its standard input: only we have the other end of the pipe, so
# the kernel closes it however we die.  The guard's own session protects it from Ctrl-C.
_GUARD = 'read -r _; kill -s KILL -- "-$1" 2>/dev/null'

# Executes the program once the guard is running; if we die before that, it reads end-of-file and
# exits.  Without it, a program that has just started could be left behind.
_GATE = 'read -r _ <"/proc/self/fd/$1" || exit 1; shift; exec "$@"'


@dataclasses.dataclass(frozen=True)
class Result:
    """How a program ended: exit status (negative: the signal) and what it printed."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the exit status was 0."""
        return self.status == 0

    @property
    def words(self) -> str:
        """The command as typed in a shell."""
        return shlex.join(self.argv)


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return our environment with untranslated messages (LC_ALL=C.UTF-8) and ``extra`` on top.

    A variable that is None in ``extra`` is removed.
    """
    plain = {"LC_ALL": "C.UTF-8", "LANGUAGE": None}  # LANGUAGE would still enable translations
    merged = {**os.environ, **plain, **(extra or {})}
    return {name: value for name, value in merged.items() if value is not None}


def run(
    argv: Argv,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str | bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> Result:
    """Run a program to its end and return its output (undecodable bytes become escapes).

    Raises HostFault if it cannot be started, exceeds ``timeout`` seconds, or (with ``check``)
    exits with a status other than 0.
    """
    words = tuple(os.fspath(word) for word in argv)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    begin = time.monotonic()
    with Group(
        words,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE if data is not None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as group:
        try:
            out, err = group.popen.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            what = f"{shlex.join(words)} did not end within {timeout:g} s"
            hint = "the machine may be too busy; run the same command again"
            raise HostFault(what, hint=hint) from None
    result = Result(
        words,
        group.popen.returncode,
        out.decode(errors="backslashreplace"),
        err.decode(errors="backslashreplace"),
        time.monotonic() - begin,
    )
    if check and not result.ok:
        what = f"{result.words} failed with status {result.status}"
        raise HostFault(what, details=(result.stderr or result.stdout).strip())
    return result


def follow(
    argv: Argv,
    line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
) -> int:
    """Run a program and pass each line of its output (stdout and stderr) to ``line`` immediately.

    Returns the exit status.  Ctrl-C is passed on; the program then has ``PARTING`` seconds to end.
    """
    with Group(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as group:
        output: IO[bytes] = group.popen.stdout  # type: ignore[assignment]
        try:
            for raw in output:
                line(raw.decode(errors="backslashreplace").rstrip("\r\n"))
            return group.popen.wait()
        except KeyboardInterrupt:
            group.signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                group.popen.communicate(timeout=PARTING)
            raise


def attached(argv: Argv, *, env: Mapping[str, str] | None = None) -> int:
    """Run a program on our terminal, where sudo can ask for a password; return its exit status.

    Its output goes to standard error, because standard output is for results.
    """
    words = [os.fspath(word) for word in argv]
    _log.info("$ %s", shlex.join(words))
    try:
        return subprocess.call(words, env=environment(env), stdout=sys.stderr.fileno())
    except OSError as error:
        raise HostFault(
            f"{words[0]} cannot be started: {error.strerror}", hint="harness doctor"
        ) from error


def _check_program(program: str, cwd: Path | None, env: Mapping[str, str]) -> None:
    """Raise HostFault if the program cannot be started, with the reason."""
    if cwd is not None and not cwd.is_dir():
        raise HostFault(
            f"the folder {cwd} does not exist",
            hint="it may have just been removed; run the same command again",
        )
    place = os.fspath(cwd / program) if cwd and "/" in program else program
    if shutil.which(place, path=env.get("PATH")) is not None:
        return
    if not Path(place).is_file():
        raise HostFault(f"{program} is not installed", hint="harness doctor")
    raise HostFault(f"{program} cannot be started: Permission denied", hint="harness doctor")


def _keep_nice(session: int) -> None:
    """Give a new session our nice value, if it is positive.

    Where the scheduler groups tasks by session, a nice value only counts within a session: without
    this, a build started by `nice harness run` would take as much as all that run beside it.
    """
    value = os.getpriority(os.PRIO_PROCESS, 0)
    if value > 0:
        with contextlib.suppress(OSError):  # no such groups in this kernel, or changed just before
            Path(f"/proc/{session}/autogroup").write_text(f"{value}\n")


_running: weakref.WeakSet[Group] = weakref.WeakSet()


class Group:
    """A program in its own session, with all its children.

    Leaving the context kills those that are still running.  A guard process does the same if this
    process dies without cleaning up.  ``service``: it serves all threads, and is not interrupted
    together with what they run (``interrupt_all``).
    """

    def __init__(
        self,
        argv: Argv,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        service: bool = False,
    ) -> None:
        words = [os.fspath(word) for word in argv]
        self.thread = threading.get_ident()
        variables = environment(env)
        _check_program(words[0], cwd, variables)
        _log.info("$ %s%s", shlex.join(words), f"  # in {cwd}" if cwd else "")
        gate, opened = os.pipe()
        try:
            self.popen = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, "harness-gate", str(gate), *words],
                cwd=cwd,
                env=variables,
                start_new_session=True,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(gate,),
            )
            self._guard = guard(self.popen.pid)
            _keep_nice(self.popen.pid)
            os.write(opened, b"\n")
            if not service:
                _running.add(self)
        except OSError as error:
            raise HostFault(
                f"{words[0]} cannot be started: {error.strerror}", hint="harness doctor"
            ) from error
        finally:
            os.close(gate)
            os.close(opened)

    @property
    def pid(self) -> int:
        """The process id of the program, and of its process group."""
        return self.popen.pid

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if it still exists."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)

    def end(self, grace: float = 0.0) -> int:
        """End the group: SIGTERM, then SIGKILL after ``grace`` seconds.  Returns the status."""
        if grace and self.popen.poll() is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(grace)
        self.signal(signal.SIGKILL)
        status = self.popen.wait()
        self._guard.kill()
        self._guard.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr, self._guard.stdin):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        return status

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def interrupt_all(thread: int | None = None) -> None:
    """Send SIGINT to every running program, because Ctrl-C only reaches the main thread.

    With ``thread`` (a thread's ident), only to programs started by that thread.
    """
    for group in list(_running):
        if group.popen.poll() is None and thread in (None, group.thread):
            group.signal(signal.SIGINT)


def guard(group: int) -> subprocess.Popen[bytes]:
    """Start a guard that kills a process group when this process ends for any reason."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "harness-guard", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
