# SPDX-License-Identifier: GPL-2.0-only
"""Point 7: what hosts are told of one instance does not come from another, nor the other way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from guestlib import logs, nvme
from guestlib.instances import check_own
from guestlib.nvmet import AnaGroup, Instance, Namespace, Port, Subsystem, loop_port
from harness.guestside import needs
from harness.guestside.container import Container

pytestmark = [
    needs.config("CONFIG_NVME_FABRICS"),
    needs.config("CONFIG_NVME_TARGET_LOOP", "CONFIG_NVME_MULTIPATH"),
]

NQN = "nqn.2026-01.org.example:instance"
PORT = loop_port(1, NQN)


class Target:
    """A container whose instance has one subsystem, with a host connected to it."""

    def __init__(self, container: Container, file: str, number: int, stack: ExitStack) -> None:
        check_own(container)
        self.container = container
        # One host takes both for one subsystem, so each has a namespace number of its own.
        self.nsid = number
        namespace = Namespace(file, nsid=number, buffered=True)
        container.run(lambda: Instance().add(Subsystem(NQN, (namespace,)), PORT))
        self.controller: nvme.Controller = container.run(nvme.connect, PORT, NQN)
        stack.callback(self.controller.disconnect)

    def change(self, function: Callable[[Instance], object]) -> None:
        """Change its configuration."""
        self.container.run(lambda: function(Instance()) and None)

    def groups(self) -> list[int]:
        """The ANA groups in the log that its host reads."""
        return sorted(logs.ana(self.controller.device_file).groups)

    def changes(self) -> int:
        """How often the states of its ANA groups have changed, as the log tells."""
        return logs.ana(self.controller.device_file).changes


@pytest.fixture
def targets(
    make_container: Callable[..., Container], make_file: Callable[..., str]
) -> Iterator[tuple[Target, Target]]:
    with ExitStack() as stack:
        yield (
            Target(make_container(), make_file(1), 1, stack),
            Target(make_container(), make_file(1), 2, stack),
        )


class TestPoint7Ana:
    def test_changes_are_counted_for_each_instance(self, targets: tuple[Target, Target]) -> None:
        one, other = targets
        before, elsewhere = one.changes(), other.changes()
        one.change(lambda instance: instance.set_ana_state(1, "non-optimized"))
        one.change(lambda instance: instance.set_ana_state(1, "optimized"))
        assert one.changes() == before + 2
        namespace = f"{Instance().namespace(NQN, one.nsid)}/ana_grpid"
        one.change(lambda instance: instance.write(namespace, 2))
        assert one.changes() == before + 3
        assert other.changes() == elsewhere, "another's change was counted"

    def test_a_new_instance_starts_to_count_anew(
        self, targets: tuple[Target, Target], make_container: Callable[..., Container],
        make_file: Callable[..., str],
    ) -> None:  # fmt: skip
        one, _ = targets
        start = one.changes()
        one.change(lambda instance: instance.set_ana_state(1, "non-optimized"))
        with ExitStack() as stack:
            assert Target(make_container(), make_file(1), 3, stack).changes() == start

    @pytest.mark.parametrize("user", ["port", "namespace"])
    def test_a_group_is_in_the_log_of_the_instance_that_uses_it(
        self, targets: tuple[Target, Target], user: str
    ) -> None:
        one, other = targets
        group = one.container.run(lambda: Instance().root / "ports/1/ana_groups/5")
        namespace = f"{Instance().namespace(NQN, one.nsid)}/ana_grpid"
        assert one.groups() == [1]
        if user == "port":
            one.change(lambda _: group.mkdir())
        else:
            one.change(lambda instance: instance.write(namespace, 5))
        assert (one.groups(), other.groups()) == ([1, 5], [1])
        if user == "port":
            one.change(lambda _: group.rmdir())
        else:
            one.change(lambda instance: instance.write(namespace, 1))
        assert (one.groups(), other.groups()) == ([1], [1])

    def test_removed_users_take_their_group_along(self, targets: tuple[Target, Target]) -> None:
        """A port with a group, and a namespace in it, that go without being changed back."""
        one, _ = targets
        other_port = Port(2, "loop", "other", ana_groups=(AnaGroup(6),))
        more = Namespace("/dev/null", nsid=7, ana_group=7, enabled=False)
        one.change(lambda instance: instance.add(other_port))
        one.change(lambda instance: instance.add_namespace(NQN, more))
        assert one.groups() == [1, 6, 7]
        one.change(lambda instance: instance.remove_port("2"))
        one.change(lambda instance: (instance.root / instance.namespace(NQN, 7)).rmdir())
        assert one.groups() == [1]
