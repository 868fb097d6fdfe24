# SPDX-License-Identifier: GPL-2.0-only
"""What memory management, the scheduler and the network complain of."""

from __future__ import annotations

from harness.splat.kind import TASK, WHERE, Stop, kind

OTHERS = (
    kind(
        "atomic",
        rf"BUG: (?P<what>sleeping function called from invalid context) at {WHERE}",
        "BUG: {what} in {f}",
    ),
    kind(
        "atomic",
        rf"BUG: (?P<what>scheduling while atomic|scheduling in a non-blocking section):"
        rf" {TASK}/",
        "BUG: {what} in {f}",
    ),
    kind(
        "atomic",
        rf"BUG: (?P<what>assuming (?:atomic|non migratable) context) at {WHERE}",
        "BUG: {what} in {f}",
    ),
    kind(
        "preemptible",
        rf"BUG: (?P<what>using \w+\(\) in preemptible) \[[0-9a-f]+\](?: code: {TASK})?",
        "BUG: {what} code in {f}",
    ),
    kind(
        "bad page",
        r"BUG: (?P<what>Bad page (?:state|cache)) in process (?P<comm>.+?)  ",
        "BUG: {what} in {f}",
    ),
    kind("bad page", r"BUG: (?P<what>Bad page map) in process (?P<comm>.+?)  ", "BUG: {what}"),
    kind("bad page", r"BUG: (?P<what>Bad rss-counter state) mm:", "BUG: {what}", Stop.LINE),
    kind(
        "bad page",
        r"BUG: (?P<what>non-zero pgtables_bytes on freeing mm): ",
        "BUG: {what}",
        Stop.LINE,
    ),
    kind(
        "spinlock",
        rf"BUG: (?P<what>(?:spinlock|rwlock) [\w ,-]+?) on CPU#(?P<cpu>\d+), {TASK}",
        "BUG: {what} in {f}",
    ),
    kind(
        "workqueue leak",
        r"BUG: (?P<what>workqueue leaked (?:atomic, lock or RCU|lock or "
        r"atomic)): ",
        "BUG: {what} in {f}",
    ),
    kind(
        "slab",
        r"(?:BUG: |BUG )(?P<cache>[\w.<>:-]+)(?: \(.*\))?: (?P<what>(?:Poison|Redzone|Left Redzone"
        r"|Right Redzone|Object|Padding|Slab|Freepointer|Freelist|Object padding|kmalloc Redzone"
        r"|Kmalloc Redzone)\b[\w ]*?(?:overwritten|corrupt|detected|already free|disabled|fails)"
        r"|Objects remaining[\w ]*|Invalid object pointer|No slab cache for object"
        r"|Wrong (?:number of objects|object count)|Not a valid slab page|Attempt to free)",
        "BUG: {cache}: {what}",
    ),
    kind(
        "slab",
        r"BUG [\w.<>:-]+ \((?:Not tainted|Tainted: .*)\): (?P<what>[A-Za-z ]+)",
        "BUG: slab: {what}",
    ),
    kind(
        "unregister netdevice",
        r"unregister_netdevice: waiting for (?P<what>\S+) to become free",
        "unregister_netdevice: waiting for DEV to become free",
        Stop.LINE,
    ),
    kind(
        "oom",
        r"(?P<comm>[^\"]{1,32}) invoked oom-killer: gfp_mask=",
        "Out of memory: {comm} invoked oom-killer",
        Stop.KILLED,
        word=" invoked oom-killer",
    ),
    kind(
        "oom",
        r"Out of memory[\w ()]*: Killed process "
        r"(?P<pid>\d+) \((?P<comm>.+?)\)",
        "Out of memory: Killed process ({comm})",
        Stop.LINE,
    ),
    kind(
        "kmemleak",
        r"(?:kmemleak: )?unreferenced object (?:\(\w+\) )?0x[0-9a-f]+ \(size \d+\):",
        "memory leak in {f}",
    ),
    kind("kmemleak", r"kmemleak: \d+ new suspected memory leaks", "memory leak", Stop.LINE),
    kind("bug", r"BUG: (?P<what>memory leak)$", "memory leak in {f}", sure=False),
    kind(
        "bug",
        r"BUG: (?P<what>[A-Za-z][\w ,'()-]{3,60}?)(?:[:!.]|$| at | 0x)",
        "BUG: {what} in {f}",
        sure=False,
    ),
)
