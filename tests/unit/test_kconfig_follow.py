# SPDX-License-Identifier: GPL-2.0-only
"""Which options build a file and a line, and which must be added to have them."""

from __future__ import annotations

from pathlib import Path

import pytest
import sourcetree

from harness import diff
from harness.kbuild.expression import Name, both, either, level, read, show
from harness.kbuild.includes import included_files
from harness.kbuild.makefiles import Makefiles
from harness.kconfig import guards
from harness.kconfig.choose import CannotHave, Chooser, NewValues
from harness.kconfig.follow import SeriesSources, TreeOptions
from harness.kconfig.reader import read_kconfig
from harness.model import Option, Request

FILES = {
    "Kbuild": "obj-y += fs/ arch/$(SRCARCH)/\nobj-$(CONFIG_NET) += net/\nobj-y += drivers/\n",
    "Makefile": "ifeq ($(KBUILD_EXTMOD),)\nlibs-y := lib/\nendif\ninclude scripts/Makefile.x\n",
    "arch/x86/Makefile": "drivers-$(CONFIG_PCI) += arch/x86/pci/\n",
    "arch/x86/Kbuild": "obj-y += kernel/\n",
    "arch/x86/pci/Makefile": "obj-y += common.o\n",
    "arch/x86/kernel/Makefile": "obj-y += head_$(BITS).o\nobj-$(subst m,y,$(CONFIG_HV)) += hv.o\n",
    "lib/Makefile": "lib-y := string.o\nobj-$(CONFIG_XZ) += xz/\n",
    "lib/xz/Makefile": "obj-$(CONFIG_XZ) += xz.o\nxz-y := a.o\nxz-$(CONFIG_BCJ) += b.o\n",
    "fs/Makefile": "obj-$(CONFIG_XFS) += xfs/\n",
    "fs/xfs/Makefile": (
        "# a comment\nobj-$(CONFIG_XFS) += xfs.o\nxfs-y += $(addprefix libxfs/, \\\n\tag.o \\\n"
        "\tbtree.o)\nifeq ($(CONFIG_QUOTA),y)\nxfs-y += quota.o\nelse\nxfs-y += noquota.o\nendif\n"
        "ifneq ($(CONFIG_A)$(CONFIG_B),)\nxfs-objs += either.o\nendif\n"
    ),
    "net/Makefile": "obj-$(CONFIG_FOO) += foo.o\nfoo-objs := foo_main.o\n",
    "drivers/Makefile": "obj-$(CONFIG_DRM) += gpu/\n",
    "drivers/gpu/Makefile": "obj-y += amd/\n",
    "drivers/gpu/amd/Makefile": "obj-y += main/\n",
    "drivers/gpu/amd/main/Makefile": (
        "TOP = $(src)/..\nobj-$(CONFIG_AMD) += amd.o\namd-y := drv.o\ninclude $(TOP)/dc/Makefile\n"
    ),
    "drivers/gpu/amd/dc/Makefile": "amd-$(CONFIG_DC) += $(addprefix ../dc/,core.o)\n",
}


@pytest.fixture
def makefiles(tmp_path: Path) -> Makefiles:
    sourcetree.write(tmp_path, FILES)
    return Makefiles(tmp_path, "x86")


@pytest.mark.parametrize(
    ("source", "option"),
    [
        ("lib/xz/b.c", "BCJ"),
        ("lib/xz/a.c", "XZ"),
        ("lib/string.c", ""),
        ("fs/xfs/quota.c", "QUOTA"),
        ("fs/xfs/noquota.c", "XFS"),
        ("fs/xfs/libxfs/ag.c", "XFS"),
        ("net/foo_main.c", "FOO"),
        ("net/nobody.c", ""),
    ],
)
def test_the_nearest_option_of_a_source_file(
    makefiles: Makefiles, source: str, option: str
) -> None:
    assert makefiles.option(source) == option


@pytest.mark.parametrize(
    ("source", "condition"),
    [
        ("lib/string.c", "y"),
        ("lib/xz/a.c", "XZ"),
        ("lib/xz/b.c", "BCJ && XZ"),
        ("arch/x86/kernel/head_64.S", "y"),
        ("arch/x86/kernel/hv.c", "HV"),
        ("arch/x86/pci/common.c", "PCI"),
        ("fs/xfs/libxfs/ag.c", "XFS"),
        ("fs/xfs/libxfs/btree.c", "XFS"),
        ("fs/xfs/quota.c", "QUOTA && XFS"),
        ("fs/xfs/noquota.c", "!QUOTA && XFS"),
        ("fs/xfs/either.c", "!!(A || B) && XFS"),
        ("net/foo_main.c", "FOO && NET"),
        ("drivers/gpu/amd/dc/core.c", "DC && AMD && DRM"),
        ("net/nobody.c", ""),
        ("arch/arm64/mm/fault.c", ""),
    ],
)
def test_the_condition_of_a_source_file(makefiles: Makefiles, source: str, condition: str) -> None:
    found = makefiles.condition(source)
    assert (show(found) if found else "") == condition


SOURCE = """\
#ifndef _X_H
int a;
#if IS_ENABLED(CONFIG_ONE) && defined(CONFIG_TWO)
int b;
#elif CONFIG_NUMBER > 3
int c;
#else
int d;
#endif
#ifdef __KERNEL__
int e;
#endif
#if defined(CONFIG_THREE_MODULE) || \\
    IS_BUILTIN(CONFIG_FOUR) /* why */
int f;
#endif
void g(void)
{
	if (IS_ENABLED(CONFIG_FIVE)) {
		h();
	}
	if (!IS_ENABLED(CONFIG_SIX))
		i();
}
#endif
"""


def test_the_conditions_around_lines() -> None:
    lines = {number for number, row in enumerate(SOURCE.split("\n"), 1) if row.endswith(";")}
    found = guards.conditions(SOURCE, lines)
    assert {number: show(condition) for number, condition in found.items()} == {
        2: "y",
        4: "ONE && TWO",
        6: "NUMBER>3 && !(ONE && TWO)",
        8: "!(ONE && TWO) && !(NUMBER>3)",
        11: "y",
        15: "THREE=m || FOUR",
        20: "FIVE",
        23: "y",
    }


@pytest.mark.parametrize(
    "text", ["#if\n", "#endif\n#else\n", "#if ((CONFIG_A\nx\n", "#elif\nx\n", "\0"]
)
def test_broken_sources_are_no_fault(text: str) -> None:
    guards.conditions(text, {1, 2, 3})


KCONFIG = """\
config MODULES
    bool "modules"
config ARCH_HAS
    def_bool y
config BROKEN
    bool
config NET
    bool "net"
if NET
menuconfig VENDOR
    bool "vendor"
if VENDOR
config DRIVER
    tristate "driver"
    depends on PCI && (!KMSAN || COMPILE_TEST)
    select HELPED
config OLD
    tristate "old"
    depends on BROKEN
config OTHER
    tristate "other"
    depends on ARM64
endif
endif
config PCI
    bool "pci"
    depends on ARCH_HAS
config HELPED
    tristate
config COMPILE_TEST
    bool "compile test"
config KMSAN
    bool "kmsan"
config ONLY_MODULE
    tristate "module"
    depends on m && PCI
config DERIVED
    def_bool y
    depends on PCI && NET
choice
    prompt "one of"
config FIRST
    bool "first"
config SECOND
    bool "second"
endchoice
config AGAINST
    bool "against"
    depends on !NET
config KASAN
    bool "kasan"
config PAHOLE_VERSION
    int
config BTF
    bool "btf"
    depends on PAHOLE_VERSION >= 122
config LOOP_A
    bool "a"
    depends on LOOP_B
config LOOP_B
    bool "b"
    depends on LOOP_A
"""


def choose(tmp_path: Path, condition: str, **requested: str) -> NewValues | CannotHave:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    options = read_kconfig(tmp_path, "x86")
    config = {"ARCH_HAS": "y", "FIRST": "y", **{n: v for n, v in requested.items() if v != "n"}}
    wanted = read(condition)
    assert wanted
    return Chooser(options, config, requested, "x86_64").choose(wanted, NewValues())


@pytest.mark.parametrize(
    ("condition", "new"),
    [
        ("ARCH_HAS", ""),
        ("PCI", "PCI=y"),
        ("DRIVER", "NET=y VENDOR=y PCI=y DRIVER=y"),
        ("HELPED", "NET=y VENDOR=y PCI=y DRIVER=y"),
        ("DERIVED", "PCI=y NET=y"),
        ("SECOND", "SECOND=y"),
        ("PCI || DRIVER", "PCI=y"),
        ("!PCI || DRIVER", ""),
        ("$(cc-option,-mfoo) && PCI", "PCI=y"),
        ("DRIVER && !KMSAN", "NET=y VENDOR=y PCI=y DRIVER=y KMSAN=n"),
    ],
)
def test_options_are_chosen_with_what_they_depend_on(
    tmp_path: Path, condition: str, new: str
) -> None:
    result = choose(tmp_path, condition)
    assert isinstance(result, NewValues), result
    assert " ".join(f"{name}={value}" for name, value in result.new) == new


def test_a_module_is_the_last_resort(tmp_path: Path) -> None:
    result = choose(tmp_path, "ONLY_MODULE", MODULES="y")
    assert isinstance(result, NewValues)
    assert result.new == (("PCI", "y"), ("ONLY_MODULE", "m"))
    assert isinstance(choose(tmp_path, "ONLY_MODULE"), CannotHave)


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("OLD", "OLD: BROKEN has no prompt, and nothing selects it"),
        ("OTHER", "OTHER: x86_64 has no option ARM64"),
        ("KASAN", "KASAN changes the whole kernel: to have it, request it"),
        ("NOBODY", "x86_64 has no option NOBODY"),
        ("AGAINST", "AGAINST: it needs CONFIG_NET=n, and y was requested"),
        ("LOOP_A", "LOOP_A: LOOP_B: LOOP_A depends on itself"),
        ("VENDOR && !NET", "it needs CONFIG_NET=n, and y was requested"),
        ("!ARCH_HAS", "ARCH_HAS is on, and cannot be turned off"),
    ],
)
def test_what_cannot_be_had_says_why(tmp_path: Path, condition: str, why: str) -> None:
    result = choose(tmp_path, condition, NET="y")
    assert isinstance(result, CannotHave), result
    assert result.why == why


@pytest.mark.parametrize(
    ("version", "why"),
    [("0", ": pahole is not installed, harness setup pahole"), ("118", "")],
)
def test_a_program_that_is_missing_is_named(tmp_path: Path, version: str, why: str) -> None:
    result = choose(tmp_path, "BTF", PAHOLE_VERSION=version)
    assert isinstance(result, CannotHave)
    assert result.why == f"BTF: it needs PAHOLE_VERSION>=122{why}"


def test_a_request_is_never_contradicted(tmp_path: Path) -> None:
    result = choose(tmp_path, "DRIVER", PCI="n")
    assert isinstance(result, CannotHave)
    assert result.why == "DRIVER: it needs CONFIG_PCI=y, and n was requested"


def test_a_suggested_suite_gets_what_its_option_depends_on(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    options = read_kconfig(tmp_path, "x86")
    tree = TreeOptions(tmp_path, options, Makefiles(tmp_path, "x86"), "x86_64")
    wished = [
        Option(name, "y", "--kunit", "KUnit driver", optional=optional)
        for name, optional in (("DRIVER", True), ("OLD", True), ("ONLY_MODULE", False))
    ]
    sources = SeriesSources(tmp_path, "", [])
    found = tree.follow(sources, {"ARCH_HAS": "y", "NET": "y"}, Request(tuple(wished)))
    assert [(o.name, o.value) for o in found.options] == [("VENDOR", "y"), ("PCI", "y")]
    assert {o.reason for o in found.options} == {"is needed by KUnit driver"}
    assert found.missed == ()


def test_conditions_are_joined_without_what_is_always_true() -> None:
    assert show(both(Name("y"), Name("A"))) == "A"
    assert show(both(Name("A"), Name("A"))) == "A"
    assert either([Name("A"), Name("y")]) == Name("y")
    assert either([]) is None
    assert level(both(Name("A"), Name("B")), {"A": "y", "B": "m"}) == 1


def test_an_include_means_the_file_beside_it() -> None:
    files = ["fs/a/internal.h", "fs/b/internal.h", "include/uapi/linux/x.h"]
    assert included_files("internal.h", "fs/a/file.c", files) == ("fs/a/internal.h",)
    assert included_files("../b/internal.h", "fs/a/file.c", files) == ("fs/b/internal.h",)
    assert included_files("internal.h", "fs/c.c", files) == files[:2]
    assert included_files("linux/x.h", "fs/c.c", files) == files[2:]
    assert included_files("linux/y.h", "fs/c.c", files) == []


def test_a_part_of_a_source_is_compiled_where_that_is_included(tmp_path: Path) -> None:
    files = {
        "Kconfig": KCONFIG,
        "Kbuild": "obj-y += fs/\n",
        "fs/Makefile": "obj-y += all.o\n",
        "fs/all.c": (
            '#include "own.h"\n#ifdef CONFIG_VENDOR\n#include "part/one.c"\n'
            '#include "part/own.h"\n#endif\n'
        ),
        "fs/own.h": "int another;\n",
        "fs/part/one.c": '#include "own.h"\n',
        "fs/part/own.h": "int own;\n",
    }
    sources = sourcetree.commit(tmp_path, files)
    tree = TreeOptions(
        tmp_path, read_kconfig(tmp_path, "x86"), Makefiles(tmp_path, "x86"), "x86_64"
    )
    for name in ("fs/part/one.c", "fs/part/own.h"):
        change = diff.parse(f"--- a/{name}\n+++ b/{name}\n@@ -0,0 +1 @@\n+int more;\n")
        series = SeriesSources(tmp_path, sources.commit, change)
        found = tree.follow(series, {"NET": "y"}, Request(()))
        assert [(o.name, o.value) for o in found.options] == [("VENDOR", "y")], name
        assert found.missed == ()
