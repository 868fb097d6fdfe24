# SPDX-License-Identifier: GPL-2.0-only
"""Find the stacks in a splat, and the function to blame in them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from harness.splat.kinds import SOURCE

# Addresses before a function: "[<ffff>] ", ppc's "[c000] [c000] ", s390's "([<0000>] ".
_HEX = r"(?:\(?\[<?[0-9a-f]{8,16}>?\]\)? {0,2})*"
_NAME = r"(?P<name>[A-Za-z_.$][\w.$]*)"
# "function+offset/size [module]" or, in a decoded log, "function (file:line)", with more places if
# functions were inlined.
_BODY = (
    rf"{_NAME}(?:\+(?P<at>0x[0-9a-f]+(?:/0x[0-9a-f]+)?)(?P<module> \[[\w-]+(?: [0-9a-f]+)?\])?"
    rf"| \((?P<where>{SOURCE}(?:[^()]|\([^()]*\))*)\))"
)
# 32-bit arm names the caller: "[<80c1>] (schedule) from [<80c2>] (io_schedule+0x48/0x6c)".
_FROM = rf"(?:\(?[\w.$]+\)? from {_HEX}\(?)?"
_FRAME = re.compile(rf"[ \t]*(?P<unsure>\? )?{_HEX}(?P<unsure2>\? )?{_FROM}{_BODY}")
# A decoded stack lists inlined functions without an offset.
_INLINE = re.compile(rf"[ \t]*{_HEX}{_NAME} (?P<where>{SOURCE}) \[inline\]")
# An inlined function as a frame of a Splat.
_INLINED = re.compile(rf" {SOURCE}$")
_PLACE = re.compile(SOURCE)
_ENTRY = re.compile(
    rf"(?:R?E?IP: (?:[0-9a-f]{{4}}:)?|(?:pc|epc|era) *: |NIP {_HEX}|[Pp][Cc] is at |ip is at |PC: "
    rf"|TPC: <|IAOQ\[0\]: |\[ERET *\]: |.*PSW : [0-9a-f ]+\(){_HEX}(?:[0-9a-f]{{8,16}} )?{_BODY}"
)
_USER = re.compile(r"(?:RIP: 0033:|RIP: 0023:|--- (?:interrupt|Exception))")
_MAIN = r"[ \t]*(?:Call [Tt]race:|[Bb]acktrace(?: \(crc \w+\))?:|stack backtrace:)"
_ALLOC = (
    r"Allocated by task|allocated by task|Allocated in |Uninit was (?:created|stored) |"
    r"Local variable \w+ created at"
)
_FREE = r"Freed by task|freed by task|Freed in |.*rcu_free"
_AWAY = (
    r"(?:Last potentially related|Second to last|The buggy address|Memory state|other info that|"
    r"the existing dependency|-> #\d|.*(?:was registered at|which became|irq-unsafe at|"
    r"the (?:shortest )?dependenc|holding lock)|Showing all locks|kfence-#\d+:|Preemption disabled"
    r"|NMI backtrace|Sending NMI|Last Breaking|(?:hard|soft)irqs last|irq event|Reported by"
    r"|\d+ locks? held|value changed)"
)
# Lines of sanitizers that are followed by a stack without a title.
_BARE = (
    r"(?:(?:Use-after-free|Out-of-bounds|Invalid) \w+ (?:at|of) 0x|Corrupted memory at 0x|"
    r"BUG: KMSAN|"
    r"(?:race at unknown origin, with )?(?:assert no \w+ |read|write).* by (?:task|interrupt))"
)
_STACK_TITLE = re.compile(
    rf"(?P<main>{_MAIN})|(?P<alloc>{_ALLOC})|(?P<away>{_AWAY})|(?P<free>{_FREE})|(?P<bare>{_BARE})"
)
_LOCK = re.compile(rf"(?:.*\bat: )?{_HEX}{_BODY}")
_TRYING = re.compile(
    r".* (?:is trying to (?:acquire|lock|release|contend)|just changed the state|takes:|"
    r"is leaving the kernel with locks|still has locks held)"
)
_INTERRUPT = re.compile(r"\s*<(?P<end>/?)(?:IRQ|NMI|#DF|SOFTIRQ|EOE|EOI|ENTRY_TRAMPOLINE)>")

# Suffixes of functions cloned by the compiler.
_CLONE = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv)(?:\.\d+)*)+$")

# Functions that report a fault.
_REPORTERS = (
    r"_*dump_stack(?:_lvl)?|show_stack.*|show_regs.*|show_trace.*|print_\w+|_*warn(?:_\w+)?|"
    r"_*report_bug.*|handle_bug|fixup_bug.*|exc_\w+|asm_exc_\w+|do_error_trap|do_trap|"
    r"do_invalid_op|invalid_op|_*die\w*|oops_\w+|_*panic|vpanic|nmi_panic|error_(?:code|entry)|"
    r"page_fault\w*|bad_area\w*|no_context|do_(?:kern|user)_addr_fault|do_page_fault|"
    r"do_translation_fault|do_mem_abort|do_bad_area|el1h?_\w+|call_on_irq_stack|bug_handler|"
    r"brk_handler|do_el\w+|call_break_hook|do_debug_exception|early_brk64|"
    r"_*kasan_\w+|_*asan_\w+|check_memory_region.*|_*hwasan_\w+|end_report|print_report|kmsan_\w+|"
    r"_*msan_\w+|kcsan_\w+|_*tsan_\w+|_*ubsan_\w+|ubsan_epilogue|handle_overflow|kfence_\w+|"
    r"_*kfence\w+|check_canary\w*|object_err|slab_err|slab_bug|check_(?:object|bytes_and_report|"
    r"slab)|free_to_partial_list|alloc_debug_processing|free_debug_processing|slab_pad_check|"
    r"fail_dump|should_fail\w*|_*should_failslab|stack_trace_\w+|save_stack\w*|stack_depot\w*|"
    r"nmi_\w+|rcu_dump_cpu_stacks|rcu_check_gp_kthread\w*|rcu_sched_clock_irq|update_process_times|"
    r"tick_\w+|_*hrtimer_\w+|hrtimer_interrupt|_*sysvec_\w+|asm_sysvec_\w+|watchdog_\w+|"
    r"print_other_cpu_stall|print_cpu_stall|check_cpu_stall|default_send_IPI\w*|"
    r"arch_trigger_cpumask\w*|trigger_\w*backtrace|.*_trigger_cpumask_backtrace|check_hung_\w+|"
    r"stack_segv|secondary_startup\w*|ret_from_fork\w*|arch_stack_walk|csd_lock_wait\w*|"
    r"raw_irqentry_\w+|irqentry_\w+|_*stack_chk_fail|_*fortify_(?:report|panic)|handle_stack_overflow|_*handle_irq\w*"
)
# Functions that check, copy, count, allocate or wait on behalf of their callers.
_SHARED = (
    r"_*mem(?:cpy|set|move|cmp|chr|dup)\w*|_*str(?:n?len|n?cpy|l?cpy|n?cmp|n?cat|chr|s?cpy|dup|str)\w*|"
    r"_*copy_(?:to|from)_(?:user|iter)\w*|_copy_\w+|copy_user_\w+|rep_(?:movs|stos)\w*|"
    r"_*(?:get|put)_user\w*|instrument_\w+|_*check_object_size|_*check_heap_object|usercopy_\w+|_*check_usercopy\w*|"
    r"(?:arch_|raw_)?atomic(?:64|_long)?_(?:read|set|add|sub|inc|dec|fetch|x?chg|cmpxchg|try|and|or)\w*|_*refcount_\w+|kref_\w+|"
    r"_*list_(?:add|del|move|empty|splice|replace)\w*|_*hlist_\w+|_*READ_ONCE\w*|"
    r"(?:arch_|const_)?(?:test|set|clear|change)_bit\w*|_*debug_(?:object|check)\w*|"
    r"debug_print_object|debug_\w+_init|kobject_(?:put|get|add\w*|init\w*|set_name\w*)|proc_register|_*proc_(?:create|mkdir)\w*|"
    r"kmem_cache_\w+|_*k[mzvc]*alloc\w*|_*k[vz]?free(?!_skb)\w*|slab_\w+|_*slab_\w+|"
    r"_*krealloc\w*|_*vmalloc\w*|vfree|_*alloc_pages?\w*|get_free_pages\w*|_*get_free_page\w*|"
    r"alloc_pages\w*|poison_\w+|unpoison_\w+|set_track\w*|qlist_\w+|qlink_\w+|_*cache_free|"
    r"do_slab_free|bad_page\w*|free_(?:pages?|unref)_\w+|_*free_pages\w*|kmemleak_\w+|"
    r"_*lock_(?:acquire|release)\w*|_*lock_acquired|check_(?:deadlock|prev\w*|noncircular|irq_usage|"
    r"usage\w*|wait_context|bad_\w+)|validate_chain|mark_(?:lock|usage|held_locks)\w*|"
    r"valid_state|lockdep_\w+|debug_check_no_locks_\w+|(?:register|look_up)_lock_class|assign_lock_key|"
    r"_*rcu_read_\w+|rcu_\w*lockdep\w*|_*might_(?:sleep|resched|fault)\w*|_*cant_\w+|"
    r"(?:_*raw_)?_*(?:spin|read|write|rw|rt)_?(?:try)?(?:un)?lock\w*|_raw_\w+|do_raw_\w+|"
    r"queued_\w*lock\w*|spin_(?:bug|dump)|pv_\w+|native_\w*(?:halt|queued|irq)\w*|"
    r"_*mutex_\w*lock\w*|_*mutex_trylock\w*|_*ww_mutex\w*|_*rt_mutex_\w+|_*down(?:_\w+)?|"
    r"_*up(?:_(?:read|write))?|rwsem_\w+|_*percpu_(?:down|rwsem)\w*|_*percpu_\w*rwsem\w*|"
    r"_*schedule(?:_\w+)?|_*schedule|_*might_resched|preempt_schedule\w*|context_switch|__switch_to|"
    r"_*cond_resched\w*|io_schedule\w*|dump_page|check_preemption_disabled|"
    r"debug_smp_processor_id|_*this_cpu_preempt_check|dump_(?:header|tasks)|oom_kill_process|"
    r"out_of_memory|_*die_body|default_idle\w*|arch_cpu_idle|native_safe_halt|cpuidle_\w+|do_idle|"
    r"cpu_startup_entry|local_irq_\w+|trace_hardirqs_\w+|trace_\w+_irq\w*|_*delay\w*|_*[un]delay|"
    r"_*const_udelay|delay_\w+|[mu]sleep\w*|ssleep|usleep_\w+|kthread|kunit_(?:try|generic)_run_\w+"
)


@dataclasses.dataclass
class Stacks:
    """Frames as printed, without addresses; ``entry`` is where the processor was executing."""

    main: list[str] = dataclasses.field(default_factory=list)
    task: list[str] = dataclasses.field(default_factory=list)  # of the interrupted task
    alloc: list[str] = dataclasses.field(default_factory=list)
    free: list[str] = dataclasses.field(default_factory=list)
    entry: str = ""
    lock: str = ""  # the function that acquires the lock reported by lockdep


def read_stacks(lines: Sequence[str]) -> Stacks:
    """Sort the frames of a splat into its stacks; only the first stack of each kind counts."""
    sorter = _StackSorter()
    for line in lines:
        sorter.read(line)
    stacks = sorter.stacks
    stacks.main = (stacks.main or sorter.loose) + stacks.task or sorter.unsure
    return stacks


class _StackSorter:
    def __init__(self) -> None:
        self.stacks = Stacks()
        self.loose = self.into = list[str]()  # frames without a preceding title
        self.unsure = list[str]()  # unreliable frames, used only if there are no others
        self.trying = False

    def read(self, line: str) -> None:
        """Process a line: a frame, the processor's location, or the title of a stack."""
        if self.trying and (lock := _LOCK.match(line)):
            self.stacks.lock, self.trying = self.stacks.lock or lock["name"], False
        if "+0x" in line or _PLACE.search(line):
            frame = _frame(line)
            if frame is not None:
                sure = not frame.startswith("? ")
                if sure:
                    self.into.append(frame)
                elif self.into is self.stacks.main:
                    self.unsure.append(frame.removeprefix("? "))
                return
            entry = _ENTRY.match(line) if not self.stacks.entry else None
            if entry and not _USER.match(line):
                self.stacks.entry = _text(entry)
        self.announced(line)
        if not self.stacks.lock and "/" in line and _TRYING.match(line):
            self.trying = True

    def announced(self, line: str) -> None:
        """Switch to the stack that a line announces; a second stack of the same kind is dropped."""
        mark = _INTERRUPT.match(line) if "<" in line else None
        if mark:
            if self.into is self.stacks.main and mark["end"]:
                self.into = self.stacks.task
            return
        title = _STACK_TITLE.match(line)
        if title:
            stack = {
                "main": self.stacks.main,
                "bare": self.stacks.main,
                "alloc": self.stacks.alloc,
                "free": self.stacks.free,
            }.get(title.lastgroup or "", [])
            self.into = [] if stack else stack


def _frame(line: str) -> str | None:
    """Return a frame, prefixed with "? " if it is unreliable; None for any other line."""
    match = _FRAME.match(line)
    if match:
        return ("? " if match["unsure"] or match["unsure2"] else "") + _text(match)
    inline = _INLINE.match(line)
    return f"{inline['name']} {inline['where']}" if inline else None


def _text(frame: re.Match[str]) -> str:
    if frame["where"]:
        return f"{frame['name']} ({frame['where']})"
    module = (frame["module"] or "").split(" ")
    return f"{frame['name']}+{frame['at']}" + (f" {module[1].rstrip(']')}]" if module[1:] else "")


def _whole(*patterns: str) -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(filter(None, patterns))})$")


_REPORTER = _whole(_REPORTERS, r"_*schedule_bug")
_COMMON = _whole(_REPORTERS, _SHARED)
#: Functions that submit a USB request for the caller that is to blame.
URBS = r"usb_(?:submit_urb|start_wait_urb|bulk_msg|interrupt_msg|control_msg)"


@functools.lru_cache
def _common(pattern: str) -> re.Pattern[str]:
    """Return the pattern of functions common to all splats or to this kind of splat."""
    return _whole(_REPORTERS, _SHARED, pattern)


@functools.lru_cache(maxsize=8192)
def function(frame: str) -> str:
    """Return a frame's function, as named in the source."""
    name = frame.split("+0x", 1)[0].split(" ", 1)[0].strip().rstrip(".")
    return _CLONE.sub("", name)


def real_frames(frames: Iterable[str]) -> list[str]:
    """Return the frames without inlined functions, which only a decoded log shows.

    A splat has the same title and fingerprint whether it was decoded or not.
    """
    return [frame for frame in frames if "+0x" in frame or not _INLINED.search(frame)]


@functools.lru_cache(maxsize=8192)
def _matches(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.match(name) is not None


def blame(candidates: Iterable[str], common: str = "") -> str:
    """Return the first function that is not common; "" if there are no candidates.

    ``common`` is a pattern of functions that are common to splats of this kind.  If all functions
    are common, choose the first that is not common to all splats, or else the first that does more
    than report faults, or else the first.
    """
    frames = [frame for frame in real_frames(candidates) if frame and not frame.startswith("0x")]
    for pattern in (_common(common), _COMMON, _REPORTER):
        for name in map(function, frames):
            if not _matches(pattern, name):
                return name
    return function(frames[0]) if frames else ""


def telling(frames: Iterable[str]) -> Iterator[str]:
    """Return the functions that distinguish this fault from others; recursion counts once."""
    names = (name for name, _ in itertools.groupby(map(function, real_frames(frames))))
    return (name for name in names if not _matches(_COMMON, name))
