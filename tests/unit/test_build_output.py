# SPDX-License-Identifier: GPL-2.0-only
"""The output of make and the compilers: steps, warnings, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build import output

SOURCE = "/cache/tree"


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("  CC      fs/configfs/dir.o", ("CC", "fs/configfs/dir.o")),
        ("  CC [M]  fs/configfs/dir.o", ("CC", "fs/configfs/dir.o")),
        ("  LD      vmlinux", ("LD", "vmlinux")),
        ("  AR      fs/built-in.a", ("AR", "fs/built-in.a")),
        ("  HOSTCC  scripts/basic/fixdep", ("HOSTCC", "scripts/basic/fixdep")),
        ("  323 |         return x;", None),
        ("make[1]: Entering directory '/x'", None),
        ("Kernel: arch/x86/boot/bzImage is ready  (#1)", None),
    ],
)
def test_steps(line: str, step: tuple[str, str] | None) -> None:
    assert output.step(line) == step


def test_objects_are_counted_and_nothing_else() -> None:
    assert output.is_object("CC", "a/b.o")
    assert output.is_object("AS", "a/b.o")
    assert not output.is_object("HOSTCC", "a/b.o")
    assert not output.is_object("CC", "a/b.s")
    assert not output.is_object("LD", "a/b.o")


@pytest.mark.parametrize(
    ("line", "file", "number", "text"),
    [
        (
            "/cache/tree/fs/configfs/dir.c:12:6: warning: unused variable 'x' [-Wunused-variable]",
            "fs/configfs/dir.c",
            12,
            "unused variable 'x' [-Wunused-variable]",
        ),
        ("../fs/a b.c:3: warning: odd", "../fs/a b.c", 3, "odd"),
        (
            "vmlinux.o: warning: objtool: f() falls through",
            "vmlinux.o",
            0,
            "objtool: f() falls through",
        ),
        ("WARNING: modpost: missing symbol", "modpost", 0, "missing symbol"),
        ("/cache/tree/a.S:7: Warning: stack", "", 0, ""),
    ],
)
def test_warnings(line: str, file: str, number: int, text: str) -> None:
    found = output.warning(line, SOURCE)
    if not file:
        assert found is None
    else:
        assert found is not None
        assert (found.file, found.line, found.text) == (file, number, text)


COMPILER = """\
  CC      fs/one.o
  CC      fs/configfs/dir.o
In file included from /cache/tree/fs/configfs/dir.c:5:
/cache/tree/include/linux/configfs.h: In function 'f':
/cache/tree/include/linux/configfs.h:9:1: error: unknown type name 'foo'
    9 | foo bar;
      | ^~~
/cache/tree/fs/configfs/dir.c:7:2: note: declared here
    7 |  bar();
      |  ^~~
make[4]: *** [/cache/tree/scripts/Makefile.build:289: fs/configfs/dir.o] Error 1
  CC      fs/two.o
/cache/tree/fs/two.c:3:2: warning: unused
    3 |  int x;
make: *** [Makefile:260: __sub-make] Error 2"""


def test_a_compiler_error_comes_with_its_context_and_nothing_else() -> None:
    found = output.errors(COMPILER.splitlines(), SOURCE)
    assert found == [
        "In file included from fs/configfs/dir.c:5:",
        "include/linux/configfs.h: In function 'f':",
        "include/linux/configfs.h:9:1: error: unknown type name 'foo'",
        "    9 | foo bar;",
        "      | ^~~",
        "fs/configfs/dir.c:7:2: note: declared here",
        "    7 |  bar();",
        "      |  ^~~",
    ]
    assert output.first_error(found) == found[2]


@pytest.mark.parametrize(
    "line",
    [
        "fs/a.c:1:10: fatal error: linux/none.h: No such file or directory",
        "ld: fs/configfs/dir.o: in function `f':",
        "dir.c:(.text+0x5): undefined reference to `nothing'",
        "ld: error: unable to find library",
        "ld.lld: error: undefined symbol: nothing",
        'ERROR: modpost: "nothing" [fs/x.ko] undefined!',
        "make[3]: *** No rule to make target 'fs/none.o', needed by 'fs/built-in.a'.  Stop.",
        "vmlinux.o: error: objtool: bad instruction",
        "arch/x86/entry/x.S:12: Error: no such instruction: `nothing'",
        "/bin/sh: 1: pahole: not found",
    ],
)
def test_every_kind_of_error_is_recognised(line: str) -> None:
    lines = ["  CC      fs/a.o", line, "make: *** [Makefile:1: x] Error 2"]
    assert output.errors(lines, SOURCE) == [line]


def test_an_unknown_failure_shows_the_lines_before_make_gave_up() -> None:
    lines = [
        "  CC      fs/a.o",
        "cat: FORCE: No such file or directory",
        "make[4]: *** [kernel/Makefile:163: kernel/config_data] Error 1",
        "  CC      fs/b.o",
        "make: *** [Makefile:260: __sub-make] Error 2",
    ]
    assert output.errors(lines, SOURCE) == lines[1:3]


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("as: cannot write: No space left on device", True),
        ("gcc: fatal error: Killed signal terminated program cc1", True),
        ("fs/a.c:1:1: error: x", False),
    ],
)
def test_a_host_fault_is_recognised(line: str, host: bool) -> None:
    assert bool(output.host_fault([line])) is host


def test_warnings_are_remembered_until_their_object_is_compiled_again(tmp_path: Path) -> None:
    for name in ("a.o", "b.o"):
        (tmp_path / name).touch()
    first = output.WarningCollector(tmp_path, Path("/tree"))
    for line in (
        "  CC      a.o",
        "/tree/a.c:1:1: warning: one",
        "  CC      b.o",
        "/tree/b.c:2:1: warning: two",
    ):
        first.line(line)
    first.save()
    second = output.WarningCollector(tmp_path, Path("/tree"))
    second.line("  CC      a.o")
    assert [w.file for w in second.all()] == ["b.c"]
    second.save()
    (tmp_path / "b.o").unlink()
    third = output.WarningCollector(tmp_path, Path("/tree"))
    third.save()
    assert output.WarningCollector(tmp_path, Path("/tree")).all() == []


def test_a_warning_in_a_header_is_listed_once(tmp_path: Path) -> None:
    collector = output.WarningCollector(tmp_path, Path("/tree"))
    for name in ("a.o", "b.o"):
        collector.line(f"  CC      {name}")
        collector.line("/tree/include/x.h:1:1: warning: one")
    assert len(collector.all()) == 1
