# SPDX-License-Identifier: GPL-2.0-only
"""A build folder begins as a copy of the one with the nearest config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import build, serial
from harness.build import make_records, nearest
from harness.build.kernel_store import FOLDER_RECORD, FolderRecord
from harness.errors import HostFault
from harness.model import Checkout, CompilerWarning, Toolchain

COMPILER = 'CONFIG_CC_VERSION_TEXT="gcc 12"\n'
OBJECTS = {"fs/a.o": "EXT4 NET", "fs/b.o": "EXT4", "net/c.o": "NET", "lib/d.o": "", "lib/e.o": ""}
OLD = 1_700_000_000_000_000_000  # when the other folders were built, in nanoseconds


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/builds"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "tree", "c0ffee", "beef", ())


@pytest.fixture(scope="module")
def gcc() -> Toolchain:
    return build.toolchain()


def configured(builds: Path, name: str, options: str, worktree: str = "/tree") -> Path:
    """Make a folder as configure leaves it."""
    out = builds / name
    out.mkdir(parents=True)
    serial.write(out / FOLDER_RECORD, FolderRecord(worktree, "x86_64"))
    text = "".join(f"CONFIG_{option}\n" for option in options.split())
    (out / ".config").write_text(COMPILER + text)
    (out / ".harness-configured").write_text(name)
    return out


def built(builds: Path, name: str, options: str, worktree: str = "/tree") -> Path:
    """Make a folder as make leaves it; newer kernels have no quotes in auto.conf."""
    out = configured(builds, name, options, worktree)
    write(out / nearest._AUTO_CONF, (out / ".config").read_text().replace('"', ""))
    for name, names in OBJECTS.items():
        stamps = "".join(
            f"    $(wildcard include/config/{option}) \\\n" for option in names.split()
        )
        write(out / name, f"object of {out.name}")
        record = out / Path(name).with_name(f".{Path(name).name}.cmd")
        write(record, f"savedcmd_{name} := gcc\n\ndeps_{name} := \\\n{stamps}\n")
    write(out / "tools/objtool/.objtool.cmd", f"cmd := gcc -o {out}/tools/objtool/objtool\n")
    write(out / "vmlinux", "kernel")
    write(out / "vmlinux.a", "archive")
    write(out / ".tmp_vmlinux1", "kernel")
    (out / "source").symlink_to("/tree")
    return out


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, ns=(OLD, OLD))


def test_the_fewest_objects_decide(builds: Path) -> None:
    built(builds, "near", "NET=y A=y B=y C=y")
    built(builds, "far", "EXT4=y NET=y")
    found = nearest.nearest(configured(builds, "new", "NET=y"))
    assert found is not None
    assert (found.path.name, found.differing, found.total) == ("near", 0, len(OBJECTS))
    found = nearest.nearest(configured(builds, "other", "EXT4=y NET=m A=y"))
    assert found is not None
    assert (found.path.name, found.differing) == ("far", 2)


def test_a_folder_that_cannot_serve_is_left_alone(builds: Path) -> None:
    built(builds, "elsewhere", "NET=y", worktree="/other")
    write(
        built(builds, "compiler", "NET=y") / nearest._AUTO_CONF, "CONFIG_CC_VERSION_TEXT=gcc 13\n"
    )
    make_records.make_starts(built(builds, "killed", "NET=y"))
    (built(builds, "unfinished", "NET=y") / "vmlinux").unlink()
    (built(builds, "nothing", "NET=y") / nearest._AUTO_CONF).unlink()
    configured(builds, "configured", "NET=y")
    (builds / "objects-1234").write_text("1364")
    assert nearest.nearest(configured(builds, "new", "NET=y")) is None


def test_what_many_objects_depend_on(builds: Path) -> None:
    names = ("XFS", "NET", "EXT4")
    assert nearest.pervasive(built(builds, "shared", "NET=y"), names) == ("NET", "EXT4")
    assert nearest.pervasive(builds / "shared", ()) == ()
    assert nearest.pervasive(configured(builds, "new", "NET=y"), names) == ()


def test_a_copy_that_would_save_nothing_is_not_made(
    builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTS, "lib/d.o", "NET")
    monkeypatch.setitem(OBJECTS, "lib/e.o", "NET")
    built(builds, "far", "EXT4=n")
    assert nearest.nearest(configured(builds, "new", "EXT4=y NET=y")) is None


def test_what_a_copy_has(builds: Path, checkout: Checkout, gcc: Toolchain) -> None:
    old = built(builds, "old", "NET=y")
    out = configured(builds, "new", "NET=y EXT4=y")
    serial.write(old / ".harness-warnings.json", {"fs/b.o": [CompilerWarning("fs/b.c", 1, "odd")]})
    config = (out / ".config").stat().st_mtime_ns
    again, skipped = nearest.begin(checkout, out, gcc)
    assert again == sum("EXT4" in names.split() for names in OBJECTS.values())
    assert skipped is not None
    assert skipped.objects == ()
    assert (out / "fs/a.o").read_text() == "object of old"
    assert (out / "fs/a.o").stat().st_mtime_ns == OLD
    assert not (out / "fs/a.o").samefile(old / "fs/a.o")
    assert not (out / "fs/b.o").exists(), "its warning must be seen again"
    assert (out / "source").is_symlink()
    assert (out / "vmlinux.a").exists()
    assert not (out / "vmlinux").exists()
    assert not (out / ".tmp_vmlinux1").exists()
    assert not (out / ".harness-warnings.json").exists()
    assert "EXT4" in (out / ".config").read_text()
    assert (out / ".config").stat().st_mtime_ns == config, "newer than auto.conf"
    assert (out / ".harness-configured").read_text() == "new"
    record = out / "tools/objtool/.objtool.cmd"
    assert record.read_text() == f"cmd := gcc -o {out}/tools/objtool/objtool\n"
    assert record.stat().st_mtime_ns == OLD
    assert sorted(path.name for path in builds.iterdir()) == ["new", "old"]


def test_a_folder_with_a_build_in_it_is_not_replaced(
    builds: Path, checkout: Checkout, gcc: Toolchain
) -> None:
    built(builds, "old", "NET=y")
    out = built(builds, "new", "NET=y EXT4=y")
    (out / make_records.LOG).touch()  # even of a build that was killed
    assert nearest.begin(checkout, out, gcc) == (None, None)
    assert (out / "fs/a.o").read_text() == "object of new"


def test_a_copy_that_fails_leaves_the_folder_as_it_was(
    builds: Path,
    checkout: Checkout,
    gcc: Toolchain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built(builds, "old", "NET=y")
    out = configured(builds, "new", "NET=y EXT4=y")
    before = sorted(path.name for path in out.iterdir())
    (tmp_path / "cp").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "cp").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HostFault):
        nearest.begin(checkout, out, gcc)
    assert sorted(path.name for path in out.iterdir()) == before
    assert sorted(path.name for path in builds.iterdir()) == ["new", "old"]
