# SPDX-License-Identifier: GPL-2.0-only
"""State that child processes inherit: limits, namespaces, variables and the like.

All tests in a guest run in the same process, so a test that changes this state without restoring it
also changes it for later tests.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Generator
from typing import Any

import pytest

# Fields of /proc/self/status, and the message if a field has changed.
_LINES = {
    b"Umask": "the umask changed",
    b"Uid": "uids changed",
    b"Gid": "gids changed",
    b"Groups": "groups changed",
    b"CapInh": "capabilities changed",
    b"CapPrm": "capabilities changed",
    b"CapEff": "capabilities changed",
    b"CapBnd": "capabilities changed",
    b"CapAmb": "capabilities changed",
    b"NoNewPrivs": "privileges changed",
    b"Seccomp_filters": "privileges changed",
    b"SigBlk": "blocked signals changed",
    b"SigIgn": "ignored signals changed",
    b"SigCgt": "caught signals changed",
    b"Cpus_allowed": "allowed processors changed",
    b"Mems_allowed": "allowed memory nodes changed",
}
_FIELDS = re.compile(rb"^(%s):\t(.*)$" % b"|".join(_LINES), re.MULTILINE)
# Files in /proc/self, compared as a whole.
_FILES = {
    "limits": "limits changed",
    "cgroup": "the cgroup changed",
    "oom_score_adj": "oom_score_adj changed",
    "personality": "the personality changed",
}
_MOST = 1 << 14  # limit in bytes for reading such a file
# libc installs handlers for signals 32 and 33 when it first needs them; pytest-timeout's handler
# for SIGALRM (14) is still installed when we check.
_IGNORED_SIGNALS = ~(1 << 31 | 1 << 32 | 1 << 13)
_PYTESTS = b"PYTEST_CURRENT_TEST"

#: Values by the message to show if they change (str), or by an environment variable's name (bytes).
State = dict[str | bytes, object]


class Inherited:
    """The normal state, including intended changes by fixtures with a wider scope."""

    def __init__(self) -> None:
        self._files = {name: _open(name) for name in ("status", *_FILES)}
        self._ns = _open("ns")
        self._namespaces = _namespaces(self._ns)
        self._normal: State = {}
        self._until: dict[Any, State] = {}  # fixtures, and the state before their setup

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Record the normal state at the first test, once everything has been imported."""
        self._normal = self._normal or self.state()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Accept changes by a fixture for several tests as normal, until its teardown."""
        if fixturedef.scope == "function":
            return (yield)
        before = self.state()
        result = yield
        now = self.state()
        changed = [name for name in before | now if before.get(name) != now.get(name)]
        if changed:
            self._until[fixturedef] = {name: before.get(name) for name in changed}
            self._normal |= {name: now.get(name) for name in changed}
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """After a fixture's teardown, expect the state that preceded its setup."""
        self._normal |= self._until.pop(fixturedef, {})

    def changed(self) -> str:
        """Return what a test changed without restoring it; empty if nothing."""
        if not self._normal:  # no test has started yet
            return ""
        try:
            os.fstat(self._files["status"])
        except OSError:
            return "open files changed"
        now = self.state()
        if now == self._normal:  # almost always true, so checked first
            return ""
        names = [key for key in self._normal | now if self._normal.get(key) != now.get(key)]
        if not names:
            return ""
        name = names[0]
        if isinstance(name, str):
            return name
        return f"the environment variable {os.fsdecode(name)} changed"

    def state(self) -> State:
        """Return the current state.  This runs for every test, so it makes few system calls."""
        state: State = dict(vars(os.environ)["_data"])
        state.pop(_PYTESTS, None)
        for field, value in _FIELDS.findall(_read(self._files["status"])):
            relevant = int(value, 16) & _IGNORED_SIGNALS if field == b"SigCgt" else value
            state[_LINES[field]] = (state.get(_LINES[field]), relevant)
        for name, what in self._namespaces.items():
            state[what] = self._link(name)
        for name, what in _FILES.items():
            state[what] = _read(self._files[name])
        state["the handler of SIGINT changed"] = signal.getsignal(signal.SIGINT)
        state["the working directory changed"] = _folder()
        policy = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
        state["the priority changed"] = (os.getpriority(os.PRIO_PROCESS, 0), policy)
        return state

    def _link(self, name: str) -> str:
        try:
            return os.readlink(name, dir_fd=self._ns)
        except OSError:  # a namespace without a process
            return ""


def _open(name: str) -> int:
    # Opened once, because /proc may be unmounted later, or belong to another PID namespace.
    try:
        return os.open(f"/proc/self/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the kernel does not have this file
        return -1


def _namespaces(folder: int) -> dict[str, str]:
    # For pid and time, pid_for_children and time_for_children show what children inherit.
    entries = os.listdir(folder) if folder >= 0 else []
    names = sorted(name for name in entries if name not in ("pid", "time"))
    return {name: f"the {name} namespace changed" for name in names}


def _read(file: int) -> bytes:
    try:
        return os.pread(file, _MOST, 0)
    except OSError:
        return b""


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return ""
