# SPDX-License-Identifier: GPL-2.0-only
"""Find splats in kernel messages: what the kernel prints when it is unwell.

Pure: text in, values out.  A log may be a console's, dmesg's, a journal's or a report's.

What a Splat says: ``kind`` is its sort in a word or two, ``title`` what kernel people search
for, named as syzbot does, ``function`` the one to blame, ``frames`` the stack as printed, innermost
first (function+offset/size [module]); ``fingerprint`` is the same for the same fault at other
addresses; ``access`` is read, write, free or execute, of ``size`` bytes (0 if unknown) at
``address``; ``task`` is "comm/pid", ``taint`` its letters; ``alloc_stack`` and ``free_stack`` tell
where the memory came from and went.  ``lines`` are the messages without stamps, ``raw`` the same as
they stood in the log, ``line`` the number of the first there, from 1.  ``test`` is the test it came
from, "boot" before the first; ``phase`` is "during" that test, "after" it (between its end and the
next one's start), or "boot"; ``panic`` the reason of the panic it led to.
"""

from harness.splat.find import BOOT, find
from harness.splat.prefix import plain

__all__ = ["BOOT", "find", "plain"]
