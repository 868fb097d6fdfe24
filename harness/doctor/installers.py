# SPDX-License-Identifier: GPL-2.0-only
"""Install what is missing, with the distribution's own package manager."""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
from collections.abc import Iterable

from harness import process
from harness.doctor.look import Check, State
from harness.errors import HostFault
from harness.progress import Progress


@dataclasses.dataclass(frozen=True)
class Installer:
    """A package manager: how it renews its lists and how it installs without asking.

    ``waits`` makes it wait for another installation, such as the one a fresh machine begins with.
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
    """Give this machine's package manager, if it is one we know."""
    return next((one for one in INSTALLERS if shutil.which(one.program)), None)


def missing(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Give the checks a package could mend."""
    return tuple(c for c in checks if c.state is not State.OK and c.packages != type(c.packages)())


def install_command(
    checks: Iterable[Check], by: Installer | None = None, *, root: bool | None = None
) -> tuple[str, ...]:
    """Give the one command that installs what is missing; empty when there is nothing to do.

    ``by`` is the machine's own package manager unless given; without one the answer is empty too.
    ``root``: whether we are root (asked of the system unless given); else sudo stands in front.
    """
    by = by or installer()
    if by is None:
        return ()
    names = dict.fromkeys(name for one in missing(checks) for name in one.packages.of(by.name))
    return (*_rights(root), *by.install, *names) if names else ()


def install(checks: Iterable[Check], progress: Progress) -> None:
    """Install what is missing of ``checks``, on the terminal, with sudo unless we are root.

    Raises HostFault with the command to type when there is no right to do it, no package manager
    that we know, or when it fails.
    """
    by = installer()
    lacking = missing(checks)
    if not lacking:
        return
    if by is None:
        raise HostFault(
            "none of apt, dnf, zypper and pacman is here to install "
            + ", ".join(one.what for one in lacking),
            hint="install these with the system's own means",
        )
    command = install_command(lacking, by)
    if not command:
        return
    _allowed(command)
    # One bad source among many fails a refresh, and often does no harm: installing decides.
    _run((*_rights(None), *by.refresh), progress)
    status = _run((*command, *by.waits), progress)
    if status != 0:
        raise HostFault(
            f"{by.program} failed with status {status}",
            hint=f"look at its messages above, then try: {shlex.join(command)}",
        )


def _run(words: tuple[str, ...], progress: Progress) -> int:
    progress.say(f"$ {shlex.join(words)}")
    return process.attached(words, env={"DEBIAN_FRONTEND": "noninteractive"})


def _rights(root: bool | None) -> tuple[str, ...]:
    root = os.geteuid() == 0 if root is None else root
    return () if root else ("sudo",)


def _allowed(command: tuple[str, ...]) -> None:
    if command[0] == "sudo" and shutil.which("sudo") is None:
        raise HostFault(
            "installing needs root, and sudo is not here",
            hint=f"as root: {shlex.join(command[1:])}",
        )
