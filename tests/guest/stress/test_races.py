# SPDX-License-Identifier: GPL-2.0-only
"""Several tasks on several CPUs do everything at once: --stress-times as often, with --stress-seed.

What they do to one another is refused or works; no task may hang, nothing may be left behind when
all have ended (the leak guard), and the kernel must have nothing to say about it.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from guestlib.instances import check_own
from guestlib.nvmet import (
    Instance,
    Namespace,
    NvmetHost,
    NvmetValue,
    Subsystem,
    loop_port,
    tcp_port,
)
from guestlib.races import LOST, RaceResult, Step, ignoring, race
from harness.guestside import kernelfiles, needs, syscalls, wait
from harness.guestside.container import Container, mount_configfs
from harness.guestside.kernelfiles import CONFIGFS

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP")

NQN = "nqn.2026-01.org.example:stress"
NAMES = [f"{NQN}:{number}" for number in range(3)]
ROOT = Instance().root
STAYS = f"{NQN}:stays"
TASKS = 4

Race = Callable[..., list[RaceResult]]


@pytest.fixture
def compete(request: pytest.FixtureRequest) -> Race:
    """race(), with the seed and the number of rounds from the command line."""
    get = request.config.getoption

    def run(steps: Sequence[Step], rounds: int, **more: frozenset[int]) -> list[RaceResult]:
        return race(steps, seed=get("--stress-seed"), rounds=rounds * get("--stress-times"), **more)

    return run


@pytest.fixture(params=["initial", "container"])
def arena(
    request: pytest.FixtureRequest, initial: Instance, make_container: Callable[..., Container]
) -> Callable[..., object]:
    """Run a function with an instance that is empty again afterwards."""
    if request.param == "initial":

        def run(function: Callable[..., object], *arguments: object, **_: object) -> object:
            try:
                return function(*arguments)
            finally:
                initial.clear()

        return run
    container = make_container()
    check_own(container)
    return partial(container.run, seconds=wait.ENDLESS)


def some_succeeded(ran: list[RaceResult]) -> None:
    refused = sum(sum(one.refused.values()) for one in ran)
    assert refused < sum(one.steps for one in ran), f"every step was refused: {ran}"


# Steps: one thing each, chosen at random.  Links lead into folders that stay: what comes of a link
# into a folder that goes is in test_known_faults.py.


def make_or_remove(chance: random.Random) -> None:
    folder = ROOT / chance.choice(["hosts", "subsystems"]) / chance.choice(NAMES)
    chance.choice([folder.mkdir, folder.rmdir])()


def make_or_remove_port(chance: random.Random) -> None:
    folder = ROOT / "ports" / str(chance.randrange(1, 4))
    chance.choice([folder.mkdir, folder.rmdir])()


def make_or_remove_any(chance: random.Random) -> None:
    (make_or_remove_port if chance.random() < 0.3 else make_or_remove)(chance)


def link_or_unlink(chance: random.Random) -> None:
    (allow_or_refuse if chance.random() < 0.5 else enable_or_disable)(chance)


def allow_or_refuse(chance: random.Random) -> None:
    link = ROOT / "subsystems" / STAYS / "allowed_hosts" / chance.choice(NAMES)
    chance.choice([lambda: link.symlink_to(ROOT / "hosts" / link.name), link.unlink])()


def enable_or_disable(chance: random.Random) -> None:
    # The first link enables a port, the last one disables it.
    link = ROOT / "ports/9/subsystems" / chance.choice([STAYS, *NAMES])
    chance.choice([lambda: link.symlink_to(ROOT / "subsystems" / link.name), link.unlink])()


def look_around(_: random.Random) -> None:
    for folder, _folders, files in os.walk(CONFIGFS):
        for file in files:
            ignoring(Path(folder, file).read_bytes)


def linked(compete: Race, steps: list[Step], rounds: int) -> list[RaceResult]:
    """Race while a port and a subsystem exist."""
    Instance().add(Subsystem(STAYS), loop_port(9))
    # Only a subsystem that does not allow all takes hosts.
    Instance().write(f"subsystems/{STAYS}/attr_allow_any_host", 0)
    ran = compete(steps, rounds)
    Instance().clear()
    return ran


class TestItems:
    def test_made_and_removed(self, arena: Callable[..., object], compete: Race) -> None:
        ran = arena(lambda: compete([make_or_remove_any] * TASKS, 800))
        some_succeeded(ran)  # type: ignore[arg-type]

    def test_linked_and_enabled_while_made_and_removed(
        self, arena: Callable[..., object], compete: Race
    ) -> None:
        steps: list[Step] = [make_or_remove, make_or_remove, link_or_unlink, link_or_unlink]
        some_succeeded(arena(linked, compete, steps, 800))  # type: ignore[arg-type]

    # Without the series the walk over all ports is not locked against one that comes or goes: it
    # ends in an Oops now and then.
    @needs.feature("own_instances")
    def test_hosts_allowed_while_ports_are_made_and_removed(
        self, arena: Callable[..., object], compete: Race
    ) -> None:
        steps: list[Step] = [make_or_remove, make_or_remove_port, allow_or_refuse, allow_or_refuse]
        some_succeeded(arena(linked, compete, steps, 800))  # type: ignore[arg-type]

    def test_read_while_made_and_removed(self, arena: Callable[..., object], compete: Race) -> None:
        steps: list[Step] = [make_or_remove, link_or_unlink, look_around, look_around]
        some_succeeded(arena(linked, compete, steps, 12))  # type: ignore[arg-type]


class TestNamespaces:
    def test_enabled_disabled_resized_and_removed(
        self, arena: Callable[..., object], compete: Race, make_file: Callable[..., str]
    ) -> None:
        file = make_file(1)

        def change(chance: random.Random) -> None:
            folder = ROOT / "subsystems" / NQN / "namespaces" / str(chance.randrange(1, 3))
            calls: list[Callable[[], object]] = [
                folder.mkdir,
                folder.rmdir,
                lambda: kernelfiles.store(folder / "device_path", file),
                lambda: kernelfiles.store(folder / "enable", "1"),
                lambda: kernelfiles.store(folder / "enable", "0"),
                lambda: kernelfiles.store(folder / "revalidate_size", "1"),
                lambda: kernelfiles.store(folder / "ana_grpid", str(chance.randrange(1, 4))),
            ]
            chance.choice(calls)()

        def run() -> list[RaceResult]:
            with Instance().holding(Subsystem(NQN)):
                return compete([change] * TASKS, 600)

        some_succeeded(arena(run))  # type: ignore[arg-type]


class TestPorts:
    @needs.config("CONFIG_NVME_TARGET_TCP")
    def test_enabled_and_disabled_at_one_address(
        self, arena: Callable[..., object], compete: Race
    ) -> None:
        def toggle(chance: random.Random) -> None:
            link = ROOT / "ports" / str(chance.randrange(1, 4)) / "subsystems" / NQN
            place = ROOT / "subsystems" / NQN
            chance.choice([lambda: link.symlink_to(place), link.unlink])()

        def run() -> list[RaceResult]:
            ports = [tcp_port(number) for number in (1, 2, 3)]  # one address: one at a time
            with Instance().holding(Subsystem(NQN), *ports):
                ran = compete([toggle] * TASKS, 500, lost=LOST | {errno.EADDRINUSE})
                for number in (1, 2, 3):
                    ignoring(partial(Instance().unlink, number, NQN))
                return ran

        some_succeeded(arena(run))  # type: ignore[arg-type]


class TestMounts:
    @pytest.fixture(autouse=True)
    def _own_instances(self, make_container: Callable[..., Container]) -> None:
        check_own(make_container())

    def test_the_last_umount_races_with_the_next_mount(
        self, make_container: Callable[..., Container], compete: Race, tmp_path: Path
    ) -> None:
        container = make_container(mounted=False)
        places = [tmp_path / str(number) for number in range(2)]
        for place in places:
            place.mkdir()

        def mount_or_umount(chance: random.Random) -> None:
            place = str(chance.choice(places))
            if chance.random() < 0.5:
                syscalls.mount("none", place, "configfs")
            else:
                flags = chance.choice([0, syscalls.MNT_DETACH])
                syscalls.umount(place, flags)

        def use(chance: random.Random) -> None:
            root = Instance(str(chance.choice(places))).root
            folder = root / "hosts" / chance.choice(NAMES)
            calls: list[Callable[[], object]]
            calls = [folder.mkdir, folder.rmdir, lambda: list(root.iterdir())]
            chance.choice(calls)()

        # The instance goes with its last mount: then these folders are empty, and of a tmpfs or
        # of the host, where nothing is called nvmet.
        steps: list[Step] = [mount_or_umount, mount_or_umount, use, use]
        some_succeeded(container.run(lambda: compete(steps, 500), seconds=wait.ENDLESS))

    def test_the_next_mount_comes_just_when_the_last_one_goes(
        self, make_container: Callable[..., Container], compete: Race, tmp_path: Path
    ) -> None:
        """Nobody is refused: who comes too late for one gets the next, with nvmet in it."""
        container = make_container(mounted=False)

        def mount_and_umount(chance: random.Random) -> None:
            place = tmp_path / str(os.getpid())
            place.mkdir(exist_ok=True)
            syscalls.mount("none", str(place), "configfs")
            (place / "nvmet/hosts" / f"{NQN}:{chance.random()}").mkdir()
            syscalls.umount(str(place))

        def run() -> list[RaceResult]:
            syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
            return compete([mount_and_umount] * TASKS, 100, lost=frozenset())

        container.run(run, seconds=wait.ENDLESS)

    def test_namespaces_come_and_go_with_all_they_configured(
        self, make_container: Callable[..., Container], compete: Race, make_file: Callable[..., str]
    ) -> None:
        container = make_container(mounted=False)
        file = make_file(1)

        def live_and_die(chance: random.Random) -> None:
            syscalls.unshare(syscalls.CLONE_NEWNS)  # the one before ends here
            syscalls.umount(CONFIGFS, syscalls.MNT_DETACH)
            mount_configfs()
            instance = Instance()
            backed = Subsystem(NQN, (Namespace(file, buffered=True),), hosts=(NQN,))
            values: list[NvmetValue] = [NvmetHost(NQN), backed, Subsystem(NAMES[0])]
            instance.add(*values[: chance.randrange(1, 4)])
            if chance.random() < 0.5:
                instance.clear()

        some_succeeded(
            container.run(lambda: compete([live_and_die] * TASKS, 40), seconds=wait.ENDLESS)
        )

    def test_tasks_leave_while_others_enter_and_look(
        self, make_container: Callable[..., Container], compete: Race
    ) -> None:
        def come_and_go(chance: random.Random) -> None:
            with Container(network=chance.random() < 0.2) as container:
                container.mount_configfs()
                container.run(lambda: Instance().add(NvmetHost(chance.choice(NAMES))))
                if chance.random() < 0.5:
                    look_around_in(container)

        def look_around_in(container: Container) -> None:
            fd = os.open(f"{container.root}{CONFIGFS}/nvmet/hosts", os.O_RDONLY)
            container.destroy()
            ignoring(lambda: os.listdir(fd))  # noqa: PTH208
            os.close(fd)

        some_succeeded(
            make_container(mounted=False).run(
                lambda: compete([come_and_go] * 3, 8), seconds=wait.ENDLESS
            )
        )
