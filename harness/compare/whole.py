# SPDX-License-Identifier: GPL-2.0-only
"""Compare what two kernels did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness import paths
from harness.check.spans import numbered
from harness.check.values import Finding, Level
from harness.compare import numbers
from harness.compare.half import Half, session
from harness.compare.numbers import Shift
from harness.compare.outcomes import Difference, Kind, differences, judged
from harness.model import Outcome, Splat, Warning  # noqa: A004
from harness.plugin.retries import Retries
from harness.progress import Progress
from harness.results.journal import Journal

MANY = 20  # suspects that are run again: with more, the kernel is broken and it is no accident


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What differs.  ``splats`` and ``warnings`` are those that only the patched kernel has;
    ``healed`` are splats that only the base has.
    """

    base: str
    patched: str
    tests: tuple[Difference, ...]
    splats: tuple[Splat, ...]
    healed: tuple[Splat, ...]
    warnings: tuple[Warning, ...]
    shifts: tuple[Shift, ...]
    same: int
    error: str = ""

    def of(self, kind: Kind) -> tuple[Difference, ...]:
        """Give the tests of one kind."""
        return tuple(one for one in self.tests if one.kind is kind)

    @property
    def bad(self) -> bool:
        """Whether the patched kernel is worse: in tests, splats, warnings, or it has no result."""
        worse = self.of(Kind.REGRESSION) + self.of(Kind.SUSPECT)
        newly_bad = any(one.patched and one.patched.bad for one in self.of(Kind.NEW))
        return bool(worse or newly_bad or self.splats or self.warnings or self.error)


def compare(base: Half, patched: Half, times: int, place: Path, progress: Progress) -> Comparison:
    """Compare two kernels' results.

    What looks like a regression is run ``times`` times again on each, alone in a fresh guest, if
    their kernels are still there; 0 leaves it at a suspicion.  What these runs leave is in
    ``place``.
    """
    old, new = base.outcomes(), patched.outcomes()
    found = differences(old, new)
    suspects = [one for one in found if one.kind is Kind.SUSPECT][:MANY]
    if times and suspects:
        known = {
            one.test: again
            for one, again in _again(base, patched, suspects, times, place, progress)
        }
        found = [judged(one, *known[one.test]) if one.test in known else one for one in found]
    both = old.keys() & new.keys()
    return Comparison(
        base=base.name,
        patched=patched.name,
        tests=tuple(sorted(found, key=lambda one: list(Kind).index(one.kind))),
        splats=_only(patched.splats, base.splats),
        healed=_only(base.splats, patched.splats),
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
        error=patched.error if patched.error != base.error else "",
    )


def _only(splats: tuple[Splat, ...], others: tuple[Splat, ...]) -> tuple[Splat, ...]:
    """Give the splats that the others do not have, each kind once."""
    known = {_name(one) for one in others}
    found = {_name(one): one for one in reversed(splats)}
    return tuple(one for name, one in reversed(found.items()) if name not in known)


def _name(splat: Splat) -> str:
    return splat.fingerprint or splat.title


def _warnings(base: Half, patched: Half) -> tuple[Warning, ...]:
    """Give new warnings, wherever lines went; none where they are not known of both."""
    if base.warnings is None or patched.warnings is None:
        return ()
    old, new = (
        numbered(Finding(Level.ERROR, one.text, one.file, one.line) for one in some)
        for some in (base.warnings, patched.warnings)
    )
    return tuple(
        Warning(one.file, one.line, one.text) for key, one in new.items() if key not in old
    )


_Again = tuple[tuple[Outcome, ...], tuple[Outcome, ...]]


def _again(
    base: Half,
    patched: Half,
    suspects: list[Difference],
    times: int,
    place: Path,
    progress: Progress,
) -> list[tuple[Difference, _Again]]:
    """Run suspects again; the runs' own folders stay as they are."""
    with progress.stage("rerun", "what looks like a regression") as stage, paths.writing(place):
        pairs = ((base, "base"), (patched, "patched"))
        sides = [_retries(half, place / name) for half, name in pairs]
        found = []
        for number, one in enumerate(suspects):
            stage.update(number, len(suspects), one.test)
            again = [_outcomes(side, one.test, times) for side in sides]
            found.append((one, (again[0], again[1])))
        stage.finish(f"{len(suspects)} tests on both kernels")
    return found


def _retries(half: Half, place: Path) -> Retries | None:
    """Make what runs a test of this half again; None when its kernel is gone."""
    words, root = session(half.folder)
    kernel = words[words.index("--kernel") + 1] if "--kernel" in words[:-1] else ""
    if not kernel or not Path(kernel).exists():
        return None
    journal = Journal(place)
    return Retries(journal, words, Path(root), None, lambda: False, lambda _: None)


def _outcomes(retries: Retries | None, test: str, times: int) -> tuple[Outcome, ...]:
    if retries is None:
        return ()
    found = (retries.again(test, number) for number in range(1, times + 1))
    return tuple(one for one in found if one is not None)
