# SPDX-License-Identifier: GPL-2.0-only
"""A splat while it is being read: which lines belong to it, and where it ends."""

from __future__ import annotations

import re

from harness.splat.kinds import HEADER, LOST, SOURCE, UNNAMED, Headline, Role, SplatKind, Stop
from harness.splat.prefix import Message

LINES = 1000  # lines to keep per splat
FOREIGN = 3  # consecutive lines that do not belong to a trace end the splat
SILENCE = 10.0  # seconds of kernel time after which the next line does not belong to the splat
PENDING = 12  # lines after "cut here" within which a headline must follow

_TRACE = re.compile(r"\s*(?:(?:Call |Stack )?[Tt]race:|Backtrace:|backtrace(?: \(crc \w+\))?:)")
_CPU = re.compile(r"(?:CPU: ?\d+ |Call [Tt]race:|RIP: )")
_REGISTERS = re.compile(r"R?E?IP: |(?:pc|PC|epc|era|ip) *: |NIP |PC is at |TPC: |Krnl PSW |\[ERET")
# Lines without their ends: the processor's without a version, an access without its task.
_HALF = re.compile(
    r"CPU: ?\d+ (?:UID: \d+ )?PID: \d+ Comm: (?!.*ainted.* \d)|"
    r"(?:Read|Write) of size \d+ at addr [0-9a-f]+$"
)
# Lines that prove that a headline is from the kernel, if it could have been written by a person.
_EVIDENCE = re.compile(
    r"CPU: ?\d+ .*PID: \d+|Call [Tt]race:|(?:Read|Write)(?: of size \d+)? at addr|"
    r"Modules linked in:|in_atomic\(\): \d|RIP: |Hardware name: |unreferenced object 0x|"
    r"(?:Use-after-free|Out-of-bounds|Invalid) \w+ (?:at|of) 0x|Corrupted memory at 0x|"
    r"unreferenced object$| lock: .*\.magic: |pc : |Asynchronous fault: no details|-{70,}"
)
#: Each such line contains one of these strings.
PROOFS = (
    *("PID: ", "Call Trace:", "Call trace:", " at addr ", "Modules linked in:", "in_atomic(): "),
    *("RIP: ", "Hardware name: ", "unreferenced object", " at 0x", " of 0x"),
    *("Corrupted memory at 0x", " lock: ", "pc : ", "Asynchronous fault: no details", "-" * 70),
)
_BELONGS = re.compile(
    r"\s*(?:\? |\([A-Z]\) )?(?:\(?\[<?[0-9a-f]+>?\]\)? ?)*(?:\? )?[\w.$]+"
    rf"(?:\+0x[0-9a-f]+| \({SOURCE}| {SOURCE} \[inline\])|"
    r"\s*(?:\[<[0-9a-f]+>\] )?\(?[\w.$]+\)? from (?:\[<[0-9a-f]+>\] )?\(?[\w.$]+"
    rf"(?:\+0x| \(?{SOURCE})|"
    r"\s*r\d+:[0-9a-f]{8}\b|"
    r"\s*</?[A-Z_#0-9]+>|[\t ]{2,}\S|\t| #\d+: |"
    r"CPU: ?\d|Hardware name|Call [Tt]race|Stack|Code: |[RE](?:IP|SP|[A-D]X|BP|SI|DI): |R\d\d: |"
    r"[CDEFG][RS]\w?: ?[0-9a-f]|FS: |PKRU|Modules linked in|Tainted:|Workqueue: |Sched_ext|"
    r"(?:pc|lr|sp|pstate|epc|ra|gp|tp|status|x\d+|[ast]\d+) ?: |NIP|LR |MSR|GPR|CFAR|IRQMASK|Krnl|"
    r"Last Breaking|irq event stamp|(?:hard|soft)irqs last|Preemption disabled|\d+ locks? held|"
    r"no locks held|(?:Read|Write) (?:of size|at addr) |INFO: lockdep is turned|Sending NMI|"
    r"[0-9a-f]* ?\(\S.*\)\{[.+?-]|"
    r"NMI backtrace|rcu: |task:|task PC|"
    r"in_atomic|preempt_count|RCU nest|page:|flags:|raw:|page dumped|head:|\"echo 0 > |"
    r"INFO: task .* (?:is )?blocked on|INFO: Blocked by|stack backtrace:|other info that|"
    r"Showing (?:all|busy)|pool \d|workqueue |(?:Object|Redzone|Padding) +0?x?\w+:|FIX |Slab 0x|"
    r"TSTATE|[TR]PC: |[goil]\d: |I7: |\$ ?\d+ +: |(?:Hi|Lo|Status|Cause|BadVA|PrId) +: |Process |"
    r"\[(?:ECR|EFA|BLINK|ERET|STAT32) *\]: |(?:era|ra|ERA|CRMD|PRMD|EUEN|ECFG|ESTAT|BADV|PRID): |"
    r"Object 0x|Disabling lock|Allocated |Freed |[=-]{20,}|\s*$|---\[|Kernel Offset|CR2|addr:|file:"
)
_EMPTY = re.compile(r"[\s=-]*$")


class OpenSplat:
    """Lines of a splat or a possible splat.  ``head`` is the index of the headline."""

    def __init__(self, number: int, message: Message, raw: str, where: tuple[str, str]) -> None:
        self.headline: Headline | None = None
        self.match: re.Match[str] | None = None
        self.number, (self.test, self.phase) = number, where
        self.caller, self.clock, self.stamped = message.caller, message.clock, message.kernel
        self.prefix = message.prefix
        self.lines, self.raw = [message.text], [raw]
        self.head = 0
        self.answered = False  # whether a trace, or the line that names the CPU, was seen
        self.traced = False  # whether a stack trace has begun
        self.ended = False
        self.finished = False  # whether its own last line was seen
        self.sure = True
        self.lost = False  # whether its headline is lost
        self.panic = ""
        self.last = number
        self._own = 1  # lines up to the last that definitely belongs to the splat
        self._seen = 1
        self._foreign = 0
        self._ends: list[re.Pattern[str]] = []
        self._waiting: list[tuple[int, Message, str]] = []

    @property
    def kind(self) -> SplatKind | None:
        """The kind of the headline; None while there is no headline."""
        return self.headline.kind if self.headline else None

    def take(self, headline: Headline, match: re.Match[str], sure: bool) -> None:
        """Set the headline, which is the last line so far."""
        if sure and self._waiting:
            self._accept_waiting()
        self.headline, self.match, self.sure = headline, match, sure
        self.head = max(len(self.lines) - 1, 0)
        end = headline.stop.value
        self.ended = headline.stop is Stop.LINE
        self._ends = [end] if isinstance(end, re.Pattern) else []

    @property
    def proven(self) -> bool:
        """Whether it is a report even if its headline is lost, or one that a person may quote."""
        if self.headline is LOST:
            return self.traced and self.finished
        if self.kind is not None and self.kind.proof is not None and not self.stamped:
            return any(map(self.kind.proof.match, self.lines[self.head + 1 :]))
        return self.headline is not UNNAMED or self.traced

    @property
    def harmless(self) -> bool:
        """Whether it turned out not to be a kernel fault."""
        if self.kind is None or self.kind.harmless is None:
            return False
        return any(map(self.kind.harmless.match, self.lines))

    def denies(self, new: Headline, message: Message) -> bool:
        """Whether a new headline, which a person could write, is a line of this splat."""
        if self.headline is None or new.sure:
            return False
        return not (message.kernel and (self.traced or self.late(message)))

    def continued_by(self, new: Headline) -> bool:
        """Whether a new headline is a continuation of this splat."""
        if self.headline is None:
            return False
        if new.kind is self.headline.kind and new.kind.goes_on:
            return True
        name, new_name = self.headline.kind.name, new.kind.name
        if self.answered:
            return False
        if new.role is Role.DIE and name == "kernel bug":
            return True
        if new.role in (Role.TRAP, Role.DIE):
            if self.headline.role is Role.PREFACE:
                self._ends.append(Stop.CUT.value)
                return True
            dies = self.headline.role is Role.TRAP and new_name not in ("warning", "kernel bug")
            return dies and name == "kernel bug"
        return False

    def renamed_by(self, new: Headline, text: str) -> bool:
        """Whether a new headline, which ``text`` begins with, describes this splat better."""
        if self.headline is None:
            return True
        name, new_name = self.headline.kind.name, new.kind.name
        if self.headline.kind.panic is not None and self.headline.kind.panic.match(text):
            return True
        if name == "warning" and new.role is Role.PREFACE:
            return not self.answered and self._seen < 4
        if (
            name == new_name == "hard lockup"
        ):  # first the CPU that detected it, then the CPU that is stuck
            return not self.answered
        if name == new_name and "[inline]" in self.lines[self.head]:
            return not self.answered  # a decoded log: one line per inlined function
        return not self.sure and new.kind.by_program

    def hears(self, message: Message) -> bool:
        """Whether a line may belong to this splat, by its prefix and its caller."""
        if message.prefix != self.prefix:
            return False
        if message.caller == self.caller or not message.caller or not self.caller:
            return True
        kind = self.kind
        return kind is not None and kind.all_processors and (self.traced or not kind.itself_first)

    def continued(self, number: int, message: Message) -> bool:
        """Whether a line is the rest of the line before it, which a mailer broke in two."""
        if number != self.last + 1 or message.kernel or not _HALF.match(self.lines[-1]):
            return False
        return not _BELONGS.match(message.text)

    def add(self, number: int, message: Message, raw: str) -> None:
        """Add the next line; ``ended`` is then set if it was the last."""
        if not self.sure:
            self._wait(number, message, raw)
            return
        text = message.text
        if self.late(message):
            self.ended = True
            return
        self._seen += 1
        belongs = _BELONGS.match(text) is not None
        if len(self.lines) < LINES:
            self.lines.append(text)
            self.raw.append(raw)
            if belongs or not self.traced:
                self._own = len(self.lines)
        if belongs:
            self._foreign, self.last = 0, number
            self.clock = message.clock if message.clock is not None else self.clock
            self.answered = self.answered or _CPU.match(text) is not None
            self.traced = self.traced or _TRACE.match(text) is not None
            if self.headline is None:
                self._name(text)
        else:
            self._foreign += 1
        self.ended = self._over(text)

    def _name(self, text: str) -> None:
        """Give a report without a headline a name at the line that proves that it is one."""
        proof = _REGISTERS if self.lost else _CPU
        if proof.match(text):
            nameless = LOST if self.lost else UNNAMED
            if match := nameless.first.match(""):
                self.headline, self.match, self._ends = nameless, match, [Stop.CUT.value]

    def _wait(self, number: int, message: Message, raw: str) -> None:
        """Hold back lines after an unsure headline until one proves that the kernel printed it."""
        self._waiting.append((number, message, raw))
        if _EVIDENCE.match(message.text) and not self.late(message):
            # A report has all its lines from the kernel's stamped ones, or from the others.
            self.stamped = message.kernel
            self._waiting = [line for line in self._waiting if line[1].kernel == message.kernel]
            self._accept_waiting()
        else:
            self.ended = len(self._waiting) > PENDING

    def _accept_waiting(self) -> None:
        waiting, self._waiting, self.sure = self._waiting, [], True
        for line in waiting:
            if not self.ended:
                self.add(*line)

    def late(self, message: Message) -> bool:
        """Whether too much time has passed for a message to belong to this splat."""
        return (
            message.clock is not None
            and self.clock is not None
            and not -SILENCE < message.clock - self.clock < SILENCE
        )

    def _over(self, text: str) -> bool:
        if self.headline is None:
            return self._seen > PENDING
        for end in self._ends:
            if end.match(text):
                self.finished = True
                return True
        if not self.traced and not self.answered:
            return self._seen > self.headline.kind.header
        if self.headline.stop is Stop.TRACE:
            return self._foreign >= (FOREIGN if self.traced else HEADER)
        return self._foreign >= HEADER or self._seen > 2 * LINES

    def trim(self) -> None:
        """Drop the lines after the last line that looks like part of a report."""
        if any(end.match(self.lines[-1]) for end in self._ends[:1]):
            return
        end = self._own if self.traced else self._last_that_belongs()
        while end > self.head + 1 and _EMPTY.match(self.lines[end - 1]):
            end -= 1
        del self.lines[end:], self.raw[end:]

    def _last_that_belongs(self) -> int:
        for n in range(len(self.lines), self.head + 1, -1):
            text = self.lines[n - 1]
            if text.strip() and _BELONGS.match(text):
                return n
        return self.head + 1
