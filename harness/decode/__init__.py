# SPDX-License-Identifier: GPL-2.0-only
"""Find the source locations of the frames in splats, and the patches that added the lines.

addr2line from binutils is used for the vmlinux that was kept with the kernel, the tree's own
``scripts/faddr2line`` and ``scripts/decode_stacktrace.sh`` for modules.  Without debug info there
are no lines: a Decoded then contains that reason, and the addresses from the symbol table.
"""

from harness.decode.decoded import Decoded, Frame, SourceLine, SourcePlace, render
from harness.decode.decoder import Decoder, decode, decode_run
from harness.decode.source_lines import added_by_commits, added_lines

__all__ = [
    "Decoded",
    "Decoder",
    "Frame",
    "SourceLine",
    "SourcePlace",
    "added_by_commits",
    "added_lines",
    "decode",
    "decode_run",
    "render",
]
