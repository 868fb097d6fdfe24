# SPDX-License-Identifier: GPL-2.0-only
"""Saved guests: which ones can be copies, what names a snapshot, and what damage is noticed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from pathlib import Path

import pytest

from harness import paths, serial
from harness.errors import HostFault
from harness.guest import GuestSpec, accel, prepared, qemu, qmp, snapshot
from harness.guest.snapshot import Snapshot
from harness.model import Accel

ARGV = (
    "qemu",
    *("-name", "saved", "-fsdev", "local,id=fs1,path=/,readonly=on"),
    *("-fsdev", "local,id=fs2,path=/first,multidevs=remap"),
    *("-qmp", "unix:/tmp/run/qmp,server=on", "-kernel", "vmlinux", "-append", "a b"),
    *("-object", "memory-backend-file,id=memory,mem-path=/draft/ram,size=8M,share=on"),
    *("-initrd", "image.cpio"),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(accel, "find_qemu", lambda _: ("/usr/bin/qemu", "7.2.0"))


@pytest.fixture
def spec(tmp_path: Path) -> GuestSpec:
    for name in ("image", "gate.cpio"):
        (tmp_path / name).write_text(name)
    (tmp_path / "guests").mkdir()
    image, gate = tmp_path / "image", tmp_path / "gate.cpio"
    return GuestSpec(image=image, folder=tmp_path / "guests", gate=gate)


def kept(spec: GuestSpec) -> Snapshot:
    """Put a snapshot for ``spec`` into the cache."""
    folder = paths.cache(snapshot.KIND) / snapshot._key(spec)
    folder.mkdir(parents=True)
    (folder / snapshot.RAM).write_bytes(b"memory")
    (folder / snapshot.STATE).write_bytes(b"state")
    written = (folder / snapshot.RAM).stat().st_mtime_ns
    digest = hashlib.sha256(b"state").hexdigest()
    saved = Snapshot(ARGV, "/tmp/run", "/draft/ram", ("/first",), written, digest)
    serial.write(folder / snapshot.TABLE, saved)
    return dataclasses.replace(saved, folder=folder)


def no_guest(*_: object) -> None:
    raise HostFault("no guest can be started here")


# -- which guests are copies -------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"no_snapshot": True},
        {"disks": (Path("disk"),)},
        {"booter": ("fake",)},
        {"arch": "arm64"},
        {"bundle": None},
    ],
)
def test_guests_that_boot_truly(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    monkeypatch.setattr(prepared, "ready", lambda *_: Path("gate.cpio"))
    usual = dataclasses.replace(spec, gate=None, bundle=Path("bundle"))
    assert prepared.with_gate(usual).gate == Path("gate.cpio")
    assert prepared.with_gate(dataclasses.replace(usual, **more)).gate is None  # type: ignore[arg-type]


# -- the key -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"memory": 2048},
        {"cpus": 2},
        {"append": ("quiet",)},
        {"vmcore": True},
        {"hold": 1.0},
        {"accel": Accel.KVM},
        {"environment": (("PYTHONHASHSEED", "7"),)},
        {"writable": (Path("/one"), Path("/two"))},
    ],
)
def test_what_shows_at_the_gate_is_in_the_key(spec: GuestSpec, more: dict[str, object]) -> None:
    assert snapshot._key(dataclasses.replace(spec, **more)) != snapshot._key(spec)  # type: ignore[arg-type]


def test_another_kernel_image_or_qemu_has_another_key(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {snapshot._key(spec)}
    spec.image.write_text("another kernel")
    keys.add(snapshot._key(spec))
    assert spec.gate is not None
    spec.gate.write_text("another image")
    keys.add(snapshot._key(spec))
    monkeypatch.setattr(accel, "find_qemu", lambda _: ("/usr/bin/qemu", "8.0.0"))
    keys.add(snapshot._key(spec))
    assert len(keys) == 4


def test_what_comes_after_the_gate_is_not_in_the_key(
    spec: GuestSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dataclasses.replace(spec, writable=(Path("/one"),))
    other = dataclasses.replace(
        spec,
        writable=(Path("/two"),),
        folder=tmp_path / "other",
        environment=(("A", "b"),),
        cwd=Path("/"),
    )
    key = snapshot._key(one)
    monkeypatch.setattr(qemu, "tsc_khz", lambda: 1234567)  # it is measured, and varies
    assert snapshot._key(other) == key


# -- copies ------------------------------------------------------------------------------------


def test_a_copy_has_its_own_paths_and_a_private_memory(spec: GuestSpec, tmp_path: Path) -> None:
    saved = dataclasses.replace(
        Snapshot(ARGV, "/tmp/run", "/draft/ram", ("/first",), 0, ""), folder=Path("/kept")
    )
    mine = dataclasses.replace(spec, writable=(Path("/second"),))
    argv = saved.copy_argv(mine, "guest3", tmp_path)
    words = " ".join(argv)
    assert argv[argv.index("-name") + 1] == "guest3"
    assert f"unix:{tmp_path}/qmp," in words
    assert "mem-path=/kept/ram," in words
    assert "share=off" in words
    assert ",path=/second," in words
    assert ",path=/," in words
    assert argv[-2:] == ["-incoming", "defer"]
    assert not {"-kernel", "vmlinux", "-append", "a b", "-initrd"} & set(argv)


def test_a_kept_snapshot_is_used(spec: GuestSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_save", no_guest)
    saved = kept(spec)
    assert snapshot.obtain(spec, lambda: False) == saved
    assert snapshot.trouble(spec.folder) == ""


@pytest.mark.parametrize("file", [snapshot.RAM, snapshot.STATE, snapshot.TABLE])
def test_a_damaged_snapshot_is_removed_and_the_guest_boots(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(snapshot, "_save", no_guest)
    folder = kept(spec).folder
    (folder / file).write_bytes(b"other")
    os.utime(folder / file, (1, 1))
    assert snapshot.obtain(spec, lambda: False) is None
    assert not folder.exists()
    assert snapshot.trouble(spec.folder) == "no guest can be started here"


@pytest.mark.parametrize("file", [snapshot.RAM, snapshot.STATE])
def test_an_incomplete_snapshot_is_made_again(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(snapshot, "_save", no_guest)
    (kept(spec).folder / file).unlink()
    assert snapshot.obtain(spec, lambda: False) is None


def test_after_trouble_all_guests_of_the_run_boot_truly(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = kept(spec)
    snapshot.refuse(spec, "it did not come up", broken=saved)
    assert not saved.folder.exists()
    monkeypatch.setattr(snapshot, "_save", lambda *_: pytest.fail("tried again"))
    assert snapshot.obtain(spec, lambda: False) is None
    assert snapshot.trouble(spec.folder) == "it did not come up"


def test_no_guest_makes_again_what_another_is_about_to_remove(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = kept(spec)
    original, seen = snapshot._remove, []

    def removed_while_another_starts(folder: Path) -> None:
        original(folder)
        seen.append(snapshot.obtain(spec, lambda: False))

    monkeypatch.setattr(snapshot, "_remove", removed_while_another_starts)
    monkeypatch.setattr(snapshot, "_save", lambda *_: pytest.fail("made again"))
    snapshot.refuse(spec, "it did not come up", broken=saved)
    assert seen == [None]


def test_a_guest_that_is_not_wanted_any_more_leaves_no_trouble(
    spec: GuestSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_save", no_guest)
    assert snapshot.obtain(spec, lambda: True) is None
    assert snapshot.trouble(spec.folder) == ""


def test_a_folder_that_qemu_cannot_name_is_told(
    spec: GuestSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "a,b"))
    assert snapshot.obtain(spec, lambda: False) is None
    assert "comma" in snapshot.trouble(spec.folder)


def test_only_the_last_snapshots_are_kept(spec: GuestSpec) -> None:
    top = paths.cache(snapshot.KIND)
    now = time.time()
    for number in range(snapshot.MOST + 3):
        (top / f"{number}").mkdir()
        os.utime(top / f"{number}", (now - 90000 + number, now - 90000 + number))
    for name in (".draft-of-a-killed-guest", ".draft"):
        (top / name).mkdir()
    os.utime(top / ".draft-of-a-killed-guest", (1, 1))
    (top / "young").mkdir()
    snapshot._prune(top)
    left = {path.name for path in top.iterdir()}
    assert left == {"young", ".draft", *(f"{n}" for n in range(5, snapshot.MOST + 3))}


# -- QEMU's side -------------------------------------------------------------------------------


def test_a_qemu_that_has_ended_restores_nothing(tmp_path: Path) -> None:
    assert not qmp.load(tmp_path / "qmp", tmp_path / "state", lambda: True)
    assert not qmp.save(tmp_path / "qmp", tmp_path / "state", lambda: True)
    saved = Snapshot(ARGV, "/tmp/run", "/draft/ram", (), 0, "", tmp_path)
    with pytest.raises(HostFault):
        saved.load(tmp_path, lambda: True)
