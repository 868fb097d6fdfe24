# SPDX-License-Identifier: GPL-2.0-only
"""Say where in the sources the frames of splats are, and which patch put the lines there.

Binutils' addr2line does the looking up in the vmlinux that was kept with the kernel, the tree's own
``scripts/faddr2line`` and ``scripts/decode_stacktrace.sh`` in modules.  Without debug info there
are no lines; then a Decoded says so, and gives the addresses that the symbol table knows.
"""

from harness.decode.added import added_lines, of_commits
from harness.decode.decoder import Decoder, decode, decode_run
from harness.decode.render import render
from harness.decode.values import Decoded, Frame, Line, Place

__all__ = [
    "Decoded",
    "Decoder",
    "Frame",
    "Line",
    "Place",
    "added_lines",
    "decode",
    "decode_run",
    "of_commits",
    "render",
]
