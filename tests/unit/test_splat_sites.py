# SPDX-License-Identifier: GPL-2.0-only
"""Each place in the kernel that prints a report: its first lines, and the title to search for.

The messages are those of 7.2 and, under "old", of older kernels; the stack below is invented.
"""

from __future__ import annotations

import pytest

from harness.splat import find

STACK = """Call Trace:
 <TASK>
 dump_stack_lvl+0x64/0x80
 frob_start+0x12/0x40
 frob_open+0x2a/0x90
 </TASK>
"""
CPU = "CPU: 1 UID: 0 PID: 42 Comm: prober Not tainted 7.2.0 #1\nHardware name: QEMU\n"
RIP = "RIP: 0010:frob_start+0x12/0x40\nCode: 00 00 0f 0b\n"
CUT = "------------[ cut here ]------------\n"
END = "---[ end trace 0000000000000000 ]---\n"
RULE = "=" * 66 + "\n"
LOCK = """prober/42 is trying to acquire lock:
ffff888012345678 (&frob->lock){+.+.}-{3:3}, at: frob_start+0x12/0x40
"""

PLAIN = CPU + STACK  # what dump_stack() says
DIES = CPU + RIP + STACK + END

LOCKDEP = {
    "circular": ("WARNING: possible circular locking dependency detected", "possible deadlock in"),
    "recursive": ("WARNING: possible recursive locking detected", "possible deadlock in"),
    "inversion": (
        "WARNING: possible irq lock inversion dependency detected",
        "possible deadlock in",
    ),
    "usage": (
        "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        "possible deadlock in",
    ),
    "reclaim": (
        "WARNING: RECLAIM_FS-READ-safe -> RECLAIM_FS-READ-unsafe lock order detected",
        "possible deadlock in",
    ),
    "state": ("WARNING: inconsistent lock state", "inconsistent lock state in"),
    "nested": ("WARNING: Nested lock was not taken", "WARNING: nested lock was not taken in"),
    "balance": ("WARNING: bad unlock balance detected!", "WARNING: bad unlock balance in"),
    "contention": ("WARNING: bad contention detected!", "WARNING: bad contention in"),
    "freed": ("WARNING: held lock freed!", "WARNING: held lock freed in"),
    "sleeps": ("WARNING: prober/42 still has locks held!", "WARNING: still has locks held in"),
    "to user": (
        "WARNING: lock held when returning to user space!",
        "WARNING: lock held when returning to user space in",
    ),
    "rcu": ("WARNING: suspicious RCU usage", "WARNING: suspicious RCU usage in"),
    "collision": ("WARNING: chain_key collision", "WARNING: chain_key collision in"),
    "context": ("[ BUG: Invalid wait context ]", "WARNING: locking bug in"),
    "old circular": (
        "[ INFO: possible circular locking dependency detected ]",
        "possible deadlock in",
    ),
    "old recursive": ("[ INFO: possible recursive locking detected ]", "possible deadlock in"),
    "old usage": (
        "[ INFO: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected ]",
        "possible deadlock in",
    ),
    "old state": ("[ INFO: inconsistent lock state ]", "inconsistent lock state in"),
    "old balance": ("[ BUG: bad unlock balance detected! ]", "BUG: bad unlock balance in"),
    "old freed": ("[ BUG: held lock freed! ]", "BUG: held lock freed in"),
    "old sleeps": ("[ BUG: prober/42 still has locks held! ]", "BUG: still has locks held in"),
    "old exits": ("[ BUG: lock held at task exit time! ]", "BUG: lock held at task exit time in"),
    "old rcu": ("[ INFO: suspicious RCU usage. ]", "WARNING: suspicious RCU usage in"),
}

SITES = {
    # kernel/locking
    "no key": ("INFO: trying to register non-static key.\n", PLAIN, "{name} non-static key in"),
    "key": (
        "BUG: key ffff888012345678 has not been registered!\n",
        PLAIN,
        "BUG: key not registered in",
    ),
    "subclass": (
        "BUG: looking up invalid subclass: 9\nturning off the locking correctness validator.\n",
        PLAIN,
        "BUG: looking up invalid subclass in",
    ),
    "spinlock magic": (
        "BUG: spinlock bad magic on CPU#1, prober/42\n"
        " lock: 0xffff888012345678, .magic: 00000000, .owner: <none>/-1, .owner_cpu: 0\n",
        PLAIN,
        "BUG: spinlock bad magic in",
    ),
    "rwlock": (
        "BUG: rwlock cpu recursion on CPU#1, prober/42, ffff888012345678\n",
        PLAIN,
        "BUG: rwlock cpu recursion in",
    ),
    "old read lock": (
        "BUG: read-lock lockup on CPU#1, prober/42, ffff888012345678\n",
        PLAIN,
        "BUG: read-lock lockup in",
    ),
    "smp_processor_id": (
        "BUG: using smp_processor_id() in preemptible [00000000] code: prober/42\n"
        "caller is frob_start+0x12/0x40\n",
        PLAIN,
        "BUG: using smp_processor_id() in preemptible code in",
    ),
    # kernel/sched, kernel/workqueue.c
    "sleeping": (
        "BUG: sleeping function called from invalid context at mm/slab.h:512\n"
        "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 42, name: prober\n",
        PLAIN,
        "BUG: sleeping function called from invalid context in",
    ),
    "atomic": (
        "BUG: scheduling while atomic: prober/42/0x00000002\n",
        PLAIN,
        "BUG: scheduling while atomic in",
    ),
    "non-block": (
        "BUG: scheduling in a non-blocking section: prober/42/1\n",
        PLAIN,
        "BUG: scheduling in a non-blocking section in",
    ),
    "assumed": (
        "BUG: assuming atomic context at drivers/frob/frob.c:12\n",
        PLAIN,
        "BUG: assuming atomic context in",
    ),
    "stack end": (
        "Kernel panic - not syncing: corrupted stack end detected inside scheduler\n",
        PLAIN,
        "kernel panic: corrupted stack end in",
    ),
    "worker": (
        "BUG: workqueue leaked atomic, lock or RCU: kworker/1:2[42]\n"
        "     preempt=0x00000001 lock=0->0 RCU=0->0 workfn=frob_start\n",
        PLAIN,
        "BUG: workqueue leaked atomic, lock or RCU in",
    ),
    # lib
    "list": (
        "list_del corruption. prev->next should be ffff888012345678, but was ffff888012345600. "
        "(prev=ffff888012345600)\n" + CUT + "kernel BUG at lib/list_debug.c:62!\n"
        "Oops: invalid opcode: 0000 [#1] SMP\n",
        DIES,
        "BUG: corrupted list in",
    ),
    "list, 6.x": (
        "list_add double add: new=ffff888012345678, prev=ffff888012345678, "
        "next=ffff888012345600.\n" + CUT + "kernel BUG at lib/list_debug.c:35!\n"
        "invalid opcode: 0000 [#1] PREEMPT SMP KASAN\n",
        DIES,
        "BUG: corrupted list in",
    ),
    "refcount": (
        CUT + "refcount_t: addition on 0; use-after-free.\n"
        "WARNING: lib/refcount.c:25 at refcount_warn_saturate+0x12/0x40, CPU#1: prober/42\n",
        DIES,
        "WARNING: refcount bug in",
    ),
    "old refcount": (
        "refcount_t: saturated; leaking memory.\n"
        + CUT
        + "WARNING: CPU: 1 PID: 42 at lib/refcount.c:22 refcount_warn_saturate+0x12/0x40\n",
        DIES,
        "WARNING: refcount bug in",
    ),
    "debugobjects": (
        CUT + "ODEBUG: free active (active state 0) object: ffff888012345678 object type: "
        "timer_list hint: frob_tick+0x0/0x40\n"
        "WARNING: lib/debugobjects.c:615 at debug_print_object+0x12/0x40, CPU#1: prober/42\n",
        DIES,
        "WARNING: ODEBUG bug in",
    ),
    "ubsan": (
        CUT + "UBSAN: array-index-out-of-bounds in drivers/frob/frob.c:12:8\n"
        "index 9 is out of range for type 'int [8]'\n",
        PLAIN + "---[ end trace ]---\n",
        "UBSAN: array-index-out-of-bounds in",
    ),
    "old ubsan": (
        RULE + "UBSAN: Undefined behaviour in drivers/frob/frob.c:12:8\n"
        "signed integer overflow:\n9223372036854775807 + 1 cannot be represented in type 'long'\n",
        PLAIN + RULE,
        "UBSAN: undefined-behaviour in",
    ),
    "maple tree": ("BUG at mas_walk:123 (1)\n", PLAIN, "kernel BUG in"),
    # mm
    "kasan": (
        RULE + "BUG: KASAN: vmalloc-out-of-bounds in frob_start+0x12/0x40\n"
        "Write of size 4 at addr ffffc90000012345 by task prober/42\n\n",
        PLAIN + RULE,
        "KASAN: vmalloc-out-of-bounds Write in",
    ),
    "kasan double free": (
        RULE + "BUG: KASAN: double-free in frob_start+0x12/0x40\n"
        "Free of addr ffff888012345678 by task prober/42\n\n",
        PLAIN + RULE,
        "KASAN: double-free in",
    ),
    "kasan tags": (
        RULE + "BUG: KASAN: invalid-access in frob_start+0x12/0x40\n"
        "Read at addr f5ff000012345678 by task prober/42\n",
        PLAIN + RULE,
        "KASAN: invalid-access Read in",
    ),
    "old kasan": (
        RULE + "BUG: KASan: use after free in frob_start+0x12/0x40 at addr ffff888012345678\n"
        "Read of size 8 by task prober/42\n",
        PLAIN + RULE,
        "KASAN: use-after-free Read in",
    ),
    "kmsan": (
        "=====================================================\n"
        "BUG: KMSAN: uninit-value in frob_start+0x12/0x40\n"
        " frob_start+0x12/0x40\n frob_open+0x2a/0x90\n\n",
        CPU,
        "KMSAN: uninit-value in",
    ),
    "kcsan": (
        RULE + "BUG: KCSAN: data-race in frob_open / frob_start\n\n"
        "write to 0xffff888012345678 of 4 bytes by task 42 on cpu 1:\n frob_open+0x2a/0x90\n\n"
        "read to 0xffff888012345678 of 4 bytes by task 43 on cpu 0:\n",
        " frob_start+0x12/0x40\n" + RULE,
        "KCSAN: data-race in frob_open /",
    ),
    "kfence": (
        RULE + "BUG: KFENCE: use-after-free read in frob_start+0x12/0x40\n\n"
        "Use-after-free read at 0xffff888012345678 (in kfence-#12):\n"
        " frob_start+0x12/0x40\n frob_open+0x2a/0x90\n\n",
        CPU + RULE,
        "KFENCE: use-after-free read in",
    ),
    "usercopy": (
        "usercopy: Kernel memory exposure attempt detected from SLUB object 'frob' (offset 8, "
        "size 64)!\n" + CUT + "kernel BUG at mm/usercopy.c:102!\n"
        "Oops: invalid opcode: 0000 [#1] SMP\n",
        DIES,
        "BUG: bad usercopy in",
    ),
    "page state": (
        "BUG: Bad page state in process prober  pfn:12345\npage: refcount:-1 mapcount:0\n",
        PLAIN,
        "BUG: Bad page state in",
    ),
    "leak": (
        'unreferenced object 0xffff888012345678 (size 64):\n  comm "prober", pid 42, jiffies '
        "4294940000\n  hex dump (first 32 bytes):\n    00 00 00 00 00 00 00 00\n"
        "  backtrace (crc 12345678):\n    kmalloc_noprof+0x10/0x20\n    frob_start+0x12/0x40\n",
        "",
        "memory leak in",
    ),
    "fortify": (
        CUT + "strnlen: detected buffer overflow: 9 byte read of buffer size 8\n"
        "WARNING: lib/string_helpers.c:1035 at __fortify_report+0x12/0x40, CPU#1: prober/42\n",
        DIES,
        "WARNING in",
    ),
    "old fortify": (
        "detected buffer overflow in memcpy\n"
        + CUT
        + "kernel BUG at lib/string.c:1088!\ninvalid opcode: 0000 [#1] SMP\n",
        CPU + "RIP: 0010:fortify_panic+0x12/0x40\n" + STACK + END,
        "kernel BUG in",
    ),
    # kernel/watchdog.c, kernel/hung_task.c, kernel/rcu, kernel/smp.c
    "soft lockup": (
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [prober:42]\nModules linked in:\n",
        CPU + RIP + STACK,
        "BUG: soft lockup in",
    ),
    "hard lockup": (
        "watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1\nModules linked in:\n",
        CPU + RIP + STACK,
        "BUG: hard lockup in",
    ),
    "old hard lockup": (
        "BUG: NMI Watchdog detected LOCKUP on CPU1, ip ffffffff81234567, registers:\n",
        CPU + RIP + STACK,
        "BUG: hard lockup in",
    ),
    "hung": (
        "INFO: task prober:42 blocked in I/O wait for more than 120 seconds.\n"
        '      Not tainted 7.2.0 #1\n"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables '
        "this message.\ntask:prober          state:D stack:0     pid:42    tgid:42\n",
        STACK.replace(" dump_stack_lvl", " __schedule"),
        "INFO: task hung in",
    ),
    "stall": (
        "rcu: INFO: rcu_preempt self-detected stall on CPU\n"
        "rcu: \t1-....: (10499 ticks this GP) idle=b5c/1/0x4000000000000000\n"
        "rcu: \t(t=10500 jiffies g=1234 q=5678 ncpus=2)\n",
        CPU + RIP + STACK,
        "INFO: rcu detected stall in",
    ),
    "tasks stall": (
        "INFO: rcu_tasks detected stalls on tasks:\n"
        "ffff888012345678: .. nvcsw: 2/2 holdout: 1 idle_cpu: -1/1\n"
        "task:prober          state:R  running task     stack:0     pid:42    tgid:42\n",
        STACK,
        "INFO: rcu detected stall in",
    ),
    "csd": (
        "smp: csd: Detected non-responsive CSD lock (#1) on CPU#1, waiting 5000000000 ns for "
        "CPU#00 frob_start+0x0/0x40(0x0).\n",
        PLAIN,
        "BUG: non-responsive CSD lock in",
    ),
    "irq": (
        'irq 9: nobody cared (try booting with the "irqpoll" option)\n',
        PLAIN + "handlers:\n[<00000000a0b0c0d0>] frob_irq\nDisabling IRQ #9\n",
        "irq: nobody cared",
    ),
    # kernel/panic.c, lib/bug.c
    "warning": (
        CUT + "WARNING: drivers/frob/frob.c:12 at frob_start+0x12/0x40, CPU#1: prober/42\n",
        DIES,
        "WARNING in",
    ),
    "6.x warning": (
        CUT + "WARNING: CPU: 1 PID: 42 at drivers/frob/frob.c:12 frob_start+0x12/0x40 [frob]\n",
        DIES,
        "WARNING in",
    ),
    "2.6 warning": (
        CUT + "WARNING: at drivers/frob/frob.c:12 frob_start+0x12/0x40()\n",
        CPU + STACK + END,
        "WARNING in",
    ),
    "bug": (
        CUT + "kernel BUG at drivers/frob/frob.c:12!\nOops: invalid opcode: 0000 [#1] SMP\n",
        DIES,
        "kernel BUG in",
    ),
    "bug without file": (
        "kernel BUG at frob_start+0x12/0x40 [verbose debug info unavailable]!\n"
        "Oops: invalid opcode: 0000 [#1] SMP\n",
        DIES,
        "kernel BUG in",
    ),
    "stack protector": (
        "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: "
        "frob_start+0x12/0x40\n",
        PLAIN,
        "kernel panic: stack is corrupted in",
    ),
    # arch/x86
    "gp": (
        "Oops: general protection fault, probably for non-canonical address 0xdead000000000100: "
        "0000 [#1] SMP NOPTI\n",
        DIES,
        "general protection fault in",
    ),
    "old gp": (
        "general protection fault: 0000 [#1] SMP KASAN\n",
        DIES,
        "general protection fault in",
    ),
    "null": (
        "BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
        "#PF: supervisor read access in kernel mode\n#PF: error_code(0x0000) - not-present page\n"
        "Oops: Oops: 0000 [#1] SMP\n",
        DIES,
        "BUG: unable to handle kernel NULL pointer dereference in",
    ),
    "old null": (
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008\n"
        "IP: frob_start+0x12/0x40\nPGD 0 P4D 0\nOops: 0000 [#1] SMP\n",
        DIES,
        "BUG: unable to handle kernel NULL pointer dereference in",
    ),
    "page fault": (
        "BUG: unable to handle page fault for address: ffffc90000012345\n"
        "#PF: supervisor write access in kernel mode\nOops: Oops: 0002 [#1] SMP\n",
        DIES,
        "BUG: unable to handle kernel paging request in",
    ),
    "divide": (
        "Oops: divide error: 0000 [#1] SMP\n",
        DIES,
        "divide error in",
    ),
    "old divide": ("divide error: 0000 [#1] PREEMPT SMP\n", DIES, "divide error in"),
    "opcode": ("Oops: invalid opcode: 0000 [#1] SMP\n", DIES, "invalid opcode in"),
    "stack segment": (
        "Oops: stack segment: 0000 [#1] SMP\n",
        DIES,
        "stack segment fault in",
    ),
    "alignment": ("alignment check: 0000 [#1] SMP\n", DIES, "alignment check in"),
    "simd": ("Oops: simd exception: 0000 [#1] SMP\n", DIES, "simd exception in"),
    "cet": (
        "Oops: control protection: 0003 [#1] SMP\n",
        DIES,
        "control protection in",
    ),
    "guard page": (
        "BUG: TASK stack guard page was hit at ffffc90000012345 (stack is "
        "ffffc90000013000..ffffc90000017000)\nOops: stack guard page: 0000 [#1] SMP\n",
        DIES,
        "BUG: stack guard page was hit in",
    ),
    "double fault": (
        "traps: PANIC: double fault, error_code: 0x0\nOops: double fault: 0000 [#1] SMP\n",
        DIES,
        "PANIC: double fault in",
    ),
    "fred": (
        "PANIC: invalid or fatal FRED event; event type 3 vector 14 error 0x0 aux 0x0 at "
        "0010:ffffffff81234567\nOops: invalid or fatal FRED event: 0000 [#1] SMP\n",
        DIES,
        "PANIC: invalid or fatal FRED event in",
    ),
    # arch/arm64, arch/arm
    "arm64": (
        "Unable to handle kernel read from unreadable memory at virtual address 0000000000000008\n"
        "Mem abort info:\n  ESR = 0x0000000096000004\n"
        "Internal error: Oops: 0000000096000004 [#1]  SMP\n",
        CPU + "pc : frob_start+0x12/0x40\nlr : frob_open+0x2a/0x90\nCall trace:\n"
        " frob_start+0x12/0x40 (P)\n frob_open+0x2a/0x90\n" + END,
        "BUG: unable to handle kernel read from unreadable memory in",
    ),
    "arm64 undefined": (
        "Internal error: Oops - Undefined instruction: 0000000002000000 [#1]  SMP\n",
        CPU + "pc : frob_start+0x12/0x40\nCall trace:\n frob_start+0x12/0x40 (P)\n" + END,
        "Internal error in",
    ),
    "arm64 exception": (
        "Unhandled 64-bit el1h sync exception on CPU1, ESR 0x0000000034000003 -- BTI\n",
        CPU + "pc : frob_start+0x12/0x40\nCall trace:\n frob_start+0x12/0x40 (P)\n"
        "Kernel panic - not syncing: Unhandled exception\n",
        "Unhandled 64-bit el1h in",
    ),
    "arm prefetch": (
        "Unhandled prefetch abort: breakpoint debug exception (0x002) at 0x00000000\n"
        "Internal error: : 2 [#1] SMP ARM\n",
        CPU + "PC is at frob_start+0x12/0x40\nLR is at frob_open+0x2a/0x90\n" + END,
        "Unhandled prefetch abort in",
    ),
    "arm division": (
        "Division by zero in kernel.\n",
        CPU + "Call trace: \n dump_stack from Ldiv0+0x8/0x10\n Ldiv0 from frob_start+0x12/0x40\n"
        " frob_start from frob_open+0x2a/0x90\n",
        "divide error in",
    ),
    # others
    "hexagon": (
        "Oops: page fault[#1]:\n",
        CPU + STACK,
        "Oops: page fault in",
    ),
    "openrisc": (
        "Unable to handle kernel NULL pointer dereference at virtual address 0x00000008\n"
        "Oops#: 0000\n",
        CPU + "PC: frob_start+0x12/0x40\n" + STACK,
        "BUG: unable to handle kernel NULL pointer dereference in",
    ),
    "sparc mna": (
        "Unable to handle kernel NULL pointer dereference in mna handler\n"
        " at virtual address 0000000000000008\n",
        CPU + "TPC: <frob_start+0x12/0x40>\n" + STACK,
        "BUG: unable to handle kernel NULL pointer dereference in",
    ),
    "m68k": (
        "Unable to handle kernel access at virtual address 12345678\nOops: 00000000\n",
        CPU + STACK,
        "BUG: unable to handle kernel access in",
    ),
    "powerpc": (
        "BUG: Unable to handle kernel data access on write at 0xc000000012345678\n"
        "Faulting instruction address: 0xc000000012345678\n"
        "Oops: Kernel access of bad area, sig: 11 [#1]\n",
        CPU + "NIP [c000000012345678] frob_start+0x12/0x40\n" + STACK + END,
        "BUG: unable to handle kernel paging request in",
    ),
    # fs, net
    "busy inodes": (
        "VFS: Busy inodes after unmount of loop0 (frobfs)\n" + CUT
        + "kernel BUG at fs/super.c:652!\nOops: invalid opcode: 0000 [#1] SMP\n",
        DIES,
        "VFS: Busy inodes after unmount (use-after-free)",
    ),
    "watchdog": (
        CUT + "NETDEV WATCHDOG: eth0 (frob): transmit queue 0 timed out 5000 ms\n"
        "WARNING: net/sched/sch_generic.c:525 at dev_watchdog+0x12/0x40, CPU#1: prober/42\n",
        DIES,
        "NETDEV WATCHDOG: transmit queue timed out",
    ),
}  # fmt: skip


def titles(text: str, stamped: bool) -> list[str]:
    stamp = "[  123.{:06d}] " if stamped else ""
    return [s.title for s in find(stamp.format(n) + x for n, x in enumerate(text.splitlines()))]


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize(("head", "title"), LOCKDEP.values(), ids=LOCKDEP)
def test_a_report_of_lockdep_has_its_title(head: str, title: str, stamped: bool) -> None:
    rule = "=" * 40
    text = f"{rule}\n{head}\n7.2.0 #1 Not tainted\n{'-' * 40}\n{LOCK}\nstack backtrace:\n{PLAIN}"
    assert titles(text, stamped) == [f"{title} frob_start"]


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize(("head", "rest", "title"), SITES.values(), ids=SITES)
def test_a_report_has_its_title(head: str, rest: str, title: str, stamped: bool) -> None:
    title = title.format(name="INFO: trying to register")
    expected = f"{title} frob_start" if title.endswith((" in", "/")) else title
    assert titles(head + rest, stamped) == [expected]
