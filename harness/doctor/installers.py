# SPDX-License-Identifier: GPL-2.0-only
"""Install missing packages with the distribution's package manager."""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
from collections.abc import Iterable

from harness import process
from harness.doctor.machine import NeedCheck, NeedState
from harness.errors import HostFault
from harness.progress import Progress


@dataclasses.dataclass(frozen=True)
class Installer:
    """A package manager: how to refresh its package lists, and install without prompting.

    ``waits`` are arguments that make it wait for a running installation, as on the first boot.
    """

    name: str
    program: str
    refresh: tuple[str, ...]
    install: tuple[str, ...]
    waits: tuple[str, ...] = ()


INSTALLERS = (
    Installer(
        "apt",
        "apt-get",
        ("apt-get", "update"),
        ("apt-get", "install", "--yes", "--no-install-recommends"),
        ("-o", "DPkg::Lock::Timeout=120"),
    ),
    Installer("dnf", "dnf", ("dnf", "makecache"), ("dnf", "install", "--assumeyes")),
    Installer(
        "zypper",
        "zypper",
        ("zypper", "--non-interactive", "refresh"),
        ("zypper", "--non-interactive", "install", "--no-recommends"),
    ),
    Installer(
        "pacman",
        "pacman",
        ("pacman", "-Sy", "--noconfirm"),
        ("pacman", "-S", "--needed", "--noconfirm"),
    ),
)


def installer() -> Installer | None:
    """Return this machine's package manager, or None if it is not one of ``INSTALLERS``."""
    return next((candidate for candidate in INSTALLERS if shutil.which(candidate.program)), None)


def missing(checks: Iterable[NeedCheck]) -> tuple[NeedCheck, ...]:
    """Return the failed checks that installing a package could fix."""
    return tuple(
        check
        for check in checks
        if check.state is not NeedState.OK and check.packages != type(check.packages)()
    )


def install_command(
    checks: Iterable[NeedCheck], by: Installer | None = None, *, root: bool | None = None
) -> tuple[str, ...]:
    """Return the command that installs what is missing; empty if nothing is missing.

    ``by``: by default this machine's package manager; without one the result is empty.  ``root``:
    whether we are root (detected by default); if not, the command starts with sudo.
    """
    by = by or installer()
    if by is None:
        return ()
    names = dict.fromkeys(name for check in missing(checks) for name in check.packages.of(by.name))
    return (*_sudo(root), *by.install, *names) if names else ()


def install(checks: Iterable[NeedCheck], progress: Progress) -> None:
    """Install what is missing, interactively, with sudo unless we are root.

    Raises HostFault, with the command to type, if we lack permission, the package manager is
    unknown, or the installation fails.
    """
    by = installer()
    lacking = missing(checks)
    if not lacking:
        return
    if by is None:
        raise HostFault(
            "none of apt, dnf, zypper and pacman is available to install "
            + ", ".join(check.what for check in lacking),
            hint="install these with the system's own package manager",
        )
    command = install_command(lacking, by)
    if not command:
        return
    if command[0] == "sudo" and shutil.which("sudo") is None:
        raise HostFault(
            "installing packages needs root, and sudo is not available",
            hint=f"as root: {shlex.join(command[1:])}",
        )
    # A single broken package source makes the refresh fail, often without consequence: continue.
    _run((*_sudo(None), *by.refresh), progress)
    status = _run((*command, *by.waits), progress)
    if status != 0:
        raise HostFault(
            f"{by.program} failed with status {status}",
            hint=f"see its messages above, then try: {shlex.join(command)}",
        )


def _run(argv: tuple[str, ...], progress: Progress) -> int:
    progress.say(f"$ {shlex.join(argv)}")
    return process.attached(argv, env={"DEBIAN_FRONTEND": "noninteractive"})


def _sudo(root: bool | None) -> tuple[str, ...]:
    root = os.geteuid() == 0 if root is None else root
    return () if root else ("sudo",)
