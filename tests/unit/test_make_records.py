# SPDX-License-Identifier: GPL-2.0-only
"""make's records in a build folder: what was compiled, how much, and after a killed make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.build import make_records
from harness.build.make_records import ObjectCount, may_use

WORKTREE = Path("/worktree/linux")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder in which three objects were compiled."""
    for name, others in {
        "fs/stat": ["fs/internal.h", "arch/x86/include/asm/page.h"],
        "kernel/sched/build_policy": ["kernel/sched/rt.c", "kernel/sched/sched.h"],
        "drivers/nvme/target/core": ["include/linux/a.h", "drivers/nvme/target/../common/keys.h"],
    }.items():
        source = f"{WORKTREE}/{name}.c"
        listed = "".join(f"  {WORKTREE}/{other} \\\n" for other in others)
        record = (tmp_path / name).with_name(f".{Path(name).name}.o.cmd")
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(f"source_{name}.o := {source}\n\ndeps_{name}.o := \\\n{listed}\n")
    (tmp_path / "vmlinux").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "is_used"),
    [
        ("fs/stat.c", True),
        ("fs/xfs/super.c", False),
        ("fs/internal.h", True),
        ("fs/xfs/xfs.h", False),
        ("kernel/sched/rt.c", True),  # included, and no object of its own
        ("kernel/sched/ext.c", False),
        ("drivers/nvme/common/keys.h", True),
        ("drivers/nvme/host/nvme.h", False),
        ("drivers/nvme/target/Makefile", True),
        ("drivers/gpu/drm/Kconfig", False),
        ("include/linux/a.h", True),
        ("include/linux/anything.h", False),
        ("arch/x86/include/asm/page.h", True),
        ("arch/x86/kvm/svm/svm.c", False),
        ("arch/arm/mm/init.c", False),
        ("arch/arm/include/asm/page.h", False),
        ("drivers/nvme/target/Kconfig", True),
        ("tools/perf/perf.c", False),
        ("scripts/Makefile.lib", True),
        ("fs/Kconfig", True),
        ("Makefile", True),
        ("usr/default_cpio_list", True),  # nobody knows
    ],
)
def test_files_that_make_read_are_used(out: Path, path: str, is_used: bool) -> None:
    assert may_use(out, WORKTREE)(path) is is_used


def test_where_nothing_was_built_anything_may_be_used(out: Path) -> None:
    (out / "vmlinux").unlink()
    assert may_use(out, WORKTREE)("drivers/gpu/drm/x.c")


def test_half_written_objects_are_removed_after_a_kill(tmp_path: Path) -> None:
    for name in ("whole.o", "half.o", "old.o"):
        (tmp_path / name).write_text(name)
        (tmp_path / f".{name}.cmd").write_text("cmd")
    os.utime(tmp_path / "old.o", (5, 5))
    os.utime(tmp_path / ".old.o.cmd", (4, 4))
    assert make_records.make_starts(tmp_path) == []  # make starts ...
    os.utime(tmp_path / ".harness-building", (10, 10))
    os.utime(tmp_path / "half.o", (12, 12))
    os.utime(tmp_path / ".half.o.cmd", (3, 3))
    os.utime(tmp_path / "whole.o", (12, 12))
    os.utime(tmp_path / ".whole.o.cmd", (12, 12))
    assert make_records.make_starts(tmp_path) == [tmp_path / "half.o"]  # ... and never came back
    make_records.make_ended(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.o")) == ["old.o", "whole.o"]
    assert not (tmp_path / ".harness-building").exists()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def test_objects_are_counted_against_what_the_config_had_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    first = ObjectCount(out, "digest", options_on=100)
    assert first.total is not None
    assert first.total > 100
    assert first.count("CC", "a.o")[0] == 1
    for number in range(7):
        (out / f".{number}.o.cmd").touch()
    (out / "vmlinux").touch()
    first.save()
    assert ObjectCount(out, "digest", 100).total is None  # incremental: nobody knows
    other = tmp_path / "other"
    other.mkdir()
    assert ObjectCount(other, "digest", 100).total == 7


def test_objects_of_a_copied_folder_are_counted_against_those_that_differ(tmp_path: Path) -> None:
    (tmp_path / ".a.o.cmd").touch()
    copied = ObjectCount(tmp_path, "digest", 100, again=2)
    assert [copied.count("CC", f"{name}.o") for name in "bcd"] == [(1, 2), (2, 2), (3, 3)]
    copied.save()  # it has not compiled all of them
    assert ObjectCount(tmp_path, "digest", 100).total != 1


def test_an_interrupted_build_expects_the_rest(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").touch()
    for number in range(10):
        (tmp_path / f".{number}.o.cmd").touch()
    whole = ObjectCount(tmp_path, "digest", 100)
    whole.fresh = True
    whole.save()
    (tmp_path / "vmlinux").unlink()
    for number in range(4, 10):
        (tmp_path / f".{number}.o.cmd").unlink()
    assert ObjectCount(tmp_path, "digest", 100).total == 6
