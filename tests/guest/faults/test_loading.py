# SPDX-License-Identifier: GPL-2.0-only
"""Allocations that fail where no task of the test makes them, or while a module registers."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from guestlib import faults
from guestlib.instances import INSTANCES
from guestlib.sample import GROUP, MODULE, ask_to_depend, delete, depend, image, insert, make_item
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = [
    needs.feature("fault_injection"),
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET_DEBUGFS"),
    needs.module("configfs_sample"),
]

# What the module loader says when its own allocations fail, besides ENOMEM.
LOADER = {errno.ENOMEM, errno.ENOEXEC, errno.EINVAL, errno.ENFILE}


@pytest.mark.parametrize("kind", ["slab", "page"])
def test_a_subsystem_that_cannot_register_leaves_nothing(
    request: pytest.FixtureRequest, configfs: str, kind: str
) -> None:
    def state() -> list[str]:
        return [*map(str, Path(CONFIGFS).iterdir()), Path("/proc/modules").read_text()]

    load, calls = partial(insert, image()), request.config.getoption("--fault-calls")
    load()
    delete()
    before = state()
    with faults.only(kind):
        tried = faults.tries(load, delete, calls=calls)
    unclean = [str(one) for one in tried if one.errno and one.errno not in LOADER]
    assert not unclean, f"an errno that does not say what happened: {unclean}"
    assert state() == before
    assert len(tried) > 1, f"nothing ever failed: {tried}"


@pytest.fixture
def _loaded(configfs: str) -> Iterator[None]:
    insert(image())
    yield
    wait.until(unloaded, f"{MODULE} to be unloaded")


def unloaded() -> bool:
    try:
        delete()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


@pytest.mark.usefixtures("_loaded")
@pytest.mark.parametrize("function", ["configfs_depend_item", "configfs_pin_fs"])
def test_a_dependency_that_there_is_no_memory_for_keeps_nothing(
    make_container: Callable[..., Container], function: str
) -> None:
    """It needs a mount of its own, which is made in the worker of the sample."""

    def fail_and_leave() -> list[str]:
        item = make_item()
        with faults.once_inside(function) as failed:
            ask_to_depend(item, wanted=True)
            wait.until(failed, f"an allocation of {function}() to fail")
        ask_to_depend(item, wanted=False)  # queued behind the one that failed
        depend(item, wanted=True)
        depend(item, wanted=False)
        syscalls.umount(CONFIGFS)
        folder = INSTANCES / str(syscalls.mount_namespace_id())
        wait.until(lambda: not folder.exists(), "the instance to be gone")
        mount_configfs()
        return sorted(entry.name for entry in GROUP.iterdir() if entry.is_dir())

    assert make_container().run(fail_and_leave) == []
