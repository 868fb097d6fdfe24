# SPDX-License-Identifier: GPL-2.0-only
"""Kept kernels and build folders: found when complete, and only then."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from harness import build, model
from harness.build import kernel_store
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
    return kernel_store.keep(made(folder, key), copy)


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
    kernel_store.keep(dataclasses.replace(kernel, image=kernel.vmlinux), copy)
    found = build.find(key)
    assert found is not None
    assert found.vmlinux is not None
    assert found.image.samefile(found.vmlinux)
    assert build.find(build.key(checkout(), request(), GCC)) is None
    found.vmlinux.unlink()
    assert build.find(key) is None


def test_a_kernel_may_have_no_modules(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    kernel = dataclasses.replace(made(tmp_path / "out", key.digest), modules=None)
    assert kernel_store.keep(kernel, copy).modules is None
    found = build.find(key)
    assert found is not None
    assert found.modules is None


def test_a_record_from_before_there_were_modules_is_read(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    record = keep(tmp_path / "out", key.digest).folder / "kernel.json"
    fields = json.loads(record.read_text())
    del fields["modules"]
    record.write_text(json.dumps(fields))
    found = build.find(key)
    assert found is not None
    assert found.modules is None


OLD_RECORD = """{
 "key": "k",
 "release": "7.2.13",
 "commit": "c0ffee",
 "arch": "x86_64",
 "vmlinux": true,
 "modules": false,
 "warnings": [
  {
   "file": "fs/a.c",
   "line": 3,
   "text": "unused",
   "patch": ""
  }
 ],
 "seconds": 61.25
}"""


def test_a_record_that_an_older_harness_wrote_is_read(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    kept = keep(tmp_path / "out", key.digest)
    (kept.folder / "kernel.json").write_text(OLD_RECORD)
    found = build.find(key)
    assert found is not None
    assert (found.release, found.seconds, found.modules) == ("7.2.13", 61.25, None)
    assert found.warnings == (model.CompilerWarning("fs/a.c", 3, "unused"),)


def test_names_in_the_cache_never_change(cache: Path) -> None:
    """Otherwise every user would build everything again."""
    key = build.key(checkout(), request(), GCC)
    assert key.digest == "709ba5020d9ee11b0223"
    assert build.lean(key).digest == "9a51885fdb8f81c6a69d"
    assert build.folder(checkout(), request(), GCC) == cache / "builds" / "9009b493fd124460"


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


def test_the_first_of_two_runs_is_kept(tmp_path: Path, cache: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    first = keep(tmp_path / "one", key.digest)
    inode = first.image.stat().st_ino
    second = keep(tmp_path / "two", key.digest)
    assert second.image.stat().st_ino == inode
    assert list((cache / "kernels").iterdir()) == [first.folder]


def test_a_failed_copy_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    def fail(_file: Path, _to: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HostFault, match="No space left"):
        kernel_store.keep(made(tmp_path / "out", "k"), fail)
    assert list((cache / "kernels").iterdir()) == []


def test_finding_a_kernel_marks_it_as_used(tmp_path: Path) -> None:
    key = build.key(checkout(), request(), GCC)
    kept = keep(tmp_path / "out", key.digest)
    os.utime(kept.folder, (1, 1))
    build.find(key)
    assert kept.folder.stat().st_mtime > 1


def test_build_folders_differ_by_worktree_config_and_compiler(cache: Path) -> None:
    other = Checkout(Path("/elsewhere"), "c" * 40, "aa")
    folders = {
        build.folder(checkout(), request(), GCC),
        build.folder(checkout("bb"), request(), GCC),
        build.folder(other, request(), GCC),
        build.folder(checkout(), request("n"), GCC),
    }
    assert len(folders) == 3  # another tree in the same worktree shares the folder
    assert set((cache / "builds").iterdir()) == folders
