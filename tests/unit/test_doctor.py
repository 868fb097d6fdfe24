# SPDX-License-Identifier: GPL-2.0-only
"""harness doctor: its table, reading versions, and the install command."""

from __future__ import annotations

import dataclasses

import pytest

from harness import doctor
from harness.doctor import installers, machine
from harness.doctor.needs import CHeader, Library, MachineProperty, Program


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
def test_versions_are_read_from_program_output(text: str, version: str) -> None:
    assert machine.version_in(text) == version


@pytest.mark.parametrize(
    ("found", "minimum", "state"),
    [
        ("", "", doctor.NeedState.MISSING),
        ("", "1.0", doctor.NeedState.MISSING),
        ("1.24", "1.26", doctor.NeedState.OLD),
        ("10.0", "9.1", doctor.NeedState.OK),
        ("4.0", "4", doctor.NeedState.OK),
        ("yes", "4.0", doctor.NeedState.OK),
        ("9 GB", "12 GB", doctor.NeedState.OLD),
    ],
)
def test_versions_compare_as_numbers(found: str, minimum: str, state: doctor.NeedState) -> None:
    assert machine.judge(found, minimum) is state


def test_names_are_unique() -> None:
    names = [need.what for need in doctor.NEEDS]
    assert len(names) == len(set(names))


def test_every_program_and_header_has_a_package_everywhere() -> None:
    for need in doctor.NEEDS:
        if isinstance(need.look, Program | CHeader):
            for one in installers.INSTALLERS:
                assert need.packages.of(one.name), f"{need.what} has no package for {one.name}"


def test_every_machine_property_has_its_function() -> None:
    names = {need.look.name for need in doctor.NEEDS if isinstance(need.look, MachineProperty)}
    assert names == set(machine.PROPERTIES)


def lacking(what: str = "bison", **changes: object) -> doctor.NeedCheck:
    need = next(need for need in doctor.NEEDS if need.what == what)
    check = doctor.NeedCheck(
        need.what,
        need.stage,
        need.why,
        need.level,
        doctor.NeedState.MISSING,
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
def test_one_command_installs_everything_missing(name: str, package: str) -> None:
    checks = [
        lacking("bison"),
        lacking("libelf headers"),
        lacking("git", state=doctor.NeedState.OK),
    ]
    one = installer(name)
    command = doctor.install_command(checks, one, root=True)
    assert command == (*one.install, "bison", package)


def test_the_command_of_a_user_starts_with_sudo() -> None:
    command = doctor.install_command([lacking()], installer("apt"), root=False)
    assert command[:2] == ("sudo", "apt-get")


def test_a_package_is_listed_once() -> None:
    command = doctor.install_command([lacking(), lacking()], installer("apt"), root=True)
    assert command.count("bison") == 1


def test_nothing_missing_needs_no_command() -> None:
    assert doctor.install_command([lacking(state=doctor.NeedState.OK)], installer("apt")) == ()
    assert doctor.install_command([lacking("free disk")], installer("apt")) == ()


def test_only_a_required_need_is_bad() -> None:
    assert lacking("gcc").bad
    assert lacking("gcc", state=doctor.NeedState.OLD).bad
    assert not lacking("ccache").bad
    assert not lacking("clang").bad


def test_an_absent_python_distribution_is_missing() -> None:
    need = doctor.Need("x", "guest", "", Library("no-such-distribution-anywhere"))
    assert machine.check(need).state is doctor.NeedState.MISSING
