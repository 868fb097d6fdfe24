# SPDX-License-Identifier: GPL-2.0-only
"""The values that stages hand to one another.  Frozen, standard library only."""

from harness.model.kernel import CompilerWarning, Kernel, Key, Option, Request, Toolchain
from harness.model.outcome import Accel, GuestRecord, Outcome, Side, SideResult, Splat, Test
from harness.model.plan import Plan
from harness.model.run import Run, Span
from harness.model.series import Checkout, Patch, Series, Source
from harness.model.verdict import ALLOWED, BROKEN, Change, ChangeKind, Verdict, change_kind

__all__ = [
    "ALLOWED",
    "BROKEN",
    "Accel",
    "Change",
    "ChangeKind",
    "Checkout",
    "CompilerWarning",
    "GuestRecord",
    "Kernel",
    "Key",
    "Option",
    "Outcome",
    "Patch",
    "Plan",
    "Request",
    "Run",
    "Series",
    "Side",
    "SideResult",
    "Source",
    "Span",
    "Splat",
    "Test",
    "Toolchain",
    "Verdict",
    "change_kind",
]
