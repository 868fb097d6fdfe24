# SPDX-License-Identifier: GPL-2.0-only
"""Why a guest did not come up: how far it got, told from its console, and what to try next."""

from __future__ import annotations

import dataclasses
import re

_LAST = 12  # lines of the console that a message shows


@dataclasses.dataclass(frozen=True)
class Stage:
    """How far a boot got: ``words`` for a message, ``hint`` what to try."""

    pattern: re.Pattern[str]
    words: str
    hint: str
    early: bool = False  # the hint is for a boot that ends without a word


def _stage(pattern: str, words: str, hint: str, *, early: bool = False) -> Stage:
    return Stage(re.compile(pattern), words, hint, early)


# In the order of the questions: what says most comes first.
_STAGES = (
    _stage(
        r"harness: cannot set up the guest",
        "the harness's own init could not set the guest up",
        "the last lines say what was missing; is CONFIG_9P_FS, TMPFS, DEVTMPFS, PROC_FS, SYSFS on?",
    ),
    _stage(
        r"VFS: (Unable to mount root|Cannot open root)|error -\d+ .*mount.*root",
        "the kernel found no root file system",
        "it needs CONFIG_NET_9P_VIRTIO, 9P_FS and VIRTIO_PCI built in: kconfigs/base.config",
    ),
    _stage(
        r"No working init found|Requested init .* failed|Failed to execute .*init",
        "the kernel could not start its first program",
        "it needs CONFIG_BINFMT_ELF, and the host's Python must be of the guest's architecture",
    ),
    _stage(
        r"Out of memory|System is deadlocked on memory",
        "the guest ran out of memory",
        "give it more: --guest-memory 2048 (harness run --memory 2G)",
    ),
    _stage(r"Run \S+ as init process", "the kernel started init, which never said it was up", ""),
    _stage(
        r"Unpacking initramfs|Freeing unused kernel|Serial: 8250|clocksource: Switched",
        "it stopped among the drivers",
        "the last lines name the last thing that worked; try --guest-append initcall_debug",
        early=True,
    ),
    _stage(
        r"Linux version ",
        "it stopped early, before its drivers",
        "try --guest-append ignore_loglevel",
        early=True,
    ),
)
_NOTHING = Stage(re.compile(""), "the kernel printed nothing that is known", "harness doctor")


def stage(console: str) -> Stage:
    """Say how far the boot got of which ``console`` is the whole log."""
    return next((one for one in _STAGES if one.pattern.search(console)), _NOTHING)


def explain(name: str, ended: str, console: str, titles: list[str]) -> str:
    """Write the message: what happened, how far it got, the last lines, what to try."""
    how = {
        "panic": "its kernel panicked",
        "boot": "it did not come up in time",
        "reset": "the machine went off by itself",
    }
    found = stage(console)
    lines = [f"{name} did not boot: {how.get(ended, ended)}; {found.words}", *titles]
    last = [line.rstrip() for line in console.splitlines() if line.strip()][-_LAST:]
    lines += ["its last lines:", *(f"  {line}" for line in last)]
    if found.hint and not (titles and found.early):
        lines.append(f"hint: {found.hint}")
    return "\n".join(lines)
