# SPDX-License-Identifier: GPL-2.0-only
"""Headlines of faults, warnings and panics on all architectures; see also checker_headlines."""

from __future__ import annotations

import functools

from harness.splat.kinds import AT, SYM, WHERE, Role, Stop, headline

_REASON = r"Kernel panic - not syncing: "

# The task that dies, on some architectures, as in "cat(77): "; the code of an exception.
_BY_TASK = r"(?P<comm>[^\s(\[].{0,14}?)\((?P<pid>\d+)\)"
_CODE = r"(?:,? ?sig: \d+|: sig: \d+|:? ?(?:0x)?[0-9a-f]{4,16})?"

_preface = functools.partial(headline, stop=Stop.CUT, role=Role.PREFACE)
_trap = functools.partial(headline, stop=Stop.CUT, role=Role.TRAP)
_line = functools.partial(headline, stop=Stop.LINE)
_panic = functools.partial(headline, stop=Stop.PANIC, role=Role.PANIC)

FAULT_HEADLINES = (
    # Messages that precede a WARNING, BUG or Oops and are more specific.
    _preface(
        "refcount", r"refcount_t: (?:[\w ]+; |unknown saturation)", "WARNING: refcount bug in {f}"
    ),
    _preface(
        "list corruption",
        r"(?:list_add|list_del) (?:corruption|double add)[.:,]",
        "BUG: corrupted list in {f}",
    ),
    _preface(
        "debugobjects",
        r"ODEBUG: \w+ [\w ]+\((?:active|not) ?\w* ?\w*\) object",
        "WARNING: ODEBUG bug in {f}",
    ),
    _preface("debugobjects", r"ODEBUG: \w+ .* object type: ", "WARNING: ODEBUG bug in {f}"),
    _preface(
        "debugobjects", r"ODEBUG: object \S+ is (?:NOT )?on stack", "WARNING: ODEBUG bug in {f}"
    ),
    _preface(
        "busy inodes",
        r"VFS: Busy inodes after unmount of ",
        "VFS: Busy inodes after unmount (use-after-free)",
    ),
    _preface(
        "busy inodes",
        r"BUG: Dentry \S.*? +still in use \(-?\d+\)(?: \[(?P<what>unmount of .*)\])?",
        "BUG: Dentry still in use [{what}]",
    ),
    _line(
        "busy inodes",
        r"VFS: Close: file count is (?:0|zero)",
        "VFS: Close: file count is zero (use-after-free)",
    ),
    _preface(
        "netdev watchdog",
        r"(?:\S+ ){0,3}?(?:\S+: )?NETDEV WATCHDOG: (?:CPU: \d+: |\S+ \(.*\): )"
        r"transmit queue \d+",
        "NETDEV WATCHDOG: transmit queue timed out",
        word="NETDEV WATCHDOG",
    ),
    _preface(
        "stack overflow",
        r"BUG: (?:\S+ )?stack guard page was hit at",
        "BUG: stack guard page was hit in {f}",
    ),
    headline(
        "stack overflow",
        r"Insufficient stack space to handle exception!|Kernel stack overflow\.$",
        "kernel stack overflow in {f}",
        stop=Stop.PANIC,
        role=Role.PREFACE,
    ),
    _preface(
        "rust panic",
        r"rust_kernel: panicked at (?:'(?P<what>.*)', )?\S+\.rs:\d+:\d+:?$",
        "{what} in {f}",
    ),
    _preface("cfi", rf"CFI failure at {AT}", "CFI failure in {f}"),
    _preface("double fault", r"(?:traps: )?PANIC: double fault", "PANIC: double fault in {f}"),
    _preface(
        "oops",
        r"(?P<what>(?:PANIC|BUG): invalid or fatal FRED event|PANIC: early exception) ?[;0]",
        "{what} in {f}",
    ),
    _preface(
        "kernel bug",
        r"BUG at [\w./]+:\d+ (?:assert\(|\(\d+\)$)",
        "kernel BUG in {f}",
        sure=False,
    ),
    _preface(
        "null dereference",
        r"BUG: (?:kernel|Kernel|unable to handle kernel) NULL pointer "
        r"dereference(?:,| at| on)",
        "BUG: unable to handle kernel NULL pointer dereference in {f}",
    ),
    _preface(
        "null dereference",
        r"(?:BUG: )?Unable to handle kernel (?:NULL pointer dereference(?: at | in mna |$)|"
        r"instruction fetch \(NULL pointer\?\))",
        "BUG: unable to handle kernel NULL pointer dereference in {f}",
    ),
    _preface(
        "page fault",
        r"BUG: unable to handle (?:page fault for address|kernel paging request)",
        "BUG: unable to handle kernel paging request in {f}",
    ),
    _preface(
        "page fault",
        r"(?:BUG: |CPU \d+ )?[Uu]nable to handle (?:kernel (?:paging request|pointer "
        r"dereference|data access|instruction fetch|unaligned access|unknown paging fault)"
        r"|unknown paging fault)",
        "BUG: unable to handle kernel paging request in {f}",
    ),
    _preface(
        "page fault",
        r"Unable to handle kernel access to user memory",
        "BUG: unable to handle kernel access to user memory in {f}",
    ),
    _preface(
        "page fault",
        r"Unable to handle kernel (?P<what>[a-z][\w -]+?) at virtual address",
        "BUG: unable to handle kernel {what} in {f}",
    ),
    # WARNING, BUG, Oops and exceptions.
    _trap("kernel bug", rf"kernel BUG at {WHERE}!", "kernel BUG in {f}"),
    _trap("kernel bug", rf"kernel BUG at {AT}", "kernel BUG in {f}"),
    headline(
        "kernel bug",
        r"Kernel (?:BUG |bug detected)\[#\d+\]",
        "kernel BUG in {f}",
        stop=Stop.CUT,
        role=Role.DIE,
    ),
    _trap(
        "general protection fault",
        r"(?:Oops: )?general protection fault(?:,.*| for .*)?: [0-9a-f]{4} \[#\d+\]",
        "general protection fault in {f}",
    ),
    _trap(
        "general protection fault",
        r"(?:Oops: )?general protection fault, (?:probably|maybe) ",
        "general protection fault in {f}",
    ),
    _trap(
        "double fault",
        r"(?:Oops: )?double fault: [0-9a-f]{4} \[#\d+\]",
        "PANIC: double fault in {f}",
    ),
    _trap(
        "oops",
        r"Oops: Oops: [0-9a-f]{4} |Oops: [0-9a-f]{4} (?:ilc:\d )?\[#\d+\]|Oops \[#\d+\]|"
        r"Oops\[#\d+\]:",
        "Oops in {f}",
    ),
    _trap("oops", r"Oops - (?P<what>[\w ()-]+) \[#\d+\]", "{what} in {f}"),
    _trap(
        "oops",
        r"Oops: Kernel access of bad area, sig: \d+ \[#",
        "BUG: unable to handle kernel paging request in {f}",
    ),
    _trap("oops", r"Oops: (?P<what>[A-Za-z][\w #-]*?), sig: \d+ \[#\d+\]", "Oops: {what} in {f}"),
    _trap("oops", r"(?:Oops: )?stack segment: [0-9a-f]{4} \[#\d+\]", "stack segment fault in {f}"),
    _trap(
        "oops",
        r"(?:Oops: )?(?P<what>(?:divide[ _]error|invalid opcode|int3|bounds"
        r"|invalid TSS|segment not present|control protection(?: fault)?|alignment check"
        r"|coprocessor segment overrun|trap|machine check|stack guard page)): "
        r"[0-9a-f]{4} \[#\d+\]",
        "{what} in {f}",
    ),
    _trap("oops", r"Oops: (?P<what>[A-Za-z][\w #-]*?): [0-9a-f]{4} \[#\d+\]", "{what} in {f}"),
    _trap(
        "oops",
        r"Internal error: .*?: (?:[0-9a-f]{1,16} \[#\d+\]|[0-9a-f]{8,16}$)",
        "Internal error in {f}",
    ),
    _preface(
        "oops",
        r"(?P<what>Unhandled (?:fault|prefetch abort)): .* \((?:0x)?[0-9a-f]+\) at 0x|"
        r"(?P<mode>Bad mode) in .* handler detected|"
        r"(?P<sync>Unhandled 64-bit el1h) ",
        "{what}{mode}{sync} in {f}",
    ),
    _trap(
        "oops",
        r"(?P<what>[a-z][\w -]+ exception|illegal operation|monitor event|specification "
        r"exception): [0-9a-f]{4} ilc:\d \[#\d+\]",
        "{what} in {f}",
        word=" ilc:",
    ),
    _trap(
        "warning",
        rf"WARNING: (?:CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) )?at {WHERE} {SYM}(?:\+0x| \()",
        "WARNING in {f}",
    ),
    _trap("warning", rf"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at {WHERE}", "WARNING in {f}"),
    _trap("warning", rf"WARNING: {WHERE} at {SYM}$", "WARNING in {f}", sure=False),
    _trap(
        "warning",
        rf"WARNING: (?:\[.*?\] )?(?:{WHERE} )?at {AT}(?:/0x[0-9a-f]+)?(?: \[[\w. -]+\])?"
        r"(?:, CPU#(?P<cpu>\d+): (?P<task>.+/\d+))?",
        "WARNING in {f}",
    ),
    # Other architectures: what die() says, and what may stand before it.
    _preface(
        "oops",
        r"Kernel Fault: Code=\d+ \((?P<what>[\w ()/-]+?)\) (?:at addr|\(Addr=|regs=)",
        "{what} in {f}",
    ),
    _preface(
        "oops",
        r"\*\*\* (?P<what>[A-Z][A-Z ]+?) \*\*\* {1,3}FORMAT=",
        "{what} in {f}",
        word="FORMAT=",
    ),
    _trap("oops", r"Oops#: [0-9a-f]{4}|Oops: [0-9a-f]{8}$", "Oops in {f}"),
    _trap("oops", r"Oops: (?P<what>[A-Za-z][\w -]*?)\[#\d+\]:", "Oops: {what} in {f}"),
    headline("oops", r"Division by zero in kernel\.$", "divide error in {f}"),
    _trap(
        "oops", r"Oops: (?P<what>[A-Za-z][\w -]*?), sig: \d+$", "Oops: {what} in {f}", sure=False
    ),
    # Panics.
    _panic(
        "stack protector",
        rf"{_REASON}stack-protector: Kernel stack is corrupted in: (?:[0-9a-f]{{8,16}}\b|{SYM})",
        "kernel panic: stack is corrupted in {f}",
    ),
    _panic(
        "corrupted stack end",
        rf"{_REASON}corrupted stack end",
        "kernel panic: corrupted stack end in {f}",
    ),
    _panic("stack overflow", rf"{_REASON}kernel stack overflow", "kernel stack overflow in {f}"),
    _panic("panic", rf"{_REASON}(?P<what>Attempted to kill init!)", "kernel panic: {what}"),
    _panic("panic", rf"{_REASON}(?P<what>Couldn't open N_TTY ldisc) for ", "kernel panic: {what}"),
    _panic("panic", rf"{_REASON}(?P<what>.*)", "kernel panic: {what}"),
    _panic("panic", r"Kernel panic - not syncing", "kernel panic"),
)

#: Tried if no other headline matches: what any die() says, "words [#n]", known or not.
DIE_HEADLINES = (
    _trap(
        "oops",
        rf"(?:{_BY_TASK}: )?(?P<what>[A-Za-z][\w ,'/.()-]{{2,60}}?){_CODE}(?: ilc:\d)? ?\[#\d+\]",
        "{what} in {f}",
        sure=False,
        word="[#",
    ),
    _trap(
        "oops",
        rf"(?:CPU \d+ )?{_BY_TASK}: Oops -?\d+$",
        "Oops in {f}",
        sure=False,
        word=": Oops ",
    ),
    _trap(
        "oops",
        r"(?P<comm>\S.{0,14}) \(pid (?P<pid>\d+)\): (?P<what>[A-Za-z][\w -]+?) \(code -?\d+\)",
        "{what} in {f}",
        sure=False,
        word=" (pid ",
    ),
)
