# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin's guest side: marks tests in the kernel's log, sends that log with reports."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from harness.guestside.kmsg import Kmsg


def install(config: pytest.Config) -> None:
    """Set up this worker.  Temporary files lie in the guest's own memory, not on the host."""
    config.option.basetemp = _own_folder()
    config.pluginmanager.register(GuestSide(), "harness-guest")


def _own_folder() -> str | None:
    """Give a folder when pytest's usual one shines through from the host and is somebody else's.

    The guest's root is on the host only who started it.
    """
    usual = Path(tempfile.gettempdir(), f"pytest-of-{getpass.getuser()}")
    try:
        os.listdir(usual)  # noqa: PTH208 - access() says what the guest's kernel thinks
    except PermissionError:
        return tempfile.mkdtemp(prefix="pytest-")
    except OSError:
        pass
    return None


class GuestSide:
    """Hooks that run in the guest."""

    def __init__(self) -> None:
        self.kmsg = Kmsg()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Mark the start, so that the console splits by test even if the guest dies."""
        self.kmsg.mark("start", nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Mark the end."""
        self.kmsg.mark("end", nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send with each phase's report what the kernel said during it."""
        report = yield
        report.kernel_log = self.kmsg.drain()  # type: ignore[attr-defined]
        return report
