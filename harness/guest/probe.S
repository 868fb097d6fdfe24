/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A minimal guest that tests an accelerator: it switches from 32-bit to 64-bit mode with paging,
 * then writes 32 MiB and adds them up, which is where a broken KVM hangs.  The result goes to
 * QEMU's isa-debug-exit device: 0x10 (exit status 33) for the right sum, 0x20 (65) for a wrong one.
 *
 * harness/guest/accel.py holds the assembled bytes:
 *   as --32 -o probe.o probe.S
 *   ld -m elf_i386 -Ttext=0x100000 --oformat binary -o probe.bin probe.o
 */
.code32
.globl _start
_start:
	.long 0x1BADB002
	.long 0x00010000
	.long -(0x1BADB002+0x00010000)
	.long _start	/* header_addr */
	.long _start	/* load_addr */
	.long 0	/* load_end (all) */
	.long 0x00110000	/* bss_end */
	.long entry
entry:
	cld
	movl $0x104000, %esp
	/* page tables: PML4 at 0x105000, PDPT 0x106000, PD 0x107000 (2 MiB pages, 1 GiB) */
	movl $0x105000, %edi
	xorl %eax, %eax
	movl $0xc00, %ecx
	rep stosl
	movl $0x106003, 0x105000
	movl $0x107003, 0x106000
	movl $0x107000, %edi
	movl $0x83, %eax
	movl $64, %ecx
1: movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl $0x105000, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $0xC0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	lgdt gdtr
	ljmp $8, $long
.code64
long:
	/* fill 32 MiB from 2 MiB on with a sequence, then add it up */
	movl $0x200000, %edi
	movl $0x800000, %ecx
	xorl %eax, %eax
2: movl %eax, (%rdi)
	addl $4, %edi
	incl %eax
	decl %ecx
	jnz 2b
	movl $0x200000, %esi
	movl $0x800000, %ecx
	xorl %ebx, %ebx
3: lodsl
	addl %eax, %ebx
	decl %ecx
	jnz 3b
	/* sum of 0..2^23-1 modulo 2^32 is 0xffc00000 */
	movb $0x10, %al
	cmpl $0xffc00000, %ebx
	je 4f
	movb $0x20, %al
4: outb %al, $0xf4
5: hlt
	jmp 5b
.align 8
gdt: .quad 0
	.quad 0x00209a0000000000
gdtr: .word 15
	.long gdt
