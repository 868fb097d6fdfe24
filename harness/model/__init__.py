# SPDX-License-Identifier: GPL-2.0-only
"""The values that stages pass to each other.  Frozen, standard library only."""

from harness.model.bisection import (
    Bisected,
    BisectMode,
    BisectStep,
    Call,
    Candidate,
    Commit,
    Contrast,
    Observation,
    ObservationRecord,
    PatchInteraction,
    Proof,
    SearchStart,
    SearchState,
)
from harness.model.check import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Finding,
    Matrix,
    PatchRow,
    Severity,
)
from harness.model.comparison import Comparison, Shift
from harness.model.kernel import CompilerWarning, Kernel, Key, Option, Request, Toolchain
from harness.model.outcome import Accel, GuestRecord, Outcome, Side, Splat, Test, Trial
from harness.model.plan import Plan
from harness.model.run import FailureGroup, Run, Span
from harness.model.series import Checkout, Patch, Series, Source
from harness.model.verdict import ALLOWED, BROKEN, Change, ChangeKind, Verdict, change_kind

__all__ = [
    "ALLOWED",
    "BROKEN",
    "WHOLE_SERIES",
    "Accel",
    "BisectMode",
    "BisectStep",
    "Bisected",
    "Call",
    "Candidate",
    "Cell",
    "CellState",
    "Change",
    "ChangeKind",
    "Checkout",
    "Commit",
    "Comparison",
    "CompilerWarning",
    "Contrast",
    "FailureGroup",
    "Finding",
    "GuestRecord",
    "Kernel",
    "Key",
    "Matrix",
    "Observation",
    "ObservationRecord",
    "Option",
    "Outcome",
    "Patch",
    "PatchInteraction",
    "PatchRow",
    "Plan",
    "Proof",
    "Request",
    "Run",
    "SearchStart",
    "SearchState",
    "Series",
    "Severity",
    "Shift",
    "Side",
    "Source",
    "Span",
    "Splat",
    "Test",
    "Toolchain",
    "Trial",
    "Verdict",
    "change_kind",
]
