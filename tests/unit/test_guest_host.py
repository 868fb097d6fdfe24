# SPDX-License-Identifier: GPL-2.0-only
"""What the guest stage decides about the host: folders, locks, accelerator, QEMU."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import tempfile
from pathlib import Path

import pytest

from harness import process
from harness.errors import HostFault, UsageError
from harness.guest import accel, private, records
from harness.model import Accel
from harness.progress import Progress

QUIET = Progress(quiet=True)

# -- folders -----------------------------------------------------------------------------------


def test_guests_get_numbers_and_names_in_order(tmp_path: Path) -> None:
    made = [records.take(tmp_path / "guests") for _ in range(11)]
    assert [path.name for path in made] == [str(number) for number in range(11)]
    assert records.taken(tmp_path / "guests") == made
    assert records.name(made[10]) == "guest10"


def test_a_partial_record_is_no_record(tmp_path: Path) -> None:
    (tmp_path / records.RECORD).write_text('{"name": "gu')
    assert records.read_record(tmp_path) is None


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(private, "base", lambda: tmp_path)
    return tmp_path


def test_sweep_removes_the_dead_and_keeps_the_rest(base: Path) -> None:
    living = private.Private()
    (base / "young").mkdir()
    (base / "dead").mkdir()
    (base / "dead" / "lock").touch()
    (base / "old").mkdir()
    os.utime(base / "old", (1, 1))
    assert private.sweep() == 2
    assert {path.name for path in base.iterdir()} == {living.path.name, "young"}
    living.remove()
    assert not living.path.exists()


def test_a_private_folder_is_locked(base: Path) -> None:
    made = private.Private()
    fd = os.open(made.path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    made.remove()


def test_a_base_that_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(private, "_LONGEST", 1000)
    assert private.base().parent == tmp_path
    private.base().chmod(0o755)
    with pytest.raises(HostFault, match="not a private folder"):
        private.base()


# -- the accelerator ---------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give a machine with a /dev/kvm, whose probes are listed; it finds nothing wrong."""
    probes: list[str] = []
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    monkeypatch.setattr(accel, "find_qemu", lambda _arch="": ("/usr/bin/qemu", "7.2"))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    def probe(qemu: str) -> str:
        probes.append(qemu)
        return ""

    monkeypatch.setattr(accel, "probe", probe)
    return probes


def test_kvm_is_used_once_proven_and_probed_once(machine: list[str]) -> None:
    assert accel.choose("auto", QUIET)[0] is Accel.KVM
    assert accel.choose("kvm", QUIET)[0] is Accel.KVM
    assert machine == ["/usr/bin/qemu"]  # both answers from one probe


def test_an_explicit_tcg_needs_no_probe(machine: list[str]) -> None:
    assert accel.choose("tcg", QUIET) == (Accel.TCG, "requested")
    assert machine == []


def test_kvm_that_fails_the_probe(machine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "probe", lambda _qemu: "guest code hangs")
    assert accel.choose("auto", QUIET) == (Accel.TCG, "guest code hangs")
    with pytest.raises(HostFault, match="KVM cannot be used: guest code hangs"):
        accel.choose("kvm", QUIET)


def test_an_unknown_accelerator_is_a_usage_error(machine: list[str]) -> None:
    with pytest.raises(UsageError):
        accel.choose("xen", QUIET)


def test_an_unknown_architecture_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="vax"):
        accel.find_qemu("vax")


@pytest.mark.parametrize(
    ("said", "words"),
    [("QEMU emulator version 5.2.0", "6.0 or newer"), ("what?", "prints no version number")],
)
def test_an_unsuitable_qemu_is_rejected(
    monkeypatch: pytest.MonkeyPatch, said: str, words: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    result = process.Result((), 0, said, "", 0.0)
    monkeypatch.setattr(process, "run", lambda *_a, **_k: result)
    with pytest.raises(HostFault, match=words) as caught:
        accel.find_qemu()
    assert caught.value.hint == "harness setup"


def test_a_missing_qemu_is_a_host_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(HostFault, match="qemu-system-x86_64 is not installed"):
        accel.find_qemu()
