# SPDX-License-Identifier: GPL-2.0-only
"""What the guest suites stand on, as far as it can be tried without a guest."""

import errno
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from guestlib import disks, nvme, nvmet, races
from harness.guestside import expect, needs, syscalls, task, wait


class TestWait:
    def test_the_awaited_result_is_returned(self) -> None:
        answers = iter(["", None, "there"])
        assert wait.until(lambda: next(answers), "an answer") == "there"

    def test_what_does_not_happen_is_named_with_the_last_result(self) -> None:
        with pytest.raises(AssertionError, match=r"waited 0 s for a miracle; last result: \[\]"):
            wait.until(list, "a miracle", seconds=0)


class TestExpect:
    def test_the_right_errno_passes(self) -> None:
        with expect.errno_is(errno.ENOENT, errno.EPERM):
            os.stat("/no/such/file")  # noqa: PTH116

    def test_another_errno_is_reported(self) -> None:
        with (
            pytest.raises(AssertionError, match="expected EPERM, got ENOENT"),
            expect.errno_is(errno.EPERM),
        ):
            os.stat("/no/such/file")  # noqa: PTH116

    def test_success_is_reported(self) -> None:
        with (
            pytest.raises(AssertionError, match="but the call succeeded"),
            expect.errno_is(errno.EPERM),
        ):
            pass


class TestTask:
    def test_a_result_comes_back(self) -> None:
        assert task.Task(lambda word: word * 2, "ab").result() == "abab"

    def test_a_large_result_comes_back(self) -> None:
        assert len(task.Task(bytes, 1 << 20).result()) == 1 << 20

    def test_an_exception_comes_back_with_its_traceback(self) -> None:
        def fail() -> None:
            raise KeyError("lost")

        with pytest.raises(KeyError) as caught:
            task.Task(fail).result()
        assert "in fail" in caught.value.__notes__[0]

    def test_an_exception_that_cannot_be_pickled_comes_back_as_text(self) -> None:
        class Odd(Exception):
            pass

        def fail() -> None:
            raise Odd("strange")

        with pytest.raises(task.TaskFailed, match="strange"):
            task.Task(fail).result()

    def test_an_end_without_a_result_is_reported(self) -> None:
        with pytest.raises(task.TaskDied, match="signal 9"):
            task.Task(lambda: os.kill(os.getpid(), 9)).result()

    def test_a_result_that_takes_too_long_is_a_timeout(self) -> None:
        reading, writing = os.pipe()
        try:
            with pytest.raises(TimeoutError):
                task.Task(os.read, reading, 1).result(seconds=0.01)
        finally:
            os.close(reading)
            os.close(writing)


class TestRace:
    def test_all_tasks_continue_until_the_slowest_has_done_its_rounds(self) -> None:
        slow, quick = races.race([lambda _: time.sleep(0.02), lambda _: None], seed=1, rounds=5)
        assert slow.steps == 5
        assert quick.steps >= 5

    def test_an_expected_error_is_counted_and_does_not_end_the_race(self) -> None:
        def lose(_: object) -> None:
            raise OSError(errno.EBUSY, "busy")

        [ran] = races.race([lose], seed=1, rounds=3)
        assert ran == races.RaceResult(3, {"EBUSY": 3})

    def test_another_errno_ends_the_race_while_the_others_continue(self) -> None:
        def fail(_: object) -> None:
            raise OSError(errno.EIO, "broken")

        with pytest.raises(OSError, match="broken") as caught:
            races.race([lambda _: None, fail], seed=7, rounds=1 << 60)
        assert caught.value.__notes__[0] == "step 1 of task 1 with seed 7"

    def test_a_killed_task_ends_the_race(self) -> None:
        with pytest.raises(task.TaskDied, match="signal 9"):
            races.race([lambda _: None, lambda _: os.kill(os.getpid(), 9)], seed=1, rounds=1 << 60)

    def test_a_step_that_does_not_end_is_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wait, "PATIENCE", 0.1)
        with pytest.raises(TimeoutError, match="hangs in step 1"):
            races.race([lambda _: signal.pause()], seed=1, rounds=1)


class TestDisks:
    def test_reading_an_empty_device_fails(self, tmp_path: Path) -> None:
        empty = disks.sparse_file(str(tmp_path / "empty"), 0)
        with expect.errno_is(errno.ENXIO):
            disks.read(empty, 4096)


class TestNvme:
    @pytest.mark.parametrize(
        ("path", "head"),
        [("nvme0c1n2", "nvme0n2"), ("nvme3n1", "nvme3n1"), ("nvme10c12n13", "nvme10n13")],
    )
    def test_a_path_belongs_to_its_multipath_device(self, path: str, head: str) -> None:
        assert nvme._head(path) == head

    def test_a_host_nqn_has_one_id(self) -> None:
        assert nvme.host_id("a") == nvme.host_id("a") != nvme.host_id("b")
        assert [len(part) for part in nvme.host_id("a").split("-")] == [8, 4, 4, 4, 12]


class TestNvmet:
    @pytest.fixture
    def instance(self, tmp_path: Path) -> nvmet.Instance:
        for folder in ("hosts", "ports", "subsystems"):
            (tmp_path / "nvmet" / folder).mkdir(parents=True)
        return nvmet.Instance(str(tmp_path))

    def test_held_values_are_removed_at_the_end(self, instance: nvmet.Instance) -> None:
        with instance.holding(nvmet.NvmetHost("a"), nvmet.NvmetHost("b")):
            assert instance.hosts() == ["a", "b"]
        assert instance.hosts() == []

    def test_an_existing_item_stays_when_it_cannot_be_added(self, instance: nvmet.Instance) -> None:
        instance.add(nvmet.NvmetHost("a"))
        with (
            pytest.raises(FileExistsError),
            instance.holding(nvmet.NvmetHost("b"), nvmet.NvmetHost("a")),
        ):
            pass
        assert instance.hosts() == ["a"]

    def test_a_value_that_fails_half_way_is_removed(
        self, instance: nvmet.Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(root: object, folder: object, value: object) -> None:
            raise OSError(errno.ENOMEM, "no memory")

        monkeypatch.setattr("guestlib.nvmet._fill_port", refuse)
        with pytest.raises(OSError, match="no memory"):
            instance.add(nvmet.loop_port(1))
        assert instance.ports() == []

    def test_a_refused_write_names_attribute_and_errno(self, instance: nvmet.Instance) -> None:
        with pytest.raises(OSError, match=r"writing 'x': ENOENT.*nvmet/no/such"):
            instance.write("no/such", "x")

    def test_a_tcp_port_knows_its_address_family(self) -> None:
        assert nvmet.tcp_port(1).adrfam == "ipv4"
        assert nvmet.tcp_port(1, traddr="::1").adrfam == "ipv6"


def test_no_two_sectors_of_a_pattern_are_alike() -> None:
    data = disks.pattern(1 << 16)
    sectors = {data[at : at + 512] for at in range(0, len(data), 512)}
    assert len(sectors) == len(data) // 512
    assert disks.pattern(4096, seed=1) != disks.pattern(4096, seed=2)


def test_an_unknown_feature_is_rejected() -> None:
    with pytest.raises(ValueError, match="no probe for"):
        needs.feature("telepathy")


def test_statmount_reads_the_kernels_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytearray(600)
    struct.pack_into("=QIIQ", raw, 8, 0xFFF, 0, 15, 0x62656570)
    struct.pack_into("=IQQ", raw, 36, 1, 77, 66)
    struct.pack_into("=IIQII", raw, 104, 10, 12, 8, 0, 30)
    raw[512 + 1 : 512 + 10] = b"configfs\0"
    raw[512 + 10 : 512 + 12] = b"/\0"
    raw[512 + 12 : 512 + 16] = b"/mnt"
    raw[512 + 30 : 512 + 34] = b"none"

    def answer(name: str, number: int, request: bytes, out: Any, size: int, flags: int) -> int:
        out[: len(raw)] = bytes(raw)
        return 0

    monkeypatch.setattr(syscalls, "syscall", answer)
    info = syscalls.statmount(77)
    assert (info.id, info.parent, info.device, info.namespace) == (77, 66, (0, 15), 8)
    assert (info.fs_type, info.root, info.point, info.source) == ("configfs", "/", "/mnt", "none")


def test_suites_have_unique_file_names() -> None:
    """pytest imports a test file by its name: two of one name cannot be collected together."""
    names = [file.name for file in (Path(__file__).parents[1] / "guest").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
