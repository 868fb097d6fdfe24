# SPDX-License-Identifier: GPL-2.0-only
"""The doctor on machines made of fake programs, and on this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import doctor
from harness.doctor import installers, look, machine
from harness.doctor.needs import Header, Program
from harness.errors import HostFault
from harness.progress import Progress


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but what a test puts there."""
    folder = tmp_path / "bin with ümlaut"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(look, "SBIN", ())
    return folder


def program(folder: Path, name: str, script: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def need(name: str, minimum: str = "") -> doctor.Need:
    return doctor.Need(name, "build", "", Program(name), doctor.Packages(apt=name), minimum)


def test_a_program_is_asked_for_its_version(bin_folder: Path) -> None:
    program(bin_folder, "tool", "echo tool version 3.2")
    check = look.check(need("tool", "3.10"))
    assert (check.state, check.found) == (doctor.State.OLD, "3.2")


def test_a_program_that_is_not_there_is_missing(bin_folder: Path) -> None:
    assert look.check(need("tool")).state is doctor.State.MISSING


def test_a_program_that_does_not_start_is_missing(bin_folder: Path) -> None:
    (bin_folder / "tool").write_text("#!/no/such/interpreter\n")
    (bin_folder / "tool").chmod(0o755)
    assert look.check(need("tool")).state is doctor.State.MISSING


def test_a_program_that_fails_is_missing(bin_folder: Path) -> None:
    program(bin_folder, "tool", "echo error while loading libtool.so.7 >&2; exit 127")
    assert look.check(need("tool")).state is doctor.State.MISSING


def test_a_program_that_hangs_is_missing(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "PATIENCE", 0.3)
    program(bin_folder, "tool", "while :; do :; done")
    assert look.check(need("tool")).state is doctor.State.MISSING


def test_the_sbin_folders_are_searched_too(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbin = tmp_path / "sbin"
    sbin.mkdir()
    program(sbin, "nvme", "echo nvme version 2.3")
    monkeypatch.setattr(look, "SBIN", (str(sbin),))
    assert look.check(need("nvme")).found == "2.3"


def test_a_header_is_found_by_compiling() -> None:
    good = doctor.Need("libc", "build", "", Header("stdio.h"))
    bad = doctor.Need("none", "build", "", Header("no/such/header.h"))
    unlinked = doctor.Need("half", "build", "", Header("stdio.h", ("-lno-such-library",)))
    assert [look.check(one).state for one in (good, bad, unlinked)] == [
        doctor.State.OK,
        doctor.State.MISSING,
        doctor.State.MISSING,
    ]


def test_no_compiler_means_no_headers(bin_folder: Path) -> None:
    one = doctor.Need("libc", "build", "", Header("stdio.h"))
    assert look.check(one).state is doctor.State.MISSING


def test_kvm_without_the_right_to_use_it_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "KVM", str(tmp_path))
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    found, note = machine.kvm()
    assert found == ""
    assert "group kvm" in note


def test_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "cache"))
    found, note = machine.disk()
    assert found == ""
    assert "cannot write to" in note


def test_this_machine_is_examined_whole() -> None:
    checks = doctor.examine()
    assert [one.what for one in checks] == [one.what for one in doctor.NEEDS]
    assert next(one for one in checks if one.what == "Python").state is doctor.State.OK
    assert next(one for one in checks if one.what == "virtme-ng").state is doctor.State.OK


@pytest.fixture
def apt(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get that writes down what it was asked; gives that list."""
    calls = bin_folder / "calls"
    program(bin_folder, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >>"{calls}"')
    monkeypatch.setattr(installers.os, "geteuid", lambda: 0)
    return calls


def lacking(*names: str) -> tuple[doctor.Check, ...]:
    return tuple(look.check(need(name)) for name in names)


def test_install_renews_the_lists_and_asks_nothing(apt: Path) -> None:
    installers.install(lacking("one", "two"), Progress(quiet=True))
    assert apt.read_text().splitlines() == [
        "noninteractive update",
        "noninteractive install --yes --no-install-recommends one two -o DPkg::Lock::Timeout=120",
    ]


def test_install_does_nothing_when_nothing_is_missing(apt: Path, bin_folder: Path) -> None:
    program(bin_folder, "one", "echo one 1.0")
    installers.install(lacking("one"), Progress(quiet=True))
    assert not apt.exists()


def test_a_failing_installer_is_a_fault_with_the_command(bin_folder: Path, apt: Path) -> None:
    program(bin_folder, "apt-get", "exit 100")
    with pytest.raises(HostFault, match="apt-get failed with status 100") as caught:
        installers.install(lacking("one"), Progress(quiet=True))
    assert "apt-get install --yes --no-install-recommends one" in caught.value.hint


def test_lists_that_cannot_be_renewed_do_not_stop_it(bin_folder: Path, apt: Path) -> None:
    program(bin_folder, "apt-get", f'echo "$*" >>"{apt}"; [ "$1" = install ]')
    install_all = ["update", "install --yes --no-install-recommends one -o DPkg::Lock::Timeout=120"]
    installers.install(lacking("one"), Progress(quiet=True))
    assert apt.read_text().splitlines() == install_all


def test_without_root_and_sudo_the_command_is_said(
    apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installers.os, "geteuid", lambda: 1000)
    with pytest.raises(HostFault, match="needs root") as caught:
        installers.install(lacking("one"), Progress(quiet=True))
    assert caught.value.hint == "as root: apt-get install --yes --no-install-recommends one"
    assert not apt.exists()


def test_sudo_is_used_when_it_is_there(
    apt: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, "sudo", 'exec "$@"')
    monkeypatch.setattr(installers.os, "geteuid", lambda: 1000)
    installers.install(lacking("one"), Progress(quiet=True))
    assert "install --yes" in apt.read_text()


def test_an_unknown_distribution_is_said(bin_folder: Path) -> None:
    with pytest.raises(HostFault, match="none of apt, dnf, zypper and pacman"):
        installers.install(lacking("one"), Progress(quiet=True))
