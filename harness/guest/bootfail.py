# SPDX-License-Identifier: GPL-2.0-only
"""Why a guest did not boot: how far it got according to its console, and what to try next."""

from __future__ import annotations

import dataclasses
import re

_LAST = 12  # console lines shown in a message


@dataclasses.dataclass(frozen=True)
class BootStage:
    """How far a boot got: ``text`` for a message, and a ``hint`` on what to try.

    ``early``: show the hint only if the boot printed no splat.
    """

    pattern: str
    text: str
    hint: str
    early: bool = False


# The most specific stages come first.
_STAGES = (
    BootStage(
        r"harness: cannot set up the guest",
        "the harness's init could not set up the guest",
        "see the last lines; it needs CONFIG_9P_FS, TMPFS, DEVTMPFS, PROC_FS and SYSFS",
    ),
    BootStage(
        r"VFS: (Unable to mount root|Cannot open root)|error -\d+ .*mount.*root",
        "the kernel could not mount its root file system",
        "build in CONFIG_NET_9P_VIRTIO, 9P_FS and VIRTIO_PCI (see kconfigs/base.config)",
    ),
    BootStage(
        r"No working init found|Requested init .* failed|Failed to execute .*init",
        "the kernel could not start init",
        "it needs CONFIG_BINFMT_ELF, and host and guest must have the same architecture",
    ),
    BootStage(
        r"Out of memory|System is deadlocked on memory",
        "the guest ran out of memory",
        "give it more: --guest-memory 2048 (harness run --memory 2G)",
    ),
    BootStage(r"Run \S+ as init process", "the kernel started init, which did not finish", ""),
    BootStage(
        r"Unpacking initramfs|Freeing unused kernel|Serial: 8250|clocksource: Switched",
        "it stopped while initializing drivers",
        "--guest-append initcall_debug shows which initcall ran last",
        early=True,
    ),
    BootStage(
        r"Linux version ",
        "it stopped early, before initializing drivers",
        "--guest-append ignore_loglevel shows all kernel messages",
        early=True,
    ),
)
_NOTHING = BootStage("", "the console has no known kernel message", "harness doctor")


def stage(console: str) -> BootStage:
    """Return how far a boot got, from its complete ``console`` log."""
    return next((stage for stage in _STAGES if re.search(stage.pattern, console)), _NOTHING)


def explain(name: str, ended: str, console: str, titles: list[str]) -> str:
    """Return a message: what happened, how far the boot got, the last lines, what to try.

    ``ended`` is from the guest's record; ``titles`` are the titles of the splats during the boot.
    """
    how = {
        "panic": "its kernel panicked",
        "boot": "it did not come up in time",
        "reset": "the virtual machine powered off by itself",
    }
    reached = stage(console)
    lines = [f"{name} did not boot: {how.get(ended, ended)}; {reached.text}", *titles]
    last = [line.rstrip() for line in console.splitlines() if line.strip()][-_LAST:]
    lines += ["its last lines:", *(f"  {line}" for line in last)]
    if reached.hint and not (titles and reached.early):
        lines.append(f"hint: {reached.hint}")
    return "\n".join(lines)
