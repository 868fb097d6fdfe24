# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness.vmcore.drgn_report VMCORE VMLINUX OUT``: write a report of a dump.

This is a separate program because drgn may not be installed and because the data of a broken kernel
may make it fail.
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
_NO_CPU = -1  # value of panic_cpu in a kernel that has not panicked
# Functions at the top of a dead CPU's stack that did not cause its death.
_DYING = {"panic", "vpanic", "delay_tsc", "__delay", "udelay", "__udelay", "__const_udelay"}


def vmcoreinfo(symbols: dict[str, int], release: str) -> bytes:
    """Return the VMCOREINFO that a kernel without relocation would have given to kdump."""
    tables = symbols.get("swapper_pg_dir") or symbols["init_top_pgt"]
    return (
        f"OSRELEASE={release}\nPAGESIZE=4096\nKERNELOFFSET=0\nNUMBER(phys_base)=0\n"
        f"NUMBER(pgtable_l5_enabled)=0\nSYMBOL(swapper_pg_dir)={tables:x}\n"
    ).encode()


def symbols(vmlinux: Path) -> dict[str, int]:
    """Return the addresses of all symbols."""
    lines = (line.split() for line in process.run(["nm", vmlinux]).stdout.splitlines())
    return {fields[2]: int(fields[0], 16) for fields in lines if len(fields) == 3}


def load(vmcore: Path, vmlinux: Path) -> drgn.Program:
    """Open a dump.  Raises drgn.MissingDebugInfoError and other drgn errors.

    drgn accepts a vmlinux that only has unwind tables, so this also checks for type information.
    """
    match = _RELEASE.search(vmlinux.read_bytes())
    release = match[1].decode() if match else "unknown"
    program = drgn.Program(vmcoreinfo=vmcoreinfo(symbols(vmlinux), release))
    program.set_core_dump(vmcore)
    program.load_debug_info([vmlinux])
    try:
        program.type("struct task_struct")
    except LookupError as error:
        raise drgn.MissingDebugInfoError(str(error)) from error
    return program


def describe(program: drgn.Program) -> Iterator[str]:
    """Return the lines of the report, the most important first."""
    panicked = program["panic_cpu"].counter.value_()
    for cpu in sorted(for_each_online_cpu(program), key=lambda cpu: (cpu != panicked, cpu)):
        task = cpu_curr(program, cpu)
        trace, functions = _stack(program, task)
        at = " < ".join(functions)
        if cpu == panicked != _NO_CPU:
            yield f"panic in {_name(task)} on CPU {cpu}: {at}"
        else:
            yield f"CPU {cpu} runs {_name(task)}: {at}"
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
    """Return the lines of a task's stack, and the topmost functions that show what it was doing."""
    try:
        trace = program.stack_trace(task)
    except (drgn.FaultError, ValueError, LookupError) as error:
        return [f"  (its stack cannot be read: {error})"], ["?"]
    names = [frame.name for frame in trace]
    last = max((n for n, name in enumerate(names) if name in _DYING), default=-1)
    return [f"  {line}" for line in str(trace).splitlines()], names[last + 1 :][:4] or names[:4]


def main(argv: list[str]) -> None:
    """Write the report of a dump, or why it cannot be written."""
    vmcore, vmlinux, out = map(Path, argv[1:4])
    try:
        text = "\n".join(describe(load(vmcore, vmlinux)))
    except drgn.MissingDebugInfoError:
        text = (
            f"no debug info in {vmlinux}, so {vmcore.name} cannot be examined\n"
            "hint: build with debug info: --kconfig base, or add --kconfig debuginfo to your own"
        )
    except Exception as error:  # the dumped kernel may have overwritten anything
        text = f"drgn cannot read {vmcore.name}: {error}"
    out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv)
