# SPDX-License-Identifier: GPL-2.0-only
"""Functions in a stack that are not to blame, in groups, each with its reason.

A stack begins with functions that report the fault, and with others that did for their caller
what the caller should not have asked for.  Neither says what is wrong; their callers do.

A name belongs in the group whose reason holds for it in the kernel's source,
not because it stood on top of some stack: a function with a fault of its own must stay visible.
"""

from __future__ import annotations

from harness.splat.function_groups import FunctionGroup
from harness.splat.reporters import REPORTERS

LOCKDEP = FunctionGroup(
    "lockdep",
    "It checks what its caller does with a lock.",
    """lock_acquire* lock_release* lock_acquired lock_contended lock_is_held* lock_set_class
        lockdep_* register_lock_class look_up_lock_class assign_lock_key check_deadlock check_prev*
        check_noncircular check_irq_usage check_usage* check_wait_context check_lock_* check_flags
        validate_chain mark_lock* mark_usage mark_held_locks mark_irqflags valid_state
        check_no_collision lookup_chain_cache* debug_check_no_locks_* print_*_bug* print_lock_*
        print_usage_* print_bad_* reacquire_held_locks print_irqtrace_events match_held_lock
        find_held_lock debug_locks_off debug_lockdep_* rcu_lockdep_* lock_torture_* lock_sync
        lock_pin_lock lock_unpin_lock lock_repin_lock lock_downgrade graph_lock graph_unlock
        add_lock_to_list add_chain_cache alloc_list_entry lock_chain_* hlock_class bfs
        verify_lock_unused debug_locks_off_graph_unlock""",
)

IDLE = FunctionGroup(
    "idle loop",
    "Nothing runs there.",
    """default_idle* arch_cpu_idle *safe_halt cpuidle_enter* cpuidle_idle_call do_idle
        cpu_startup_entry acpi_idle_* acpi_safe_halt mwait_idle* intel_idle* start_secondary
        secondary_startup*""",
)

SHARED = (
    FunctionGroup(
        "strings and memory",
        "They read and write where their caller points them.",
        """memcpy* memset* memmove* memcmp* memchr* memscan memdup* memzero* bcmp strlen strnlen
        strcpy strncpy strlcpy strscpy* sized_strscpy strcat strncat strlcat strcmp strncmp
        strcasecmp strncasecmp strchr* strrchr strnchr* strstr strnstr strspn strcspn strpbrk strsep
        strim skip_spaces strreplace str*dup* kstrdup* kstrndup kmemdup* vmemdup* kstrto*
        simple_strto* match_string sysfs_streq hex_to_bin hex2bin bin2hex rep_movs* rep_stos*
        copy_mc_* READ_ONCE* WRITE_ONCE* stpcpy memeq kvmemdup* memparse inline_memcpy inline_memset
        read_once_* write_once_* mmiocpy mmioset""",
    ),
    FunctionGroup(
        "formatted output and the console",
        "They print what their caller hands them.",
        """printk printk_* vprintk* dev_vprintk_emit dev_printk* dev_emerg dev_alert dev_crit
        dev_err dev_warn dev_notice dev_info netdev_printk netdev_err netdev_warn netdev_info
        nbcon_* call_console_drivers *_console_write uart_console_* serial8250_console_*
        wait_for_xmitr wait_for_lsr vsnprintf vscnprintf vsprintf snprintf scnprintf sprintf
        kvasprintf* kasprintf* vsscanf sscanf format_decode pointer number string string_nocheck
        widen_string hex_string bitmap_string symbol_string ip4_string ip6_string mac_address_string
        dentry_name va_format hex_dump_to_buffer print_hex_dump* bstr_printf vbin_printf
        dynamic_pr_debug dynamic_dev_dbg dynamic_netdev_dbg dynamic_emit_prefix early_printk
        put_dec* num_to_str special_hex_number check_pointer* error_string pointer_string
        default_pointer restricted_pointer ptr_to_id file_dentry_name bdev_name resource_string
        ip6_addr_string* ip4_addr_string* ip6_compressed_string ip_addr_string escaped_string
        uuid_string netdev_bits fourcc_string address_val flags_string fwnode_string
        device_node_string seq_printf seq_vprintf seq_puts seq_putc seq_write seq_bprintf seq_pad
        seq_put_decimal_* seq_put_hex_ll seq_hex_dump seq_escape_mem seq_buf_* ptr_to_hashval
        hex_byte_pack console_lock console_trylock* console_unlock console_flush_* console_emit_*
        console_cont_* console_putchar console_srcu_* console_is_* console_lock_spinning_*
        console_prepend_*""",
    ),
    FunctionGroup(
        "copies from and to users",
        "They copy what their caller chose, as much as it chose.",
        """copy_to_user copy_from_user copy_to_user_nofault copy_from_user_* copy_in_user
        *_copy_to_user *_copy_from_user raw_copy_* arch_copy_* copy_user_* copy_to_iter*
        copy_from_iter* copy_page_to_iter* copy_page_from_iter* copy_folio_from_iter*
        copy_struct_from_user simple_copy_to_iter copy_from_sockptr* copy_to_sockptr*
        copy_from_kernel_nofault probe_kernel_read probe_kernel_write copyin copyout copyout_nofault
        memcpy_to_iter memcpy_from_iter iov_iter_* import_iovec import_ubuf csum_and_copy_*
        clear_user* strncpy_from_user* strnlen_user fault_in_* check_object_size check_heap_object
        check_stack_object usercopy_* check_usercopy* fixup_exception copy_to_user_iter*
        copy_from_user_iter* zero_to_user_iter page_copy_sane iovec_from_user copy_iovec_from_user
        copy_compat_iovec_from_user import_single_range iov_npages hash_and_copy_* check_zeroed_user
        access_ok copy_to_kernel_nofault strncpy_from_kernel_nofault strncpy_from_unsafe*
        copy_overflow check_kernel_text_object check_bogus_address do_strncpy_from_user
        do_strnlen_user user_access_* rep_movs_alternative csum_partial_copy_* ex_handler_*
        asm_copy_to_user* asm_vector_usercopy* fallback_scalar_usercopy* copy_to_nontemporal
        copyout_mc copy_page_regs get_user get_user_? get_user_nocheck_? get_user_asm*
        get_user_size* put_user put_user_? put_user_nocheck_? put_user_asm* put_user_size*""",
    ),
    FunctionGroup(
        "bits and bitmaps",
        "They work on the word that their caller points at.",
        """test_bit* set_bit* clear_bit* change_bit* test_and_*_bit* arch_*_bit* const_test_bit*
        hweight* ffs fls* variable_ffs cpumask_* constant_test_bit* variable_test_bit*
        *xor_unlock_is_negative_byte ffz bitrev* bitmap_set bitmap_clear bitmap_zero bitmap_fill
        bitmap_copy bitmap_weight* bitmap_equal bitmap_empty bitmap_full bitmap_subset
        bitmap_intersects bitmap_and* bitmap_or* bitmap_xor bitmap_complement bitmap_shift_*
        bitmap_find_* bitmap_parse* bitmap_list_* bitmap_allocate_region bitmap_release_region
        bitmap_from_* bitmap_to_* bitmap_alloc* bitmap_zalloc* bitmap_free find_first_bit*
        find_first_zero_bit* find_first_and_bit* find_next_bit* find_next_zero_bit*
        find_next_and_bit* find_next_andnot_bit* find_next_or_bit* find_last_bit* find_nth_*
        find_next_clump8 find_random_bit find_first_andnot_bit* find_first_and_and_bit* sw_hweight*
        mips_set_bit mips_clear_bit mips_change_bit mips_test_and_*_bit*""",
    ),
    FunctionGroup(
        "atomics and references",
        "A counter goes wrong where somebody takes or drops too much.",
        """atomic*_read* atomic*_set* atomic*_add* atomic*_sub* atomic*_inc* atomic*_dec*
        atomic*_fetch* atomic*_xchg* atomic*_cmpxchg* atomic*_try_* atomic*_and atomic*_or
        atomic*_xor arch_atomic* raw_atomic* refcount_* rcuref_* kref_* lockref_* ref_tracker_*
        page_ref_* dput fast_dput retain_dentry iput atomic*_or_* atomic*_and_* atomic*_andnot*
        cmpxchg* arch_cmpxchg* xchg* try_cmpxchg* percpu_ref_get* percpu_ref_put* percpu_ref_tryget*
        percpu_ref_kill* percpu_ref_exit percpu_ref_init percpu_ref_reinit percpu_ref_resurrect
        percpu_ref_is_* percpu_ref_switch_to_percpu percpu_ref_switch_to_atomic
        percpu_ref_switch_to_atomic_sync percpu_ref_noop_confirm_switch""",
    ),
    FunctionGroup(
        "containers",
        "They follow pointers in objects that their caller put there or freed too early.",
        """list_add* list_del* list_move* list_splice* list_empty* list_replace* hlist_* llist_*
        plist_* rb_erase* rb_insert* rb_first* rb_last* rb_next* rb_prev* rb_replace* rb_link*
        rb_find* rb_add* interval_tree_* xa_* xas_* radix_tree_* idr_* ida_* rhashtable_* rhltable_*
        mas_* mtree_* assoc_array_* kfifo_* sbitmap_* percpu_counter_* bsearch sort sort_r list_sort
        list_rotate_* list_cut_* list_bulk_* list_swap rb_left_deepest_node rb_change_child
        rb_rotate_set_parents rb_set_parent* dummy_rotate dummy_copy dummy_propagate knode_*
        bucket_table_* nested_bucket_table_* nested_table_* mte_* mt_find* ma_dead_node wr_mas_*
        sbq_* sort_r_nonatomic sort_nonatomic klist_add_* klist_del klist_dec_* klist_remove
        klist_node_* klist_iter_* klist_next klist_prev klist_put klist_release rht_key_* rht_head_*
        rht_bucket* rht_lock* rht_unlock* rht_ptr* rht_assign_* rht_obj rht_grow_* rht_shrink_*""",
    ),
    FunctionGroup(
        "checksums and hashes",
        "They read the buffer that their caller hands them, whatever is in it.",
        """crc16* crc32* crc64* crc7* crc8* crct10dif* chksum_* csum_partial* csum_block_* do_csum
        ip_fast_csum ip_compute_csum jhash* siphash* hsiphash* xxh32* xxh64* md4_* md5_* sha1_*
        sha256_* sha512_* sha3_* blake2* poly1305_* chacha_* ghash_* crypto_shash_* crypto_ahash_*
        shash_* crypto_hash_walk_* crc4 crypto_xor* crypto_memneq* crypto_inc sha1 sha224* sha256
        sha384* sha512 shake128* shake256* sha_transform hmac_* md5 sm3_* hchacha* xchacha*
        polyval_* csum_ipv6_magic csum_tcpudp_* crc_itu_t* crc_ccitt* crc_t10dif*""",
    ),
    FunctionGroup(
        "slab, pages and other allocators",
        "They are asked for too much, in the wrong context, or to free what is not theirs.",
        """kmem_cache_* kmalloc* kzalloc* kcalloc* kvmalloc* kvzalloc* kvcalloc* krealloc*
        kvrealloc* kfree kfree_sensitive kfree_const kfree_bulk kfree_rcu* kvfree* kzfree slab_*
        do_slab_free cache_alloc* cache_free* cache_grow* allocate_slab new_slab* get_partial*
        alloc_slab_page do_kmalloc* do_kmem_cache* kmemleak_* memcg_slab_* memcg_kmem_* alloc_page
        alloc_pages* alloc_page_* alloc_frozen_pages* alloc_contig_* get_free_page* get_zeroed_page*
        free_page* free_pages* free_unref_* free_frozen_* free_pcppages_bulk free_one_page
        free_large_kmalloc get_page_from_freelist prep_new_page post_alloc_hook rmqueue* bad_page*
        folio_alloc* filemap_alloc_folio* vma_alloc_folio* vmalloc* vzalloc* vfree* vunmap vmap
        remove_vm_area get_vm_area* alloc_vmap_area alloc_percpu* free_percpu mempool_* page_frag_*
        page_pool_alloc* page_pool_put* devm_k*alloc* ksize kfree_nolock vcalloc* vrealloc*
        alloc_slab_obj_exts warn_free_bad_obj prepare_alloc_pages dma_alloc_coherent dma_alloc_attrs
        dma_alloc_from_* dma_alloc_pages* dma_alloc_noncontiguous dma_free_coherent dma_free_attrs
        dma_free_pages dma_free_noncontiguous free_compound_page destroy_large_folio
        destroy_compound_page virt_to_cache cache_from_obj setup_object create_cache shutdown_cache
        free_pcp_prepare free_the_page free_tail_page* free_pages_prepare check_new_page*
        check_free_page* pagevec_release* folio_batch_release* alloc_from_pcs* free_to_pcs*
        refill_sheaf* alloc_from_new_slab alloc_single_from_* build_detached_freelist
        refill_objects* rcu_free_sheaf* pcpu_alloc* pcpu_free_* pcpu_chunk_* pcpu_block_*
        pcpu_populate_* pcpu_depopulate_* pcpu_memcg_* pcpu_create_chunk pcpu_find_* pcpu_get_*
        pcpu_next_* set_freepointer get_freepointer* discard_slab free_slab free_new_slab*
        prep_compound_page kernel_init_pages kernel_poison_pages kernel_unpoison_pages
        kernel_map_pages clear_highpages_kasan_tagged del_page_from_free_list page_del_and_expand
        get_page_from_free_area free_page_is_bad page_bad_reason try_to_claim_block
        alloc_empty_sheaf free_empty_sheaf prefill_sheaf* barn_* create_object* link_object
        find_and_get_object find_and_remove_object delete_object_full delete_object_part
        vmap_pages_* vmap_small_pages_* vunmap_range* free_vmap_area* free_unmap_vmap_area
        vm_area_free_pages vm_reset_perms vm_map_ram vm_unmap_ram setup_vmalloc_vm set_page_owner*
        reset_page_owner* page_ext_get page_ext_put lookup_page_ext inc_stack_record_count
        dec_stack_record_count dma_pool_alloc dma_pool_free pool_alloc_page pool_check_block
        pool_find_page pool_block_err""",
    ),
    FunctionGroup(
        "flags and references of pages and buffers",
        "They find the page in a state that their caller left it in.",
        """folio_unlock folio_lock* unlock_page lock_page* put_page get_page folio_put* folio_get*
        folios_put* release_pages folio_end_* end_page_writeback folio_mark_* folio_flags
        const_folio_flags mark_page_accessed set_page_dirty* mark_buffer_dirty* dump_page
        filemap_get_folio* filemap_get_entry pagecache_get_page find_get_page* find_get_entry
        grab_cache_page_* find_or_create_page find_get_entries truncate_inode_pages* do_read_cache_*
        lock_buffer unlock_buffer brelse virt_to_phys phys_addr* virt_to_head_page virt_to_folio
        page_cache_release folio_test_* folio_set_* folio_clear_* folio_trylock* trylock_page
        virt_addr_valid PageHuge PageMovable PageTransHuge compound_head find_lock_entry
        find_lock_entries find_lock_page put_page_testzero* get_page_unless_zero page_count
        folio_try_get* try_get_page folio_ref_* PageTail PageCompound SetPageUptodate
        ClearPageCompound""",
    ),
    FunctionGroup(
        "link counts and references of inodes",
        "The file system has counted wrong, or changes an inode that is gone.",
        "drop_nlink inc_nlink set_nlink clear_nlink ihold",
    ),
    FunctionGroup(
        "socket buffers",
        "The buffer was made too small, freed, or shared by the code that handles it.",
        """skb_panic skb_over_panic skb_under_panic skb_put* skb_push* skb_pull* skb_trim kfree_skb
        kfree_skb_reason kfree_skb_list* kfree_skb_partial kfree_skbmem skb_zcopy_*
        sk_skb_reason_drop dev_kfree_skb_* napi_consume_skb napi_skb_free_stolen_head
        skb_attempt_defer_free""",
    ),
    FunctionGroup(
        "Rust's libraries",
        "They check what their caller passes them, as it is checked in C by hand.",
        "core::* <core::* alloc::* <alloc::* kernel::sync::* <kernel::sync::* rust_helper_*",
    ),
    FunctionGroup(
        "sockets and devices at the end of their life",
        "They are called once too often or too early by the owner.",
        """release_sock sock_put sock_hold sk_free sk_destruct sk_common_release sk_prot_free
        unregister_netdev unregister_netdevice_* rollback_registered* dev_put dev_hold netdev_put
        netdev_hold kobject_* kset_* get_device_parent get_device put_device device_add device_del
        device_register device_unregister device_destroy device_create* device_initialize
        device_release devres_release_all add_uevent_var proc_register proc_create* proc_mkdir*
        remove_proc_* proc_remove internal_create_group* kobj_kset_* kobj_child_ns_ops create_dir
        populate_dir sysfs_create_* sysfs_remove_* sysfs_add_file* sysfs_add_link* sysfs_warn_dup
        sysfs_do_create_link* sysfs_delete_link sysfs_rename_* sysfs_merge_group sysfs_unmerge_group
        sysfs_update_group* sysfs_notify*""",
    ),
    FunctionGroup(
        "debugobjects",
        "It checks an object that its owner set up or freed wrongly.",
        """debug_object_* debug_print_object debug_check_no_obj_freed debug_timer_* debug_hrtimer_*
        debug_work_* debug_rcu_* debug_percpu_* lookup_object_or_alloc *_is_static_object
        debug_objects_* timer_fixup_* hrtimer_fixup_* work_fixup_* rcuhead_fixup_*
        percpu_counter_fixup_* fill_pool free_object_list lookup_object""",
    ),
    LOCKDEP,
    FunctionGroup(
        "locks",
        "A lock is taken by its caller, in the order and the object that the caller chose.",
        """spin_lock* spin_trylock* spin_unlock* spin_bug spin_dump spin_is_locked debug_spin_*
        raw_spin_* raw_read_* raw_write_* do_raw_spin_* do_raw_read_* do_raw_write_* arch_spin_*
        queued_spin_* queued_read_* queued_write_* native_queued_spin_* pv_queued_spin_* pv_wait*
        read_lock* read_trylock* read_unlock* write_lock* write_trylock* write_unlock* rwlock_bug
        rt_spin_* rt_read_* rt_write_* rtlock_* rt_mutex_* task_blocks_on_rt_mutex mutex_lock*
        mutex_trylock* mutex_unlock* mutex_optimistic_spin mutex_spin_on_owner
        mutex_can_spin_on_owner mutex_remove_waiter mutex_add_waiter mutex_handoff debug_mutex_*
        ww_mutex_* osq_lock osq_unlock osq_wait_next down up rwsem_* call_rwsem_* percpu_down_*
        percpu_up_* percpu_rwsem_* ldsem_* bit_spin_* local_lock* raw_res_spin_* resilient_*
        reiserfs_write_lock* reiserfs_write_unlock* lock_sock* rwbase_* rwlock_init spin_lock_init
        mutex_init* mutex_destroy mutex_is_locked init_rwsem downgrade_write debug_read_*
        debug_write_* remove_waiter bh_lock_sock* unlock_sock_fast percpu_init_rwsem
        percpu_free_rwsem ticket_spin_* virt_spin_lock res_spin_* mcs_spin_* down_interruptible
        down_killable down_timeout down_trylock down_read* down_write* down_common up_read*
        up_write* mutex_get_owner owner_on_cpu rtmutex_spin_on_owner rtmutex_* inode_lock*
        inode_unlock* inode_trylock* mmap_read_lock* mmap_read_unlock* mmap_read_trylock*
        mmap_write_lock* mmap_write_unlock* mmap_write_trylock* mmap_lock_* device_lock*
        device_unlock task_rq_lock sem_acquire next_waiter in_lock_functions""",
    ),
    FunctionGroup(
        "sequence counters and RCU readers",
        "They mark the section in which their caller reads.",
        """seqprop_* read_seq* write_seq* do_write_seqcount_* do_read_seqcount_* seqcount_*
        rcu_read_* srcu_read_* rcu_is_watching rcu_dynticks_* rcu_note_context_switch rcu_preempt_*
        rcu_lock_* rcu_irq_* rcu_nmi_* rcu_eqs_* ct_irq_* ct_nmi_* ct_kernel_*""",
    ),
    FunctionGroup(
        "interrupt and softirq masks",
        "Their caller must not switch these on or off where it does.",
        """local_irq_* raw_local_irq_* arch_local_irq_* local_bh_* trace_hardirqs_* trace_softirqs_*
        trace_preempt_* trace_*_irq* native_*irq* native_*halt* do_softirq do_softirq_own_stack
        warn_bogus_irq_restore arch_irqs_disabled* native_save_fl native_restore_fl""",
    ),
    FunctionGroup(
        "the scheduler and its checks",
        "A task gives up the processor, or may not, because of what its caller does.",
        """schedule schedule_timeout* schedule_hrtimeout* schedule_preempt_disabled schedule_idle
        schedule_rtlock schedule_user context_switch switch_to finish_task_switch* cond_resched*
        io_schedule* might_sleep* might_resched might_fault* cant_sleep cant_migrate yield
        resched_curr* schedule_tail might_alloc preempt_schedule* preempt_count_*
        preempt_latency_*""",
    ),
    IDLE,
    FunctionGroup(
        "delays",
        "Their caller decided to wait.",
        """delay udelay ndelay mdelay msleep* usleep_* ssleep fsleep const_udelay *_udelay *_ndelay
        *_mdelay read_current_timer delay_tsc delay_halt* delay_loop delay_mwaitx delay_tpause""",
    ),
    FunctionGroup(
        "timers",
        "A timer is set up, armed and freed by its owner.",
        """add_timer add_timer_on add_timer_local add_timer_global mod_timer* del_timer*
        timer_delete* timer_shutdown* timer_reduce try_to_del_timer_sync lock_timer_base
        init_timer_* timer_init_key do_init_timer timer_setup* timer_init_* destroy_timer_on_stack
        setup_timer* hrtimer_start* hrtimer_init* hrtimer_setup* hrtimer_cancel
        hrtimer_try_to_cancel tasklet_init tasklet_setup tasklet_kill tasklet_schedule*
        tasklet_hi_schedule tasklet_unlock_*""",
    ),
    FunctionGroup(
        "work items",
        "A work item is set up, queued and freed by its owner.",
        """queue_work* queue_delayed_work* insert_work mod_delayed_work* flush_work flush_workqueue*
        flush_delayed_work start_flush_work cancel_work* cancel_delayed_work* drain_workqueue
        destroy_workqueue check_flush_dependency touch_work_lockdep_map touch_wq_lockdep_map
        insert_wq_barrier flush_workqueue_prep_pwqs flush_rcu_work try_to_grab_pending
        work_grab_pending enable_work disable_work* schedule_work schedule_work_on
        schedule_delayed_work* queue_rcu_work flush_scheduled_work enable_delayed_work
        irq_work_queue* irq_work_sync init_work* destroy_work_on_stack is_chained_work""",
    ),
    FunctionGroup(
        "completions and wait queues",
        "They belong to an object that the caller waits for or wakes.",
        """complete complete_all wait_for_completion* do_wait_for_common wait_for_common wake_up
        try_to_wake_up ttwu_* swake_up_* autoremove_wake_function default_wake_function init_wait_*
        init_waitqueue_head init_swait_* wake_bit_function try_wait_for_completion completion_done
        swake_up rcuwait_wake_up complete_on_current_cpu complete_with_flags wake_up_common*
        wake_up_process wake_up_q wake_up_bit wake_up_var wake_up_state wake_up_sync*
        wake_up_locked* wake_up_pollfree wake_up_klogd*""",
    ),
    FunctionGroup(
        "kernel threads",
        "Their owner starts, stops and parks them.",
        """kthread kthread_stop* kthread_park kthread_unpark kthread_parkme kthread_bind*
        kthread_should_* kthread_insert_work* kthread_mod_delayed_work kthread_destroy_worker
        kthread_flush_* kthread_queue_* kthread_cancel_* ret_from_fork* ret_from_kernel_thread
        kunit_try_* kunit_generic_run_* kthread_create_on_node kthread_create_worker*""",
    ),
    FunctionGroup(
        "tracing",
        "Tracing is attached to its caller.",
        """perf_trace_* perf_tp_event trace_event_raw_event_* trace_event_buffer_* trace_buffer_*
        traceiter_* bpf_trace_run* bpf_trace_* trace_call_bpf* function_trace_call trace_function
        trace_lock_* trace_contention_* do_trace_* perf_ftrace_* perf_call_bpf* stack_trace_call
        kprobe_ftrace_handler prepare_ftrace_return ring_buffer_lock_reserve
        ring_buffer_unlock_commit ring_buffer_nest_* ftrace_call ftrace_caller ftrace_regs_*
        ftrace_graph_* ftrace_stub* ftrace_ops_list_func ftrace_ops_assist_func ftrace_ops_get_func
        ftrace_ops_test ftrace_test_recursion* ftrace_trampoline* ftrace_return_to_handler
        ftrace_push_return_trace ftrace_pid_func arch_ftrace_ops_list_func perf_swevent_event
        perf_swevent_overflow perf_swevent_get_recursion_context
        perf_swevent_put_recursion_context""",
    ),
    FunctionGroup(
        "thunks and trampolines",
        "They stand for a call or return that the compiler wrote.",
        """x86_indirect_* x86_return_thunk* x86_call_* srso_* retbleed_* SCT__* efi_call* kcfi_*
        fentry fentry__ mcount* retpoline_* clear_bhb_loop zen_untrain_ret entry_untrain_ret
        untrain_ret its_return_thunk return_to_handler pfx_* arch_rethook_* call_depth_return_thunk
        rewind_stack_* kretprobe_trampoline* trampoline_handler cfi_check_fail* cfi_failure_handler
        cfi_slowpath* static_call_return0 bpf_dispatcher_*_func bpf_trampoline_enter*
        bpf_trampoline_exit* bpf_trampoline_ADDR* rethook_trampoline_handler rethook_hook""",
    ),
    FunctionGroup(
        "access to device registers",
        "They touch the address that their driver computed.",
        """raw_read? raw_write? ioread* iowrite* inb inw inl outb outw outl logic_in? logic_out?
        logic_ins? logic_outs? memcpy_fromio memcpy_toio memset_io pci_bus_read_config_*
        pci_bus_write_config_* io_serial_* mem_serial_* mem32_serial_* insb insw insl outsb outsw
        outsl read? read?_relaxed write? write?_relaxed""",
    ),
    FunctionGroup(
        "assertions of file systems",
        "They are what a failed assertion calls; the assertion is in their caller.",
        """assertfail assfail asswarn btrfs_assertfail btrfs_panic reiserfs_panic
        ubifs_assert_failed gfs2_assert_* ocfs2_abort""",
    ),
    FunctionGroup(
        "out of memory",
        "The task that asks last is not the one that took the memory.",
        """dump_header dump_tasks oom_kill_process out_of_memory select_bad_process
        oom_evaluate_task pagefault_out_of_memory""",
    ),
    FunctionGroup(
        "calls on other processors",
        "They wait until another processor has run what their caller gave it.",
        "generic_exec_single flush_smp_call_function_queue csd_unlock csd_do_func",
    ),
)

COMMON = REPORTERS + SHARED
