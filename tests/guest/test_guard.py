# SPDX-License-Identifier: GPL-2.0-only
"""What the suites rely on: containers return results, the leak guard sees leaks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlib import disks
from guestlib.leftovers import GUARD
from guestlib.nvmet import Instance, NvmetHost
from harness.guestside import kmemleak, needs, syscalls, wait
from harness.guestside.container import Container, How
from harness.guestside.leaks import Things
from harness.guestside.task import Task, TaskDied

WAYS = [
    pytest.param(How.UNSHARE),
    pytest.param(How.CLONE3),
    pytest.param(How.SETNS),
    pytest.param(How.OPEN_TREE, marks=needs.feature("open_tree_namespace")),
]
MORE = [
    pytest.param(kinds, id="+".join(("mnt", *kinds)))
    for kinds in (
        (),
        ("network",),
        ("pid",),
        ("uts",),
        ("user",),
        ("network", "pid", "uts", "user"),
    )
]


@pytest.mark.parametrize("how", WAYS)
class TestContainerIsMade:
    @pytest.mark.parametrize("more", MORE)
    def test_it_has_the_namespaces_that_were_asked_for_and_no_others(
        self, how: How, more: tuple[str, ...]
    ) -> None:
        with Container(how, **dict.fromkeys(more, True)) as container:
            inside = container.run(namespaces)
        outside = namespaces()
        new = {kind for kind in inside if inside[kind] != outside[kind]}
        assert new == {"mnt", *("net" if kind == "network" else kind for kind in more)}

    def test_a_pid_namespace_numbers_from_one_and_has_its_own_proc(self, how: How) -> None:
        with Container(how, pid=True) as container:
            found = container.run(lambda: (os.getpid(), Path("/proc/1/comm").read_text()))
            mine = Path("/proc/self/comm").read_text()
        assert found[0] > 1, "a task that joins comes after the first one"
        assert found[1] == mine, "its /proc shows other tasks"

    def test_a_uts_namespace_has_a_host_name_of_its_own(self, how: How) -> None:
        name = os.uname().nodename
        with Container(how, uts=True) as container:
            assert container.run(rename_host) == "inside"
        assert os.uname().nodename == name

    def test_a_user_namespace_has_a_root_that_is_nobody_outside(self, how: How) -> None:
        with Container(how, user=True) as container:
            inside = container.run(lambda: (os.getuid(), own_capabilities()))
            with pytest.raises(PermissionError):
                container.run(os.mknod, "/dev/shm/node", 0o600 | 0o060000, os.makedev(1, 3))
        assert inside == (0, own_capabilities())

    def test_a_network_namespace_has_its_own_loopback_only(self, how: How) -> None:
        with Container(how, network=True) as container:
            assert container.run(lambda: [name for _, name in socket.if_nameindex()]) == ["lo"]

    def test_nothing_is_left_of_it(self, how: How) -> None:
        before = GUARD.found()
        with Container(how, network=True, pid=True, uts=True, user=True):
            assert GUARD.found() != before
        assert GUARD.settled(before) <= before


class TestContainerIsDestroyed:
    """In all cases: the leak guard around these tests would notice."""

    def test_after_a_failure_inside_its_block(self) -> None:
        seen = []

        def fail() -> None:
            with Container(network=True) as container:
                seen.append(container.mount_namespace())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert is_gone(seen[0])

    def test_while_its_task_is_stopped(self) -> None:
        with Container(pid=True) as container:
            number = container.mount_namespace()
            os.kill(container.pid, signal.SIGSTOP)
        assert is_gone(number)

    def test_while_functions_run_in_it(self) -> None:
        with Container(pid=True) as container:
            number = container.mount_namespace()
            place = container.root / "dev/shm/begun"
            task = container.begin(begin_and_stay, "/dev/shm/begun")
            wait.until(place.exists, "the function to begin")
            place.unlink()
        with pytest.raises(TaskDied):
            task.result()
        assert is_gone(number)

    def test_when_its_maker_dies(self) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)

        def make_and_die() -> None:
            os.write(write, b"%d" % Container().mount_namespace())
            os.kill(os.getpid(), signal.SIGKILL)

        with pytest.raises(TaskDied, match="signal 9"):
            Task(make_and_die).result()
        number = int(os.read(read, 20))
        os.close(read)
        os.close(write)
        assert is_gone(number)

    def test_twice_is_no_error(self) -> None:
        container = Container()
        container.destroy()
        container.destroy()


class TestContainer:
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


def named(things: Things) -> set[str]:
    """The kinds of what was found, without the memory that nearly everything uses."""
    return {kind for kind, _ in things} - {"slab object"}


class TestLeakGuard:
    @pytest.fixture
    def leaked(self) -> Callable[[], set[str]]:
        """Return the kinds of what leaked since the test began, and clean up."""
        before = GUARD.found()

        def kinds() -> set[str]:
            left = GUARD.found() - before
            assert GUARD.clean(left) == []
            assert GUARD.settled(before) <= before
            return named(left)

        return kinds

    def test_it_sees_a_configfs_item(
        self, initial: Instance, leaked: Callable[[], set[str]]
    ) -> None:
        initial.add(NvmetHost("nqn.2026-01.org.example:leak"))
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

    def test_it_sees_a_socket_in_another_network_namespace(
        self, make_container: Callable[..., Container], leaked: Callable[[], set[str]]
    ) -> None:
        container = make_container(mounted=False, network=True)
        before = GUARD.found()
        task = container.begin(listen_for_ever)
        wait.until(
            lambda: "listening socket" in named(GUARD.found() - before), "a socket to be seen"
        )
        found = GUARD.found() - before
        task.kill()
        container.destroy()
        assert named(found) == {"listening socket"}
        assert any(" in net:[" in name for kind, name in found if kind == "listening socket")
        assert leaked() == set()

    @needs.config("CONFIG_BLK_DEV_NULL_BLK")
    def test_it_sees_a_null_block_device(self, leaked: Callable[[], set[str]]) -> None:
        folder = disks.NULLB / "leak"
        folder.mkdir()
        (folder / "size").write_text("1")
        (folder / "power").write_text("1")
        assert leaked() == {"configfs item", "null_blk device"}

    @needs.feature("slab_counts")
    def test_it_sees_memory_of_a_mount_that_is_in_no_table(
        self, leaked: Callable[[], set[str]]
    ) -> None:
        before = GUARD.found()
        mount = syscalls.open_tree("/", syscalls.OPEN_TREE_CLONE)
        kinds = {kind for kind, _ in GUARD.found() - before}
        os.close(mount)
        assert "slab object" in kinds
        assert leaked() == set()

    @needs.module("configfs_sample")
    def test_it_sees_a_reference_to_a_module(
        self, configfs: str, leaked: Callable[[], set[str]]
    ) -> None:
        subprocess.run(["modprobe", "configfs_sample"], check=True)
        item = Path(configfs, "02-simple-children", "leak")
        before = GUARD.found()
        item.mkdir()
        kinds = named(GUARD.found() - before)
        item.rmdir()
        subprocess.run(["modprobe", "--remove", "configfs_sample"], check=True)
        assert kinds == {"configfs item", "module reference"}
        assert leaked() == set()

    def test_what_goes_away_by_itself_is_no_leak(self, tmp_path: Path) -> None:
        before = GUARD.found()
        os.close(os.open(tmp_path, os.O_RDONLY))
        with Container(network=True) as container:
            container.run(lambda: listen().close())
        assert GUARD.settled(before) <= before


INNER = """
from guestlib.nvmet import NvmetHost, Instance

def test_before():
    pass

def test_that_leaks():
    Instance().add(NvmetHost("nqn.2026-01.org.example:inner"))

def test_after():
    assert Instance().hosts() == []
"""


def test_the_guard_blames_the_test_that_leaked_and_cleans_up(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A run of pytest inside this one, with the suites' own fixtures."""
    (tmp_path / "test_inner.py").write_text(INNER)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    here = str(Path(__file__).with_name("conftest.py"))
    suites = request.config.pluginmanager.get_plugin(here)
    found: list[tuple[str, str, str]] = []

    class Listener:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                found.append((report.nodeid, report.when or "", report.longreprtext))

    def run() -> list[tuple[str, str, str]]:
        options = ["-p", "no:cacheprovider", "-p", "no:harness", "-p", "no:terminal"]
        pytest.main([*options, str(tmp_path)], plugins=[suites, Listener()])
        return found

    [(test, when, words)] = Task(run).result()
    assert (test.partition("::")[2], when) == ("test_that_leaks", "teardown")
    assert "nvmet/hosts/nqn.2026-01.org.example:inner" in words


@needs.feature("kmemleak")
@needs.module("kmemleak_test")
class TestKmemleak:
    """With the kernel's own module that leaks memory on purpose."""

    @pytest.mark.loses_memory
    @pytest.mark.expects_splat("new suspected memory leaks")
    def test_lost_memory_is_found_and_its_test_named(self) -> None:
        diary = kmemleak.Diary()
        diary.begins("innocent")
        diary.begins("guilty")
        subprocess.run(["modprobe", "kmemleak_test"], check=True)
        subprocess.run(["modprobe", "--remove", "kmemleak_test"], check=True)
        diary.begins("innocent as well")
        time.sleep(kmemleak.AGE)
        found = kmemleak.scan(fresh=True)
        assert found, "nothing was found"
        assert {diary.who(leak.jiffies) for leak in found} == {"guilty"}
        assert kmemleak.scan(fresh=True) == [], "found once more"


def namespaces() -> dict[str, str]:
    kinds = ("mnt", "net", "pid", "uts", "user", "ipc", "cgroup")
    return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}  # noqa: PTH115


def rename_host() -> str:
    socket.sethostname("inside")
    return os.uname().nodename


def own_capabilities() -> str:
    status = Path("/proc/self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("CapEff"))


def begin_and_stay(place: str) -> None:
    Path(place).touch()
    time.sleep(600)


def is_gone(number: int) -> bool:
    return wait.until(
        lambda: number not in syscalls.listns(syscalls.CLONE_NEWNS),
        f"mount namespace {number} to be gone",
    )


def listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 4420))
    listener.listen()
    return listener


def listen_for_ever() -> None:
    with listen():
        time.sleep(600)
