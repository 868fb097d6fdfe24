# SPDX-License-Identifier: GPL-2.0-only
"""Which files of a tree a build folder was made from, by make's records."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.sources import used

WORKTREE = Path("/worktree/linux")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Give a folder in which three objects were compiled."""
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
def test_what_make_has_read_is_used(out: Path, path: str, is_used: bool) -> None:
    assert used(out, WORKTREE)(path) is is_used


def test_where_nothing_was_built_anything_may_be_used(out: Path) -> None:
    (out / "vmlinux").unlink()
    assert used(out, WORKTREE)("drivers/gpu/drm/x.c")
