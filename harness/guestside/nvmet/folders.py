# SPDX-License-Identifier: GPL-2.0-only
"""How values are written into folders of configfs, and what is found in these."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from harness.guestside import attribute
from harness.guestside.nvmet.values import Namespace, Port, Referral, Subsystem


def names(folder: Path) -> list[str]:
    """Names of the items and links in a folder, sorted; none when it is not there."""
    try:
        return sorted(e.name for e in folder.iterdir() if e.is_symlink() or e.is_dir())
    except FileNotFoundError:
        return []


def remove(folder: Path) -> None:
    """Remove an item; gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def write(path: Path, value: str | int) -> None:
    """Write an attribute; OSError as the kernel gives it, with value and path in its words."""
    try:
        # No newline: discovery_nqn takes what is before it only.
        attribute.store(path, value)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "?")
        raise OSError(error.errno, f"writing {value!r}: {name}", str(path)) from error


def fill_subsystem(root: Path, folder: Path, value: Subsystem) -> None:
    """Write a subsystem into its folder; ``root`` is the instance's."""
    write(folder / "attr_allow_any_host", int(not value.hosts))
    for name, text in value.attributes:
        write(folder / f"attr_{name}", text)
    for nqn in value.hosts:
        (folder / "allowed_hosts" / nqn).symlink_to(root / "hosts" / nqn)
    if value.passthru:
        write(folder / "passthru/device_path", value.passthru)
        write(folder / "passthru/enable", 1)
    for namespace in value.namespaces:
        fill_namespace(folder / "namespaces" / str(namespace.nsid), namespace)


def fill_namespace(folder: Path, value: Namespace) -> None:
    """Make a namespace's folder and write it."""
    folder.mkdir()
    write(folder / "device_path", value.device)
    if value.uuid:
        write(folder / "device_uuid", value.uuid)
    if value.nguid:
        write(folder / "device_nguid", value.nguid)
    if value.ana_group != 1:
        write(folder / "ana_grpid", value.ana_group)
    if value.buffered:
        write(folder / "buffered_io", 1)
    if value.enabled:
        write(folder / "enable", 1)


def fill_port(root: Path, folder: Path, value: Port) -> None:
    """Write a port into its folder; its first subsystem enables it, with all that is set."""
    write_address(folder, value)
    for name, text in value.params:
        write(folder / f"param_{name}", text)
    for group in value.ana_groups:
        place = folder / "ana_groups" / str(group.id)
        place.mkdir(exist_ok=True)
        write(place / "ana_state", group.state)
    for referral in value.referrals:
        fill_referral(folder / "referrals" / referral.name, referral)
    for nqn in value.subsystems:
        (folder / "subsystems" / nqn).symlink_to(root / "subsystems" / nqn)


def fill_referral(folder: Path, value: Referral) -> None:
    """Make a referral's folder, write it and enable it."""
    folder.mkdir()
    write_address(folder, value)
    write(folder / "enable", 1)


def write_address(folder: Path, value: Port | Referral) -> None:
    """Write where a port or a referral is reached."""
    write(folder / "addr_trtype", value.trtype)
    write(folder / "addr_traddr", value.traddr)
    if value.adrfam:
        write(folder / "addr_adrfam", value.adrfam)
    if value.trsvcid:
        write(folder / "addr_trsvcid", value.trsvcid)
