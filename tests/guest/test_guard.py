# SPDX-License-Identifier: GPL-2.0-only
"""The ground the suites stand on: containers bring results back, the leak guard sees leaks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.guestside import disks, leaks, syscalls
from harness.guestside.container import Container, How
from harness.guestside.nvmet import Host, Instance
from harness.guestside.task import TaskDied


class TestContainer:
    @pytest.mark.parametrize("how", list(How))
    @pytest.mark.parametrize("more", [{}, {"network": True, "pid": True}, {"user": True}])
    def test_it_has_namespaces_of_its_own(self, how: How, more: dict[str, bool]) -> None:
        kinds = ["mnt", *("net" if k == "network" else k for k in more)]
        with Container(how, **more) as container:
            inside = container.run(namespaces, kinds)
        outside = namespaces(kinds)
        assert [k for k in kinds if inside[k] == outside[k]] == []

    def test_it_brings_a_result_back(self, container: Container) -> None:
        assert container.run(lambda: {"a": (1, b"2")}) == {"a": (1, b"2")}

    def test_it_brings_an_exception_back(self, container: Container) -> None:
        with pytest.raises(FileNotFoundError, match="/no/such/file"):
            container.run(os.stat, "/no/such/file")

    def test_a_task_that_dies_is_told(self, container: Container) -> None:
        with pytest.raises(TaskDied, match="signal 9"):
            container.run(lambda: os.kill(os.getpid(), 9))

    def test_a_task_that_hangs_is_ended(self, container: Container) -> None:
        with pytest.raises(TimeoutError):
            container.run(time.sleep, 60, seconds=0.2)

    def test_its_mounts_stay_inside(self, container: Container, tmp_path: Path) -> None:
        container.run(syscalls.mount, "none", str(tmp_path), "tmpfs")
        assert not tmp_path.is_mount()

    def test_nothing_is_left_of_it(self) -> None:
        before = leaks.found()
        with Container(network=True, pid=True, uts=True):
            assert leaks.found() != before
        assert leaks.new(before) == frozenset()


class TestLeakGuard:
    @pytest.fixture
    def leaked(self) -> Callable[[], set[str]]:
        """Gives the kinds of what leaked since the test began, and cleans up."""
        before = leaks.found()

        def kinds() -> set[str]:
            left = leaks.found() - before
            assert leaks.clean(left) == []
            assert leaks.new(before) == frozenset()
            return {kind for kind, _ in left}

        return kinds

    def test_it_sees_a_configfs_item(
        self, initial: Instance, leaked: Callable[[], set[str]]
    ) -> None:
        initial.add(Host("nqn.2026-01.org.example:leak"))
        assert leaked() == {"configfs item"}

    def test_it_sees_a_mount(self, tmp_path: Path, leaked: Callable[[], set[str]]) -> None:
        syscalls.mount("none", str(tmp_path), "tmpfs")
        assert leaked() == {"mount"}

    def test_it_sees_a_loop_device(
        self, make_file: Callable[..., str], leaked: Callable[[], set[str]]
    ) -> None:
        disks.take_loop(make_file(1))
        assert leaked() == {"loop device"}

    def test_it_sees_a_container(self, leaked: Callable[[], set[str]]) -> None:
        Container(network=True)
        assert leaked() == {"mount namespace", "network namespace"}


def namespaces(kinds: list[str]) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}  # noqa: PTH115
