# SPDX-License-Identifier: GPL-2.0-only
"""Kept kernels and build folders: found when whole, and only then."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from harness import build, model
from harness.build import expected, mended, store, warnings
from harness.errors import HostFault
from harness.model import Checkout, Kernel, Option, Request, Toolchain

GCC = Toolchain("x86_64", "gcc", "gcc (Debian 12.2.0-14) 12.2.0")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def checkout(tree: str = "aa") -> Checkout:
    return Checkout(Path("/nowhere"), "c" * 40, tree)


def request(value: str = "y") -> Request:
    return Request((Option("A", value, "command line"),))


def made(folder: Path, key: str) -> Kernel:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("bzImage", ".config", "log", "vmlinux"):
        (folder / name).write_text(name)
    (folder / "modules/7.2.13").mkdir(parents=True, exist_ok=True)
    (folder / "modules/7.2.13/modules.dep").touch()
    warning = model.CompilerWarning("fs/a.c", 3, "unused", "fs: a patch")
    return Kernel(
        key=key,
        folder=folder,
        image=folder / "bzImage",
        config=folder / ".config",
        release="7.2.13",
        commit="c" * 40,
        arch="x86_64",
        vmlinux=folder / "vmlinux",
        modules=folder / "modules",
        log=folder / "log",
        warnings=(warning,),
        seconds=1.5,
    )


def copy(file: Path, to: Path) -> None:
    if file.is_dir():
        shutil.copytree(file, to)
    else:
        shutil.copyfile(file, to)


def keep(folder: Path, key: str) -> Kernel:
    return store.keep(made(folder, key), copy)


def test_a_key_covers_sources_config_and_compiler() -> None:
    keys = {
        build.key(checkout(), request(), GCC).digest,
        build.key(checkout("bb"), request(), GCC).digest,
        build.key(checkout(), request("n"), GCC).digest,
        build.key(checkout(), request(), dataclasses.replace(GCC, version="13")).digest,
        build.key(checkout(), request(), dataclasses.replace(GCC, arch="arm64")).digest,
        build.lean(build.key(checkout(), request(), GCC)).digest,
    }
    assert len(keys) == 6


def test_a_key_does_not_cover_the_commit_or_the_place() -> None:
    other = Checkout(Path("/elsewhere"), "d" * 40, "aa", (("d" * 40, "x"),))
    assert build.key(checkout(), request(), GCC) == build.key(other, request(), GCC)


def test_a_kept_kernel_is_found_as_it_was(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    assert build.find(key) is None
    kept = keep(tmp_path / "out", key.digest)
    found = build.find(key)
    assert found == dataclasses.replace(kept, reused=True)
    assert found.vmlinux is not None
    assert found.log is not None
    assert found.image.read_text() == "bzImage"
    assert found.warnings[0].patch == "fs: a patch"
    shutil.rmtree(tmp_path / "out")
    assert found.vmlinux.read_text() == "vmlinux"
    assert found.modules is not None
    assert (found.modules / "7.2.13/modules.dep").is_file()


def test_a_kernel_may_be_its_own_image(tmp_path: Path) -> None:
    key = build.lean(build.key(checkout(), request(), GCC))
    kernel = made(tmp_path / "out", key.digest)
    assert kernel.vmlinux is not None
    store.keep(dataclasses.replace(kernel, image=kernel.vmlinux), copy)
    found = build.find(key)
    assert found is not None
    assert found.vmlinux is not None
    assert found.image.samefile(found.vmlinux)
    assert build.find(build.key(checkout(), request(), GCC)) is None
    found.vmlinux.unlink()
    assert build.find(key) is None


def test_not_every_kernel_has_modules(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    kernel = dataclasses.replace(made(tmp_path / "out", key.digest), modules=None)
    assert store.keep(kernel, copy).modules is None
    found = build.find(key)
    assert found is not None
    assert found.modules is None


def test_a_record_of_before_there_were_modules_is_read(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    record = keep(tmp_path / "out", key.digest).folder / "kernel.json"
    fields = json.loads(record.read_text())
    del fields["modules"]
    record.write_text(json.dumps(fields))
    found = build.find(key)
    assert found is not None
    assert found.modules is None


@pytest.mark.parametrize("damage", ["kernel.json", "image", "config"])
def test_a_half_kernel_is_not_found_and_can_be_built_again(tmp_path: Path, damage: str) -> None:
    key = build.key(checkout(), request(), GCC)
    kept = keep(tmp_path / "out", key.digest)
    (kept.folder / damage).unlink()
    assert build.find(key) is None
    keep(tmp_path / "out", key.digest)
    assert build.find(key) is not None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"vmlinux": true}'])
def test_a_damaged_record_is_no_kernel(tmp_path: Path, text: str) -> None:
    key = build.key(checkout(), request(), GCC)
    kept = keep(tmp_path / "out", key.digest)
    (kept.folder / "kernel.json").write_text(text)
    assert build.find(key) is None


def test_the_first_of_two_runs_is_kept(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    first = keep(tmp_path / "one", key.digest)
    inode = first.image.stat().st_ino
    second = keep(tmp_path / "two", key.digest)
    assert second.image.stat().st_ino == inode
    assert len(build.kernels()) == 1


def test_a_failed_copy_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    def fail(_file: Path, _to: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HostFault, match="No space left"):
        store.keep(made(tmp_path / "out", "k"), fail)
    assert list((cache / "kernels").iterdir()) == []


def test_listing_tells_size_and_use_and_what_was_left(tmp_path: Path, cache: Path) -> None:
    old = keep(tmp_path / "out", "old")
    keep(tmp_path / "out", "new")
    (cache / "kernels" / ".gone.x1").mkdir()
    os.utime(old.folder, (1, 1))
    listed = build.kernels()
    assert listed[0].path == old.folder
    assert listed[0].bytes > 0
    assert {each.what.split()[0] for each in listed} == {"7.2.13", "half"}


def test_finding_a_kernel_marks_it_as_used(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    kept = keep(tmp_path / "out", key.digest)
    os.utime(kept.folder, (1, 1))
    build.find(key)
    assert build.kernels()[0].used > 1


def test_build_folders_differ_by_worktree_config_and_compiler() -> None:
    other = Checkout(Path("/elsewhere"), "c" * 40, "aa")
    folders = {
        build.folder(checkout(), request(), GCC),
        build.folder(checkout("bb"), request(), GCC),
        build.folder(other, request(), GCC),
        build.folder(checkout(), request("n"), GCC),
    }
    assert len(folders) == 3  # another tree in the same worktree shares the folder
    assert {each.path for each in build.builds()} == folders


def test_what_was_half_written_is_removed_after_a_kill(tmp_path: Path) -> None:
    for name in ("whole.o", "half.o", "old.o"):
        (tmp_path / name).write_text(name)
        (tmp_path / f".{name}.cmd").write_text("cmd")
    os.utime(tmp_path / "old.o", (5, 5))
    os.utime(tmp_path / ".old.o.cmd", (4, 4))
    assert mended.before(tmp_path) == []  # make starts ...
    os.utime(tmp_path / ".harness-building", (10, 10))
    os.utime(tmp_path / "half.o", (12, 12))
    os.utime(tmp_path / ".half.o.cmd", (3, 3))
    os.utime(tmp_path / "whole.o", (12, 12))
    os.utime(tmp_path / ".whole.o.cmd", (12, 12))
    assert mended.before(tmp_path) == [tmp_path / "half.o"]  # ... and never came back
    mended.after(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.o")) == ["old.o", "whole.o"]
    assert not (tmp_path / ".harness-building").exists()


def test_warnings_are_remembered_until_their_object_is_compiled_again(tmp_path: Path) -> None:
    for name in ("a.o", "b.o"):
        (tmp_path / name).touch()
    first = warnings.Collector(tmp_path, Path("/tree"))
    for line in (
        "  CC      a.o",
        "/tree/a.c:1:1: warning: one",
        "  CC      b.o",
        "/tree/b.c:2:1: warning: two",
    ):
        first.line(line)
    first.save()
    second = warnings.Collector(tmp_path, Path("/tree"))
    second.line("  CC      a.o")
    assert [w.file for w in second.all()] == ["b.c"]
    second.save()
    (tmp_path / "b.o").unlink()
    third = warnings.Collector(tmp_path, Path("/tree"))
    third.save()
    assert warnings.Collector(tmp_path, Path("/tree")).all() == []


def test_a_warning_in_a_header_is_told_once(tmp_path: Path) -> None:
    collector = warnings.Collector(tmp_path, Path("/tree"))
    for name in ("a.o", "b.o"):
        collector.line(f"  CC      {name}")
        collector.line("/tree/include/x.h:1:1: warning: one")
    assert len(collector.all()) == 1


def test_objects_are_counted_against_what_the_config_had_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    first = expected.Objects(out, "digest", options_on=100)
    assert first.total is not None
    assert first.total > 100
    assert first.count("CC", "a.o")[0] == 1
    for number in range(7):
        (out / f".{number}.o.cmd").touch()
    (out / "vmlinux").touch()
    first.save()
    assert expected.Objects(out, "digest", 100).total is None  # incremental: nobody knows
    other = tmp_path / "other"
    other.mkdir()
    assert expected.Objects(other, "digest", 100).total == 7


def test_an_interrupted_build_expects_the_rest(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").touch()
    for number in range(10):
        (tmp_path / f".{number}.o.cmd").touch()
    whole = expected.Objects(tmp_path, "digest", 100)
    whole.fresh = True
    whole.save()
    (tmp_path / "vmlinux").unlink()
    for number in range(4, 10):
        (tmp_path / f".{number}.o.cmd").unlink()
    assert expected.Objects(tmp_path, "digest", 100).total == 6
