# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation of an operation fails once: it must return an errno and leave nothing behind.

An operation is run with its first allocation failing, then the second, and so on until none is left
to fail.  What leaks on the way the leak guard sees, and kmemleak at the end.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from guestlib import faults
from guestlib.faults import FaultInjection
from guestlib.nvmet import Instance, Namespace, NvmetHost, Subsystem, loop_port, tcp_port
from guestlib.sample import GROUP, modprobe
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [
    needs.feature("fault_injection"),
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET"),
]

NQN = "nqn.2026-01.org.example:faults"
ROOT = Instance().root
CLEAN = {errno.ENOMEM}
# One that cannot be allocated is ENFILE, and its port without memory EADDRINUSE.
SOCKET = {errno.EADDRINUSE, errno.ENFILE}


@pytest.fixture(params=["slab", "page"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which allocator fails."""
    name: str = request.param
    return name


@pytest.fixture
def prove(request: pytest.FixtureRequest, kind: str, container: Container) -> Callable[..., None]:
    """Runs an operation in a container with each of its allocations failing."""
    calls = request.config.getoption("--fault-calls")

    def run(
        do: Callable[[], object],
        undo: Callable[[], object],
        state: Callable[[], object],
        enter: Callable[[], object] = lambda: None,
        clean: set[int] = CLEAN,
    ) -> None:
        def inside() -> tuple[list[FaultInjection], list[str]]:
            enter()
            do()  # once without faults: what is done only once is done, and Python is warm
            undo()
            before = state()
            tried = faults.tries(do, undo, calls=calls)
            after = state()
            return tried, [] if before == after else [f"before {before!r}, after {after!r}"]

        with faults.only(kind):
            tried, changed = container.run(inside, seconds=wait.ENDLESS)
        unclean = [str(one) for one in tried if one.errno and one.errno not in clean]
        assert not unclean, f"an errno that does not say what happened: {unclean}"
        assert not changed, f"a failed operation left something: {changed[0]}"
        assert len(tried) > 1 or kind == "page", f"nothing ever failed: {tried}"

    return run


def tree() -> list[str]:
    return sorted(str(path) for path in ROOT.rglob("*"))


def mounts() -> int:
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


def prove_a_new_instance(prove: Callable[..., None], place: str) -> None:
    prove(
        partial(syscalls.mount, "none", place, "configfs"),
        partial(syscalls.umount, place),
        mounts,
        enter=partial(syscalls.umount, CONFIGFS),  # what it mounts is its only one
    )


class TestMount:
    def test_of_a_new_instance(self, prove: Callable[..., None], tmp_path: Path) -> None:
        prove_a_new_instance(prove, str(tmp_path))

    def test_of_the_same_instance_at_another_place(
        self, prove: Callable[..., None], tmp_path: Path
    ) -> None:
        place = str(tmp_path)
        prove(
            partial(syscalls.mount, "none", place, "configfs"),
            partial(syscalls.umount, place),
            mounts,
        )

    def test_by_the_new_calls(self, prove: Callable[..., None]) -> None:
        def make() -> None:
            context = syscalls.fsopen("configfs")
            try:
                syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
                os.close(syscalls.fsmount(context))
            finally:
                os.close(context)

        prove(make, lambda: None, mounts, enter=partial(syscalls.umount, CONFIGFS))

    def test_in_a_copy_of_the_namespace(self, prove: Callable[..., None]) -> None:
        prove(partial(syscalls.unshare, syscalls.CLONE_NEWNS), lambda: None, mounts)


@pytest.fixture
def _sample(configfs: str) -> Iterator[None]:
    modprobe()
    yield
    modprobe("--remove")


@needs.module("configfs_sample")
@pytest.mark.usefixtures("_sample")
class TestSample:
    """The kernel's sample of a subsystem of which each instance has a copy."""

    def test_of_a_new_instance_with_its_copy(
        self, prove: Callable[..., None], tmp_path: Path
    ) -> None:
        prove_a_new_instance(prove, str(tmp_path))

    def test_of_an_item(self, prove: Callable[..., None]) -> None:
        name = str(GROUP / "item")
        prove(partial(os.mkdir, name), partial(os.rmdir, name), lambda: sorted(GROUP.iterdir()))


FOLDERS = [
    pytest.param((), "hosts/one", id="host"),
    pytest.param((), "subsystems/one", id="subsystem"),
    pytest.param((), "ports/1", id="port"),
    pytest.param((Subsystem(NQN),), f"subsystems/{NQN}/namespaces/1", id="namespace"),
    pytest.param((loop_port(1),), "ports/1/referrals/one", id="referral"),
    pytest.param((loop_port(1),), "ports/1/ana_groups/2", id="ana-group"),
]


@pytest.mark.parametrize(("values", "folder"), FOLDERS)
def test_mkdir(prove: Callable[..., None], values: tuple[Any, ...], folder: str) -> None:
    path = ROOT / folder
    # By its string: a Path makes objects on the way.
    name = str(path)
    prove(
        partial(os.mkdir, name),
        partial(os.rmdir, name),
        tree,
        enter=lambda: Instance().add(*values),
    )


LINKS = [
    pytest.param(
        (NvmetHost(NQN), Subsystem(NQN)), f"hosts/{NQN}", f"subsystems/{NQN}/allowed_hosts/{NQN}",
        id="host",
    ),
    pytest.param(
        (Subsystem(NQN), loop_port(1)), f"subsystems/{NQN}", f"ports/1/subsystems/{NQN}",
        id="loop-port", marks=needs.config("CONFIG_NVME_TARGET_LOOP"),
    ),
    pytest.param(
        (Subsystem(NQN), tcp_port(1)), f"subsystems/{NQN}", f"ports/1/subsystems/{NQN}",
        id="tcp-port", marks=needs.config("CONFIG_NVME_TARGET_TCP"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("values", "to", "link"), LINKS)
def test_symlink(prove: Callable[..., None], values: tuple[Any, ...], to: str, link: str) -> None:
    """A link allows a host; the first one from a port enables it."""

    def enter() -> None:
        Instance().add(*values)
        Instance().write(f"subsystems/{NQN}/attr_allow_any_host", 0)

    source, name = str(ROOT / to), str(ROOT / link)
    clean = CLEAN | (SOCKET if tcp_port(1) in values else set())
    do, undo = partial(os.symlink, source, name), partial(os.unlink, name)
    prove(do, undo, tree, enter=enter, clean=clean)


def write_to(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


class TestWrite:
    @pytest.mark.parametrize("device", ["file", "loop"])
    def test_enable_of_a_namespace(
        self,
        prove: Callable[..., None],
        make_file: Callable[..., str],
        loop: Callable[[str], str],
        device: str,
    ) -> None:
        backing = make_file(1)
        path = backing if device == "file" else loop(backing)
        namespace = Namespace(path, buffered=device == "file", enabled=False)
        enable = str(ROOT / f"subsystems/{NQN}/namespaces/1/enable")
        prove(
            partial(write_to, enable, b"1"),
            partial(write_to, enable, b"0"),
            lambda: Instance().read(f"subsystems/{NQN}/namespaces/1/enable"),
            enter=lambda: Instance().add(Subsystem(NQN, (namespace,))),
        )

    @pytest.mark.parametrize("attribute", ["attr_model", "attr_serial", "attr_allow_any_host"])
    def test_of_an_attribute(self, prove: Callable[..., None], attribute: str) -> None:
        path = str(ROOT / f"subsystems/{NQN}/{attribute}")
        prove(
            partial(write_to, path, b"1"),
            lambda: None,
            lambda: Instance().read(f"subsystems/{NQN}/{attribute}"),
            enter=lambda: Instance().add(Subsystem(NQN)),
        )

    def test_of_the_discovery_name(self, prove: Callable[..., None]) -> None:
        path = str(ROOT / "discovery_nqn")
        prove(
            partial(write_to, path, f"{NQN}-discovery".encode()),
            lambda: None,
            lambda: Instance().read("discovery_nqn"),
        )


@pytest.fixture
def loop() -> Any:
    """Create loop devices; they are freed after the test."""
    from contextlib import ExitStack

    from guestlib import disks

    with ExitStack() as stack:
        yield lambda file: stack.enter_context(disks.loop_device(file))
