# SPDX-License-Identifier: GPL-2.0-only
"""Functions that report a fault, and therefore stand on top of its stack, in groups.

See bystanders for the others that are not to blame.
"""

from __future__ import annotations

from harness.splat.function_groups import FunctionGroup

UNWINDERS = FunctionGroup(
    "unwinders",
    "They find themselves in the stack; one that faults is at fault, whoever asked for the stack.",
    "walk_stackframe walk_stack* unwind_* unwinder_* kunwind_* update_stack_state",
)

EXCEPTIONS = FunctionGroup(
    "entry of exceptions",
    "The processor raises the exception in the frame below them.",
    """exc_* asm_exc_* do_error_trap do_trap do_trap_* do_invalid_op invalid_op error_code
    error_entry page_fault page_fault_oops async_page_fault do_async_page_fault do_page_fault
    kernelmode_fixup_or_oops bad_area* no_context do_kern_addr_fault do_user_addr_fault
    general_protection do_general_protection divide_error do_divide_error int3 do_int3
    double_fault df_debug handle_stack_overflow do_DataAbort do_PrefetchAbort do_kernel_fault
    do_translation_fault do_mem_abort do_bad_area do_tag_check_fault do_tag_recovery do_sea
    do_debug_exception do_el0_* do_el1_* el1_* el1h_* el1t_* early_brk64 call_break_hook
    call_el1_break_hook kasan_handler kasan_brk_handler handle_exception ret_from_exception
    bad_page_fault data_access_* do_slb_fault program_check_* unrecoverable_exception
    do_pgm_check pgm_check_handler do_protection_exception do_dat_exception illegal_op do_ade
    do_bp do_tr_or_bp do_ri handle_adel_int handle_ades_int handle_ri_int handle_bp_int
    handle_tr_int tlb_do_page_fault_* handle_page_fault spurious_kernel_fault* math_error fred_*
    do_alignment do_alignment_fault do_bad do_sect_fault do_sp_pc_abort do_serror
    arm64_serror_panic handle_bad_stack do_undefinst* do_undef call_undef_hook do_no_context
    handle_fault_error* do_exception do_report_trap default_trap_handler do_program_check
    exception_common hash_page_fault do_hash_fault instruction_access_* alignment_exception
    do_be do_ov do_fpe do_cpu do_mcheck do_reserved do_ale do_bce handle_tlb* do_sparc64_fault
    bad_trap* unhandled_fault handle_interruption parisc_terminate trap_c bad_super_trap
    buserr_c sun4v_mna sun4v_do_mna sun4v_data_access_exception* sun4v_insn_access_exception*
    show_fault_oops pgtable_bad decode_bug div0 Ldiv0* do_kernel_address_page_fault
    unhandled_exception handle_misaligned_* die_kernel_fault* do_sigbus report_tag_fault""",
)

REPORTERS = (
    UNWINDERS,
    FunctionGroup(
        "stack printers",
        "They print or save the stack and so stand in it.",
        """dump_stack* dump_backtrace* dump_trace* dump_cpu_task show_stack* show_trace* show_regs*
        show_registers show_task show_backtrace show_state_filter print_trace* print_context_stack*
        printk_stack_address print_modules print_tainted arch_stack_walk* stack_trace_* save_stack*
        save_trace save_context_stack stack_depot_* return_address get_stack_info*
        kernel_text_address is_bpf_text_address sched_show_task debug_show_all_locks
        nmi_cpu_backtrace* nmi_trigger_cpumask_backtrace arch_trigger_* *_trigger_cpumask_backtrace
        trigger_*backtrace* default_send_IPI* in_task_stack in_entry_stack in_irq_stack
        in_exception_stack deref_stack_* orc_find stack_access_ok show_opcodes show_ip
        show_iret_regs do_show_stack parisc_show_stack dump_mem dump_instr c_backtrace
        print_worker_info print_vma_addr kallsyms_lookup* sprint_symbol* lookup_symbol*
        func_ptr_is_kernel_text core_kernel_text show_workqueue_state show_one_workqueue*
        show_all_workqueues is_module_text_address search_exception_tables search_module_extables
        search_extable filter_irq_stacks in_irqentry_text in_entry_code orc_ip orc_module_find
        orc_ftrace_find orc_bpf_find show_code show_raw_backtrace handle_backtrace* raise_backtrace*
        instruction_dump depot_* hash_stack find_stack""",
    ),
    FunctionGroup(
        "warnings, BUG() and die()",
        "They are what a failed check calls; the check is in their caller.",
        """warn warn_slowpath* warn_printk warn_alloc* report_bug* handle_bug* fixup_bug*
        bug_handler bug_brk_handler brk_handler check_panic_on_warn panic panic_* vpanic nmi_panic
        die die_* oops_begin oops_end oops_* stack_chk_fail* fortify_report fortify_panic
        rust_helper_BUG rustc::rust_begin_unwind rust_begin_unwind core::panicking::* find_bug
        generic_bug_* handle_invalid_op notify_die arm_notify_die arm64_notify_die crash_kexec*""",
    ),
    EXCEPTIONS,
    FunctionGroup(
        "entry of interrupts",
        "The interrupt was only the moment at which the fault was noticed.",
        """asm_sysvec_* sysvec_* *apic_timer_interrupt* asm_call_*on_stack call_on_irq_stack
        call_on_stack common_interrupt asm_common_interrupt do_IRQ ret_from_intr retint_* irq_enter*
        irq_exit* irqentry_* idtentry_* raw_irqentry_* handle_IPI do_handle_IPI handle_domain_irq
        generic_handle_arch_irq gic_handle_irq* do_nmi default_do_nmi end_repeat_nmi
        run_irq_on_irqstack_cond do_interrupt_handler do_irq call_irq_handler plat_irq_dispatch
        handle_riscv_irq handle_loongarch_irq do_vint do_ext_irq handle_irq handle_irq_event*
        handle_irq_desc nmi_handle nmi_enter nmi_exit nmi_cpu_backtrace_handler nmi_shootdown_cpus
        nmi_raise_* nmi_trampoline nmi_restore""",
    ),
    FunctionGroup(
        "watchdogs and the tick",
        "They notice that somebody else does not get on.",
        """watchdog softlockup_* check_hung_* rcu_dump_cpu_stacks rcu_check_callbacks
        rcu_sched_clock_irq rcu_pending print_cpu_stall* print_other_cpu_stall* check_cpu_stall
        synchronize_rcu_expedited_wait* update_process_times tick_sched_* tick_nohz_* tick_handle_*
        tick_periodic tick_do_* tick_program_event tick_irq_* run_hrtimer csd_lock_wait*
        watchdog_timer_fn watchdog_overflow_callback watchdog_hardlockup_* watchdog_buddy_*
        is_hardlockup report_cpu_status rcu_check_gp_kthread_* rcu_stall_* rcu_exp_print_*
        synchronize_rcu_expedited_stall scheduler_tick sched_tick account_process_tick
        csd_lock_print_* hrtimer_interrupt hrtimer_run_* hrtimer_rearm_deferred*
        watchdog_check_hardlockup""",
    ),
    FunctionGroup(
        "sanitizers and coverage",
        "The compiler calls them before each access; the access is their caller's.",
        """kasan_* asan_* hwasan_* kmsan_* msan_* kcsan_* tsan_* ubsan_* kfence_* sanitizer_* kcov_*
        check_memory_region* memory_is_poisoned* print_address_description print_report end_report
        handle_overflow metadata_update_state check_canary* set_canary* qlist_* qlink_* quarantine_*
        save_track set_track* instrument_* read_word_at_a_time bytes_is_nonzero memory_is_nonzero
        check_region_inline check_slab_allocation check_page_allocation print_error_description
        describe_object* print_memory_metadata start_report print_track* find_watchpoint
        write_comp_data report_ubsan_failure val_to_string describe_address""",
    ),
    FunctionGroup(
        "slab checks",
        "They find an object that somebody else has overwritten or freed twice.",
        """object_err slab_err slab_bug slab_fix check_object check_bytes_* check_slab
        slab_pad_check on_freelist print_trailer init_object alloc_debug_processing
        free_debug_processing alloc_consistency_checks free_consistency_checks free_to_partial_list
        check_valid_pointer check_pad_bytes restore_bytes print_section print_slab_info
        print_page_info validate_slab* list_slab_objects verify_redzone_* check_poison_obj
        cache_free_debugcheck kfree_debugcheck poison_element check_element poison_error
        poison_page* poison_slab* poison_obj unpoison_element unpoison_page* print_slab_*
        slab_pad_check* skip_orig_size_check report_cache_*""",
    ),
    FunctionGroup(
        "preemption checks",
        "They are called by what may not run while it can be preempted.",
        """check_preemption_disabled debug_smp_processor_id this_cpu_preempt_check schedule_bug
        schedule_debug""",
    ),
    FunctionGroup(
        "fault injection",
        "It makes a call fail on purpose.",
        "should_fail* fail_dump fail_task fail_stacktrace",
    ),
)
