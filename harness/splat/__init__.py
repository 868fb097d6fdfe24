# SPDX-License-Identifier: GPL-2.0-only
"""Find splats in kernel messages: the reports that the kernel prints about faults.

A log may come from a console, dmesg, a journal or a report.  The fields of a Splat:

kind, title              its kind in a word or two; a title to search for, in syzbot's format
function, frames         the function to blame; the stack as printed, innermost first
fingerprint              identical for the same fault at other addresses
access, size, address    read, write, free or execute; in bytes, 0 if unknown; the bad address
task, cpu, taint         "comm/pid"; the processor; the taint letters
alloc_stack, free_stack  where the memory was allocated and freed
lines, raw, line         messages without timestamps; lines as logged; the number of the first line
test, phase              the test, or "boot" before the first; "during" or "after" it, or "boot"
panic                    the reason for the panic that it led to
"""

from harness.splat.finder import BOOT, find
from harness.splat.headline_search import KINDS, known_kinds

__all__ = ["BOOT", "KINDS", "find", "known_kinds"]
