# SPDX-License-Identifier: GPL-2.0-only
"""harness doctor with fake programs on PATH, and on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import doctor
from harness.doctor import installers, machine
from harness.doctor.needs import CHeader, Program
from harness.errors import HostFault
from harness.progress import Progress


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the only one on PATH."""
    folder = tmp_path / "bin with ümlaut"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(machine, "SBIN", ())
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
    check = machine.check(need("tool", "3.10"))
    assert (check.state, check.found) == (doctor.NeedState.OLD, "3.2")


def test_an_absent_program_is_missing(bin_folder: Path) -> None:
    assert machine.check(need("tool")).state is doctor.NeedState.MISSING


def test_a_program_that_cannot_be_executed_is_missing(bin_folder: Path) -> None:
    (bin_folder / "tool").write_text("#!/no/such/interpreter\n")
    (bin_folder / "tool").chmod(0o755)
    assert machine.check(need("tool")).state is doctor.NeedState.MISSING


def test_a_program_that_fails_is_missing(bin_folder: Path) -> None:
    program(bin_folder, "tool", "echo error while loading libtool.so.7 >&2; exit 127")
    assert machine.check(need("tool")).state is doctor.NeedState.MISSING


def test_a_program_that_hangs_is_missing(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PATIENCE", 0.3)
    program(bin_folder, "tool", "while :; do :; done")
    assert machine.check(need("tool")).state is doctor.NeedState.MISSING


def test_the_sbin_folders_are_searched_too(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbin = tmp_path / "sbin"
    sbin.mkdir()
    program(sbin, "nvme", "echo nvme version 2.3")
    monkeypatch.setattr(machine, "SBIN", (str(sbin),))
    assert machine.check(need("nvme")).found == "2.3"


def test_a_header_is_found_by_compiling() -> None:
    good = doctor.Need("libc", "build", "", CHeader("stdio.h"))
    bad = doctor.Need("none", "build", "", CHeader("no/such/header.h"))
    unlinked = doctor.Need("half", "build", "", CHeader("stdio.h", ("-lno-such-library",)))
    assert [machine.check(one).state for one in (good, bad, unlinked)] == [
        doctor.NeedState.OK,
        doctor.NeedState.MISSING,
        doctor.NeedState.MISSING,
    ]


def test_no_compiler_means_no_headers(bin_folder: Path) -> None:
    one = doctor.Need("libc", "build", "", CHeader("stdio.h"))
    assert machine.check(one).state is doctor.NeedState.MISSING


def test_kvm_without_permission_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "KVM", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    found, note = machine.PROPERTIES["kvm"]()
    assert found == ""
    assert "group kvm" in note


def test_an_unwritable_cache_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "cache"))
    found, note = machine.PROPERTIES["disk"]()
    assert found == ""
    assert "cannot write to" in note


def test_every_need_is_checked_on_this_machine() -> None:
    checks = doctor.examine()
    assert [one.what for one in checks] == [one.what for one in doctor.NEEDS]
    assert next(one for one in checks if one.what == "Python").state is doctor.NeedState.OK
    assert next(one for one in checks if one.what == "virtme-ng").state is doctor.NeedState.OK


@pytest.fixture
def apt(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get that logs its arguments; returns the path of the log."""
    calls = bin_folder / "calls"
    program(bin_folder, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >>"{calls}"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def lacking(*names: str) -> tuple[doctor.NeedCheck, ...]:
    return tuple(machine.check(need(name)) for name in names)


def test_install_refreshes_the_lists_and_asks_nothing(apt: Path) -> None:
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


def test_a_failed_refresh_does_not_stop_the_installation(bin_folder: Path, apt: Path) -> None:
    program(bin_folder, "apt-get", f'echo "$*" >>"{apt}"; [ "$1" = install ]')
    install_all = ["update", "install --yes --no-install-recommends one -o DPkg::Lock::Timeout=120"]
    installers.install(lacking("one"), Progress(quiet=True))
    assert apt.read_text().splitlines() == install_all


def test_without_root_and_sudo_the_command_is_shown(
    apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostFault, match="needs root") as caught:
        installers.install(lacking("one"), Progress(quiet=True))
    assert caught.value.hint == "as root: apt-get install --yes --no-install-recommends one"
    assert not apt.exists()


def test_sudo_is_used_when_available(
    apt: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, "sudo", 'exec "$@"')
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    installers.install(lacking("one"), Progress(quiet=True))
    assert "install --yes" in apt.read_text()


def test_an_unknown_distribution_is_reported(bin_folder: Path) -> None:
    with pytest.raises(HostFault, match="none of apt, dnf, zypper and pacman"):
        installers.install(lacking("one"), Progress(quiet=True))
