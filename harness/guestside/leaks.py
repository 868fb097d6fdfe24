# SPDX-License-Identifier: GPL-2.0-only
"""The leak guard: what a test leaves behind on its machine, and how to remove it.

What the kernel only counts (objects of its caches, references to its modules) becomes numbered
names ("mnt_cache 57"), so that everything is compared in one way: with what was there before.
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

# Seconds in which a processor has nothing to do, and in which things may go away by themselves.
# Not seconds of the clock: on a busy host the guest takes longer to get as much idle time.
IDLE = 5.0
SLAB = Path("/sys/kernel/slab")
# Caches that the suites use and that nobody else uses in a quiet guest.  Not among them: dentries
# and inodes, which the kernel keeps as it likes; kmalloc's, which everybody shares; and network
# namespaces, the last of which is freed only when the next ones go.
CACHES = ("configfs_dir_cache", "mnt_cache", "nvmet-bvec")

Things = frozenset[tuple[str, str]]  # (kind, name)


@dataclasses.dataclass(frozen=True)
class LeakKind:
    """One kind of thing that a test may leave behind.

    ``find`` returns the names of all that exist; ``remove`` removes those whose names it is given.
    ``stays``: it never goes away by itself, so there is no point in waiting.  ``counted``: the
    kernel knows only how many there are; the names are numbered.
    """

    name: str
    find: Callable[[], Iterable[str]]
    remove: Callable[[list[str]], None] | None = None
    stays: bool = False
    counted: bool = False


class LeakGuard:
    """Compares what exists before and after a test.

    ``extra`` are kinds beside the general ones (namespaces, mounts, listening sockets, references
    to modules, slab objects).  They are removed in their order: after the tasks that hold mount
    namespaces, before mounts.
    """

    def __init__(self, *extra: LeakKind) -> None:
        self.kinds = (*_NAMESPACES, *extra, *_OTHERS)
        self._stays = {kind.name for kind in self.kinds if kind.stays}
        self._counted = {kind.name for kind in self.kinds if kind.counted}

    def found(self) -> Things:
        """Everything on this machine that a test may have made."""
        return frozenset((kind.name, name) for kind in self.kinds for name in kind.find())

    def settled(self, before: Things) -> Things:
        """What exists now, after a short wait for what is new since ``before`` to go away."""
        idle, deadline = _idle() + IDLE, time.monotonic() + wait.PATIENCE
        while True:
            late = _idle() >= idle or time.monotonic() >= deadline
            now = self.found()
            kinds = {kind for kind, _ in now - before}
            stays = kinds & self._stays
            # What stays for certain also keeps its memory.
            if late or not kinds - self._stays - (self._counted if stays else set()):
                return now
            time.sleep(0.05)

    def lost(self, before: Things, now: Things) -> Things:
        """What existed ``before`` and should still exist: nothing of it was the test's own."""
        return frozenset(thing for thing in before - now if thing[0] in self._stays)

    def words(self, things: Things) -> str:
        """A line for each thing, or for all of a kind that is only counted."""
        lines = [f"{kind}: {name}" for kind, name in things if kind not in self._counted]
        numbers = Counter((kind, name.split()[0]) for kind, name in things if kind in self._counted)
        lines += [f"{kind}: {number} more of {name}" for (kind, name), number in numbers.items()]
        return "\n".join(f"  {line}" for line in sorted(lines))

    def clean(self, things: Things) -> list[str]:
        """Remove what leaked, as far as possible; returns what went wrong, in words."""
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
    """Seconds since the boot in which a processor had nothing to do."""
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
    """Id, place and type of every mount: the id tells two mounts at one place apart."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        yield f"{head.split()[0]} {head.split()[4]} {tail.split()[0]}"


def _unmount(names: list[str]) -> None:
    for name in sorted(names, key=lambda n: int(n.split()[0]), reverse=True):
        with contextlib.suppress(OSError):  # it went with the one above it
            syscalls.umount(name.split()[1], syscalls.MNT_DETACH)


def listening() -> Iterator[str]:
    """Name the listening TCP sockets of every network namespace that a task is in."""
    own = _network("self")
    tasks = {own: "self"}
    # Only if there are other namespaces: looking at every task is the guard's largest cost.
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
    except OSError:  # it has ended, or is a zombie, which has left its namespaces
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
    """Name the references to loaded modules, except those of modules that use them.

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


def slab_objects() -> Iterator[str]:
    """Name the objects in use of each cache that can be counted exactly.

    A cache keeps freed objects for each CPU and counts them as used; shrinking it gives them back.
    A cache that was merged with others is left out (boot with slab_nomerge), and so are all of
    them if the kernel does not count (CONFIG_SLUB_DEBUG).
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
    """Say why no slab objects can be counted, or ""."""
    if any((SLAB / cache / "objects").exists() for cache in CACHES):
        return ""
    return "the kernel does not count slab objects: CONFIG_SLUB_DEBUG"


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
