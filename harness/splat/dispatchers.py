# SPDX-License-Identifier: GPL-2.0-only
"""Functions that call a handler through a pointer, in groups, each with what the handler is.

A stall is noticed at a random point of a loop, so that the functions on top differ each time.  What
stays the same is where the processor came from: the system call, the driver's ioctl, the timer
function.  That is the function which a dispatcher called, the one above it in the stack.
"""

from __future__ import annotations

from harness.splat.function_groups import FunctionGroup

DISPATCHERS = (
    FunctionGroup(
        "system calls",
        "The handler is the system call.",
        """do_syscall_* do_int80_syscall_32 do_fast_syscall_32 do_SYSENTER_32 entry_SYSCALL_*
        entry_SYSENTER_* entry_INT80_* sysenter_* system_call_fastpath tracesys* x64_sys_call
        ia32_sys_call invoke_syscall el0_svc* do_el0_svc* ret_fast_syscall local_restart
        system_call_exception system_call_common system_call do_trap_ecall_u do_syscall
        handle_syscall handle_sys handle_sys64 syscall_common syscall_trace_*
        linux_sparc_syscall*""",
    ),
    FunctionGroup(
        "file operations",
        "The handler is the file system's or driver's method.",
        """vfs_read vfs_write new_sync_read new_sync_write call_read_iter call_write_iter
        do_iter_readv_writev do_loop_readv_writev do_iter_read do_iter_write vfs_iter_read
        vfs_iter_write vfs_readv vfs_writev do_readv_writev kernel_read kernel_write* vfs_ioctl
        do_vfs_ioctl ksys_ioctl sys_ioctl SyS_ioctl *_sys_ioctl *compat_SyS_ioctl *_compat_ioctl
        do_dentry_open call_mmap __fput full_proxy_* proc_reg_* sysfs_kf_* dev_attr_store
        dev_attr_show kobj_attr_store kobj_attr_show ksys_read ksys_write""",
    ),
    FunctionGroup(
        "socket operations",
        "The handler is the protocol's method.",
        """sock_sendmsg sock_sendmsg_nosec sock_recvmsg sock_recvmsg_nosec sock_ioctl sock_do_ioctl
        sock_write_iter sock_read_iter __sys_bind __sys_listen do_accept __sys_connect
        __sys_connect_file __sys_shutdown __sys_setsockopt do_sock_setsockopt __sys_getsockopt
        do_sock_getsockopt SYSC_bind SYSC_connect SYSC_setsockopt SYSC_getsockopt""",
    ),
    FunctionGroup(
        "netlink messages",
        "The handler is what the message's type stands for.",
        "rtnetlink_rcv_msg nfnetlink_rcv_msg nfnetlink_rcv_batch xfrm_user_rcv_msg netlink_dump",
    ),
    FunctionGroup(
        "reception of packets",
        "The handler is the protocol's or the device's receive function.",
        """netif_receive_skb_core* netif_receive_skb_one_core netif_receive_skb_list_core*
        netif_receive_skb* deliver_skb deliver_ptype_list_skb process_backlog napi_poll
        net_rx_action""",
    ),
    FunctionGroup(
        "softirqs and tasklets",
        "The handler is the softirq's action or the tasklet's function.",
        """do_softirq* handle_softirqs run_ksoftirqd invoke_softirq tasklet_action*
        tasklet_hi_action tasklet_action_common rcu_do_batch rcu_core*""",
    ),
    FunctionGroup(
        "timers",
        "The handler is the timer's function.",
        """call_timer_fn expire_timers run_timers run_timer* run_hrtimer hrtimer_run_queues
        hrtimer_run_softirq hrtimer_interrupt""",
    ),
    FunctionGroup(
        "interrupt handlers",
        "The handler is the driver's.",
        "handle_irq_event_percpu irq_thread_fn irq_forced_thread_fn irq_thread",
    ),
    FunctionGroup(
        "work items and threads",
        "The handler is the work function or the thread's main loop.",
        """process_one_work process_scheduled_works worker_thread kthread_worker_fn task_work_run
        smpboot_thread_fn kthread ret_from_fork* ret_from_kernel_thread""",
    ),
    FunctionGroup(
        "boot and idle",
        "The handler is an initcall, or the idle task itself.",
        "do_one_initcall cpu_startup_entry start_secondary rest_init start_kernel",
    ),
)

#: Where the timer's interrupt begins: what a stalled processor ran stands below.
TIMER_INTERRUPTS = FunctionGroup(
    "timer interrupts",
    "A processor notices its own stall in the timer's interrupt.",
    """*apic_timer_interrupt* sysvec_apic_timer_interrupt* hv_stimer0_* timer_interrupt
        *_timer_interrupt arch_timer_handler_* riscv_timer_interrupt constant_timer_interrupt
        c0_compare_interrupt decrementer_common* clock_comparator_*""",
)

#: They spin until other processors answer; which of them does not is not in the stack.
CROSS_CALLS = FunctionGroup(
    "calls on other processors",
    "Whoever calls waits; the processor that does not answer is at fault.",
    "smp_call_function smp_call_function_*",
)
