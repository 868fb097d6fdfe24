# SPDX-License-Identifier: GPL-2.0-only
"""What a process inherits and hands on: limits, namespaces, variables and the like.

All tests of a guest run in one process, so a test that leaves these changed has changed them for
those after it.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Generator
from typing import Any

import pytest

# Lines of /proc/self/status, and what they tell of.
_LINES = {
    b"Umask": "the umask is another",
    b"Uid": "uids are others",
    b"Gid": "gids are others",
    b"Groups": "groups are others",
    b"CapInh": "capabilities are others",
    b"CapPrm": "capabilities are others",
    b"CapEff": "capabilities are others",
    b"CapBnd": "capabilities are others",
    b"CapAmb": "capabilities are others",
    b"NoNewPrivs": "privileges are others",
    b"Seccomp_filters": "privileges are others",
    b"SigBlk": "blocked signals are others",
    b"SigIgn": "ignored signals are others",
    b"SigCgt": "caught signals are others",
    b"Cpus_allowed": "allowed processors are others",
    b"Mems_allowed": "allowed memory nodes are others",
}
_FIELDS = re.compile(rb"^(%s):\t(.*)$" % b"|".join(_LINES), re.MULTILINE)
# Files of /proc/self that are compared as they are.
_FILES = {
    "limits": "limits are others",
    "cgroup": "the cgroup is another",
    "oom_score_adj": "oom_score_adj is another",
    "personality": "the personality is another",
}
_MOST = 1 << 14  # bytes of such a file
# libc takes handlers for 32 and 33 when it first needs them; pytest-timeout has one for SIGALRM
# (14) around those of the tests that it times, which is still there when we look.
_OTHERS = ~(1 << 31 | 1 << 32 | 1 << 13)
_PYTESTS = b"PYTEST_CURRENT_TEST"

#: What is changed, in words, or a variable's name: its value.
State = dict[str | bytes, object]


class Inherited:
    """Knows how it was, and what fixtures of a wider scope than a test made of it on purpose."""

    def __init__(self) -> None:
        self._files = {name: _open(name) for name in ("status", *_FILES)}
        self._ns = _open("ns")
        self._namespaces = _namespaces(self._ns)
        self._normal: State = {}
        self._until: dict[Any, State] = {}  # fixtures, and how it was before them

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Take for normal what the first test finds, when everything is imported."""
        self._normal = self._normal or self.look()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Take for normal what a fixture changes for more than one test, until it is undone."""
        if fixturedef.scope == "function":
            return (yield)
        before = self.look()
        result = yield
        now = self.look()
        changed = [name for name in before | now if before.get(name) != now.get(name)]
        if changed:
            self._until[fixturedef] = {name: before.get(name) for name in changed}
            self._normal |= {name: now.get(name) for name in changed}
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Expect everything to be as it was before a fixture that is undone."""
        self._normal |= self._until.pop(fixturedef, {})

    def changed(self) -> str:
        """Say what a test has left changed; empty when it is as before."""
        if not self._normal:  # no test has begun
            return ""
        try:
            os.fstat(self._files["status"])
        except OSError:
            return "open files are others than before"
        now = self.look()
        if now == self._normal:  # nearly always, and this is done for every test
            return ""
        names = [one for one in self._normal | now if self._normal.get(one) != now.get(one)]
        if not names:
            return ""
        name = names[0]
        what = name if isinstance(name, str) else f"the variable {os.fsdecode(name)} is another"
        return f"{what} than before"

    def look(self) -> State:
        """Give how it is now: for each test, so in few system calls."""
        found: State = dict(vars(os.environ)["_data"])
        found.pop(_PYTESTS, None)
        for field, value in _FIELDS.findall(_read(self._files["status"])):
            known = int(value, 16) & _OTHERS if field == b"SigCgt" else value
            found[_LINES[field]] = (found.get(_LINES[field]), known)
        for name, what in self._namespaces.items():
            found[what] = self._link(name)
        for name, what in _FILES.items():
            found[what] = _read(self._files[name])
        found["the handler of SIGINT is another"] = signal.getsignal(signal.SIGINT)
        found["the working directory is another"] = _folder()
        policy = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
        found["the priority is another"] = (os.getpriority(os.PRIO_PROCESS, 0), policy)
        return found

    def _link(self, name: str) -> str:
        try:
            return os.readlink(name, dir_fd=self._ns)
        except OSError:  # a namespace that nobody is in yet
            return ""


def _open(name: str) -> int:
    # What is open stays the worker's own, whatever becomes of /proc.
    try:
        return os.open(f"/proc/self/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the kernel has no such thing
        return -1


def _namespaces(folder: int) -> dict[str, str]:
    # Those that differ between a process and its children go by a name of their own.
    found = os.listdir(folder) if folder >= 0 else []
    names = sorted(name for name in found if name not in ("pid", "time"))
    return {name: f"the {name} namespace is another" for name in names}


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
