# SPDX-License-Identifier: GPL-2.0-only
"""Allocations that fail where no task of the test makes them, or while a module registers."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestlib import faults
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [
    needs.feature("fault_injection"),
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET_DEBUGFS"),
    needs.module("configfs_sample"),
]

SAMPLE = "configfs_sample"
GROUP = Path(CONFIGFS, "04-per-namespace")
INSTANCES = Path("/sys/kernel/debug/nvmet-instances")
_libc = ctypes.CDLL(None, use_errno=True)
_FINIT, _DELETE = {"x86_64": (313, 176), "aarch64": (273, 106)}.get(platform.machine(), (0, 0))
# What the module loader says when its own allocations fail, besides ENOMEM.
LOADER = {errno.ENOMEM, errno.ENOEXEC, errno.EINVAL, errno.ENFILE}


def call(number: int, *arguments: object) -> None:
    if _libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "module")


def load() -> None:
    """Load the sample in this very task, whose allocations are counted."""
    (file,) = Path("/lib/modules", os.uname().release).rglob("configfs_sample.ko")
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call(_FINIT, fd, b"", 0)
    finally:
        os.close(fd)


def unload() -> None:
    call(_DELETE, SAMPLE.encode(), os.O_NONBLOCK)


@pytest.mark.parametrize("kind", ["slab", "page"])
def test_a_subsystem_that_cannot_register_leaves_nothing(
    request: pytest.FixtureRequest, configfs: str, kind: str
) -> None:
    def state() -> list[str]:
        return [*map(str, Path(CONFIGFS).iterdir()), Path("/proc/modules").read_text()]

    load()
    unload()
    before = state()
    with faults.only(kind):
        tried = faults.tries(load, unload, calls=request.config.getoption("--fault-calls"))
    unclean = [str(one) for one in tried if one.errno and one.errno not in LOADER]
    assert not unclean, f"an errno that does not say what happened: {unclean}"
    assert state() == before
    assert len(tried) > 1, f"nothing ever failed: {tried}"


@pytest.fixture
def _loaded(configfs: str) -> Iterator[None]:
    load()
    yield
    wait.until(unloaded, f"{SAMPLE} to be unloaded")


def unloaded() -> bool:
    try:
        unload()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


@pytest.mark.usefixtures("_loaded")
@pytest.mark.parametrize("function", ["configfs_depend_item", "configfs_pin_fs"])
def test_a_dependency_that_there_is_no_memory_for_keeps_nothing(
    make_container: Callable[..., Container], function: str
) -> None:
    """It needs a mount of its own, which is made in the worker of the sample."""

    def depend(item: Path, *, wanted: bool) -> None:
        (item / "depend").write_text(str(int(wanted)))

    def fail_and_leave() -> list[str]:
        item = GROUP / "item"
        item.mkdir()
        with faults.once_inside(function) as failed:
            depend(item, wanted=True)
            wait.until(failed, f"an allocation of {function}() to fail")
        depend(item, wanted=False)  # queued behind the one that failed
        depend(item, wanted=True)
        wait.until(lambda: (item / "depend").read_text() == "1\n", "the item to be depended on")
        depend(item, wanted=False)
        wait.until(lambda: (item / "depend").read_text() == "0\n", "that to end")
        syscalls.umount(CONFIGFS)
        folder = INSTANCES / str(syscalls.mount_namespace_id())
        wait.until(lambda: not folder.exists(), "the instance to be gone")
        mount_configfs()
        return sorted(entry.name for entry in GROUP.iterdir() if entry.is_dir())

    assert make_container().run(fail_and_leave) == []
