# SPDX-License-Identifier: GPL-2.0-only
"""The doctor's tables, how it reads versions, and the command it proposes."""

from __future__ import annotations

import dataclasses

import pytest

from harness import doctor
from harness.doctor import installers, look, machine
from harness.doctor.needs import Header, Library, Machine, Program


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("git version 2.39.5", "2.39.5"),
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022", "12.2.0"),
        ("GNU ld (GNU Binutils for Debian) 2.40", "2.40"),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", "7.2.22"),
        ("mksquashfs version 4.5.1 (2022/03/17)", "4.5.1"),
        ("kmod version 30\n+ZSTD +XZ", "30"),
        ("v0.6.4 (Debian: 0.6.4-3)", "0.6.4"),
        ("Ubuntu clang version 18.1.3 (1ubuntu1)", "18.1.3"),
        ("file-5.44\nmagic file from /etc/magic", "5.44"),
        ("nvme version 2.3 (git 2.3)\nlibnvme version 1.3 (git 1.3)", "2.3"),
        ("no number at all", ""),
    ],
)
def test_version_is_read_from_what_programs_print(text: str, version: str) -> None:
    assert look.version_in(text) == version


@pytest.mark.parametrize(
    ("found", "minimum", "state"),
    [
        ("", "", doctor.State.MISSING),
        ("", "1.0", doctor.State.MISSING),
        ("1.24", "1.26", doctor.State.OLD),
        ("10.0", "9.1", doctor.State.OK),
        ("4.0", "4", doctor.State.OK),
        ("yes", "4.0", doctor.State.OK),
        ("9 GB", "12 GB", doctor.State.OLD),
    ],
)
def test_versions_compare_as_numbers(found: str, minimum: str, state: doctor.State) -> None:
    assert look.judge(found, minimum) is state


def test_every_name_is_there_once() -> None:
    names = [need.what for need in doctor.NEEDS]
    assert len(names) == len(set(names))


def test_every_program_and_header_has_a_package_everywhere() -> None:
    for need in doctor.NEEDS:
        if isinstance(need.look, Program | Header):
            for one in installers.INSTALLERS:
                assert need.packages.of(one.name), f"{need.what} has no package for {one.name}"


def test_every_property_of_the_machine_has_its_look() -> None:
    names = {need.look.name for need in doctor.NEEDS if isinstance(need.look, Machine)}
    assert names == set(machine.LOOKS)


def lacking(what: str = "bison", **changes: object) -> doctor.Check:
    need = next(need for need in doctor.NEEDS if need.what == what)
    check = doctor.Check(
        need.what,
        need.stage,
        need.why,
        need.level,
        doctor.State.MISSING,
        "",
        need.minimum,
        need.packages,
    )
    return dataclasses.replace(check, **changes)  # type: ignore[arg-type]


def installer(name: str) -> doctor.Installer:
    return next(one for one in installers.INSTALLERS if one.name == name)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("apt", "libelf-dev"),
        ("dnf", "elfutils-libelf-devel"),
        ("zypper", "libelf-devel"),
        ("pacman", "libelf"),
    ],
)
def test_one_command_installs_all_that_is_missing(name: str, package: str) -> None:
    checks = [lacking("bison"), lacking("libelf headers"), lacking("git", state=doctor.State.OK)]
    one = installer(name)
    command = doctor.install_command(checks, one, root=True)
    assert command == (*one.install, "bison", package)


def test_sudo_stands_in_front_for_a_user() -> None:
    command = doctor.install_command([lacking()], installer("apt"), root=False)
    assert command[:2] == ("sudo", "apt-get")


def test_a_package_is_named_once() -> None:
    command = doctor.install_command([lacking(), lacking()], installer("apt"), root=True)
    assert command.count("bison") == 1


def test_nothing_missing_needs_no_command() -> None:
    assert doctor.install_command([lacking(state=doctor.State.OK)], installer("apt")) == ()
    assert doctor.install_command([lacking("free disk")], installer("apt")) == ()


def test_only_a_required_need_is_bad() -> None:
    assert lacking("gcc").bad
    assert lacking("gcc", state=doctor.State.OLD).bad
    assert not lacking("ccache").bad
    assert not lacking("clang").bad


def test_a_distribution_that_is_not_there_is_missing() -> None:
    need = doctor.Need("x", "guest", "", Library("no-such-distribution-anywhere"))
    assert look.check(need).state is doctor.State.MISSING
