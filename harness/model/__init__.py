# SPDX-License-Identifier: GPL-2.0-only
"""The values that stages pass to each other.  Frozen, standard library only.

A module below is imported when one of its names is first used: to make all the dataclasses takes
longer than the whole rest of a short command.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
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
        CheckMatrix,
        Finding,
        PatchRow,
        Severity,
    )
    from harness.model.comparison import Comparison, Shift
    from harness.model.coverage import Coverage, FileCoverage, FunctionCount, LineCount
    from harness.model.kernel import (
        NOTHING_FOLLOWED,
        CompilerWarning,
        Followed,
        Kernel,
        Key,
        Option,
        Request,
        Toolchain,
    )
    from harness.model.lines import ChangedFile, ChangedLine, LineRange, LineState, SeriesLines
    from harness.model.matrix import AXES, MatrixCell, RunMatrix
    from harness.model.mutation import (
        Killer,
        Mutant,
        MutantResult,
        MutantState,
        MutantTrial,
        Mutation,
        Score,
    )
    from harness.model.outcome import (
        Accel,
        GuestRecord,
        Outcome,
        Side,
        Splat,
        Test,
        Trial,
        looks_running,
    )
    from harness.model.plan import Plan
    from harness.model.run import FailureGroup, Run, Span
    from harness.model.series import Checkout, Patch, Series, Source
    from harness.model.verdict import ALLOWED, BROKEN, Change, ChangeKind, Verdict, change_kind

__all__ = [
    "ALLOWED",
    "AXES",
    "BROKEN",
    "NOTHING_FOLLOWED",
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
    "ChangedFile",
    "ChangedLine",
    "CheckMatrix",
    "Checkout",
    "Commit",
    "Comparison",
    "CompilerWarning",
    "Contrast",
    "Coverage",
    "FailureGroup",
    "FileCoverage",
    "Finding",
    "Followed",
    "FunctionCount",
    "GuestRecord",
    "Kernel",
    "Key",
    "Killer",
    "LineCount",
    "LineRange",
    "LineState",
    "MatrixCell",
    "Mutant",
    "MutantResult",
    "MutantState",
    "MutantTrial",
    "Mutation",
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
    "RunMatrix",
    "Score",
    "SearchStart",
    "SearchState",
    "Series",
    "SeriesLines",
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
    "looks_running",
]

# In the order of the search for a name: each imports only modules before it.
_MODULES = (
    *("series", "plan", "kernel", "lines", "coverage", "outcome", "verdict"),
    *("comparison", "check", "run", "bisection", "mutation", "matrix"),
)


def __getattr__(name: str) -> object:
    """Import the module that defines ``name``."""
    if name in __all__:
        for module in _MODULES:
            members = vars(importlib.import_module(f"{__name__}.{module}"))
            if name in members:
                globals()[name] = members[name]
                return members[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
