# SPDX-License-Identifier: GPL-2.0-only
"""Make the nth allocation of an operation fail, for n = 1, 2, ... until no allocation is left.

The kernel counts allocations of a task (/proc/self/fail-nth); this selects which kinds it counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.guestside import kernelfiles

DEBUGFS = Path("/sys/kernel/debug")
KINDS = {"slab": "failslab", "page": "fail_page_alloc"}
_OTHERS = ("fail_usercopy", "fail_make_request", "fail_mempool_alloc", "fail_mempool_alloc_bulk")
# No stack has a caller in this range, so a facility with this filter never takes part.
_NOBODY = {"require-start": "0x1", "require-end": "0x2"}
_EVERYBODY = {"require-start": "0x0", "require-end": f"{(1 << 64) - 1:#x}"}


@dataclasses.dataclass(frozen=True)
class FaultInjection:
    """A try: which allocation failed, and the operation's errno (0: it succeeded)."""

    call: int
    errno: int

    def __str__(self) -> str:
        name = errno.errorcode.get(self.errno, str(self.errno)) if self.errno else "success"
        return f"allocation {self.call}: {name}"


def tries(
    operation: Callable[[], object], undo: Callable[[], object], *, calls: int
) -> list[FaultInjection]:
    """Run an operation with its first, second, ... allocation failing; return each result.

    ``undo`` runs without faults after each success, even if an allocation failed.  The last try has
    no allocation left to fail, unless that takes more than ``calls`` tries.  Exceptions other than
    OSError are passed on.
    """
    results: list[FaultInjection] = []
    with Path("/proc/self/fail-nth").open("r+b", buffering=0) as nth:
        for call in range(1, calls + 1):
            number, left = _once(nth.fileno(), call, operation)
            if not number:
                undo()
            results.append(FaultInjection(call, number))
            if left:
                break
    return results


def _once(nth: int, call: int, operation: Callable[[], object]) -> tuple[int, bool]:
    """Return the errno (0: success), and whether the fault was still pending at the end."""
    number = 0
    armed = b"%d" % call
    os.pwrite(nth, armed, 0)
    try:
        operation()
    except OSError as error:
        number = error.errno or errno.EIO
    finally:
        left = _disarm(nth)
    return number, left


def _disarm(nth: int) -> bool:
    # Reading also allocates, so it may itself fail; then no fault is pending any more.
    with contextlib.suppress(OSError):
        left = os.pread(nth, 20, 0).strip()
        os.pwrite(nth, b"0", 0)
        return left != b"0"
    os.pwrite(nth, b"0", 0)
    return False


@contextlib.contextmanager
def only(kind: str) -> Iterator[None]:
    """Let only allocations of a kind ("slab", "page") fail, including those that may sleep."""
    chosen = DEBUGFS / KINDS[kind]
    others = [DEBUGFS / name for name in (*KINDS.values(), *_OTHERS) if name != KINDS[kind]]
    settings = {"ignore-gfp-wait": "N", "verbose": "0"}
    if kind == "page":
        settings["min-order"] = "0"  # excludes user space pages, which are __GFP_HIGHMEM
    with contextlib.ExitStack() as stack:
        for folder in (folder for folder in others if folder.is_dir()):
            stack.callback(_write, folder, _EVERYBODY)
            _write(folder, _NOBODY)
        stack.callback(_write, chosen, {"ignore-gfp-wait": "Y"})
        _write(chosen, settings)
        yield


@contextlib.contextmanager
def once_inside(function: str) -> Iterator[Callable[[], bool]]:
    """Let one slab allocation below a function of the kernel fail, in whichever task that runs.

    Yields a function that tells whether it has failed.
    """
    start, end = _range(function)
    place = DEBUGFS / KINDS["slab"]
    with contextlib.ExitStack() as stack:
        stack.callback(_write, place, {"probability": "0", "times": "-1", **_EVERYBODY})
        _write(place, {"task-filter": "N", "ignore-gfp-wait": "N", "verbose": "0", "interval": "1"})
        _write(place, {"require-start": f"{start:#x}", "require-end": f"{end:#x}"})
        _write(place, {"times": "1", "probability": "100"})
        yield lambda: (place / "times").read_text().strip() == "0"


def _range(function: str) -> tuple[int, int]:
    """Return where a function of the kernel or of a module begins and ends."""
    lines = (line.split() for line in Path("/proc/kallsyms").read_text().splitlines())
    known = sorted((int(line[0], 16), line[2]) for line in lines)
    starts = [start for start, name in known if name == function]
    if len(starts) != 1 or not starts[0]:
        raise ValueError(f"{function} is {len(starts)} times in /proc/kallsyms")
    return starts[0], next(at for at, _ in known if at > starts[0])


def _write(folder: Path, values: dict[str, str]) -> None:
    for name, value in values.items():
        kernelfiles.store(folder / name, value)
