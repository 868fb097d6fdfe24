# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the guest suites.  These tests change the machine they run on: guests only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from guestlib import disks
from guestlib.leftovers import GUARD
from guestlib.nvmet import Instance
from harness.guestside import kernelfiles, kmemleak, needs, syscalls
from harness.guestside.container import Container, How
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.leaks import Things

FAILED = pytest.StashKey[bool]()
SCANNED = pytest.StashKey[float]()
# In every fragment of ours they are built in; they need not be.
MODULES = {
    "CONFIG_CONFIGFS_FS": "configfs",
    "CONFIG_NVME_TARGET": "nvmet",
    "CONFIG_NVME_TARGET_LOOP": "nvme_loop",
    "CONFIG_NVME_TARGET_TCP": "nvmet_tcp",
    "CONFIG_NVME_TCP": "nvme_tcp",
    "CONFIG_BLK_DEV_NULL_BLK": "null_blk",
}
EVERY = 120.0  # seconds between two scans for lost memory
# Everything that existed when the last test ended: finding it takes longer than many tests do.
THERE = pytest.StashKey[Things | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options for budgets.  They belong to these suites, so they are not in the plugin."""
    group = parser.getgroup("guest suites")
    group.addoption(
        "--stress-times",
        type=int,
        default=1,
        metavar="N",
        help="do everything in stress/ so many times as often (%(default)s)",
    )
    group.addoption(
        "--stress-seed",
        type=int,
        default=1,
        metavar="N",
        help="what the random choices of stress/ and teardown/ come from (%(default)s)",
    )
    group.addoption(
        "--fault-calls",
        type=int,
        default=1000,
        metavar="N",
        help="fail at most the first N allocations of an operation in faults/ (%(default)s)",
    )
    group.addoption(
        "--known-faults",
        action="store_true",
        help="run what is known to bring the kernel down, too",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Longer())
    config.addinivalue_line("markers", "needs(*what): what a test cannot do without")
    config.addinivalue_line("markers", "loses_memory: kmemleak will find what it took, on purpose")
    config.addinivalue_line("markers", "known_fault(words): a fault the kernel has, series or not")


class _Longer:
    """Makes the guard look again after a change that is to outlive a test.

    A plugin: a conftest's hooks are not called for what lives as long as the session.
    """

    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> None:
        if fixturedef.scope != "function":
            request.config.stash[THERE] = None

    def pytest_fixture_post_finalizer(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> None:
        self.pytest_fixture_setup(fixturedef, request)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Expect a splat that the host's driver may cause wherever it connects over TCP.

    Its sockets can outlive the queue that the names of their locks belong to; when another queue
    comes to lie there, lockdep finds two names for one lock.  Not the series': it is the host.
    """
    if item.path.parent.name in ("nvmet", "cluster", "teardown"):
        words = r'class "s(k_)?lock-AF_INET6?-NVME"'
        item.add_marker(pytest.mark.expects_splat(words, kind="warning", maybe=True))


def pytest_report_header(config: pytest.Config) -> str:
    """What is needed to repeat a run."""
    get = config.getoption
    return f"stress: --stress-seed {get('stress_seed')} --stress-times {get('stress_times')}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not needs.in_guest():
        pytest.skip("runs inside a guest: pytest --kernel IMAGE tests/guest")
    known = item.get_closest_marker("known_fault")
    if known and not item.config.getoption("--known-faults"):
        pytest.skip(f"known fault of the kernel: {known.args[0]} (--known-faults runs it)")
    lacking = needs.missing(item)
    if lacking:
        pytest.skip("needs: " + "; ".join(lacking))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def _diary() -> Iterator[kmemleak.Diary | None]:
    """Which test ran when, for kmemleak; at the end, the last scan."""
    if kmemleak.missing():
        yield None
        return
    diary = kmemleak.Diary()
    yield diary
    time.sleep(kmemleak.AGE)
    _no_lost_memory(diary, fresh=True)


@pytest.fixture(scope="module", autouse=True)
def _memory(request: pytest.FixtureRequest, _diary: kmemleak.Diary | None) -> Iterator[None]:
    """Scan for leaked memory after a file, now and then: that takes seconds, and names the test."""
    yield
    stash = request.config.stash
    if _diary is not None and time.monotonic() > stash.get(SCANNED, 0.0) + EVERY:
        stash[SCANNED] = time.monotonic()
        _no_lost_memory(_diary)


def _no_lost_memory(diary: kmemleak.Diary, *, fresh: bool = False) -> None:
    found = diary.blamed(kmemleak.scan(fresh=fresh))
    assert not found, f"memory that nothing points to:\n{diary.text(found)}"


@pytest.fixture(autouse=True)
def _leak_guard(
    request: pytest.FixtureRequest, configfs: str, _diary: kmemleak.Diary | None
) -> Iterator[None]:
    """Blame the test that leaves something behind, and clean up for the next one."""
    if _diary is not None:
        _diary.begins(request.node.nodeid, loses="loses_memory" in request.node.keywords)
    stash = request.config.stash
    before = stash.get(THERE, None) or GUARD.found()
    stash[THERE] = None
    yield
    failed = request.node.stash.get(FAILED, False)
    now = GUARD.found() if failed else GUARD.settled(before)
    left = now - before
    problems = GUARD.clean(left) if left else []
    if failed:  # blamed already, and it could not clean up
        return
    gone = GUARD.lost(before, now)
    assert not left, "\n".join(["the test leaked:", GUARD.text(left), *problems])
    assert not gone, "\n".join(["the test took away:", GUARD.text(gone)])
    stash[THERE] = now


@pytest.fixture(scope="session")
def configfs() -> str:
    """Where the initial instance is mounted.  What the suites are about is loaded, if a module."""
    modules = [m for option, m in MODULES.items() if kernelfiles.options().get(option) == "m"]
    if modules:
        subprocess.run(["modprobe", "--all", *modules], check=True)
    if not Path(CONFIGFS).is_mount():
        syscalls.mount("none", CONFIGFS, "configfs")
    return CONFIGFS


@pytest.fixture
def initial(configfs: str) -> Instance:
    """nvmet in the initial instance."""
    return Instance(configfs)


@pytest.fixture(scope="session")
def tmpfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory: /tmp may be an overlay, whose files nvmet exports with block size 0."""
    folder = tmp_path_factory.mktemp("tmpfs")
    syscalls.mount("none", str(folder), "tmpfs")
    yield folder
    syscalls.umount(str(folder), syscalls.MNT_DETACH)


@pytest.fixture
def make_file(tmpfs: Path) -> Iterator[Callable[..., str]]:
    """Create empty files (size in MiB) to export; they are deleted after the test."""
    made: list[str] = []

    def make(size: int = 16) -> str:
        made.append(disks.sparse_file(str(tmpfs / f"disk{len(made)}"), size))
        return made[-1]

    yield make
    for file in made:
        Path(file).unlink()


@pytest.fixture
def make_null_block() -> Iterator[Callable[..., str]]:
    """Create null_blk devices that store their data."""
    numbers = iter(range(1000))
    with ExitStack() as stack:

        def make(size: int = 16) -> str:
            device = disks.NullBlock(f"test{next(numbers)}", size)
            return stack.enter_context(device.made())

        yield make


@pytest.fixture
def make_container() -> Iterator[Callable[..., Container]]:
    """Create containers; all are destroyed after the test."""
    with ExitStack() as stack:

        def make(how: How = How.UNSHARE, *, mounted: bool = True, **more: bool) -> Container:
            container = stack.enter_context(Container(how, **more))
            if mounted:
                container.mount_configfs()
            return container

        yield make


@pytest.fixture
def container(make_container: Callable[..., Container]) -> Container:
    """A container that has mounted configfs at the usual place."""
    return make_container()
