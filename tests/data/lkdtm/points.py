# SPDX-License-Identifier: GPL-2.0-only
"""Every crash point of the kernel's LKDTM, and what the harness must say of it.

For x86-64 with base, debug and lkdtm.config, built by gcc.  Read on both sides: the suite in the
guest triggers what stands here, the test on the host holds the journal against it.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Point:
    """``kind`` and ``title`` (regexes) are those of the first splat; no kind: no splat.

    ``inside`` triggers it in the tests' own process, otherwise a child does, and the guest may
    live.  ``chosen`` ones are run in CI.  ``why`` explains what is not obvious.
    """

    name: str
    kind: str = ""
    title: str = ""
    outcome: str = "error"
    inside: bool = False
    chosen: bool = False
    why: str = ""


def _silent(name: str, why: str) -> Point:
    return Point(name, outcome="pass", why=why)


def _hang(name: str, kind: str, title: str = "", why: str = "", *, chosen: bool = False) -> Point:
    # A stall is named after the handler of the system call that it came from.
    title = title or f"lkdtm_{name}|direct_entry"
    return Point(name, kind, title, "timeout", inside=True, chosen=chosen, why=why)


def _each(kind: str, *names: str) -> tuple[Point, ...]:
    """Points whose splat names their own function."""
    return tuple(Point(name, kind, f"lkdtm_{name}$") for name in names)


_REFCOUNT = (
    *("INC_OVERFLOW", "ADD_OVERFLOW", "INC_NOT_ZERO_OVERFLOW", "ADD_NOT_ZERO_OVERFLOW"),
    *("DEC_ZERO", "DEC_NEGATIVE", "DEC_AND_TEST_NEGATIVE", "SUB_AND_TEST_NEGATIVE"),
    *(
        "SUB_AND_TEST_ZERO",
        "INC_ZERO",
        "ADD_ZERO",
        "INC_SATURATED",
        "DEC_SATURATED",
        "ADD_SATURATED",
    ),
    *("INC_NOT_ZERO_SATURATED", "ADD_NOT_ZERO_SATURATED"),
    *("DEC_AND_TEST_SATURATED", "SUB_AND_TEST_SATURATED"),
)
_OTHER = "not for x86-64"
_NO_FAULT = "looks at something, breaks nothing"
_OPTION = "the check for it is not in this configuration"

ALL = (
    # The machine stops.
    Point("PANIC", "panic", "^kernel panic: dumptest", "crash", chosen=True),
    Point("PANIC_STOP_IRQOFF", "panic", "panic stop irqoff test", "crash"),
    Point("PANIC_IN_HARDIRQ", "panic", "from hard IRQ context", "crash"),
    Point("BUG_IN_HARDIRQ", "kernel bug", "bug_in_hardirq", "crash"),
    Point("EXHAUST_STACK", "stack overflow", "recursive_loop", "crash", chosen=True),
    # The task dies; here it is the tests' own.
    Point("BUG", "kernel bug", "kernel BUG in lkdtm_BUG$", "crash", inside=True, chosen=True),
    # Nobody dies.
    Point("WARNING", "warning", "WARNING in lkdtm_WARNING$", chosen=True),
    *_each("warning", "WARNING_MESSAGE", "FORTIFY_MEM_MEMBER"),
    Point("UNSET_SMEP", "warning", "native_write_cr4"),
    Point("ARRAY_BOUNDS", "ubsan", "array-index-out-of-bounds", chosen=True),
    Point("CORRUPT_LIST_ADD", "list corruption", "corrupted list", chosen=True),
    Point("CORRUPT_LIST_DEL", "list corruption", "corrupted list"),
    *_each("refcount", *(f"REFCOUNT_{name}" for name in _REFCOUNT if name != "ADD_ZERO")),
    Point("REFCOUNT_ADD_ZERO", "refcount", "lkdtm_REFCOUNT_ADD_ZERO$", chosen=True),
    # A child dies of an access that no page allows.
    Point("EXCEPTION", "general protection fault", "fault in lkdtm_EXCEPTION$", chosen=True),
    *_each("general protection fault", "ACCESS_USERSPACE", "ACCESS_NULL"),
    *_each("page fault", "WRITE_RO", "WRITE_RO_AFTER_INIT"),
    Point("WRITE_KERN", "page fault", "kernel paging request"),
    *(
        Point(f"EXEC_{where}", "page fault", "paging request", why="code without a name")
        for where in ("DATA", "RODATA", "STACK", "KMALLOC", "VMALLOC", "USERSPACE")
    ),
    Point("EXEC_NULL", "null dereference", "NULL pointer dereference"),
    Point("SLAB_FREE_PAGE", "null dereference", "NULL pointer dereference"),
    # Copies that leave their object.  (hardened_usercopy=on)
    *(
        Point(f"USERCOPY_{what}", "kernel bug", "bad usercopy")
        for what in (
            *("SLAB_SIZE_TO", "SLAB_SIZE_FROM", "SLAB_WHITELIST_TO", "SLAB_WHITELIST_FROM"),
            *("STACK_FRAME_TO", "STACK_FRAME_FROM", "STACK_BEYOND", "FOLIO", "KERNEL"),
        )
    ),
    Point(
        "USERCOPY_VMALLOC",
        "kasan",
        "vmalloc-out-of-bounds Read in do_usercopy_page_span",
        why="the check takes the guard page for a part of the area",
    ),
    *(
        Point(f"FORTIFY_{what}", "warning", "WARNING in ", why="a BUG follows")
        for what in ("STR_MEMBER", "MEM_OBJECT", "STRSCPY")
    ),
    Point("SLAB_FREE_CROSS", "warning", "WARNING in ", why="with slab_debug=F for that cache"),
    # What KASAN sees, and KFENCE.
    Point("WRITE_AFTER_FREE", "kasan", "slab-use-after-free Write in lkdtm_W", chosen=True),
    Point("READ_AFTER_FREE", "kasan", "slab-use-after-free Read in lkdtm_READ_AFTER_FREE"),
    Point("SLAB_LINEAR_OVERFLOW", "kasan", "slab-out-of-bounds Write in lkdtm_SLAB_LINEAR"),
    Point("VMALLOC_LINEAR_OVERFLOW", "kasan", "vmalloc-out-of-bounds Write in lkdtm_VMALLOC"),
    Point("WRITE_BUDDY_AFTER_FREE", "kasan", "use-after-free Write in lkdtm_WRITE_BUDDY"),
    Point("READ_BUDDY_AFTER_FREE", "kasan", "use-after-free Read in lkdtm_READ_BUDDY"),
    Point("SLAB_FREE_DOUBLE", "kasan", "double-free", why="the call of kfree is a tail call"),
    Point("CORRUPT_STACK", "kasan", "stack-out-of-bounds Write", why="before the canary is"),
    Point("CORRUPT_STACK_STRONG", "kasan", "stack-out-of-bounds Write"),
    Point("REPORT_STACK_CANARY", "kasan", "stack-out-of-bounds Read", why="it looks for it"),
    Point("STACK_GUARD_PAGE_LEADING", "kasan", "vmalloc-out-of-bounds", chosen=True),
    Point("STACK_GUARD_PAGE_TRAILING", "kasan", "vmalloc-out-of-bounds Read"),
    Point("PTR_BOUNDS", "kasan", "slab-out-of-bounds Read in lkdtm_PTR_BOUNDS"),
    Point("KFENCE_READ_AFTER_FREE", "kfence", "use-after-free read in lkdtm_KFENCE"),
    # Hangs: the test's deadline ends them.
    _hang("SOFTLOCKUP", "soft lockup", chosen=True),
    _hang("HARDLOCKUP", "hard lockup"),
    _hang("SMP_CALL_LOCKUP", "hard lockup"),
    _hang(
        "SPINLOCKUP",
        "atomic|lockdep",
        "exit_to_user_mode|scheduling while atomic|lkdtm_do_action",
        "its first half leaves with a lock held, which either may see first",
    ),
    _hang("HUNG_TASK", "hung task", chosen=True),
    Point("LOOP", outcome="timeout", inside=True, why="a loop that is preempted locks up nothing"),
    # What is no fault on this kernel.
    *(_silent(name, _OTHER) for name in ("WRITE_OPD", "CORRUPT_PAC", "DOUBLE_FAULT")),
    *(_silent(name, _NO_FAULT) for name in ("REPORT_STACK", "UNALIGNED_LOAD_STORE_WRITE")),
    *(_silent(f"OVERFLOW_{sign}", "wraps: -fwrapv") for sign in ("SIGNED", "UNSIGNED")),
    *(_silent(f"{where}_INIT_ON_ALLOC", _OPTION) for where in ("SLAB", "BUDDY")),
    *(_silent(name, _OPTION) for name in ("KSTACK_ERASE", "CFI_FORWARD_PROTO", "CFI_BACKWARD")),
    _silent("FAM_BOUNDS", "gcc 12 knows no __counted_by"),
)
#: Loops of two thousand million steps that break nothing: minutes under emulation.
TOO_LONG = {"ATOMIC_TIMING", "REFCOUNT_TIMING"}
BY_NAME = {point.name: point for point in ALL}
