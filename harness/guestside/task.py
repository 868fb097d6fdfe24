# SPDX-License-Identifier: GPL-2.0-only
"""Run Python functions in separate processes, and get their results or exceptions."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness.guestside import syscalls, wait


class TaskDied(Exception):
    """The process ended without a result: it was killed, or called os._exit."""


class TaskFailed(Exception):
    """The function failed with an exception that cannot be pickled; this contains its text."""


def fork() -> int:
    """Like os.fork(), but the child is killed when its parent dies."""
    pid = os.fork()
    if pid == 0:
        syscalls.die_with_parent()
    return pid


class Task:
    """A function running in a child process, which calls ``enter`` first."""

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, enter: Callable[[], None] | None = None
    ) -> None:
        self._read, write = os.pipe2(os.O_CLOEXEC)
        self.pid = fork()
        if self.pid == 0:
            _child(write, function, arguments, enter)
        os.close(write)

    def fileno(self) -> int:
        """Return a descriptor that becomes readable once the function has ended."""
        return self._read

    def result(self, seconds: float = wait.PATIENCE) -> Any:
        """Wait for the function to end; return its result or raise its exception.

        After ``seconds``, kills the process and raises TimeoutError.  Raises TaskDied if the
        process ended without a result.
        """
        deadline = time.monotonic() + seconds
        answer = bytearray()
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                self.kill()
                raise TimeoutError(f"a function in task {self.pid} took more than {seconds:g} s")
            piece = os.read(self._read, 1 << 16)
            if not piece:
                break
            answer += piece
        status = self._end()
        if not answer:
            raise TaskDied(f"task {self.pid} ended without a result: {_exit_text(status)}")
        succeeded, value = pickle.loads(answer)
        if not succeeded:
            raise value
        return value

    def kill(self) -> None:
        """Kill the process, unless it has ended already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._end()

    def _end(self) -> int:
        if self._read < 0:
            return 0
        os.close(self._read)
        self._read = -1
        return reap(self.pid)


def reap(pid: int) -> int:
    """Wait for a child that is about to end; return its status.

    Raises TimeoutError with the child's kernel stack if it does not end in time.
    """
    deadline = time.monotonic() + wait.PATIENCE
    while True:
        late = time.monotonic() >= deadline
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if late:
            raise TimeoutError(f"task {pid} does not end; its kernel stack:\n{stack(pid)}")
        time.sleep(wait.PAUSE)


def stack(pid: int) -> str:
    """Return a task's kernel stack, or at least the function it sleeps in."""
    for name in ("stack", "wchan"):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/{name}").read_text()
    return "(unknown)"


def _exit_text(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def _child(
    write: int,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    enter: Callable[[], None] | None,
) -> NoReturn:
    """Run the function in the child, which must never return into the test."""
    try:
        try:
            if enter:
                enter()
            answer = pickle.dumps((True, function(*arguments)))
        except BaseException as error:
            answer = failure(error)
        with contextlib.suppress(OSError):
            while answer:
                answer = answer[os.write(write, answer) :]
    finally:
        os._exit(0)


def failure(error: BaseException) -> bytes:
    """Pickle an exception, with its traceback as a note."""
    error.add_note("in the task:\n" + "".join(traceback.format_exception(error)))
    try:
        packed = pickle.dumps((False, error))
        pickle.loads(packed)  # some exceptions can be pickled but not unpickled
    except Exception:
        text = "".join(traceback.format_exception_only(error))
        packed = pickle.dumps((False, TaskFailed(text)))
    return packed
