# SPDX-License-Identifier: GPL-2.0-only
"""The sample of a namespace-aware subsystem: its attribute, its module, and who unloads it when."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from guestlib import bursts, memory, nvme, sample
from guestlib.fuse import stuck_files, try_to_write
from guestlib.instances import INSTANCES, check_own
from guestlib.nvmet import Instance, Namespace, Subsystem, loop_port
from guestlib.races import RaceResult, race
from guestlib.sample import GROUP, ask_to_depend, depend, depends, make_item, modprobe
from guestlib.states import wait_until_in
from harness.guestside import needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.expect import errno_is
from harness.guestside.kernelfiles import CONFIGFS
from harness.guestside.task import Task

pytestmark = [
    needs.module("configfs_sample"),
    needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET_DEBUGFS"),
]

NQN = "nqn.2026-01.org.example:sample"
TIMES = 20
MANY = 32
ROUNDS = 300
ONCE_EACH = 2  # an item holds the module of its own type, and that of the subsystem's


@pytest.fixture(autouse=True)
def _loaded(configfs: str) -> Iterator[None]:
    modprobe()
    yield
    modprobe("--remove")


@pytest.fixture(params=["initial", "container"])
def inside(
    request: pytest.FixtureRequest, make_container: Callable[..., Container], _loaded: None
) -> Callable[[Callable[[], object]], object]:
    """Run a function where the sample is the one of the initial instance, or a container's copy."""
    if request.param == "initial":
        return lambda function: function()
    return make_container().run


class TestItsAttribute:
    def test_what_is_no_boolean_is_refused(
        self, inside: Callable[[Callable[[], object]], object]
    ) -> None:
        def write() -> None:
            item = make_item()
            try:
                with errno_is(errno.EINVAL):
                    (item / "depend").write_text("perhaps")
                assert (item / "depend").read_text() == "0\n"
            finally:
                item.rmdir()

        inside(write)

    @needs.feature("slab_counts")
    @needs.config("CONFIG_AIO")
    def test_no_memory_stays_of_an_item_that_is_asked_for_many_times(
        self, container: Container
    ) -> None:
        """Most requests come while the one before is still queued."""

        def turn() -> None:
            item = make_item()
            bursts.write(item / "depend", b"1", MANY)
            depends(item, wanted=True)
            depend(item, wanted=False)
            item.rmdir()

        found = container.run(memory.grown, TIMES, turn)
        assert not found, f"objects that each of {TIMES} items left: {found}"


class TestItsItems:
    def test_each_holds_the_module_while_it_is_there(
        self, inside: Callable[[Callable[[], object]], object]
    ) -> None:
        def count() -> list[int]:
            before = sample.references()
            items = [make_item("one"), make_item("other")]
            counts = [sample.references() - before]
            for item in items:
                item.rmdir()
                counts.append(sample.references() - before)
            return counts

        assert inside(count) == [2 * ONCE_EACH, ONCE_EACH, 0]

    def test_those_left_in_an_instance_let_go_of_it(self, container: Container) -> None:
        before = sample.references()
        container.run(lambda: [make_item(f"item{number}") and None for number in range(3)])
        assert sample.references() == before + 3 * ONCE_EACH
        container.run(syscalls.umount, CONFIGFS)
        assert sample.references() == before

    def test_they_come_and_go_at_once(self, container: Container) -> None:
        """Of several tasks, each with names of its own, nobody is in the way of another."""

        def come_and_go(chance: random.Random) -> None:
            make_item(f"item-{chance.random()}").rmdir()

        def run() -> list[RaceResult]:
            return race([come_and_go] * 4, seed=1, rounds=ROUNDS)

        results = container.run(run, seconds=wait.ENDLESS)
        assert [result.refused for result in results] == [{}] * 4

    def test_several_are_depended_on_at_once(self, container: Container) -> None:
        """Each of the workers finds that nobody keeps the instance yet; one mount is enough."""

        def depend_and_leave() -> list[bool]:
            items, found = [make_item(f"item{number}") for number in range(4)], []
            for _ in range(TIMES):
                for wanted in (True, False):
                    for item in items:
                        ask_to_depend(item, wanted=wanted)
                    for item in items:
                        depends(item, wanted=wanted)
                    found.append(items[0].exists())
                    if wanted:
                        syscalls.umount(CONFIGFS)
                        mount_configfs()
            return found

        check_own(container)
        folder = INSTANCES / str(container.mount_namespace())
        assert container.run(depend_and_leave) == [True] * (2 * TIMES)
        container.run(syscalls.umount, CONFIGFS)
        wait.until(lambda: not folder.exists(), "the instance to be gone")


class TestPoint6ItsModule:
    @needs.feature("slab_counts")
    def test_no_memory_stays_when_it_comes_and_goes(self, container: Container) -> None:
        """An instance has a copy each time, which goes before the instance."""

        def mount_again() -> None:
            syscalls.umount(CONFIGFS)
            mount_configfs()

        def turn() -> None:
            container.run(mount_again)
            assert container.run(GROUP.is_dir)
            modprobe("--remove")
            assert not container.run(GROUP.exists)
            modprobe()

        check_own(container)
        found = memory.grown(TIMES // 2, turn)
        assert not found, f"objects that each of {TIMES // 2} turns left: {found}"

    @needs.config("CONFIG_NVME_FABRICS")
    @needs.config("CONFIG_NVME_TARGET_LOOP", "CONFIG_FUSE_FS")
    def test_who_unloads_it_waits_for_an_instance_that_is_going(
        self, container: Container, make_container: Callable[..., Container], tmpfs: Path
    ) -> None:
        """Whose worker still calls the module, once a disk has answered."""
        check_own(container)
        folder = INSTANCES / str(container.mount_namespace())
        port = loop_port(1, NQN, name="sample")
        with ExitStack() as stack:
            stuck = stack.enter_context(stuck_files(container.begin, tmpfs / "stuck"))
            values = Subsystem(NQN, (Namespace(stuck.path, buffered=True),)), port
            container.run(lambda: Instance().add(*values))
            controller = container.run(nvme.connect, port, NQN)
            writer = Task(try_to_write, controller.device())
            stack.callback(writer.kill)
            stuck.wait_for_write()
            umount = container.begin(syscalls.umount, CONFIGFS)
            stack.callback(umount.kill)
            wait_until_in(umount.pid, "configfs")
            unload = Task(sample.delete)
            stack.callback(unload.kill)
            wait_until_in(unload.pid, "configfs")
            assert folder.is_dir(), "its write hangs, so it cannot be gone"
            other = make_container()
            assert other.run(lambda: Instance().hosts()) == []
            assert not other.run(GROUP.exists), "it is being unloaded"
            stuck.close_server()
            unload.result()
            umount.result()
            assert not folder.exists(), "unloaded before the instance was gone"
        assert not GROUP.exists()
        controller.becomes("")
        modprobe()
