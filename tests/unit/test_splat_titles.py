# SPDX-License-Identifier: GPL-2.0-only
"""Titles of reports with invented stacks: of each group of bystanders, and of neighbouring names.

The functions on top are the kernel's own (7.2, some older); those that are to blame are made up.
"""

from __future__ import annotations

import pytest

from harness.splat import find
from harness.splat.bystanders import COMMON
from harness.splat.function_groups import in_any

SYSCALL = ("x64_sys_call", "do_syscall_64", "entry_SYSCALL_64_after_hwframe")


def stack(*names: str) -> str:
    return "\n".join(f" {name}+0x1{n % 10}/0x200" for n, name in enumerate((*names, *SYSCALL)))


def report(head: str, *names: str) -> str:
    return (
        f"{head}\nCPU: 1 UID: 0 PID: 42 Comm: prober Not tainted 7.2.0 #1\nHardware name: QEMU\n"
        f"Call Trace:\n <TASK>\n{stack(*names)}\n </TASK>\n"
    )


def kasan(*names: str) -> str:
    head = (
        f"BUG: KASAN: slab-use-after-free in {names[0]}+0x10/0x200\n"
        f"Read of size 8 at addr ffff888012345678 by task prober/42\n"
    )
    own = ("dump_stack_lvl", "print_address_description", "print_report", "kasan_report")
    return report(head, *own, *names)


def warning(at: str, *names: str) -> str:
    return report(
        f"------------[ cut here ]------------\nWARNING: {at} at {names[0]}+0x10/0x200, "
        "CPU#1: prober/42",
        *names,
    )


def titles(text: str, stamped: bool) -> list[str]:
    stamp = "[  123.{:06d}] " if stamped else ""
    lines = (stamp.format(n) + line for n, line in enumerate(text.splitlines()))
    return [splat.title for splat in find(lines)]


UAF = "KASAN: slab-use-after-free Read in"
GROUPS = {
    "a red-black tree": (kasan("rb_next", "frob_walk"), f"{UAF} frob_walk"),
    "an xarray": (kasan("xas_load", "xa_load", "frob_find"), f"{UAF} frob_find"),
    "a maple tree": (kasan("mte_dead_node", "mas_walk", "frob_find"), f"{UAF} frob_find"),
    "a klist": (kasan("klist_iter_exit", "frob_each"), f"{UAF} frob_each"),
    "a sorted list": (kasan("list_sort", "frob_order"), f"{UAF} frob_order"),
    "a hash table": (kasan("rht_unlock", "rhashtable_remove_fast", "frob_del"), f"{UAF} frob_del"),
    "a string": (kasan("strnlen", "sized_strscpy", "frob_name"), f"{UAF} frob_name"),
    "a copy on arm": (kasan("mmiocpy", "frob_copy"), f"{UAF} frob_copy"),
    "a copy on arm64": (kasan("__pi_memcpy_generic", "frob_copy"), f"{UAF} frob_copy"),
    "a message": (
        kasan("string_nocheck", "string", "vsnprintf", "vscnprintf", "vprintk_store", "frob_say"),
        f"{UAF} frob_say",
    ),
    "a hex dump": (kasan("hex_dump_to_buffer", "print_hex_dump", "frob_dump"), f"{UAF} frob_dump"),
    "a bitmap": (kasan("_find_next_zero_bit", "frob_slot"), f"{UAF} frob_slot"),
    "a checksum": (kasan("crc_t10dif_update", "frob_sum"), f"{UAF} frob_sum"),
    "a digest": (
        kasan("sha256_blocks_generic", "sha256_update", "hmac_sha256_update", "frob_sign"),
        f"{UAF} frob_sign",
    ),
    "a copy to a user": (
        kasan("copy_to_user_iter", "_copy_to_iter", "frob_read_iter"),
        f"{UAF} frob_read_iter",
    ),
    "a vector from a user": (
        kasan("copy_iovec_from_user", "iovec_from_user", "__import_iovec", "frob_writev"),
        f"{UAF} frob_writev",
    ),
    "a folio's flags": (kasan("folio_test_dirty", "frob_writeback"), f"{UAF} frob_writeback"),
    "a reference": (
        kasan("refcount_dec_and_test", "kref_put", "kobject_put", "frob_put"),
        f"{UAF} frob_put",
    ),
    "a lock": (kasan("rwbase_write_lock", "down_write", "frob_lock"), f"{UAF} frob_lock"),
    "a device register": (kasan("io_serial_in", "frob_poll_uart"), f"{UAF} frob_poll_uart"),
    "a thunk": (kasan("__x86_indirect_thunk_r11", "frob_call"), f"{UAF} frob_call"),
    "a delay": (kasan("delay_tsc", "__const_udelay", "frob_reset"), f"{UAF} frob_reset"),
    "a mapping's lock": (kasan("owner_on_cpu", "mmap_read_lock", "frob_map"), f"{UAF} frob_map"),
    "a tasklet": (kasan("__tasklet_schedule", "frob_kick"), f"{UAF} frob_kick"),
    "a high-resolution timer": (
        kasan("hrtimer_try_to_cancel", "hrtimer_cancel", "frob_stop"),
        f"{UAF} frob_stop",
    ),
    "a free list": (kasan("get_freepointer", "___slab_alloc", "frob_new"), f"{UAF} frob_new"),
    "a stack to save": (
        kasan("filter_irq_stacks", "stack_depot_save_flags", "set_track", "frob_note"),
        f"{UAF} frob_note",
    ),
    "a trampoline": (kasan("memcmp", "bpf_trampoline_6442536467", "frob_hook"), f"{UAF} frob_hook"),
    "a DMA pool": (kasan("pool_check_block", "dma_pool_alloc", "frob_ring"), f"{UAF} frob_ring"),
    "too much memory": (
        warning("mm/page_alloc.c:5100", "__alloc_frozen_pages_noprof", "frob_alloc_ring"),
        "WARNING in frob_alloc_ring",
    ),
    "a table that is too large": (
        warning("mm/slub.c:5200", "__kvmalloc_node_noprof", "bucket_table_alloc", "frob_init"),
        "WARNING: kmalloc bug in frob_init",
    ),
}


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize(("text", "title"), GROUPS.values(), ids=GROUPS)
def test_a_report_is_named_after_who_uses_the_library(text: str, title: str, stamped: bool) -> None:
    assert titles(text, stamped) == [title]


# Functions of drivers, file systems and protocols whose names begin or end like a library's, and
# functions of the kernel's core under which faults are known.
NEIGHBOURS = """
    cfi_amdstd_erase_chip complete_change_console nh_create_ipv4 bitmap_daemon_work
    sysfs_display_ring delay_bio aes_a_op_trigger crc_pwm_apply preempt_fence_work_func
    writeback_inodes_sb_nr mcs_intr_handler_task wake_up_glock proc_net_d_revalidate
    find_inode_bit handle_irq_noise dma_free_rx_skbufs sun4v_rtc_probe readlink_copy readwords
    btrfs_run_delayed_refs ext4_delayed_insert alc269_fixup_hweq watchdog_ioctl
    usb_debug_device_init do_raw_setsockopt add_timer_randomness down_threshold_store up_rel_func
    poison_urbs klist_class_dev_put remove_wait_queue timerqueue_del clear_page_erms
    deactivate_slab netdev_register_kobject
    rht_deferred_worker console_callback __get_user_pages put_user_ns list_lru_add cdev_put
    percpu_ref_switch_to_atomic_rcu pcpu_freelist_push skb_release_data consume_skb aes_encrypt
    gf128mul_4k_lle crypto_aead_free_instance hrtimer_forward hrtimer_active task_tick_fair
    find_lock_task_mm find_lock_delalloc_range ftrace_set_hash static_call_update nmi_interception
    bpf_trampoline_link_prog bpf_dispatcher_change_prog perf_swevent_hrtimer rethook_flush_task
    watchdog_check_result
"""


@pytest.mark.parametrize("name", NEIGHBOURS.split())
def test_a_name_like_a_librarys_can_be_to_blame(name: str) -> None:
    assert not in_any(COMMON, name)
    assert titles(kasan(name, "frob_caller"), stamped=True) == [f"{UAF} {name}"]


UNWINDER = ("unwind_next_frame", "arch_stack_walk", "stack_trace_save", "frob_note")


def test_an_unwinder_that_faults_is_at_fault() -> None:
    assert titles(kasan(*UNWINDER), stamped=True) == [f"{UAF} unwind_next_frame"]
    fault = "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000001"
    fault += ": 0000 [#1] SMP\nRIP: 0010:unwind_next_frame+0x1/0x2"
    assert titles(report(fault, *UNWINDER[1:]), stamped=True) == [
        "general protection fault in unwind_next_frame"
    ]


def test_an_unwinder_on_top_of_a_stack_is_where_the_stack_was_taken() -> None:
    assert titles(warning("kernel/frob.c:1", "frob_check", *UNWINDER), stamped=True) == [
        "WARNING in frob_check"
    ]
    stall = "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [frob:42]"
    assert titles(report(stall, *UNWINDER[:3], "frob_walk", "__x64_sys_frob"), stamped=True) == [
        "BUG: soft lockup in sys_frob"
    ]


def deadlock(taker: str, *names: str) -> str:
    head = "WARNING: possible circular locking dependency detected\n"
    head += "7.2.0 #1 Not tainted\n" + "-" * 54 + "\nprober/42 is trying to acquire lock:\n"
    head += f"ffff888012345678 (&a->lock){{-.-.}}-{{3:3}}, at: {taker}+0x12/0x40\n\n"
    head += "but task is already holding lock:\n"
    head += "ffff888012345680 (&b->lock){-.-.}-{3:3}, at: frob_hold+0x12/0x40\n"
    own = ("dump_stack_lvl", "print_circular_bug", "__lock_acquire", "lock_acquire")
    return report(head, *own, taker, *names)


@pytest.mark.parametrize(
    ("taker", "title"),
    [
        ("console_lock_spinning_enable", "console_lock_spinning_enable"),
        ("__queue_work", "__queue_work"),
        ("try_to_wake_up", "try_to_wake_up"),
        ("touch_wq_lockdep_map", "touch_wq_lockdep_map"),
        ("down_trylock", "frob_hold"),
        ("lock_sock_nested", "frob_hold"),
        ("__might_fault", "frob_hold"),
        ("frob_take", "frob_take"),
    ],
)
def test_a_deadlock_is_named_after_who_takes_a_lock_of_its_own(taker: str, title: str) -> None:
    (found,) = titles(deadlock(taker, "frob_call"), stamped=True)
    assert found == f"possible deadlock in {title}"


def test_numbers_and_addresses_in_a_panics_reason_are_left_out() -> None:
    text = "Kernel panic - not syncing: cannot open ldisc for [ptm1] --- error -12\n"
    assert titles(text, stamped=True) == [
        "kernel panic: cannot open ldisc for [ptm1] --- error -NUM"
    ]


def test_where_a_panic_was_called_and_which_program_ran_are_left_out() -> None:
    reason = "Kernel panic - not syncing: LQUOTA assertion at fs/frob/quota.c:123"
    assert titles(reason, stamped=True) == [
        "kernel panic: LQUOTA assertion at fs/frob/quota.c:LINE"
    ]
    program = "bpf_prog_6deef7357e7b4530"
    assert titles(warning("kernel/frob.c:1", program), stamped=True) == ["WARNING in bpf_prog_ADDR"]
    assert titles(warning("kernel/frob.c:1", f"{program}_drop"), stamped=True) == [
        "WARNING in bpf_prog_ADDR_drop"
    ]


def test_what_kasan_adds_to_a_fault_is_no_second_splat() -> None:
    fault = "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000001"
    fault += ": 0000 [#1] SMP KASAN"
    kasans = "KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]"
    whole = report(f"{fault}\n{kasans}", "frob_open")
    assert titles(whole, stamped=True) == ["general protection fault in frob_open"]
    rest = report(kasans, "frob_open")
    assert titles(rest, stamped=True) == ["KASAN: null-ptr-deref in frob_open"]
