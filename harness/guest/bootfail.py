# SPDX-License-Identifier: GPL-2.0-only
"""Why a guest did not boot: how far it got according to its console, and what to try next."""

from __future__ import annotations

import dataclasses
import re

_LAST = 12  # lines of the console that a message shows


@dataclasses.dataclass(frozen=True)
class BootStage:
    """How far a boot got: ``text`` for a message, and a ``hint`` what to try.

    ``early``: the hint is only for a boot that ended without a kernel report.
    """

    pattern: str
    text: str
    hint: str
    early: bool = False


# The most specific first.
_STAGES = (
    BootStage(
        r"harness: cannot set up the guest",
        "the harness's own init could not set the guest up",
        "the last lines say what was missing; is CONFIG_9P_FS, TMPFS, DEVTMPFS, PROC_FS, SYSFS on?",
    ),
    BootStage(
        r"VFS: (Unable to mount root|Cannot open root)|error -\d+ .*mount.*root",
        "the kernel found no root file system",
        "it needs CONFIG_NET_9P_VIRTIO, 9P_FS and VIRTIO_PCI built in: kconfigs/base.config",
    ),
    BootStage(
        r"No working init found|Requested init .* failed|Failed to execute .*init",
        "the kernel could not start its first program",
        "it needs CONFIG_BINFMT_ELF, and the host's Python must be of the guest's architecture",
    ),
    BootStage(
        r"Out of memory|System is deadlocked on memory",
        "the guest ran out of memory",
        "give it more: --guest-memory 2048 (harness run --memory 2G)",
    ),
    BootStage(r"Run \S+ as init process", "the kernel started init, which never came up", ""),
    BootStage(
        r"Unpacking initramfs|Freeing unused kernel|Serial: 8250|clocksource: Switched",
        "it stopped while it started drivers",
        "the last lines name the last thing that worked; try --guest-append initcall_debug",
        early=True,
    ),
    BootStage(
        r"Linux version ",
        "it stopped early, before it started drivers",
        "try --guest-append ignore_loglevel",
        early=True,
    ),
)
_NOTHING = BootStage("", "the kernel printed nothing that is known", "harness doctor")


def stage(console: str) -> BootStage:
    """How far the boot got whose whole log is ``console``."""
    return next((stage for stage in _STAGES if re.search(stage.pattern, console)), _NOTHING)


def explain(name: str, ended: str, console: str, titles: list[str]) -> str:
    """The message: what happened, how far the boot got, the last lines, what to try.

    ``ended`` is the record's word; ``titles`` are those of the boot's splats.
    """
    how = {
        "panic": "its kernel panicked",
        "boot": "it did not come up in time",
        "reset": "the machine powered off by itself",
    }
    reached = stage(console)
    lines = [f"{name} did not boot: {how.get(ended, ended)}; {reached.text}", *titles]
    last = [line.rstrip() for line in console.splitlines() if line.strip()][-_LAST:]
    lines += ["its last lines:", *(f"  {line}" for line in last)]
    if reached.hint and not (titles and reached.early):
        lines.append(f"hint: {reached.hint}")
    return "\n".join(lines)
