# SPDX-License-Identifier: GPL-2.0-only
"""The leak guard: what a test leaves behind on its machine, and how to get rid of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.guestside import counts, disks, nvme, syscalls, wait
from harness.guestside.nvmet import CONFIGFS, Instance

# Seconds of a processor that has nothing to do in which things may go away by themselves: on a
# machine with other work it takes longer until the guest has had them.
IDLE = 5.0
_STAYS = ("configfs item", "mount")  # goes only when somebody removes it
_COUNTED = ("module reference", "slab object")
_KINDS = {
    "mount namespace": syscalls.CLONE_NEWNS,
    "network namespace": syscalls.CLONE_NEWNET,
    "user namespace": syscalls.CLONE_NEWUSER,
    "PID namespace": syscalls.CLONE_NEWPID,
    "UTS namespace": syscalls.CLONE_NEWUTS,
}

Things = frozenset[tuple[str, str]]  # (kind, name)


def found() -> Things:
    """Everything on this machine that a test may have made."""
    return frozenset(_all())


def settled(before: Things) -> Things:
    """What is there now; waits a little for what was not ``before`` and is just going away."""
    idle, deadline = _idle() + IDLE, time.monotonic() + wait.PATIENCE
    while True:
        late = _idle() >= idle or time.monotonic() >= deadline
        now = found()
        kinds = {kind for kind, _ in now - before}
        # With what stays for certain stays the memory it takes.
        if late or not kinds.difference(_STAYS, _COUNTED if kinds.intersection(_STAYS) else ()):
            return now
        time.sleep(0.05)


def _idle() -> float:
    """Seconds in which a processor had nothing to do, since the boot."""
    return float(Path("/proc/uptime").read_text().split()[1]) / (os.cpu_count() or 1)


def lost(before: Things, now: Things) -> Things:
    """What was there ``before`` and should still be: mounts and items that are not the test's."""
    return frozenset(thing for thing in before - now if thing[0] in _STAYS)


def words(things: Things) -> str:
    """A line for each thing; those that are only counted are counted here."""
    lines = [f"{kind}: {name}" for kind, name in things if kind not in _COUNTED]
    counted = Counter((kind, name.split()[0]) for kind, name in things if kind in _COUNTED)
    lines += [f"{kind}: {count} more of {name}" for (kind, name), count in counted.items()]
    return "\n".join(f"  {line}" for line in sorted(lines))


def clean(things: Things) -> list[str]:
    """Remove what leaked, as far as that can be done; gives what went wrong, in words."""
    problems: list[str] = []
    steps = {
        "mount namespace": _kill_tasks,
        "nvme controller": _disconnect,
        "configfs item": _clear_configfs,
        "loop device": _free_loops,
        "mount": _unmount,
    }
    for kind, step in steps.items():
        names = sorted(name for k, name in things if k == kind)
        if not names:
            continue
        try:
            step(names)
        except Exception as error:
            problems.append(f"{kind}: {error!r}")
    return problems


def _all() -> Iterator[tuple[str, str]]:
    for folder, folders, _ in os.walk(CONFIGFS):
        yield from (("configfs item", os.path.join(folder, name)) for name in folders)  # noqa: PTH118
    yield from (("nvme controller", c.name) for c in nvme.controllers())
    yield from (("loop device", f"{dev} {file}") for dev, file in disks.loops().items())
    yield from (("mount", m) for m in _mounts())
    for kind, flag in _KINDS.items():
        yield from ((kind, str(number)) for number in syscalls.listns(flag))
    yield from (("listening socket", address) for address in counts.listening())
    yield from (("null_blk device", name) for name in _null_block_devices())
    yield from (("module reference", name) for name in counts.module_references())
    yield from (("slab object", name) for name in counts.slab_objects())


def _mounts() -> Iterator[str]:
    """id, place and type of every mount: the id tells one mount from the next at one place."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        yield f"{head.split()[0]} {head.split()[4]} {tail.split()[0]}"


def _null_block_devices() -> list[str]:
    # By their major number: a device is named as its configfs folder is.
    found = re.search(r"^ *(\d+) nullb$", Path("/proc/devices").read_text(), re.MULTILINE)
    devices = Path("/sys/block").iterdir() if found else ()
    return [e.name for e in devices if found and (e / "dev").read_text().startswith(f"{found[1]}:")]


def _kill_tasks(names: list[str]) -> None:
    namespaces = {int(name) for name in names}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if syscalls.mount_namespace_id(f"{entry}/ns/mnt") in namespaces:
                os.kill(int(entry.name), signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _disconnect(names: list[str]) -> None:
    for name in names:
        nvme.Controller(name).disconnect()


def _free_loops(names: list[str]) -> None:
    for name in names:
        disks.free_loop(name.split()[0])


def _clear_configfs(_: list[str]) -> None:
    Instance().clear()
    for name in disks.null_blocks():
        (disks.NULLB / name).rmdir()


def _unmount(names: list[str]) -> None:
    for name in sorted(names, key=lambda n: int(n.split()[0]), reverse=True):
        with contextlib.suppress(OSError):  # gone with the one above it
            syscalls.umount(name.split()[1], syscalls.MNT_DETACH)
