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
"""


@pytest.mark.parametrize("name", NEIGHBOURS.split())
def test_a_name_like_a_librarys_can_be_to_blame(name: str) -> None:
    assert not in_any(COMMON, name)
    assert titles(kasan(name, "frob_caller"), stamped=True) == [f"{UAF} {name}"]


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
