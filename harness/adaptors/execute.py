# SPDX-License-Identifier: GPL-2.0-only
"""Run a program in the guest, and turn its exit status and its (K)TAP output into a result."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.adaptors import AdaptedSuite, Entry, ItemResult, ktap
from harness.errors import HostFault
from harness.guestside import syscalls
from harness.model import Outcome

# Exit statuses of the kernel's own tests (tools/testing/selftests/kselftest.h).
_XFAIL, _XPASS, _SKIP = 2, 3, 4
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 0x40000  # flags of mount(2)
_SHOWN = 30  # lines of output in the message of a failure


def execute(entry: Entry) -> tuple[int, str]:
    """Run a program to its end; return its exit status (negative: a signal), and its output.

    Processes that it leaves behind are killed.  The host's deadline ends one that never ends.
    """
    # Not a pipe: what the program leaves running could hold it open.
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            entry.argv,
            env={**os.environ, **entry.environment},
            preexec_fn=lambda: _prepare(entry),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        status = child.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        output.seek(0)
        return status, output.read().decode(errors="backslashreplace")


def _prepare(entry: Entry) -> None:
    if entry.own_root:
        _own_root()
    os.chdir(entry.folder)


def _own_root() -> None:
    """Give this process a root file system that it may write to: an overlay over the guest's own.

    Called in the child.  What it writes is gone when it ends.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", "", _REC | _PRIVATE)
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    place = Path("/mnt")
    syscalls.mount("tmpfs", str(place), "tmpfs")
    root, upper, work = (place / name for name in ("root", "upper", "work"))
    for folder in (root, upper, work):
        folder.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work},xino=off"
    syscalls.mount("overlay", str(root), "overlay", 0, options)
    bound: list[str] = []
    for point in sorted({"/", *mounted} - {"/"}):
        if not any(f"{point}/".startswith(f"{other}/") for other in bound):
            syscalls.mount(point, f"{root}{point}", "", _BIND | _REC)
            bound.append(point)
    os.chdir(root)
    syscalls.pivot_root(".", ".")  # the old root is now mounted over the new one
    syscalls.umount(".", syscalls.MNT_DETACH)


def installed(option: str, programs: Iterable[str]) -> None:
    """Raise HostFault, for the option that needs these programs, if one is not installed."""
    sbin = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = [name for name in programs if shutil.which(name, path=sbin) is None]
    if missing:
        raise HostFault(
            f"{option}: {', '.join(missing)} not installed",
            hint=f"harness setup {' '.join(missing)}",
        )


def checkout_hint(suite: AdaptedSuite, place: Path, url: str) -> str:
    """Return how to name a suite, or get one, that is not in a checkout with its ./check."""
    folder, colon, test = suite.what.rpartition(":")  # as the option takes it
    if colon and (place / folder / "check").is_file():
        return f"{suite.kind}:{folder}::{test}"
    return f"git clone {url}"


def disks() -> Iterator[str]:
    """Yield the guest's disks that may be written to: those of --disk, and empty ones."""
    # The driver makes a disk that nobody asked for, too.
    wanted = "null_blk.nr_devices=" in Path("/proc/cmdline").read_text()
    pattern = re.compile(r"vd[a-z]|nullb\d+" if wanted else r"vd[a-z]")
    for disk in sorted(Path("/sys/block").glob("[vn][du]*")):
        if pattern.fullmatch(disk.name) and (disk / "ro").read_text()[0] == "0":
            yield f"/dev/{disk.name}"


def judge(status: int, output: str, *, kselftest: bool = False) -> ItemResult:
    """Return the result of a program.

    ``kselftest``: 2 is an expected failure, 3 no failure, and 0 outweighs the plan.  The tree's own
    runner goes by the status alone, and some programs plan more or less than they report.
    """
    results = ktap.parse(output)
    faults = results.faults
    if kselftest and status == 0:
        faults = tuple(fault for fault in faults if fault.startswith(ktap.BAIL_OUT))
    subtests = results.leaves
    bad = [test.name for test in subtests if test.outcome.bad]
    statuses = {0: Outcome.PASS, _SKIP: Outcome.SKIP}
    if kselftest:
        statuses |= {_XFAIL: Outcome.XFAIL, _XPASS: Outcome.XPASS}
    outcome = statuses.get(status, Outcome.FAIL)
    if outcome is Outcome.SKIP and not bad:
        reason = results.skipped or _last_line(output) or f"exit status {_SKIP}"
        return ItemResult(outcome, reason, output, subtests)
    if faults:
        message = "\n".join([*faults, _exit(status)])
        return ItemResult(Outcome.FAIL, message, output, subtests)
    if bad:
        message = f"{len(bad)} of {len(subtests)} subtests failed: {', '.join(bad)}"
        if status < 0:
            message = f"{message}\n{_exit(status)}"
        return ItemResult(Outcome.FAIL, message, output, subtests, explained=status >= 0)
    if outcome.bad:
        tail = "" if subtests else "\n".join(output.splitlines()[-_SHOWN:])
        none = ", but no subtest failed" if subtests else ""
        message = "\n".join(filter(None, [tail, f"E   {_exit(status)}{none}"]))
        return ItemResult(outcome, message, output, subtests)
    return ItemResult(outcome, results.skipped, output, subtests)


def run(entry: Entry) -> ItemResult:
    """Run a program and judge it by exit status and output."""
    return judge(*execute(entry))


def _exit(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


def _last_line(output: str) -> str:
    lines = [line.strip("# ") for line in output.splitlines() if line.strip("# ")]
    return lines[-1] if lines else ""
