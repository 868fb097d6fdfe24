# SPDX-License-Identifier: GPL-2.0-only
"""The values that stages hand to one another.  Frozen, standard library only."""

from harness.model.found import Accel, GuestRecord, Outcome, Side, SideResult, Splat, Test
from harness.model.given import Checkout, Option, Patch, Request, Series, Source
from harness.model.kernel import Kernel, Key, Toolchain, Warning  # noqa: A004
from harness.model.verdict import ALLOWED, BROKEN, Change, Kind, Run, Span, Verdict, kind

__all__ = [
    "ALLOWED",
    "BROKEN",
    "Accel",
    "Change",
    "Checkout",
    "GuestRecord",
    "Kernel",
    "Key",
    "Kind",
    "Option",
    "Outcome",
    "Patch",
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
    "Warning",
    "kind",
]
