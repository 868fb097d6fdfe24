# SPDX-License-Identifier: GPL-2.0-only
"""The tree of configfs, in the initial instance and in others: links, moves, removal, depth."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guestlib.nvmet import (
    AnaGroup,
    Instance,
    Namespace,
    NvmetHost,
    Port,
    Referral,
    Subsystem,
    loop_port,
)
from guestlib.races import ignoring, race
from harness.guestside import needs
from harness.guestside.expect import errno_is

pytestmark = needs.config("CONFIG_CONFIGFS_FS", "CONFIG_NVME_TARGET", "CONFIG_NVME_TARGET_LOOP")

NQN = "nqn.2026-01.org.example:tree"
OTHER = "nqn.2026-01.org.example:other"
ROOT = Instance().root
HOSTS, SUBSYSTEMS, PORTS = ROOT / "hosts", ROOT / "subsystems", ROOT / "ports"
ALLOWED = SUBSYSTEMS / NQN / "allowed_hosts"
Inside = Callable[..., Any]
RACES = 100
REFERRAL = Referral("next", "tcp", "192.0.2.1", "4420", "ipv4")
FULL = (
    NvmetHost(NQN),
    Subsystem(NQN, (Namespace("/dev/null", enabled=False),), hosts=(NQN,)),
    Port(1, "loop", "tree", subsystems=(NQN,), referrals=(REFERRAL,), ana_groups=(AnaGroup(2),)),
)


def holding(*values: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Wrap a function so that these values exist while it runs."""

    def wrap(function: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with Instance().holding(*values):
                return function()

        return run

    return wrap


class TestLinks:
    def test_a_link_leads_to_its_item_by_a_relative_path(self, inside: Inside) -> None:
        @holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)))
        def look() -> tuple[str, bool]:
            target = os.readlink(ALLOWED / NQN)  # noqa: PTH115
            return target, (ALLOWED / NQN).samefile(HOSTS / NQN)

        assert inside(look) == (f"../../../../nvmet/hosts/{NQN}", True)

    def test_a_link_may_have_another_name_only_where_the_driver_allows(
        self, inside: Inside
    ) -> None:
        @holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)))
        def link() -> None:
            (ALLOWED / "other-name").symlink_to(HOSTS / NQN)

        with errno_is(errno.EINVAL, errno.EEXIST):
            inside(link)

    @pytest.mark.parametrize(
        ("where", "what", "refusal"),
        [
            pytest.param(ALLOWED, HOSTS / "missing", errno.ENOENT, id="to-nothing"),
            pytest.param(ALLOWED, Path("/dev"), errno.EPERM, id="out-of-configfs"),
            pytest.param(ALLOWED, SUBSYSTEMS / NQN, errno.EINVAL, id="to-the-wrong-kind"),
            pytest.param(HOSTS, SUBSYSTEMS / NQN, errno.EPERM, id="where-none-may-be"),
        ],
    )
    def test_a_link_that_makes_no_sense_is_refused(
        self, inside: Inside, where: Path, what: Path, refusal: int
    ) -> None:
        @holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)))
        def link() -> list[str]:
            with errno_is(refusal):
                (where / "link").symlink_to(what)
            return sorted(entry.name for entry in where.iterdir())

        assert inside(link) == [NQN], "what was there before, and nothing more"

    def test_while_linked_an_item_stays_and_then_it_goes(self, inside: Inside) -> None:
        @holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)))
        def unlink() -> list[str]:
            with errno_is(errno.EBUSY):
                (HOSTS / NQN).rmdir()
            (ALLOWED / NQN).unlink()
            (HOSTS / NQN).rmdir()
            return Instance().hosts()

        assert inside(unlink) == []

    def test_one_item_may_have_many_links(self, inside: Inside) -> None:
        ports = tuple(loop_port(number, NQN) for number in range(1, 6))

        @holding(Subsystem(NQN), *ports)
        def look() -> int:
            with errno_is(errno.EBUSY):
                (SUBSYSTEMS / NQN).rmdir()
            return sum((PORTS / str(n) / "subsystems" / NQN).is_symlink() for n in range(1, 6))

        assert inside(look) == 5

    def test_a_link_is_no_folder_to_remove(self, inside: Inside) -> None:
        @holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,)))
        def remove() -> None:
            (ALLOWED / NQN).rmdir()

        with errno_is(errno.ENOTDIR):
            inside(remove)

    def test_links_come_and_go_while_their_item_is_made_and_removed(self, inside: Inside) -> None:
        """A link leads to a whole item, and no item goes while it has one.

        That a link to a half-made item is refused is not shown: whoever reads the item waits until
        it is whole, so only a mkdir(2) that fails then, for want of memory, would tell.
        """
        subsystem = SUBSYSTEMS / NQN
        link = PORTS / "1/subsystems" / NQN

        def make_and_remove() -> None:
            ignoring(subsystem.mkdir, subsystem.rmdir)

        def link_and_look() -> None:
            link.symlink_to(subsystem)
            try:
                found = {entry.name for entry in subsystem.iterdir()}
            finally:
                link.unlink()
            assert found == whole, f"linked without {sorted(whole - found)}"

        def run() -> None:
            race([lambda _: make_and_remove(), lambda _: link_and_look()], seed=1, rounds=RACES)
            ignoring(subsystem.rmdir)  # it was linked when it should go

        whole = inside(lambda: holding(Subsystem(NQN))(lambda: set(os.listdir(subsystem)))())  # noqa: PTH208
        inside(holding(loop_port(1))(run))


class TestMoves:
    """An item's name is the driver's; nothing is ever renamed."""

    MOVES = (
        pytest.param(HOSTS / NQN, HOSTS / OTHER, id="a-host"),
        pytest.param(SUBSYSTEMS / NQN, SUBSYSTEMS / OTHER, id="a-subsystem"),
        pytest.param(PORTS / "1", PORTS / "2", id="a-port"),
        pytest.param(HOSTS / NQN, SUBSYSTEMS / OTHER, id="elsewhere"),
        pytest.param(ALLOWED / NQN, ALLOWED / OTHER, id="a-link"),
        pytest.param(HOSTS, ROOT / "guests", id="a-default-group"),
        pytest.param(ROOT, ROOT.with_name("other"), id="a-subsystem-of-configfs"),
    )

    @pytest.mark.parametrize(("old", "new"), MOVES)
    def test_none_succeeds(self, inside: Inside, old: Path, new: Path) -> None:
        @holding(*FULL)
        def move() -> tuple[bool, bool]:
            with errno_is(errno.EPERM):
                old.rename(new)
            return os.path.lexists(old), os.path.lexists(new)

        assert inside(move) == (True, False)

    def test_not_even_between_instances(
        self, make_container: Callable[..., Any], initial: Instance, tmp_path: Path
    ) -> None:
        with initial.holding(NvmetHost(NQN)):
            container = make_container()
            outside = Path("/proc", str(os.getpid()), "root") / str(HOSTS).lstrip("/") / NQN

            def move() -> None:
                outside.rename(HOSTS / OTHER)

            with errno_is(errno.EXDEV, errno.EPERM):
                container.run(move)
            assert initial.hosts() == [NQN]


class TestDefaultGroups:
    GROUPS = (
        *(HOSTS, SUBSYSTEMS, PORTS),
        *(SUBSYSTEMS / NQN / name for name in ("namespaces", "allowed_hosts")),
        *(PORTS / "1" / name for name in ("subsystems", "referrals", "ana_groups")),
        PORTS / "1" / "ana_groups" / "1",
    )

    @pytest.mark.parametrize("group", GROUPS, ids=lambda path: str(path.relative_to(ROOT)))
    def test_one_comes_with_its_item_and_cannot_be_removed(
        self, inside: Inside, group: Path
    ) -> None:
        @holding(Subsystem(NQN), loop_port(1))
        def remove() -> bool:
            with errno_is(errno.EPERM):
                group.rmdir()
            return group.is_dir()

        assert inside(remove)

    @pytest.mark.parametrize("folder", [ROOT, ROOT.parent, SUBSYSTEMS / NQN, PORTS / "1"])
    def test_nobody_makes_one_by_hand(self, inside: Inside, folder: Path) -> None:
        @holding(Subsystem(NQN), loop_port(1))
        def make() -> None:
            (folder / "mine").mkdir()

        with errno_is(errno.EPERM):
            inside(make)

    def test_they_go_with_their_item(self, inside: Inside) -> None:
        def look() -> bool:
            with Instance().holding(loop_port(1)):
                fd = os.open(PORTS / "1/ana_groups", os.O_RDONLY)
            try:
                return os.listdir(fd) == []  # noqa: PTH208
            except FileNotFoundError:
                return True
            finally:
                os.close(fd)

        assert inside(look)


class TestBusy:
    """What is in use cannot be removed, not even in part."""

    ITEMS = (
        pytest.param(HOSTS / NQN, errno.EBUSY, id="a-linked-host"),
        pytest.param(SUBSYSTEMS / NQN, errno.EBUSY, id="an-exported-subsystem"),
        pytest.param(PORTS / "1", errno.ENOTEMPTY, id="a-port-that-exports"),
    )

    @pytest.mark.parametrize(("item", "refusal"), ITEMS)
    def test_it_stays_whole(self, inside: Inside, item: Path, refusal: int) -> None:
        def everything() -> list[str]:
            return sorted(str(path) for path in ROOT.rglob("*"))

        @holding(*FULL)
        def remove() -> tuple[list[str], list[str]]:
            before = everything()
            with errno_is(refusal, errno.EBUSY):
                item.rmdir()
            return before, everything()

        before, after = inside(remove)
        assert before == after

    def test_a_subsystem_with_a_namespace_is_not_empty(self, inside: Inside) -> None:
        @holding(Subsystem(NQN, (Namespace("/dev/null", enabled=False),)))
        def remove() -> None:
            (SUBSYSTEMS / NQN).rmdir()

        with errno_is(errno.ENOTEMPTY):
            inside(remove)

    def test_a_folder_somebody_stands_in_can_be_removed(self, inside: Inside) -> None:
        def remove_underfoot() -> list[str]:
            home = Path.cwd()
            Instance().add(NvmetHost(NQN))
            os.chdir(HOSTS / NQN)
            try:
                (HOSTS / NQN).rmdir()
                return os.listdir(".")  # noqa: PTH208
            except FileNotFoundError:
                return []
            finally:
                os.chdir(home)

        assert inside(remove_underfoot) == []

    def test_in_another_instance_the_same_name_is_not_busy(
        self, make_container: Callable[..., Any], initial: Instance
    ) -> None:
        container = make_container()
        with initial.holding(NvmetHost(NQN), Subsystem(NQN, hosts=(NQN,))):

            def make_and_remove() -> str:
                try:
                    (HOSTS / NQN).mkdir()
                    (HOSTS / NQN).rmdir()
                except OSError as error:
                    return errno.errorcode[error.errno or 0]
                return "removed"

            assert container.run(make_and_remove) == "removed"


class TestDepth:
    def test_the_deepest_item_has_its_attributes(self, inside: Inside) -> None:
        @holding(*FULL)
        def look() -> tuple[str, str, list[str]]:
            return (
                (PORTS / "1/ana_groups/2/ana_state").read_text(),
                (PORTS / "1/referrals/next/addr_traddr").read_text(),
                sorted(e.name for e in (SUBSYSTEMS / NQN / "namespaces").iterdir()),
            )

        assert inside(look) == ("optimized\n", "192.0.2.1\n", ["1"])

    def test_the_way_up_leads_to_the_root(self, inside: Inside) -> None:
        @holding(*FULL)
        def climb() -> bool:
            folder = PORTS / "1/ana_groups/2"
            up = os.stat(f"{folder}/../../../..")  # noqa: PTH116
            return up.st_ino == ROOT.stat().st_ino

        assert inside(climb)

    def test_what_is_walked_by_descriptors_is_the_same_tree(self, inside: Inside) -> None:
        @holding(*FULL)
        def walk() -> tuple[int, int]:
            by_path = sum(1 for _ in os.walk(ROOT))
            by_descriptor = sum(1 for _ in os.fwalk(ROOT))
            return by_path, by_descriptor

        by_path, by_descriptor = inside(walk)
        assert by_path == by_descriptor > 15

    def test_all_of_it_goes_in_the_right_order(self, inside: Inside) -> None:
        def make_and_clear() -> list[str]:
            Instance().add(*FULL)
            Instance().clear()
            return Instance().hosts() + Instance().subsystems() + Instance().ports()

        assert inside(make_and_clear) == []
