# SPDX-License-Identifier: GPL-2.0-only
"""How the kernel's make is called, and the table of architectures."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import architectures, kbuild, process
from harness.doctor import needs
from harness.errors import HostFault, UsageError
from harness.model import Toolchain

GCC = Toolchain("x86_64", "gcc", "12")


def argv(toolchain: Toolchain) -> list[str]:
    return kbuild.command(Path("/tree"), Path("/out"), toolchain)


@pytest.mark.parametrize(
    ("name", "kernel_name"), [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("aarch64", "arm64")]
)
def test_an_architecture_has_several_names(name: str, kernel_name: str) -> None:
    assert architectures.named(name).name == kernel_name


def test_an_unknown_architecture_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        architectures.named("vax")
    assert "x86_64, arm64" in caught.value.hint


def test_the_table_says_what_nobody_has_booted() -> None:
    assert architectures.named("x86_64").proven
    assert not architectures.named("arm64").proven


def test_the_doctor_knows_the_programs_of_each_architecture() -> None:
    table = (*needs.BUILD, *needs.GUEST)
    programs = {need.look.name for need in table if isinstance(need.look, needs.Program)}
    for entry in architectures.ARCHITECTURES:
        assert entry.qemu in programs
        assert entry.name == "x86_64" or f"{entry.cross}gcc" in programs


@pytest.mark.parametrize(
    ("toolchain", "word"),
    [
        (GCC, "LLVM="),
        (GCC, "CROSS_COMPILE="),
        (Toolchain("x86_64", "clang", "17", llvm=True), "LLVM=1"),
        (Toolchain("x86_64", "clang-17", "17", llvm=True), "LLVM=-17"),
        (Toolchain("arm64", "gcc", "12", cross="aarch64-linux-gnu-"), "ARCH=arm64"),
        (
            Toolchain("arm64", "gcc", "12", cross="aarch64-linux-gnu-"),
            "CROSS_COMPILE=aarch64-linux-gnu-",
        ),
        (GCC, "O=/out"),
        (GCC, "LOCALVERSION="),
    ],
)
def test_the_command_of_make(toolchain: Toolchain, word: str) -> None:
    assert word in argv(toolchain)


@pytest.mark.parametrize("path", ["/a b", "/a:b", "/a\tb"])
def test_paths_that_makefiles_cannot_have_are_refused(path: str) -> None:
    with pytest.raises(HostFault):
        kbuild.command(Path(path), Path("/out"), GCC)
    with pytest.raises(HostFault, match="space or colon"):
        kbuild.command(Path("/tree"), Path(path), GCC)


def test_the_callers_own_settings_do_not_reach_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCONFIG_CONFIG", "/elsewhere")
    monkeypatch.setenv("MAKEFLAGS", "-k")
    monkeypatch.setenv("KBUILD_BUILD_USER", "me")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")  # for the script that names the release
    monkeypatch.setenv("LANGUAGE", "de")
    found = process.environment(kbuild.environment())
    assert "KCONFIG_CONFIG" not in found
    assert "MAKEFLAGS" not in found
    assert "GIT_DIR" not in found
    assert "LANGUAGE" not in found
    assert found["KBUILD_BUILD_USER"] != "me"


@pytest.mark.parametrize(
    ("toolchain", "names"),
    [
        (GCC, ["ld", "objcopy"]),
        (Toolchain("x86_64", "clang-17", "17", llvm=True), ["ld.lld-17", "llvm-objcopy-17"]),
        (
            Toolchain("arm64", "gcc", "12", cross="aarch64-linux-gnu-"),
            ["aarch64-linux-gnu-ld", "aarch64-linux-gnu-objcopy"],
        ),
    ],
)
def test_binutils_have_the_compilers_names(toolchain: Toolchain, names: list[str]) -> None:
    assert [kbuild.program(toolchain, name) for name in ("ld", "objcopy")] == names
