# SPDX-License-Identifier: GPL-2.0-only
"""Find splats in kernel messages: the reports that the kernel prints about faults.

A log may be a console's, dmesg's, a journal's or a report's.  What a Splat says:

kind, title              its kind in a word or two; what kernel people search for, as syzbot has it
function, frames         the function to blame; the stack as printed, innermost first
fingerprint              the same for the same fault at other addresses
access, size, address    read, write, free or execute; bytes, 0 if unknown; where
task, cpu, taint         "comm/pid"; the processor; letters
alloc_stack, free_stack  where the memory was allocated and freed
lines, raw, line         the messages without stamps; as they are in the log; number of the first
test, phase              "boot" before the first test; "during" or "after" it, or "boot"
panic                    the reason of the panic it led to
"""

from harness.splat.finder import BOOT, find

__all__ = ["BOOT", "find"]
