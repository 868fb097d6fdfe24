# SPDX-License-Identifier: GPL-2.0-only
"""A child that a test forks is not the worker: it ends where it would leave the test.

Without this it goes on as a second pytest, and reports the rest of the tests as if it had run them.
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
    """Hooks that look who comes out of a phase, or of the import of a test file."""

    # Innermost: around it, pytest still collects the output of the test, and so the child's.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """End every process that comes out of a phase and did not go in."""
        return (yield from _one_comes_out(item))

    pytest_runtest_call = pytest_runtest_teardown = pytest_runtest_setup

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, object, object]:
        """End every process that comes out of an import and did not go in."""
        return (yield from _one_comes_out(collector))


def _one_comes_out(node: pytest.Item | pytest.Collector) -> Generator[None, object, object]:
    inside = os.getpid()
    try:
        result = yield
    except BaseException as error:
        if os.getpid() != inside:
            _leave(error)
        raise
    if os.getpid() != inside:
        kept = vars(node).get("_excinfo")  # a unittest.TestCase does not let it through
        _leave(kept[0].value if kept else None)
    return result


def silence(*results: int) -> None:
    """Let no child of this process speak, or listen, on its results channel."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # now: a test may take /dev away

    def child() -> None:
        with contextlib.suppress(OSError):  # a test closed it, and so the channel, too
            for descriptor in results:
                os.dup2(null, descriptor, inheritable=False)

    os.register_at_fork(after_in_child=child)


def _leave(error: BaseException | None = None) -> None:
    """End this process as a Python program would: with its status, or its traceback on stderr."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if status and not isinstance(error.code, int):
            _say(f"{error.code}\n")
    elif error is not None:
        status = 1
        _say("".join(traceback.format_exception(_from_the_test(error))))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status & 0xFF)


def _say(text: str) -> None:
    # Not sys.stderr, which may be a buffer that goes with this process.
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="backslashreplace"))


def _from_the_test(error: BaseException) -> BaseException:
    """Leave out how pytest came to the test."""
    frame = error.__traceback__
    while frame and frame.tb_frame.f_globals.get("__name__", "").startswith(_FRAMEWORK):
        frame = frame.tb_next
    return error.with_traceback(frame) if frame else error
