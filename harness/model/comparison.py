# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two kernels that were tested."""

from __future__ import annotations

import dataclasses

from harness.model.kernel import CompilerWarning
from harness.model.outcome import Splat
from harness.model.verdict import Change, ChangeKind, Verdict


@dataclasses.dataclass(frozen=True)
class Shift:
    """A time or a size that changed beyond noise; ``unit`` is s or KiB."""

    what: str
    base: float
    patched: float
    unit: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The differences.  ``splats`` and ``warnings`` are those of the patched kernel alone;
    ``healed`` are splats of the base alone.  ``error`` is why the patched kernel has no result,
    ``untestable`` is why nothing can be compared.
    """

    base: str
    patched: str
    tests: tuple[Change, ...]
    splats: tuple[Splat, ...]
    healed: tuple[Splat, ...]
    warnings: tuple[CompilerWarning, ...]
    shifts: tuple[Shift, ...]
    same: int
    error: str = ""
    untestable: str = ""

    def of(self, kind: ChangeKind) -> tuple[Change, ...]:
        """Return the tests of one kind."""
        return tuple(change for change in self.tests if change.kind is kind)

    @property
    def verdict(self) -> Verdict:
        """Bad if the patched kernel is worse in tests, splats or warnings, or has no result."""
        if self.untestable:
            return Verdict.UNTESTABLE
        worse = any(change.bad for change in self.tests)
        return Verdict.BAD if worse or self.splats or self.warnings or self.error else Verdict.GOOD
