# SPDX-License-Identifier: GPL-2.0-only
"""Functions that say nothing in splats of some kinds only, or are the known names of their faults.

Elsewhere they may be at fault: see bystanders for those that never are.
"""

from __future__ import annotations

from harness.splat.function_groups import FunctionGroup

WAITS = FunctionGroup(
    "waits",
    "A task that hangs waits in them for something else.",
    """*sched* *_lock* *_slowlock* *rwsem* *completion* *kthread* *wait* *synchronize* *sleep*
        rcu_barrier* flush_work* *cancel_*work* drain_workqueue sb_start_* inode_lock*
        usb_start_wait_urb usb_bulk_msg usb_interrupt_msg usb_control_msg* usb_kill_urb
        usb_poison_urb blk_execute_rq* submit_bio_wait submit_bh_wait *_timeout *_freezable
        do_read_cache_* percpu_ref_*""",
)
THREADS = FunctionGroup(
    "threads that run others' work",
    "The work item or callback is at fault, or who waits for it.",
    """process_one_work process_scheduled_works worker_thread rescuer_thread kthread_worker_fn
        smpboot_thread_fn call_timer_fn expire_timers run_timer* handle_softirqs do_softirq*""",
)
ALLOCATORS = FunctionGroup(
    "functions that allocate for their caller",
    "Who asked for the memory has to free it.",
    """*alloc* *kmem* *slab* sock_* create_object idr_get list_lru_init k*asprintf sget_userns
        sget_fc alloc_super pcpu_create *strdup *strndup* *memdup*""",
)
OWNED = FunctionGroup(
    "objects that debugobjects tracks",
    "Their owner freed or started them at the wrong time.",
    "*timer_* *work_* *rcu* *percpu_* vunmap vfree __free_* kobject_*",
)
WORK_FLUSHES = FunctionGroup(
    "flushes of one work item or a queue",
    "A deadlock with a work item is known by its flush, which takes the lock that stands for it.",
    "flush_work start_flush_work touch_work_lockdep_map touch_wq_lockdep_map",
)
OWN_LOCKS = FunctionGroup(
    "functions with locks of their own",
    "They take a lock of their subsystem, and whoever calls them need not know of it.",
    """console_unlock console_lock_spinning_* console_trylock_spinning console_flush_*
        console_emit_* queue_work insert_work queue_delayed_work try_to_wake_up ttwu_*
        wake_up_common_lock raw_spin_rq_lock* task_rq_lock hrtimer_start_range_ns mod_timer
        add_timer_on lock_timer_base
        get_page_from_freelist rmqueue* free_pcppages_bulk free_one_page free_unref_* get_partial*
        stack_depot_* depot_alloc_stack debug_object_* debug_check_no_obj_freed lookup_object*
        kfence_* quarantine_put pcpu_alloc* free_percpu vmap alloc_vmap_area free_vmap_area*
        remove_vm_area""",
)
USB_REQUESTS = FunctionGroup(
    "submission of USB requests",
    "The driver filled in the request.",
    "usb_submit_urb usb_start_wait_urb usb_bulk_msg usb_interrupt_msg usb_control_msg*",
)

#: Waits for which hung tasks are known: one culprit makes everybody wait there.
FAMOUS_WAITS = (
    FunctionGroup(
        "RTNL",
        "Whoever configures the network waits for the one that holds it.",
        "rtnl_lock rtnl_lock_*",
    ),
    FunctionGroup(
        "grace periods",
        "Whoever waits for readers is stuck as long as one of them is.",
        "synchronize_rcu synchronize_rcu_* synchronize_srcu* synchronize_net synchronize_sched*",
    ),
)
