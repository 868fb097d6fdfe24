# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness.vmcore.look VMCORE VMLINUX OUT``: write down what drgn finds in a dump.

A program of its own: drgn is not always installed, and what it reads comes from a broken kernel.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
from drgn.helpers.linux.sched import cpu_curr, task_state_to_char

from harness import process

_RELEASE = re.compile(rb"Linux version (\S+)")
_NOBODY = -1  # panic_cpu of a kernel that did not panic
# Where the way to a stop is told and not the reason for it.
_DYING = {"panic", "vpanic", "delay_tsc", "__delay", "udelay", "__udelay", "__const_udelay"}


def vmcoreinfo(symbols: dict[str, int], release: str) -> bytes:
    """Say of a kernel that lies where it was linked to what it would have told kdump itself."""
    tables = symbols.get("swapper_pg_dir") or symbols["init_top_pgt"]
    return (
        f"OSRELEASE={release}\nPAGESIZE=4096\nKERNELOFFSET=0\nNUMBER(phys_base)=0\n"
        f"NUMBER(pgtable_l5_enabled)=0\nSYMBOL(swapper_pg_dir)={tables:x}\n"
    ).encode()


def symbols(vmlinux: Path) -> dict[str, int]:
    """Give the addresses of all symbols."""
    lines = (line.split() for line in process.run(["nm", vmlinux]).stdout.splitlines())
    return {words[2]: int(words[0], 16) for words in lines if len(words) == 3}


def load(vmcore: Path, vmlinux: Path) -> drgn.Program:
    """Open a dump.  Raises drgn.MissingDebugInfoError and whatever else drgn finds wrong.

    A vmlinux with tables for unwinding only is debug info to drgn, but knows no types.
    """
    found = _RELEASE.search(vmlinux.read_bytes())
    release = found[1].decode() if found else "unknown"
    program = drgn.Program(vmcoreinfo=vmcoreinfo(symbols(vmlinux), release))
    program.set_core_dump(vmcore)
    program.load_debug_info([vmlinux])
    try:
        program.type("struct task_struct")
    except LookupError as error:
        raise drgn.MissingDebugInfoError(str(error)) from error
    return program


def describe(program: drgn.Program) -> Iterator[str]:
    """Give the lines of the report, the most telling one first."""
    panicked = program["panic_cpu"].counter.value_()
    for cpu in sorted(for_each_online_cpu(program), key=lambda cpu: (cpu != panicked, cpu)):
        task = cpu_curr(program, cpu)
        trace, way = _stack(program, task)
        at = " < ".join(way)
        if cpu == panicked != _NOBODY:
            yield f"panic in {_name(task)} on CPU {cpu}: {at}"
        else:
            yield f"CPU {cpu} is at {_name(task)}: {at}"
        yield from trace
    tasks = list(for_each_task(program))
    blocked = [task for task in tasks if task_state_to_char(task) == "D"]
    yield f"{len(blocked)} of {len(tasks)} tasks are blocked (state D)"
    for task in blocked:
        yield f"blocked: {_name(task)}"
        yield from _stack(program, task)[0]
    yield "kernel log, from memory:"
    yield get_dmesg(program).decode(errors="backslashreplace").rstrip()


def _name(task: drgn.Object) -> str:
    comm = task.comm.string_().decode(errors="backslashreplace")
    return f"{comm}/{task.pid.value_()}"


def _stack(program: drgn.Program, task: drgn.Object) -> tuple[list[str], list[str]]:
    """Give the lines of a task's stack, and the functions on top that say what it was about."""
    try:
        trace = program.stack_trace(task)
    except (drgn.FaultError, ValueError, LookupError) as error:
        return [f"  (its stack cannot be read: {error})"], ["?"]
    names = [frame.name for frame in trace]
    last = max((n for n, name in enumerate(names) if name in _DYING), default=-1)
    return [f"  {line}" for line in str(trace).splitlines()], names[last + 1 :][:4] or names[:4]


def main(argv: list[str]) -> None:
    """Write the report about a dump, or why there is none."""
    vmcore, vmlinux, out = map(Path, argv[1:4])
    try:
        text = "\n".join(describe(load(vmcore, vmlinux)))
    except drgn.MissingDebugInfoError:
        text = (
            f"no debug info in {vmlinux}, so nothing can be said of {vmcore.name}\n"
            "hint: build the kernel with it: --kconfig base, or --kconfig debuginfo beside your own"
        )
    except Exception as error:  # the dump is of a kernel that may have overwritten anything
        text = f"drgn cannot read {vmcore.name}: {error}"
    out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv)
