# SPDX-License-Identifier: GPL-2.0-only
"""End child processes that tests forked before they return to pytest.

Otherwise such a child would continue as a second pytest, and report the remaining tests as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Generator

import pytest

_FRAMEWORK = ("_pytest", "pluggy", "harness.guestside.forks")


class Forks:
    """Hooks that check which process is leaving a phase, or the import of a test file."""

    # Innermost, where pytest is still capturing output, including the child's.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """End a process that leaves a phase without having entered it."""
        return (yield from _end_children(item))

    pytest_runtest_call = pytest_runtest_teardown = pytest_runtest_setup

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, object, object]:
        """End a process that leaves an import without having entered it."""
        return (yield from _end_children(collector))


def _end_children(
    node: pytest.Item | pytest.Collector,
) -> Generator[None, object, object]:
    parent = os.getpid()
    try:
        result = yield
    except BaseException as error:
        if os.getpid() != parent:
            _end_child(error)
        raise
    if os.getpid() != parent:
        caught = vars(node).get("_excinfo")  # unittest.TestCase catches exceptions itself
        _end_child(caught[0].value if caught else None)
    return result


def silence(*results: int) -> None:
    """Disconnect every child of this process from the results channel."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # opened early: a test may remove /dev

    def child() -> None:
        with contextlib.suppress(OSError):  # a test has closed all files, including the channel
            for descriptor in results:
                os.dup2(null, descriptor, inheritable=False)

    os.register_at_fork(after_in_child=child)


def _end_child(error: BaseException | None = None) -> None:
    """End this process as Python would: with its exit status, or a traceback on stderr."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if status and not isinstance(error.code, int):
            _say(f"{error.code}\n")
    elif error is not None:
        status = 1
        _say("".join(traceback.format_exception(_without_framework(error))))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status & 0xFF)


def _say(text: str) -> None:
    # Not sys.stderr, which may be a buffer that is lost with this process.
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="backslashreplace"))


def _without_framework(error: BaseException) -> BaseException:
    """Return the exception without pytest's own frames."""
    frame = error.__traceback__
    while frame and frame.tb_frame.f_globals.get("__name__", "").startswith(_FRAMEWORK):
        frame = frame.tb_next
    return error.with_traceback(frame) if frame else error
