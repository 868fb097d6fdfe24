# SPDX-License-Identifier: GPL-2.0-only
"""What the sanitizers, lockdep and the watchdogs say."""

from __future__ import annotations

from harness.splat.kind import AT, SYM, TASK, WHERE, Role, Stop, kind

SANITIZERS = (
    kind(
        "kasan",
        rf"BUG: KASAN: (?P<what>[a-z][\w -]*?) in {AT}",
        "KASAN: {what} {rw} in {f}",
        Stop.RULE,
    ),
    kind("kasan", r"BUG: KASAN: (?P<what>invalid-access)$", "KASAN: {what}", Stop.RULE, sure=False),
    kind(
        "kasan",
        rf"BUG: KASAN: (?P<what>[a-z][\w -]*?)(?: in {SYM}?| i?n?$)",
        "KASAN: {what} {rw} in {f}",
        Stop.RULE,
        sure=False,
    ),
    kind(
        "kfence",
        rf"BUG: KFENCE: (?P<what>[a-z][\w -]*?) in {AT}",
        "KFENCE: {what} in {f}",
        Stop.RULE,
    ),
    kind(
        "kcsan",
        r"BUG: KCSAN: (?P<what>[a-z][\w: -]*?) in (?P<pair>[\w.$]+ / [\w.$]+)$",
        "KCSAN: {what} in {pair}",
        Stop.RULE,
    ),
    kind(
        "kcsan", rf"BUG: KCSAN: (?P<what>[a-z][\w: -]*?) in {AT}", "KCSAN: {what} in {f}", Stop.RULE
    ),
    kind(
        "kmsan", rf"BUG: KMSAN: (?P<what>[a-z][\w -]*?) in {AT}", "KMSAN: {what} in {f}", Stop.RULE
    ),
    kind(
        "kmsan",
        rf"BUG: KMSAN: (?P<what>[a-z][\w -]*?) in {SYM}",
        "KMSAN: {what} in {f}",
        Stop.RULE,
        sure=False,
    ),
    kind(
        "kfence",
        rf"BUG: KFENCE: (?P<what>[a-z][\w -]*?) in {SYM}",
        "KFENCE: {what} in {f}",
        Stop.RULE,
        sure=False,
    ),
    kind(
        "ubsan",
        rf"UBSAN: (?P<what>[\w -]+?) in {WHERE}(?::\d+)?",
        "UBSAN: {what} in {f}",
        Stop.CUT,
    ),
    kind(
        "ubsan", rf"UBSAN: (?P<what>[\w -]+?) in {AT}", "UBSAN: {what} in {f}", Stop.CUT, Role.WORDS
    ),
    kind(
        "ubsan",
        r"Internal error: UBSAN: (?P<what>[\w -]+): [0-9a-f]+ \[#\d+\]",
        "UBSAN: {what} in {f}",
        Stop.CUT,
        Role.TRAP,
    ),
)

_DEADLOCK = (
    r"possible circular locking dependency detected|possible recursive locking detected"
    r"|possible irq lock inversion dependency detected"
    r"|\w+-(?:READ-)?safe -> \w+-(?:READ-)?unsafe lock order detected"
)
_SAYS = r"(?:\[ )?(?P<word>WARNING|BUG): "
LOCKDEP = (
    kind(
        "lockdep",
        rf"(?:WARNING|INFO): (?:{_DEADLOCK})|\[ INFO: (?:{_DEADLOCK}) \]",
        "possible deadlock in {f}",
    ),
    kind(
        "lockdep",
        r"(?:WARNING: |\[ INFO: )inconsistent lock state(?: \])?$",
        "inconsistent lock state in {f}",
    ),
    kind(
        "lockdep",
        rf"{_SAYS}(?P<what>bad unlock balance|bad contention) detected!(?: \])?$",
        "{word}: {what} in {f}",
    ),
    kind(
        "lockdep",
        r"(?:WARNING: |\[ INFO: |INFO: )(?P<what>suspicious RCU usage)\.?(?: \])?$",
        "WARNING: {what} in {f}",
    ),
    kind(
        "lockdep",
        rf"{_SAYS}(?P<what>held lock freed|lock held when returning to user space)!(?: \])?$",
        "{word}: {what} in {f}",
    ),
    kind(
        "lockdep",
        rf"{_SAYS}{TASK} still has locks held!(?: \])?$",
        "{word}: still has locks held in {f}",
    ),
    kind(
        "lockdep",
        r"WARNING: (?P<what>Nested lock was not taken|chain_key collision)$",
        "WARNING: {what} in {f}",
    ),
    kind("lockdep", r"\[ BUG: (?P<what>Invalid wait context) \]$", "BUG: {what} in {f}"),
    kind("lockdep", r"INFO: (?P<what>trying to register non-static key)\.$", "INFO: {what} in {f}"),
    kind("lockdep", r"BUG: (?P<what>MAX_\w+ too low!)$", "BUG: {what}"),
)

LOCKUPS = (
    kind(
        "soft lockup",
        r"(?:(?:NMI )?watchdog: )?BUG: soft lockup - CPU#(?P<cpu>\d+) stuck for \d+s!"
        r"(?: \[(?P<comm>.+?):(?P<pid>\d+)\])?",
        "BUG: soft lockup in {f}",
    ),
    kind(
        "hard lockup",
        r"(?:(?:NMI )?watchdog: )?(?:CPU\d+: |BUG: )?(?:Watchdog detected )?"
        r"hard LOCKUP on cpu (?P<cpu>\d+)",
        "BUG: hard lockup in {f}",
    ),
    kind(
        "hard lockup",
        r"(?:watchdog: )?CPU (?P<cpu>\d+) (?:(?:self-)?detected hard|Hard) LOCKUP",
        "BUG: hard lockup in {f}",
    ),
    kind(
        "rcu stall",
        r"(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stall",
        "INFO: rcu detected stall in {f}",
    ),
    kind(
        "hung task",
        r"INFO: task (?P<comm>.+):(?P<pid>\d+) blocked(?: in I/O wait)? for more "
        r"than \d+ seconds",
        "INFO: task hung in {f}",
    ),
    kind(
        "hung task",
        r"INFO: task (?P<comm>.+):(?P<pid>\d+) can't die for more than \d+ seconds",
        "INFO: task can't die in {f}",
    ),
    kind("workqueue lockup", r"BUG: workqueue lockup - pool", "BUG: workqueue lockup"),
    kind(
        "csd lock",
        r"smp: csd: Detected non-responsive CSD lock",
        "BUG: non-responsive CSD lock in {f}",
    ),
)
