# SPDX-License-Identifier: GPL-2.0-only
"""What a test leaves changed of its process is found; what a fixture changes on purpose is not."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from harness.guestside.inherited import Inherited

_libc = ctypes.CDLL(None, use_errno=True)


def _limit(number: int) -> None:
    resource.setrlimit(number, (8, resource.getrlimit(number)[1]))


def _leave(flag: int) -> Callable[[], None]:
    def does() -> None:
        if _libc.unshare(flag):
            os._exit(77)  # not allowed here

    return does


LEFT: dict[str, tuple[Callable[[], object], str]] = {
    "files": (lambda: _limit(resource.RLIMIT_NOFILE), "limits changed"),
    "core": (lambda: _limit(resource.RLIMIT_MEMLOCK), "limits changed"),
    "umask": (lambda: os.umask(0o777), "the umask changed"),
    "variable": (lambda: os.environ.update(GADGET="1"), "the environment variable GADGET changed"),
    "no variable": (lambda: os.environ.pop("PATH"), "the environment variable PATH changed"),
    "user": (lambda: os.seteuid(12345), "uids changed"),
    "group": (lambda: os.setegid(12345), "gids changed"),
    "groups": (lambda: os.setgroups([7, 8]), "groups changed"),
    "privileges": (lambda: _libc.prctl(38, 1, 0, 0, 0), "privileges changed"),
    "capability": (lambda: _libc.prctl(24, 3, 0, 0, 0), "capabilities changed"),
    "net": (_leave(0x40000000), "the net namespace changed"),
    "mnt": (_leave(0x20000), "the mnt namespace changed"),
    "uts": (_leave(0x4000000), "the uts namespace changed"),
    "ipc": (_leave(0x8000000), "the ipc namespace changed"),
    "cgroup": (_leave(0x2000000), "the cgroup namespace changed"),
    "pid": (_leave(0x20000000), "the pid_for_children namespace changed"),
    "time": (_leave(0x80), "the time_for_children namespace changed"),
    "caught": (lambda: signal.signal(signal.SIGUSR1, print), "caught signals changed"),
    "ignored": (lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN), "ignored signals changed"),
    "interrupt": (lambda: signal.signal(signal.SIGINT, print), "the handler of SIGINT changed"),
    "blocked": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP]),
        "blocked signals changed",
    ),
    "nice": (lambda: os.nice(3), "the priority changed"),
    "batch": (
        lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
        "the priority changed",
    ),
    "cpus": (
        lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]),
        "allowed processors changed",
    ),
    "folder": (lambda: os.chdir("/proc"), "the working directory changed"),
    "personality": (lambda: _libc.personality(0x0040000), "the personality changed"),
    "score": (
        lambda: Path("/proc/self/oom_score_adj").write_text("900"),
        "oom_score_adj changed",
    ),
    "files closed": (lambda: os.closerange(3, 1024), "open files changed"),
}
#: What only root can do.
ROOTS = {
    "user",
    "group",
    "groups",
    "capability",
    "net",
    "mnt",
    "uts",
    "ipc",
    "cgroup",
    "pid",
    "time",
}


def in_child(does: Callable[[], str]) -> str:
    """Give what a function says in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "?"
        with contextlib.suppress(BaseException):
            os.dup2(writing, 2)
            said = does()
        os.write(2, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 77:
        pytest.skip("no namespaces here")
    return said


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_changed_is_reported(name: str) -> None:
    if name in ROOTS and os.geteuid():
        pytest.skip("only root can")
    if name == "cpus" and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one processor")
    if name == "nice" and os.nice(0) == 19:
        pytest.skip("it cannot be nicer")
    does, words = LEFT[name]

    def left() -> str:
        known = Inherited()
        known.pytest_runtest_logstart()
        does()
        return known.changed()

    assert in_child(left).startswith(words)


def test_what_is_undone_is_not_reported() -> None:
    def undone() -> str:
        known = Inherited()
        known.pytest_runtest_logstart()
        os.environ["PYTEST_CURRENT_TEST"] = "test_it"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GADGET", "1")
            patch.chdir("/")
        old = os.umask(0)
        os.umask(old)
        signal.signal(signal.SIGALRM, print)  # as pytest-timeout does, around some tests
        return known.changed() or "nothing"

    assert in_child(undone) == "nothing"


def test_what_is_imported_is_normal() -> None:
    def imported() -> str:
        known = Inherited()
        os.environ["GADGET"] = "1"
        known.pytest_runtest_logstart()
        first = known.changed()
        known.pytest_runtest_logstart()
        return first or "nothing"

    assert in_child(imported) == "nothing"


SUITE = """
import os, resource
import pytest

def limit():
    return resource.getrlimit(resource.RLIMIT_CORE)[0]

@pytest.fixture(scope="module")
def a():
    old = os.umask(0o7)
    os.environ["A"] = "1"
    yield
    os.umask(old)
    del os.environ["A"]

@pytest.fixture(scope="session")
def b(request):
    os.environ["B"] = "1"
    yield
    del os.environ["B"]

@pytest.fixture(scope="class", params=[1, 2])
def c(request):
    os.environ["C"] = str(request.param)
    yield
    if request.param == 1:
        del os.environ["C"]

@pytest.fixture
def d(monkeypatch):
    monkeypatch.setenv("D", "1")

@pytest.fixture(scope="module")
def broken():
    os.environ["E"] = "1"
    raise OSError

def test_one(a):
    pass

def test_two(a, b, d):
    pass

def test_leaks(a):
    os.environ["LEAK"] = "1"

def test_put_back():
    del os.environ["LEAK"]

class TestIt:
    def test_three(self, c):
        pass

def test_after():
    os.environ.pop("C", None)

def test_broken(broken):
    pass

def test_again():
    os.environ.pop("E", None)

def setup_module():
    os.environ["M"] = "1"

def teardown_module():
    del os.environ["M"]
"""


class Look:
    """Asks after each test, as the guest's side does."""

    def __init__(self) -> None:
        self.known = Inherited()
        self.said: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "teardown":
            self.said[item.name] = self.known.changed()
        return report


def test_what_wider_fixtures_change_is_normal_until_they_end(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(SUITE)

    def session() -> str:
        look = Look()
        words = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path)]
        with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null):
            pytest.main([*words, str(tmp_path)], plugins=[look, look.known])
        return repr({name: said for name, said in look.said.items() if said})

    assert in_child(session) == repr(
        {
            "test_leaks": "the environment variable LEAK changed",
            "test_three[2]": "the environment variable C changed",
            "test_broken": "the environment variable E changed",
        }
    )
