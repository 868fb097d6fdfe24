# SPDX-License-Identifier: GPL-2.0-only
"""One file of a build folder is changed for a moment: which objects get other code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import build
from harness.build import ChangedBuilds
from harness.model import Checkout, Kernel, Toolchain

SOURCE = """\
#include "a.h"
int twice(int number)
{
	if (number > 3)
		return two();
	return 2 * number; /* two times */
}
"""
HEADER = "static inline int two(void) { return 6; }\n"
GCC = Toolchain("x86_64", "gcc", "12")


@pytest.fixture
def builds(tmp_path: Path) -> ChangedBuilds:
    """A tree of two sources that include a header, compiled as kbuild would."""
    top, out = tmp_path / "linux", tmp_path / "out"
    (top / "fs").mkdir(parents=True)
    (out / "fs").mkdir(parents=True)
    (top / "fs/a.h").write_text(HEADER)
    (top / "fs/a.c").write_text(SOURCE)
    (top / "fs/b.c").write_text('#include "a.h"\nint six(void) { return two(); }\n')
    for name in ("a", "b"):
        command = f"gcc -O2 -g -Wall -c -o fs/{name}.o {top}/fs/{name}.c ; true"
        subprocess.run(["sh", "-c", command], cwd=out, check=True)
        record = f"savedcmd_fs/{name}.o := {command}\n\nsource_fs/{name}.o := {top}/fs/{name}.c\n\n"
        record += f"deps_fs/{name}.o := \\\n {top}/fs/a.h \\\n\n"
        (out / f"fs/.{name}.o.cmd").write_text(record)
    subprocess.run(["ar", "cDPrST", "vmlinux.a", "fs/a.o", "fs/b.o"], cwd=out, check=True)
    kernel = Kernel("key", out, out / "vmlinux", out / ".config", "7.2", "", "x86_64")
    return ChangedBuilds(Checkout(top, "c", "t"), out, GCC, kernel)


def test_other_code_is_found_and_the_file_is_as_before(builds: ChangedBuilds) -> None:
    source, object_file = builds.checkout.path / "fs/a.c", builds.out / "fs/a.o"
    times, before = source.stat().st_mtime_ns, object_file.read_bytes()
    changed = builds.compile("fs/a.c", SOURCE.replace("> 3", ">= 3").encode())
    assert changed.names == ("fs/a.o",)
    assert not changed.error
    assert source.read_text() == SOURCE
    assert source.stat().st_mtime_ns == times
    assert object_file.read_bytes() != before
    builds.restore()
    assert object_file.read_bytes() == before


def test_a_comment_is_no_change(builds: ChangedBuilds) -> None:
    same = SOURCE.replace("two times", "doubled").replace("2 * number", "number + number")
    assert builds.compile("fs/a.c", same.encode()).names == ()


def test_objects_are_compared_as_they_are_compiled_here(builds: ChangedBuilds) -> None:
    """With debug info symbols are in another order, also after it was stripped."""
    (builds.out / "fs/a.o").write_bytes((builds.out / "fs/b.o").read_bytes())
    assert builds.compile("fs/a.c", SOURCE.encode()).names == ()
    assert builds.compile("fs/a.c", SOURCE.replace("2 *", "3 *").encode()).names == ("fs/a.o",)


def test_a_change_of_a_header_is_found_in_all_objects(builds: ChangedBuilds) -> None:
    changed = builds.compile("fs/a.h", HEADER.replace("6", "7").encode())
    assert set(changed.names) == {"fs/a.o", "fs/b.o"}


def test_what_does_not_compile_says_why(builds: ChangedBuilds) -> None:
    changed = builds.compile("fs/a.c", SOURCE.replace("two()", "three()").encode())
    assert "three" in changed.error
    assert not changed.names
    builds.restore()
    assert builds.compile("fs/a.c", SOURCE.encode()).names == ()


def test_a_killed_run_leaves_no_changed_object(builds: ChangedBuilds) -> None:
    """The next run of the same folder begins with the original objects."""
    before = (builds.out / "fs/a.o").read_bytes()
    builds.compile("fs/a.c", SOURCE.replace("> 3", "< 3").encode())
    assert (builds.out / "fs/a.o").read_bytes() != before
    build.restore(builds.out)
    assert (builds.out / "fs/a.o").read_bytes() == before
