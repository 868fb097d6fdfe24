# SPDX-License-Identifier: GPL-2.0-only
"""blktests: what ./check prints, and what is refused before a build."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness import adaptors
from harness.adaptors import Entry, blktests
from harness.adaptors.blktests import judge
from harness.errors import HostFault, UsageError
from harness.model import Outcome

ONE = """\
loop/002 (try various loop device block sizes)
loop/002 (try various loop device block sizes)               [{status}]
    runtime    ...  0.271s
"""
TWO = """\
nvme/004 (tr=loop) (test nvme discovery (as it is))
nvme/004 (tr=loop) (test nvme discovery (as it is))          [passed]
    runtime  2.1s  ...  2.0s
nvme/004 (tr=tcp) (test nvme discovery (as it is))
nvme/004 (tr=tcp) (test nvme discovery (as it is))           [failed]
    runtime    ...  3.000s
    --- tests/nvme/004.out
    +++ results/nodev_tr_tcp/nvme/004.out.bad
    @@ -1,3 +1,3 @@
    -Test complete
    +Test failed
nvme/004 => vdb (tr=fc) (test nvme discovery (as it is))     [not run]
    driver nvme-fc is not available
"""


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("passed", Outcome.PASS), ("failed", Outcome.FAIL), ("not run", Outcome.SKIP)],
)
def test_a_status_is_an_outcome(status: str, outcome: Outcome) -> None:
    result = judge(0, ONE.format(status=status), "")
    assert result.outcome is outcome
    assert result.subtests == ()


def test_the_reason_is_in_the_message() -> None:
    text = "nvme/002 (many subsystems) [not run]\n    nvme-fabrics is not available\n    no fio\n"
    assert judge(0, text, "").message == "nvme-fabrics is not available\nno fio"


def test_conditions_and_devices_are_subtests() -> None:
    result = judge(1, TWO, "")
    assert result.explained
    assert {test.name: test.outcome for test in result.subtests} == {
        "tr=loop": Outcome.PASS,
        "tr=tcp": Outcome.FAIL,
        "vdb tr=fc": Outcome.SKIP,
    }
    message = result.subtests[1].message
    assert message.startswith("--- tests/nvme/004.out")  # not what it measured
    assert message.endswith("+Test failed\nE   ./check: the output is not the expected one")


@pytest.mark.parametrize("reason", ["exited with status 1", "something found in dmesg:"])
def test_a_failure_ends_with_its_reason(reason: str) -> None:
    text = f"{ONE.format(status='failed')}    {reason}\n    [1.0] more\n"
    last = judge(1, text, "").message.splitlines()[-1]
    assert last == f"E   ./check: {reason.rstrip(':')}"


def test_a_check_that_does_not_start_is_an_error() -> None:
    result = judge(1, "./check: line 3: fio: not found\n", "")
    assert result.outcome is Outcome.ERROR
    assert "fio: not found" in result.message


# As ./check prints it with TEST_DEVS=/dev/nullb0, which no test of the group nvme can use.
NO_NVME = """\
nvme/*** => nullb0                                           [not run]
    /dev/nullb0 is not a NVMe device
"""


def test_disks_that_the_group_cannot_use_are_no_subtests() -> None:
    one = "nvme/004 (tr=loop) (test nvme discovery)                     [passed]\n"
    result = judge(0, NO_NVME + one, "")
    assert (result.outcome, result.subtests) == (Outcome.PASS, ())


def test_a_test_without_a_disk_that_it_can_use_is_skipped() -> None:
    result = judge(0, NO_NVME, "", on_disks=True)
    assert (result.outcome, result.message) == (Outcome.SKIP, "/dev/nullb0 is not a NVMe device")


def test_a_test_on_disks_without_any_is_skipped() -> None:
    result = judge(0, "", "", on_disks=True)
    assert result.outcome is Outcome.SKIP
    assert "--disk" in result.message
    assert judge(0, "", "").outcome is Outcome.ERROR
    assert judge(1, "", "", on_disks=True).outcome is Outcome.ERROR
    warned = "./check: nvme/046 does not define DESCRIPTION\n"
    assert judge(0, warned, "", on_disks=True).outcome is Outcome.ERROR


def test_a_disk_has_a_subtest_for_each_condition() -> None:
    text = (
        "nvme/033 => nvme0n1 (tr=loop) (create a passthru target) [passed]\n"
        "nvme/033 => nvme0n1 (tr=tcp) (create a passthru target) [passed]\n"
    )
    names = [test.name for test in judge(0, text, "").subtests]
    assert names == ["nvme0n1 tr=loop", "nvme0n1 tr=tcp"]


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        ("test() {\n", Outcome.ERROR),
        ("test_device() {\n", Outcome.SKIP),
        ("test_device_array() {\n", Outcome.SKIP),
        ("fallback_device() {\n\t:\n}\ntest_device() {\n", Outcome.ERROR),
    ],
)
def test_which_tests_run_on_disks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, outcome: Outcome
) -> None:
    file = tmp_path / "tests" / "nvme" / "046"
    file.parent.mkdir(parents=True)
    file.write_text(f'DESCRIPTION="x"\n\n{function}\t:\n}}\n')
    monkeypatch.setattr(blktests, "execute", lambda _entry: (0, ""))
    result = adaptors.adaptor("blktests").run(Entry("nvme/046", folder=tmp_path))
    assert result.outcome is outcome


def test_files_of_the_tests_are_on_no_overlay(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[str] = []

    def execute(entry: Entry) -> tuple[int, str]:
        results = entry.argv[entry.argv.index("-o") + 1]
        words = ["stat", "--file-system", "--format=%T", results]
        where.append(subprocess.run(words, text=True, capture_output=True, check=True).stdout)
        return 0, ONE.format(status="passed")

    monkeypatch.setattr(blktests, "execute", execute)
    result = adaptors.adaptor("blktests").run(Entry("nvme/003", folder=checkout))
    assert result.outcome is Outcome.PASS
    assert where == ["tmpfs\n"]


def test_logs_of_each_condition_can_be_told_apart(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(entry: Entry) -> tuple[int, str]:
        results = Path(entry.argv[entry.argv.index("-o") + 1])
        for kind in ("loop", "tcp"):
            log = results / f"nodev_tr_{kind}" / "nvme" / "004.full"
            log.parent.mkdir(parents=True)
            log.write_text(f"over {kind}\n")
        return 1, TWO

    monkeypatch.setattr(blktests, "execute", execute)
    output = adaptors.adaptor("blktests").run(Entry("nvme/003", folder=checkout)).output
    assert "--- nodev_tr_loop/nvme/004.full\nover loop\n" in output
    assert "--- nodev_tr_tcp/nvme/004.full\nover tcp\n" in output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "blktests"
    for name in ("check", "src/loblksize", "tests/nvme/rc", "tests/nvme/003", "tests/nvme/003.out"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}")


@pytest.mark.parametrize("item", ["", "::nvme", "::nvme/003"])
def test_tests_are_named_as_there(checkout: Path, item: str) -> None:
    adaptors.check([f"blktests:blktests{item}"], checkout.parent)
    entries = adaptors.adaptor("blktests").collect("blktests", checkout.parent)
    assert [entry.name for entry in entries] == ["nvme/003"]


def test_a_missing_program_is_named_with_its_package(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name, path=None: None)
    with pytest.raises(HostFault, match="udevadm, gawk, fio not installed") as caught:
        adaptors.check(["blktests:blktests"], checkout.parent)
    assert caught.value.hint == "harness setup udevadm gawk fio"


@pytest.mark.parametrize(
    ("what", "message", "hint"),
    [
        ("nowhere", "not a checkout", "git clone"),
        ("blktests:nvme", "not a checkout", "blktests:blktests::nvme"),
        ("blktests::nvmee", "no group or test nvmee", "nvme"),
    ],
)
def test_what_cannot_run_is_refused(checkout: Path, what: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        adaptors.check([f"blktests:{what}"], checkout.parent)
    assert hint in caught.value.hint


def test_a_checkout_must_be_built(checkout: Path) -> None:
    (checkout / "src/loblksize").unlink()
    with pytest.raises(UsageError, match="has not been built") as caught:
        adaptors.check(["blktests:blktests"], checkout.parent)
    assert caught.value.hint.startswith("make -C ")
