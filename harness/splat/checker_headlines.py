# SPDX-License-Identifier: GPL-2.0-only
"""Headlines of the kernel's own checkers: sanitizers, lockdep, watchdogs, and others.

A pattern must match the kernel's full message format.  A new headline needs a sample in
tests/data/splats.
"""

from __future__ import annotations

import functools

from harness.splat.kinds import AT, SYM, TASK, WHERE, Role, Stop, headline

_SAYS = r"(?:\[ )?(?P<word>WARNING|BUG): "
_DEADLOCK = (
    r"possible circular locking dependency detected|possible recursive locking detected"
    r"|possible irq lock inversion dependency detected"
    r"|\w+-(?:READ-)?safe -> \w+-(?:READ-)?unsafe lock order detected"
)

# A task's name of up to 15 characters; not all that it may have, since a prefix may be before it.
_WHOSE = r"(?P<comm>.+):(?P<pid>\d+)"
_COMM_LENGTH = r".{1,15}"
_COMM = r"[A-Za-z_(.~][\w./#()~@+-]*(?::[\w.+-]+)?(?: [\w./#()~@+-]+)*"

# A function as %ps prints it, which KCSAN does for two that race.
_OF_MODULE = r"[\w.$]+(?: \[[\w -]+\])?"

_sanitizer = functools.partial(headline, stop=Stop.RULE)
_preface = functools.partial(headline, stop=Stop.CUT, role=Role.PREFACE)
_trap = functools.partial(headline, stop=Stop.CUT, role=Role.TRAP)
_line = functools.partial(headline, stop=Stop.LINE)

CHECKER_HEADLINES = (
    # Sanitizers.
    _sanitizer(
        "kasan",
        rf"BUG: KAS[Aa][Nn]: (?P<what>[a-z][\w -]*?) in {AT}",
        "KASAN: {what} {rw} in {f}",
    ),
    _sanitizer("kasan", r"BUG: KASAN: (?P<what>invalid-access)$", "KASAN: {what}", sure=False),
    _sanitizer(
        "kasan",
        rf"BUG: KASAN: (?P<what>[a-z][\w -]*?)(?: in {SYM}?| i?n?$)",
        "KASAN: {what} {rw} in {f}",
        sure=False,
    ),
    headline(
        "kasan",
        r"KASAN: (?:maybe |probably )?(?P<what>[a-z-]+) in range \[0x[0-9a-f]+-0x[0-9a-f]+\]",
        "KASAN: {what} in {f}",
        stop=Stop.CUT,
        role=Role.PART,
    ),
    _sanitizer("kfence", rf"BUG: KFENCE: (?P<what>[a-z][\w -]*?) in {AT}", "KFENCE: {what} in {f}"),
    _sanitizer(
        "kcsan",
        rf"BUG: KCSAN: (?P<what>[a-z][\w: -]*?) in (?P<pair>{_OF_MODULE} / {_OF_MODULE})$",
        "KCSAN: {what} in {pair}",
    ),
    _sanitizer("kcsan", rf"BUG: KCSAN: (?P<what>[a-z][\w: -]*?) in {AT}", "KCSAN: {what} in {f}"),
    _sanitizer("kmsan", rf"BUG: KMSAN: (?P<what>[a-z][\w -]*?) in {AT}", "KMSAN: {what} in {f}"),
    _sanitizer(
        "kmsan",
        rf"BUG: KMSAN: (?P<what>[a-z][\w -]*?) in {SYM}",
        "KMSAN: {what} in {f}",
        sure=False,
    ),
    _sanitizer(
        "kfence",
        rf"BUG: KFENCE: (?P<what>[a-z][\w -]*?) in {SYM}",
        "KFENCE: {what} in {f}",
        sure=False,
    ),
    headline(
        "ubsan",
        rf"UBSAN: (?P<what>[\w -]+?) in {WHERE}(?::\d+)?",
        "UBSAN: {what} in {f}",
        stop=Stop.CUT,
    ),
    _preface(
        "ubsan", rf"(?:traps: )?UBSAN: (?P<what>[\w -]+?) (?:at|in) {AT}", "UBSAN: {what} in {f}"
    ),
    _trap(
        "ubsan",
        r"Internal error: UBSAN: (?P<what>[\w -]+): [0-9a-f]+ \[#\d+\]",
        "UBSAN: {what} in {f}",
    ),
    # Lockdep.
    headline(
        "lockdep",
        rf"(?:WARNING|INFO): (?:{_DEADLOCK})|\[ INFO: (?:{_DEADLOCK}) \]",
        "possible deadlock in {f}",
    ),
    headline(
        "lockdep",
        r"(?:WARNING: |\[ INFO: )inconsistent lock state(?: \])?$",
        "inconsistent lock state in {f}",
    ),
    headline(
        "lockdep",
        rf"{_SAYS}(?P<what>bad unlock balance|bad contention) detected!(?: \])?$",
        "{word}: {what} in {f}",
    ),
    headline(
        "lockdep",
        r"(?:WARNING: |\[ INFO: |INFO: )(?P<what>suspicious RCU usage)\.?(?: \])?$",
        "WARNING: {what} in {f}",
    ),
    headline(
        "lockdep",
        rf"{_SAYS}(?P<what>held lock freed|lock held (?:when returning to user space|at task exit "
        r"time))!(?: \])?$",
        "{word}: {what} in {f}",
    ),
    headline(
        "lockdep",
        rf"{_SAYS}{TASK} still has locks held!(?: \])?$",
        "{word}: still has locks held in {f}",
    ),
    headline(
        "lockdep",
        r"WARNING: Nested lock was not taken$",
        "WARNING: nested lock was not taken in {f}",
    ),
    headline(
        "lockdep",
        r"WARNING: (?P<what>chain_key collision)$",
        "WARNING: {what} in {f}",
    ),
    headline("lockdep", r"\[ BUG: Invalid wait context \]$", "WARNING: locking bug in {f}"),
    headline(
        "lockdep", r"INFO: (?P<what>trying to register non-static key)\.$", "INFO: {what} in {f}"
    ),
    headline(
        "lockdep", r"BUG: key [0-9a-f]+ has not been registered!", "BUG: key not registered in {f}"
    ),
    headline("lockdep", r"BUG: (?P<what>MAX_\w+ too low!)$", "BUG: {what}"),
    # Watchdogs.
    headline(
        "soft lockup",
        r"(?:(?:NMI )?watchdog: )?BUG: soft lockup - CPU#(?P<cpu>\d+) stuck for \d+s!"
        r"(?: \[(?P<comm>.+?):(?P<pid>\d+)\])?",
        "BUG: soft lockup in {f}",
    ),
    headline(
        "hard lockup",
        r"(?:(?:NMI )?watchdog: )?(?:CPU\d+: |BUG: )?(?:Watchdog detected )?"
        r"hard LOCKUP on cpu (?P<cpu>\d+)",
        "BUG: hard lockup in {f}",
    ),
    headline(
        "hard lockup",
        r"(?:watchdog: )?CPU (?P<cpu>\d+) (?:(?:self-)?detected hard|Hard) LOCKUP",
        "BUG: hard lockup in {f}",
    ),
    headline(
        "hard lockup",
        r"BUG: NMI Watchdog detected LOCKUP on CPU ?(?P<cpu>\d+)",
        "BUG: hard lockup in {f}",
    ),
    headline(
        "rcu stall",
        r"(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stall",
        "INFO: rcu detected stall in {f}",
    ),
    headline(
        "hung task",
        r"INFO: task (?P<comm>.+):(?P<pid>\d+) blocked(?: in I/O wait)? for more "
        r"than \d+ seconds",
        "INFO: task hung in {f}",
    ),
    headline(
        "hung task",
        r"INFO: task (?P<comm>.+):(?P<pid>\d+) can't die for more than \d+ seconds",
        "INFO: task can't die in {f}",
    ),
    headline("workqueue lockup", r"BUG: workqueue lockup - pool", "BUG: workqueue lockup"),
    headline(
        "csd lock",
        r"smp: csd: Detected non-responsive CSD lock",
        "BUG: non-responsive CSD lock in {f}",
    ),
)

#: Tried after all others: the last headline matches nearly any "BUG: ".
OTHER_HEADLINES = (
    # Scheduler, memory management, network.
    headline(
        "atomic",
        rf"BUG: (?P<what>sleeping function called from invalid context) at {WHERE}",
        "BUG: {what} in {f}",
    ),
    headline(
        "atomic",
        rf"BUG: (?P<what>scheduling while atomic|scheduling in a non-blocking section):"
        rf" {TASK}/",
        "BUG: {what} in {f}",
    ),
    headline(
        "atomic",
        rf"BUG: (?P<what>assuming (?:atomic|non migratable) context) at {WHERE}",
        "BUG: {what} in {f}",
    ),
    headline(
        "preemptible",
        rf"BUG: (?P<what>using \w+\(\) in preemptible) \[[0-9a-f]+\](?: code: {TASK})?",
        "BUG: {what} code in {f}",
    ),
    headline(
        "bad page",
        r"BUG: (?P<what>Bad page (?:state|cache)) in process (?P<comm>.+?)  ",
        "BUG: {what} in {f}",
    ),
    headline("bad page", r"BUG: (?P<what>Bad page map) in process (?P<comm>.+?)  ", "BUG: {what}"),
    _line("bad page", r"BUG: (?P<what>Bad rss-counter state) mm:", "BUG: {what}"),
    _line(
        "bad page",
        r"BUG: (?P<what>non-zero (?:pgtables_bytes|nr_p[mt][de]s) on freeing mm): ",
        "BUG: {what}",
    ),
    headline(
        "bad page",
        r"pagealloc: (?P<what>memory corruption|single bit error)$",
        "pagealloc: {what}",
    ),
    headline(
        "spinlock",
        rf"BUG: (?P<what>(?:spinlock|rwlock|(?:read|write)-lock) [\w ,-]+?) on CPU#(?P<cpu>\d+), "
        rf"{TASK}",
        "BUG: {what} in {f}",
    ),
    headline(
        "workqueue leak",
        r"BUG: (?P<what>workqueue leaked (?:atomic, lock or RCU|lock or "
        r"atomic)): ",
        "BUG: {what} in {f}",
    ),
    headline(
        "slab",
        r"(?:BUG: |BUG )(?P<cache>[\w.<>:-]+)(?: \(.*\))?: (?P<what>(?:Poison|Redzone|Left Redzone"
        r"|Right Redzone|Object|Padding|Slab|Freepointer|Freelist|Object padding|kmalloc Redzone"
        r"|Kmalloc Redzone)\b[\w ]*?(?:overwritten|corrupt|detected|already free|disabled|fails)"
        r"|Objects remaining[\w ]*|Invalid object pointer|No slab cache for object"
        r"|Wrong (?:number of objects|object count)|Not a valid slab page|Attempt to free)",
        "BUG: {cache}: {what}",
    ),
    headline(
        "slab",
        r"BUG [\w.<>:-]+ \((?:Not tainted|Tainted: .*)\): (?P<what>[A-Za-z ]+)",
        "BUG: slab: {what}",
    ),
    headline(
        "slab",
        rf"INFO: (?P<what>Allocated|Freed) in {AT}.{{0,120}}? age=\d+ cpu=\d+ pid=",
        "INFO: {what} in {f} age=NUM cpu=NUM pid=NUM",
        role=Role.PART,
    ),
    _line(
        "unwinder",
        rf"WARNING: kernel stack regs at [0-9a-f]+ in {_WHOSE} has bad '(?P<what>\w+)' value",
        "WARNING: kernel stack regs has bad '{what}' value",
        role=Role.PART,
    ),
    _line(
        "unwinder",
        rf"WARNING: kernel stack (?:regs|frame pointer) at .+ in {_WHOSE} has bad (?:'\w+' )?value",
        "WARNING: kernel stack regs has bad value",
        role=Role.PART,
    ),
    _line(
        "unwinder",
        rf"WARNING: (?P<what>can't access registers|stack going in the wrong direction\?) at {AT}",
        "WARNING: {what} in {f}",
        role=Role.PART,
    ),
    headline(
        "sysfs duplicate",
        r"sysfs: cannot create duplicate filename '",
        "sysfs: cannot create duplicate filename in {f}",
        role=Role.PART,
        sure=False,
    ),
    headline(
        "page allocation failure",
        rf"(?:warn_alloc: )?(?={_COMM_LENGTH}: page)(?P<comm>{_COMM})"
        r": page allocation failure: order:\d+, mode:",
        "page allocation failure in {f}",
        word=": page allocation failure: order:",
    ),
    headline(
        "kobject",
        r"kobject:? (?:'.*' )?\(\S+\): (?P<what>tried to init an initialized object)",
        "kobject: {what} in {f}",
    ),
    headline(
        "wrong timeout",
        r"schedule_timeout: (?P<what>wrong timeout value) -?[0-9a-f]+",
        "schedule_timeout: {what} in {f}",
    ),
    headline("irq nobody cared", r"irq \d+: nobody cared", "irq: nobody cared"),
    _line(
        "unregister netdevice",
        r"unregister_netdevice: waiting for (?P<what>\S+) to become free",
        "unregister_netdevice: waiting for DEV to become free",
    ),
    headline(
        "oom",
        rf"(?={_COMM_LENGTH} invoked)(?P<comm>{_COMM}) invoked oom-killer: gfp_mask=",
        "Out of memory: {comm} invoked oom-killer",
        stop=Stop.KILLED,
        word=" invoked oom-killer",
    ),
    _line(
        "oom",
        r"Out of memory[\w ()]*: Killed process "
        r"(?P<pid>\d+) \((?P<comm>.+?)\)",
        "Out of memory: Killed process ({comm})",
    ),
    headline(
        "kmemleak",
        r"(?:kmemleak: )?unreferenced object (?:\(\w+\) )?0x[0-9a-f]+ \(size \d+\):",
        "memory leak in {f}",
    ),
    _line("kmemleak", r"kmemleak: \d+ new suspected memory leaks", "memory leak"),
    headline("bug", r"BUG: (?P<what>memory leak)$", "memory leak in {f}", sure=False),
    headline(
        "bug",
        r"BUG: (?P<what>[A-Za-z][\w ,'()-]{3,60}?)(?:[:!.]|$| at | 0x)",
        "BUG: {what} in {f}",
        sure=False,
    ),
)

#: Panics before the kernel or below it, which no series can be blamed for: they name who panicked.
FIRMWARE_HEADLINES = (
    _line("firmware panic", r"PANIC (?:in EL3|at PC : 0x)", "firmware panic: TF-A"),
    _line("firmware panic", r"Unhandled Exception in EL3\.", "firmware panic: TF-A"),
    _line(
        "firmware panic",
        r"E/TC:[?\d. ]+ Panic (?:'(?P<what>[^']*)' )?at \S+:\d+ <",
        "firmware panic: OP-TEE: {what}",
    ),
    _line(
        "firmware panic",
        r"\"(?P<what>[A-Z][\w ]+)\" handler, esr 0x[0-9a-f]+",
        "firmware panic: U-Boot: {what}",
        word='" handler, esr 0x',
    ),
    _line("firmware panic", r"### ERROR ### Please RESET the board ###", "firmware panic: U-Boot"),
    _line(
        "firmware panic",
        r"!!!! \w+ Exception Type - \w+\((?P<what>[^)]*)\)",
        "firmware panic: UEFI: {what}",
        word=" Exception Type - ",
    ),
    _line("firmware panic", r"sbi_trap_error: hart\d+: ", "firmware panic: OpenSBI"),
    _line(
        "firmware panic",
        r"\(XEN\) Panic on CPU \d+:",
        "hypervisor panic: Xen",
        word=") Panic on CPU ",
    ),
)
