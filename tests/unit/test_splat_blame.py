# SPDX-License-Identifier: GPL-2.0-only
"""Which function a splat is named after: groups of bystanders, and dispatchers."""

from __future__ import annotations

import pytest

from harness.splat import find, kind_bystanders
from harness.splat.blame import anchor, blame, culprit, famous_wait, recurses, where_stalled
from harness.splat.bystanders import COMMON
from harness.splat.dispatchers import CROSS_CALLS, DISPATCHERS, TIMER_INTERRUPTS
from harness.splat.function_groups import FunctionGroup, function_of
from harness.splat.kind_bystanders import FAMOUS_WAITS

KINDS_OWN = tuple(
    getattr(kind_bystanders, name)
    for name in (
        "WAITS",
        "THREADS",
        "ALLOCATORS",
        "OWNED",
        "USB_REQUESTS",
        "WORK_FLUSHES",
        "OWN_LOCKS",
    )
)
GROUPS = (*COMMON, *KINDS_OWN, *DISPATCHERS, *FAMOUS_WAITS, TIMER_INTERRUPTS, CROSS_CALLS)
#: Functions with faults of their own, whose names resemble those of bystanders.
CULPRITS = (
    *("ext4_writepages", "nvmet_port_release", "copy_process", "copy_to_user_state_extra"),
    *("kernfs_fop_open", "free_netdev", "skb_unref", "wake_lock_init", "panel_probe", "dev_ioctl"),
    *("rb_allocate_cpu_buffer", "read_cache_folio", "schedule_gc_work_of_mine", "numbering"),
    *(
        "enqueue_timer",
        "detach_if_pending",
        "bpf_prog_kallsyms_find",
        "printer_read",
        "do_sendfile",
    ),
)


def frames(*names: str) -> list[str]:
    return [f"{name}+0x1/0x20" for name in names]


def names_of(group: FunctionGroup) -> list[str]:
    return [name.replace("*", "x").replace("?", "b") for name in group.functions.split()]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_group_has_a_reason_and_each_of_its_names_counts(group: FunctionGroup) -> None:
    assert group.why.endswith(".")
    names = group.functions.split()
    assert len(set(names)) == len(names)
    for name in names_of(group):
        assert name in group
        assert f"{name}_noprof" in group
        assert (f"__{name}" in group) or name.startswith("_")


@pytest.mark.parametrize("group", COMMON, ids=lambda group: group.name)
def test_the_caller_of_bystanders_is_to_blame(group: FunctionGroup) -> None:
    assert blame(frames(*names_of(group), "gadget_bind", "gadget_probe")) == "gadget_bind"


@pytest.mark.parametrize("group", KINDS_OWN, ids=lambda group: group.name)
def test_some_are_bystanders_in_splats_of_some_kinds_only(group: FunctionGroup) -> None:
    stack = frames(*names_of(group), "gadget_bind")
    assert culprit(stack, (group,)) == "gadget_bind"


@pytest.mark.parametrize("name", CULPRITS)
def test_a_function_with_faults_of_its_own_stays_visible(name: str) -> None:
    assert [group.name for group in COMMON if name in group] == []


@pytest.mark.parametrize("group", DISPATCHERS, ids=lambda group: group.name)
def test_a_stall_is_anchored_at_the_handler_that_a_dispatcher_called(group: FunctionGroup) -> None:
    for name in names_of(group):
        stack = frames("_raw_spin_lock", "gadget_step", "gadget_method", name, "later")
        assert anchor(stack) == "gadget_method"


def test_a_lock_that_a_dispatcher_takes_is_not_its_handler() -> None:
    stack = frames("_raw_spin_lock", "vfs_write", "ksys_write", "__x64_sys_write", "do_syscall_64")
    assert anchor(stack) == "sys_write"
    assert anchor(frames("gadget_step", "gadget_main")) == ""
    assert anchor(frames("native_queued_spin_lock_slowpath", "smp_call_function_many_cond")) == (
        "smp_call_function"
    )


def test_what_the_timer_interrupted_is_stuck() -> None:
    driver = frames("__schedule", "schedule_timeout", "rcu_gp_fqs_loop", "rcu_gp_kthread")
    below = frames("gadget_step", "gadget_ioctl")
    tick = frames("rcu_sched_clock_irq", "hrtimer_interrupt", "sysvec_apic_timer_interrupt")
    assert where_stalled([driver, [*tick, *below]], in_tick=True) == below
    assert where_stalled([driver, below], in_tick=True) == below
    assert where_stalled([[*below, *tick, *below]], in_tick=False)[:2] == below
    assert where_stalled([driver], in_tick=True) == ()


def test_hung_tasks_are_known_by_what_everybody_waits_for() -> None:
    assert famous_wait(frames("schedule", "__mutex_lock", "rtnl_lock", "dev_ioctl")) == "rtnl_lock"
    assert famous_wait(frames("synchronize_srcu_expedited", "x")) == "synchronize_rcu"
    assert famous_wait(frames("schedule", "gadget_read")) == ""


def test_recursion() -> None:
    assert recurses(frames("notify", "update", "notify", "update", "notify"))
    assert not recurses(frames("notify", "update", "notify"))


@pytest.mark.parametrize(
    ("frame", "function"),
    [
        ("foo.isra.0.cold+0x1/0x2", "foo"),
        ("__x64_sys_rmdir+0x1/0x2", "sys_rmdir"),
        ("__ia32_compat_sys_ioctl+0x1/0x2", "compat_sys_ioctl"),
        ("__x64_gadget+0x1/0x2", "__x64_gadget"),
        (
            "_RNvXs1_CscPPBqWtAqum_11ashmem_rustNtB5_6AshmemNtNtCs43vyB533jt3_6kernel10miscdevice"
            "10MiscDevice4mmap+0xe44/0xfb0",
            "<ashmem_rust::Ashmem as kernel::miscdevice::MiscDevice>::mmap",
        ),
        ("_Z6gadgetii+0x1/0x2", "gadget"),
        ("_RNot_mangled+0x1/0x2", "_RNot_mangled"),
    ],
)
def test_a_function_has_the_name_that_its_source_gives_it(frame: str, function: str) -> None:
    assert function_of(frame) == function


def test_a_stack_of_arm_is_read() -> None:
    report = (
        "------------[ cut here ]------------\n"
        "WARNING: CPU: 1 PID: 218 at kernel/softirq.c:175 __local_bh_enable_ip+0x18c/0x1e8\n"
        "Modules linked in:\n"
        "CPU: 1 PID: 218 Comm: gadgetd Not tainted 5.10.0 #20\n"
        "Backtrace: \n"
        "[<825afeb4>] (dump_backtrace) from [<825b0128>] (show_stack+0x18/0x1c)\n"
        " r7:00000080 r6:60000193 r5:00000000 r4:83624124\n"
        "[<825b0110>] (show_stack) from [<825b0a78>] (warn_slowpath_fmt+0x6c/0xe4)\n"
        "[<825b0a10>] (warn_slowpath_fmt) from [<80140074>] (__local_bh_enable_ip+0x18c/0x1e8)\n"
        "[<8013fee8>] (__local_bh_enable_ip) from [<8207ed1c>] (gadget_lookup+0x12c/0x2f4)\n"
        "[<8207ebf0>] (gadget_lookup) from [<8207ee3c>] (gadget_xmit+0x44/0x5c)\n"
    )
    newer = report.replace(" (", " ").replace(")", "")
    for text in (report, newer):
        (splat,) = find(text.split("\n"))
        assert (splat.title, splat.frames[-1]) == (
            "WARNING in gadget_lookup",
            "gadget_xmit+0x44/0x5c",
        )
