# SPDX-License-Identifier: GPL-2.0-only
"""Dumps of dead guests: how they are asked for, and what is said when they cannot be read."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from harness import vmcore
from harness.guest import GuestSpec, qemu, qmp
from harness.guest.console import ConsoleWatch
from harness.guest.image import uncompressed


def spec(tmp_path: Path) -> GuestSpec:
    return GuestSpec(image=tmp_path / "image", folder=tmp_path / "guests")


def test_a_kernel_whose_memory_is_dumped_stays_where_it_was_linked(tmp_path: Path) -> None:
    wanted = dataclasses.replace(spec(tmp_path), vmcore=True)
    words = qemu.command_line(wanted, tmp_path / "facts.json").split()
    assert "panic=0" in words
    assert "nokaslr" in words
    assert "panic=-1" in qemu.command_line(spec(tmp_path), tmp_path / "facts.json").split()


def test_the_spec_remembers_that_a_dump_is_wanted(tmp_path: Path) -> None:
    wanted = dataclasses.replace(spec(tmp_path), vmcore=True)
    wanted.save(tmp_path / "spec.json")
    assert GuestSpec.load(tmp_path / "spec.json").vmcore


def test_a_complete_panic_report_ends_the_wait() -> None:
    watch = ConsoleWatch(deadline=30, factor=1)
    watch.line(b"[    6.1] Kernel panic - not syncing: sysrq triggered crash\n", 6.0)
    assert not watch.tick(7.0)
    watch.line(b"[    6.2] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\n", 6.1)
    assert watch.tick(7.0)
    assert watch.end() == "panic"


class Qemu:
    """Answers on a QMP socket; ``writes`` is the file that a dump leaves, if it works."""

    def __init__(self, path: Path, *, works: bool) -> None:
        self.works = works
        self.asked: list[str] = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            client, _ = self.server.accept()
            with client, client.makefile("rw") as stream:
                stream.write("{}\n")
                stream.flush()
                for line in stream:
                    stream.write(json.dumps(self.answer(json.loads(line))) + "\n")
                    stream.flush()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked["execute"])
        if asked["execute"] == "dump-guest-memory":
            Path(asked["arguments"]["protocol"].removeprefix("file:")).write_text("memory")
            if not self.works:
                return {"error": {"desc": "no space left"}}
        return {"return": {}}


@pytest.mark.parametrize("works", [True, False])
def test_a_dump_is_complete_or_removed(tmp_path: Path, *, works: bool) -> None:
    qemu = Qemu(tmp_path / "qmp", works=works)
    assert qmp.dump_memory(tmp_path / "qmp", tmp_path / "vmcore") == works
    asked = [one for one in qemu.asked if one != "qmp_capabilities"]
    assert asked == ["stop", "dump-guest-memory"]
    assert [one.name for one in tmp_path.glob("vmcore*")] == (["vmcore"] if works else [])


def test_without_qemu_there_is_no_dump(tmp_path: Path) -> None:
    assert not qmp.dump_memory(tmp_path / "qmp", tmp_path / "vmcore")


def guest_with_dump(tmp_path: Path) -> Path:
    folder = tmp_path / "guests" / "0"
    folder.mkdir(parents=True)
    (folder / "vmcore").write_bytes(b"not a dump at all")
    return folder


def test_a_missing_vmlinux_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("drgn")
    folder = guest_with_dump(tmp_path)
    vmcore.examine(tmp_path / "guests", None)
    assert "no vmlinux" in (folder / "vmcore.txt").read_text()


def test_a_missing_drgn_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    folder = guest_with_dump(tmp_path)
    vmcore.examine(tmp_path / "guests", tmp_path / "vmlinux")
    assert "drgn is not installed" in (folder / "vmcore.txt").read_text()
    first, second, *_ = vmcore.heads(tmp_path / "guests")
    assert first == f"dump: {folder / 'vmcore'}"
    assert second == "  drgn is not installed, so the dump was not read"


def test_dumps_are_listed_in_the_order_of_their_guests(tmp_path: Path) -> None:
    for number in (10, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "vmcore").touch()
    assert list(vmcore.heads(tmp_path)) == [f"dump: {tmp_path}/{n}/vmcore" for n in (2, 10)]


def test_a_file_that_is_no_dump_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("drgn")
    folder = guest_with_dump(tmp_path)
    vmcore.examine(tmp_path / "guests", Path("/bin/true"))
    text = (folder / "vmcore.txt").read_text()
    assert "cannot read vmcore" in text
    vmcore.examine(tmp_path / "guests", None)  # what is written stays
    assert (folder / "vmcore.txt").read_text() == text


def test_missing_debug_info_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = pytest.importorskip("harness.vmcore.drgn_report", exc_type=ImportError)

    def missing(*_words: object) -> None:
        raise look.drgn.MissingDebugInfoError("could not find debugging symbols for kernel")

    monkeypatch.setattr(look, "load", missing)
    folder = guest_with_dump(tmp_path)
    look.main(["look", str(folder / "vmcore"), "/k/vmlinux", str(folder / "vmcore.txt")])
    said, hint = (folder / "vmcore.txt").read_text().splitlines()
    assert said == "no debug info in /k/vmlinux, so vmcore cannot be examined"
    assert "--kconfig debuginfo" in hint


def test_the_head_of_a_report_has_its_unindented_lines(tmp_path: Path) -> None:
    folder = guest_with_dump(tmp_path)
    lines = [
        "panic in a/1 on CPU 0: f < g",
        "  #0 f",
        "  #1 g",
        "1 of 9 tasks are blocked",
        "kernel",
    ]
    (folder / "vmcore.txt").write_text("\n".join(lines))
    told = list(vmcore.heads(tmp_path / "guests"))
    assert told[1:3] == ["  panic in a/1 on CPU 0: f < g", "  1 of 9 tasks are blocked"]


def test_drgn_gets_the_symbols_and_the_release() -> None:
    look = pytest.importorskip("harness.vmcore.drgn_report", exc_type=ImportError)
    text = look.vmcoreinfo({"init_top_pgt": 0xFFFF1000}, "7.2.13").decode()
    assert "OSRELEASE=7.2.13\n" in text
    assert "SYMBOL(swapper_pg_dir)=ffff1000\n" in text


def test_the_same_kernel_uncompressed_is_found(tmp_path: Path) -> None:
    kept, built = tmp_path / "kept" / "image", tmp_path / "out/arch/x86/boot/bzImage"
    for image, vmlinux in ((kept, kept.with_name("vmlinux")), (built, tmp_path / "out/vmlinux")):
        image.parent.mkdir(parents=True)
        vmlinux.touch()
        image.touch()
    os.utime(kept.with_name("vmlinux"), (2e9, 2e9))  # kept a moment after the image
    assert uncompressed(kept) == kept.with_name("vmlinux")
    assert uncompressed(built) == tmp_path / "out" / "vmlinux"
    os.utime(tmp_path / "out" / "vmlinux", (2e9, 2e9))  # a build goes on
    assert uncompressed(built) is None
