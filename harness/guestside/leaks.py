# SPDX-License-Identifier: GPL-2.0-only
"""The leak guard: finds what a test leaves behind in its guest, and removes it.

What the kernel only counts (slab objects, references to modules) is represented by numbered names
("mnt_cache 57"), so that everything is compared in the same way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from harness.guestside import kernelfiles, syscalls, wait

# Seconds to wait for resources to be released, measured as a processor's idle time.  On a busy
# host the guest takes longer to accumulate that much idle time.
IDLE = 5.0
SLAB = Path("/sys/kernel/slab")
# Slab caches that only the suites use in an idle guest.  Not included are dentries and inodes,
# which the kernel caches at will; kmalloc caches, which everything shares; and network namespaces,
# the last of which is only freed together with later ones.
CACHES = ("configfs_dir_cache", "mnt_cache", "nvmet-bvec")

Things = frozenset[tuple[str, str]]  # (kind, name)


@dataclasses.dataclass(frozen=True)
class LeakKind:
    """A kind of thing that a test may leave behind.

    ``find`` returns the names of all existing ones; ``remove`` removes those with the given names.
    ``stays``: it never disappears by itself, so there is no point in waiting.  ``counted``: the
    kernel only knows how many there are, so the names are numbered.
    """

    name: str
    find: Callable[[], Iterable[str]]
    remove: Callable[[list[str]], None] | None = None
    stays: bool = False
    counted: bool = False


class LeakGuard:
    """Compares what exists before and after a test.

    ``extra`` are kinds in addition to the general ones (namespaces, mounts, listening sockets,
    references to modules, slab objects).  Leaks of these kinds are removed in the given order,
    after the tasks that hold mount namespaces and before mounts.
    """

    def __init__(self, *extra: LeakKind) -> None:
        self.kinds = (*_NAMESPACES, *extra, *_OTHERS)
        self._stays = {kind.name for kind in self.kinds if kind.stays}
        self._counted = {kind.name for kind in self.kinds if kind.counted}

    def found(self) -> Things:
        """Return everything in this guest that a test may have created."""
        return frozenset((kind.name, name) for kind in self.kinds for name in kind.find())

    def settled(self, before: Things) -> Things:
        """Return what exists, after a short wait for what is new since ``before`` to disappear."""
        idle, deadline = _idle() + IDLE, time.monotonic() + wait.PATIENCE
        while True:
            late = _idle() >= idle or time.monotonic() >= deadline
            now = self.found()
            kinds = {kind for kind, _ in now - before}
            stays = kinds & self._stays
            # Whatever never disappears by itself also keeps its memory.
            if late or not kinds - self._stays - (self._counted if stays else set()):
                return now
            time.sleep(0.05)

    def lost(self, before: Things, now: Things) -> Things:
        """Return what existed ``before`` the test and should still exist, but does not."""
        return frozenset(thing for thing in before - now if thing[0] in self._stays)

    def text(self, things: Things) -> str:
        """Return a line for each thing; kinds that are only counted get a single line."""
        lines = [f"{kind}: {name}" for kind, name in things if kind not in self._counted]
        numbers = Counter((kind, name.split()[0]) for kind, name in things if kind in self._counted)
        lines += [f"{kind}: {number} more of {name}" for (kind, name), number in numbers.items()]
        return "\n".join(f"  {line}" for line in sorted(lines))

    def clean(self, things: Things) -> list[str]:
        """Remove what leaked, as far as possible; return messages about what went wrong."""
        problems: list[str] = []
        for kind in self.kinds:
            names = sorted(name for kind_name, name in things if kind_name == kind.name)
            if not names or kind.remove is None:
                continue
            try:
                kind.remove(names)
            except Exception as error:
                problems.append(f"{kind.name}: {error!r}")
        return problems


def _idle() -> float:
    """Return a processor's idle time since the boot, in seconds."""
    return float(Path("/proc/uptime").read_text().split()[1]) / (os.cpu_count() or 1)


def _namespaces(flag: int) -> Iterator[str]:
    return (str(number) for number in syscalls.listns(flag))


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


def _mounts() -> Iterator[str]:
    """Return the id, mount point and type of every mount; the id distinguishes stacked mounts."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        yield f"{head.split()[0]} {head.split()[4]} {tail.split()[0]}"


def _unmount(names: list[str]) -> None:
    for name in sorted(names, key=lambda n: int(n.split()[0]), reverse=True):
        with contextlib.suppress(OSError):  # it was unmounted together with its parent
            syscalls.umount(name.split()[1], syscalls.MNT_DETACH)


def listening() -> Iterator[str]:
    """Return the listening TCP sockets of every network namespace that a task is in."""
    own = _network("self")
    tasks = {own: "self"}
    # Only if there are other namespaces, because this loop is the most expensive part of the guard.
    several = len(syscalls.listns(syscalls.CLONE_NEWNET)) > 1
    for name in os.listdir("/proc") if several else ():  # noqa: PTH208 - ten times faster
        if name.isdigit():
            tasks.setdefault(_network(name), name)
    for network, task in tasks.items():
        where = "" if network == own else f" in {network}"
        if network:
            yield from (f"{socket}{where}" for socket in _sockets(task))


def _network(task: str) -> str:
    try:
        return os.readlink(f"/proc/{task}/ns/net")  # noqa: PTH115 - as above
    except OSError:  # the task has ended, or is a zombie without namespaces
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


def module_references(text: str | None = None) -> Iterator[str]:
    """Return the references to loaded modules, except those held by other modules.

    ``text`` is the content of /proc/modules, which a kernel without modules does not have.
    """
    if text is None:
        with contextlib.suppress(FileNotFoundError):
            text = Path("/proc/modules").read_text()
    for line in (text or "").splitlines():
        name, _, references, users = line.split()[:4]
        if not references.isdigit():  # "-": this kernel cannot unload modules
            continue
        others = len([user for user in users.split(",") if user not in ("", "-", "[permanent]")])
        own = max(0, int(references) - others)
        yield from (f"{name} {number}" for number in range(1, own + 1))


def slab_objects() -> Iterator[str]:
    """Return the objects in use of each slab cache that can be counted exactly.

    A cache keeps freed objects for each CPU and counts them as used; shrinking it releases them.
    Merged caches are left out (boot with slab_nomerge), and so are all caches if the kernel does
    not count objects (CONFIG_SLUB_DEBUG).
    """
    for cache in CACHES:
        folder = SLAB / cache
        merged = folder.is_symlink() and int((folder / "aliases").read_text()) > 0
        if merged or not (folder / "objects").exists():
            continue
        kernelfiles.store(folder / "shrink", 1)
        used = int((folder / "objects").read_text().split()[0])
        yield from (f"{cache} {number}" for number in range(1, used + 1))


def slabs_uncounted() -> str:
    """Return why no slab objects can be counted; empty if they can."""
    if any((SLAB / cache / "objects").exists() for cache in CACHES):
        return ""
    return "the kernel does not count slab objects (needs CONFIG_SLUB_DEBUG)"


_NAMESPACES = (
    LeakKind("mount namespace", functools.partial(_namespaces, syscalls.CLONE_NEWNS), _kill_tasks),
    LeakKind("network namespace", functools.partial(_namespaces, syscalls.CLONE_NEWNET)),
    LeakKind("user namespace", functools.partial(_namespaces, syscalls.CLONE_NEWUSER)),
    LeakKind("PID namespace", functools.partial(_namespaces, syscalls.CLONE_NEWPID)),
    LeakKind("UTS namespace", functools.partial(_namespaces, syscalls.CLONE_NEWUTS)),
)
_OTHERS = (
    LeakKind("mount", _mounts, _unmount, stays=True),
    LeakKind("listening socket", listening),
    LeakKind("module reference", module_references, counted=True),
    LeakKind("slab object", slab_objects, counted=True),
)
