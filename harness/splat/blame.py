# SPDX-License-Identifier: GPL-2.0-only
"""Whom to blame: the first function of a stack that is not the messenger or a common helper."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

# Compilers clone functions under longer names.
_CLONE = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv)(?:\.\d+)*)+$")

# Who reports, checks, copies, counts, allocates or waits for everybody.
_MESSENGERS = (
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
_EVERYBODYS = (
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
# In a hung task also who waits; every task stands in one of them.
_WAITERS = (
    r"\w*(?:sched|_lock|_slowlock|rwsem|completion|kthread|wait|synchronize)\w*|"
    r"wait_for_\w+|_*wait_(?:on|for|event|rcu)\w*|do_wait\w*|_*wait_on_bit\w*|out_of_line_\w+|"
    r"(?:folio|page)_wait\w*|folio_lock\w*|_*folio_lock\w*|bit_wait\w*|completion\w*|"
    r"synchronize_\w+|_*synchronize_\w+|rcu_barrier\w*|_*flush_work\w*|_*flush_workqueue|"
    r"_*cancel_(?:delayed_)?work\w*|kthread\w*|_*rwsem\w*|_*sb_start_write\w*|prepare_to_\w+|"
    r"usleep_\w+|msleep\w*|_*lock_sock\w*|lock_sock_nested|drain_workqueue|inode_lock\w*"
)
# In a leak also who allocates for others; in an object's life who deals with such objects.
_ALLOCATORS = (
    r"\w*(?:alloc|kmem|slab|sock_|create_object|idr_get|list_lru_init|k\w*asprintf|pcpu_create|"
    r"strn?dup|memdup)\w*"
)
_OBJECTS = r"\w*(?:timer_|work_|rcu|percpu_)\w*|vunmap|vfree|__free_\w+|kobject_\w+"
_URBS = r"usb_(?:submit_urb|start_wait_urb|bulk_msg|interrupt_msg|control_msg)"


def _names(*patterns: str) -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(patterns)})$")


_MESSENGER = _names(_MESSENGERS, r"_*schedule_bug")
_COMMON = _names(_MESSENGERS, _EVERYBODYS)
_OF_KIND = {
    "hung task": _names(_MESSENGERS, _EVERYBODYS, _WAITERS),
    "workqueue leak": _names(_MESSENGERS, _EVERYBODYS, _WAITERS),
    "kmemleak": _names(_MESSENGERS, _EVERYBODYS, _ALLOCATORS),
    "debugobjects": _names(_MESSENGERS, _EVERYBODYS, _OBJECTS),
    "urb": _names(_MESSENGERS, _EVERYBODYS, _URBS),
}


@functools.lru_cache(maxsize=8192)
def function(frame: str) -> str:
    """Give the function of a frame, under the name it has in the source."""
    name = frame.split("+0x", 1)[0].split(" ", 1)[0].strip().rstrip(".")
    return _CLONE.sub("", name)


@functools.lru_cache(maxsize=8192)
def _matches(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.match(name) is not None


def blame(kind: str, candidates: Iterable[str]) -> str:
    """Give the first function that is not common to splats of this kind; empty if there is none.

    When all are common, the first that is not common to all splats is better than none, then the
    first that is no messenger, and so is the first.
    """
    frames = [one for one in candidates if one and not one.startswith("0x")]
    for pattern in (_OF_KIND.get(kind, _COMMON), _COMMON, _MESSENGER):
        for name in map(function, frames):
            if not _matches(pattern, name):
                return name
    return function(frames[0]) if frames else ""


def telling(frames: Iterable[str]) -> Iterator[str]:
    """Give the functions that tell one fault from another."""
    return (name for name in map(function, frames) if not _matches(_COMMON, name))
