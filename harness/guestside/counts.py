# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel only counts: objects of its caches, references to its modules.

A count becomes numbered names ("mnt_cache 57"), so that the leak guard compares it as it compares
everything else: with what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from harness.guestside import attribute, syscalls

SLAB = Path("/sys/kernel/slab")
# Caches that the suites use up and that nobody else uses in a quiet guest.  Not among them:
# dentries and inodes, which the kernel keeps as it likes; kmalloc's, which everybody shares; and
# network namespaces, the last of which is freed when the next ones go.
CACHES = ("configfs_dir_cache", "mnt_cache", "nvmet-bvec")


def slab_objects() -> Iterator[str]:
    """Name the objects in use of each cache that can be counted, exactly.

    A cache keeps freed objects for each CPU and counts them as used; shrinking it gives them back.
    A cache that was merged with others is left out (boot with slab_nomerge), and all of them
    are where the kernel does not count (CONFIG_SLUB_DEBUG).
    """
    for cache in CACHES:
        folder = SLAB / cache
        if not (folder / "objects").exists() or _merged(folder):
            continue
        attribute.store(folder / "shrink", 1)
        used = int((folder / "objects").read_text().split()[0])
        yield from (f"{cache} {number}" for number in range(1, used + 1))


def uncounted() -> str:
    """Say why no slab objects can be counted, or ""."""
    if any((SLAB / cache / "objects").exists() for cache in CACHES):
        return ""
    return "the kernel does not count slab objects: CONFIG_SLUB_DEBUG"


def _merged(folder: Path) -> bool:
    return folder.is_symlink() and int((folder / "aliases").read_text()) > 0


def module_references(text: str | None = None) -> Iterator[str]:
    """Name the references to loaded modules, without those of modules that use them.

    ``text`` stands for /proc/modules, which a kernel without modules does not have.
    """
    if text is None:
        with contextlib.suppress(FileNotFoundError):
            text = Path("/proc/modules").read_text()
    for line in (text or "").splitlines():
        name, _, references, users = line.split()[:4]
        if not references.isdigit():  # "-": this kernel cannot unload
            continue
        others = len([user for user in users.split(",") if user not in ("", "-", "[permanent]")])
        own = max(0, int(references) - others)
        yield from (f"{name} {number}" for number in range(1, own + 1))


def listening() -> Iterator[str]:
    """Name the listening TCP sockets of every network namespace that a task is in."""
    own = _network("self")
    tasks = {own: "self"}
    # Only where there are others to find: a look at each task is the dearest part of the guard.
    several = len(syscalls.listns(syscalls.CLONE_NEWNET)) > 1
    for name in os.listdir("/proc") if several else ():  # noqa: PTH208 - ten times quicker
        if name.isdigit():
            tasks.setdefault(_network(name), name)
    for network, task in tasks.items():
        where = "" if network == own else f" in {network}"
        if network:
            yield from (f"{socket}{where}" for socket in _sockets(task))


def _network(task: str) -> str:
    try:
        return os.readlink(f"/proc/{task}/ns/net")  # noqa: PTH115 - as above
    except OSError:  # gone, or a zombie that is in none any more
        return ""


def _sockets(task: str) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc", task, "net", table).read_text().splitlines()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESRCH, errno.EINVAL):
                raise
            continue
        for fields in (line.split() for line in lines[1:]):
            if fields[3] == "0A":
                yield f"{table} {fields[1]}"
