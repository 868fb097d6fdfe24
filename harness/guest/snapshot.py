# SPDX-License-Identifier: GPL-2.0-only
"""Saved guests: one boot per kernel and machine, then copies.

The first guest of a kernel boots from the prepared image up to its gate, and is saved in the cache.
Every further guest is a copy: a new QEMU with a private mapping of the saved memory, so that copies
share the pages that none of them has written.  Whatever goes wrong with a snapshot, it is removed,
and the guest boots as if there were none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import filelock

from harness import paths, serial
from harness.errors import HarnessError, HostFault
from harness.guest import accel, qemu, qmp, records
from harness.guest.console import Console
from harness.guest.machine import Machine
from harness.guest.private import Private
from harness.guest.spec import GuestSpec
from harness.guestside import gate

KIND = "snapshots"  # the folder in the cache
RAM, STATE, TABLE = "ram", "state", "snapshot.json"
NOTE = "no-snapshot"  # a file among a run's guests: why they boot truly
MOST = 8  # snapshots that are kept
_RECENT = 3600.0  # seconds for which a snapshot is kept after its last use in any case
_NAME = "saved"
_TICK = 0.1
_GUARDED = {"-kernel", "-initrd", "-append"}  # options for a boot, each with a value


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """snapshot.json: how QEMU was started, and marks by which damage is noticed.

    ``run`` is the private folder in ``argv``, ``memory`` the file, ``writable`` the shared folders.
    ``written`` is the file's modification time in ns, ``state`` the digest of the devices' state.
    """

    argv: tuple[str, ...]
    run: str
    memory: str
    writable: tuple[str, ...]
    written: int
    state: str
    folder: Path = Path()

    def copy_argv(self, spec: GuestSpec, name: str, run: Path) -> list[str]:
        """Return the command that starts a copy, which waits for ``qmp.load``."""
        argv: list[str] = []
        words = iter(self.argv)
        for word in words:
            if word in _GUARDED:
                next(words)
                continue
            text = word.replace(self.memory, str(self.folder / RAM)).replace(self.run, str(run))
            if text.startswith("memory-backend-file,"):
                text = text.replace(",share=on", ",share=off")
            for old, new in zip(self.writable, spec.writable, strict=True):
                text = text.replace(f",path={old},", f",path={new},")
            argv.append(text)
        argv[argv.index("-name") + 1] = name
        return [*argv, "-incoming", "defer"]

    def load(self, run: Path, given_up: Callable[[], bool]) -> bytes:
        """Restore the guest in ``run``, still stopped; return the order that it waits for.

        Raises HostFault if that fails.
        """
        if not qmp.load(run / "qmp", self.folder / STATE, given_up):
            raise HostFault("QEMU could not restore the saved guest")
        if not qmp.resume(run / "qmp"):
            raise HostFault("QEMU could not start the restored guest")
        order = {
            "facts": str(run / "facts.json"),
            "root": qemu.root_options(),
            "random": os.urandom(64).hex(),
            "time": time.time(),
        }
        return json.dumps(order).encode() + b"\n"


def obtain(spec: GuestSpec, given_up: Callable[[], bool]) -> Snapshot | None:
    """Return the snapshot for guests like ``spec``; make it if there is none.

    Returns None if the guest has to boot truly.  ``given_up``: the guest is no longer wanted.
    """
    if spec.gate is None or (spec.folder / NOTE).exists():
        return None
    try:
        folder = paths.cache(KIND) / _key(spec)
        return _read(folder) or _made(spec, folder, given_up)
    except (HarnessError, OSError) as error:
        if not given_up():
            refuse(spec, error.what if isinstance(error, HarnessError) else str(error))
        return None


def refuse(spec: GuestSpec, why: str, broken: Snapshot | None = None) -> None:
    """Make all further guests of this run boot truly; remove a snapshot that is broken."""
    with contextlib.suppress(OSError), (spec.folder / NOTE).open("x") as note:
        note.write(f"{why}\n")  # the first guest knows best: the others miss what it removes
    if broken is not None:  # after the note, or another guest would make it again
        _remove(broken.folder)


def trouble(guests: Path) -> str:
    """Return why the guests of a run boot truly against the user's wish; empty if they do not."""
    return records.read_text(guests / NOTE)


def _read(folder: Path) -> Snapshot | None:
    """Return a snapshot that is complete and unchanged."""
    try:
        saved = dataclasses.replace(serial.read(folder / TABLE, Snapshot), folder=folder)
        same = (folder / RAM).stat().st_mtime_ns == saved.written
        same = same and _digest((folder / STATE).read_bytes()) == saved.state
        os.utime(folder)
    except FileNotFoundError:
        return None
    except (OSError, serial.DamagedError):
        same = False
    if not same:
        _remove(folder)
        return None
    return saved


def _made(spec: GuestSpec, folder: Path, given_up: Callable[[], bool]) -> Snapshot | None:
    """Make the snapshot, or wait until another guest has made it; None if that one could not.

    That other guest has the deadline, which ends its lock.
    """
    lock = filelock.FileLock(folder.with_name(f"{folder.name}.lock"))
    while not lock.is_locked:
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=_TICK)
        if not lock.is_locked and given_up():
            raise HostFault("the guest is not needed any more")
    with lock:
        saved = _read(folder)
        if saved or (spec.folder / NOTE).exists():
            return saved
        _prune(folder.parent)
        # At most; what the guest has not touched takes no space.
        paths.need_space(folder.parent, spec.memory << 20, "saving a guest")
        with paths.scratch(folder) as scratch:
            draft = scratch / folder.name
            draft.mkdir(0o700)
            _save(spec, draft, given_up)
            draft.rename(folder)
        saved = _read(folder)
        if saved is None:
            raise HostFault(f"the snapshot in {folder} changed while it was written")
        return saved


def _save(spec: GuestSpec, draft: Path, given_up: Callable[[], bool]) -> None:
    """Boot a guest to its gate and save it in ``draft``.  Raises HostFault."""
    if "," in str(draft):
        raise HostFault(f"QEMU cannot use {draft.parent.parent}: its name contains a comma")
    private = Private()
    try:
        qemu.make_disks(spec, private.path)
        argv = qemu.argv(spec, _NAME, private.path, gateway=True, memory=draft / RAM)
        begin = time.monotonic()
        with Machine(argv, spec.cwd, draft / records.CONSOLE, begin) as machine:

            def over() -> bool:
                real = time.monotonic() - begin
                late = real > spec.deadline / 2 and real - machine.waited > spec.deadline / 2
                return late or given_up()

            _reach_gate(machine.console, over)
            command = machine.command(accel.find_qemu(spec.arch)[0])
            if not qmp.save(
                private.path / "qmp", draft / STATE, lambda: over() or not machine.running
            ):
                raise HostFault("QEMU could not save the guest")
        with (draft / RAM).open("rb") as memory:
            os.fsync(memory)  # a copy cannot notice what a host that loses power loses of it
        saved = Snapshot(
            argv=command,
            run=str(private.path),
            memory=str(draft / RAM),
            writable=tuple(map(str, spec.writable)),
            written=(draft / RAM).stat().st_mtime_ns,
            state=_digest((draft / STATE).read_bytes()),
        )
        serial.write(draft / TABLE, saved, indent=1)
    finally:
        private.remove()


def _reach_gate(console: Console, over: Callable[[], bool]) -> None:
    while True:
        lines = console.lines(_TICK)
        if lines is None:
            raise HostFault("the kernel did not boot from the prepared image")
        if any(gate.WAITS.encode() in line for line in lines):
            return
        if over():
            raise HostFault("booting from the prepared image took too long")


def _key(spec: GuestSpec) -> str:
    """Return a name made from everything that shows in a guest at its gate."""
    program, version = accel.find_qemu(spec.arch)
    places = tuple(Path(str(number)) for number, _ in enumerate(spec.writable))
    alike = dataclasses.replace(spec, writable=places)
    argv = qemu.argv(alike, _NAME, Path("run"), gateway=True, memory=Path("memory"))
    parts = [word for text in argv for word in text.split() if "tsc_early_khz=" not in word]
    parts += [program, version, importlib.metadata.version("virtme-ng"), _processor()]
    for path in filter(None, (spec.image, spec.vmlinux, spec.gate)):
        status = path.stat()
        parts.append(f"{path} {status.st_mtime_ns} {status.st_size}")
    return _digest("\0".join(parts).encode())[:20]


def _processor() -> str:
    """Return the model of the host's processor, whose features and clock guests may see."""
    text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return next((line for line in text.splitlines() if line.startswith("model name")), "")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _prune(folder: Path) -> None:
    """Remove the snapshots that were not used for longest, and drafts of killed guests."""
    used = {path: path.stat().st_mtime for path in folder.iterdir() if path.is_dir()}
    whole = sorted((path for path in used if path.name[0] != "."), key=lambda path: -used[path])
    for path in used.keys() - set(whole[: MOST - 1]):
        if time.time() - used[path] > _RECENT:
            _remove(path)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
