# SPDX-License-Identifier: GPL-2.0-only
"""Compare what two kernels did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.compare import numbers
from harness.compare.half import Half
from harness.compare.numbers import Shift
from harness.lab import rerun
from harness.model import Change, ChangeKind, CompilerWarning, Splat, Verdict
from harness.progress import Progress
from harness.results.changes import changes, new_splats, new_warnings


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What differs.  ``splats`` and ``warnings`` are those that only the patched kernel has;
    ``healed`` are splats that only the base has.  ``error`` says why the patched kernel has no
    result, ``untestable`` why nothing can be compared.
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
        """Give the tests of one kind."""
        return tuple(one for one in self.tests if one.kind is kind)

    @property
    def verdict(self) -> Verdict:
        """Bad where the patched kernel is worse in tests, splats or warnings, or has no result."""
        if self.untestable:
            return Verdict.UNTESTABLE
        worse = any(one.bad for one in self.tests)
        return Verdict.BAD if worse or self.splats or self.warnings or self.error else Verdict.GOOD


def compare(base: Half, patched: Half, times: int, place: Path, progress: Progress) -> Comparison:
    """Compare two kernels' results.

    What looks like a regression is run ``times`` times again on each, alone in a fresh guest, if
    their kernels are still there; 0 leaves it at a suspicion.  What these runs leave is in
    ``place``.
    """
    old, new = base.outcomes(), patched.outcomes()
    found = changes(old.values(), new.values())
    settled = rerun.settle(found, (base.folder, patched.folder), times, place, progress)
    both = old.keys() & new.keys()
    return Comparison(
        base=base.name,
        patched=patched.name,
        tests=settled.changes,
        splats=new_splats((*base.splats, *settled.splats), patched.splats),
        healed=new_splats(patched.splats, base.splats),
        warnings=_warnings(base, patched),
        shifts=(
            *numbers.boots(base.boots, patched.boots),
            *numbers.memory(base.memory, patched.memory),
            *numbers.slower(
                {name: old[name].seconds for name in both if not old[name].outcome.bad},
                {name: new[name].seconds for name in both if not new[name].outcome.bad},
            ),
        ),
        same=len(both) - sum(one.test in both for one in found),
        error=patched.error,
        untestable="neither kernel was tested" if base.error and patched.error else "",
    )


def _warnings(base: Half, patched: Half) -> tuple[CompilerWarning, ...]:
    """Give new warnings; none where they are not known of both."""
    if base.warnings is None or patched.warnings is None:
        return ()
    return new_warnings(base.warnings, patched.warnings)
