# SPDX-License-Identifier: GPL-2.0-only
"""Boot a patch's kernel and run the suites in it, while the next one is being built."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import process
from harness.check.builds import Made
from harness.errors import HostFault, UsageError
from harness.lab import folder, trial
from harness.lab.kernels import Built, Lab
from harness.lab.plan import BOOTS
from harness.model import Finding, Outcome, Plan, Severity, Side, SideResult, Splat, Test
from harness.results.regression import counts


@dataclasses.dataclass(frozen=True)
class Tested:
    """What a kernel did; ``error`` says why that is not known."""

    result: SideResult | None
    error: str = ""

    @property
    def tests(self) -> tuple[Test, ...]:
        """The tests that ran, or were to."""
        return self.result.tests if self.result else ()

    def findings(
        self, base: Collection[str], flaky: Collection[str] = ()
    ) -> tuple[Finding, ...] | None:
        """Give everything that went wrong, also what goes wrong on the base; None: not known.

        ``base`` are the tests that are not good there, whose splats may be other ones here;
        ``flaky`` those that were good, or bad on the base too, when they were run again.
        """
        if self.result is None:
            return None
        bad = [test for test in self.tests if test.outcome.bad]
        found = [_of_test(test, flaky) for test in bad]
        if self.result.error:
            found = [Finding(Severity.ERROR, self.result.error, rule="boot", same="boot")]
        found += [_of_splat(splat, "at boot") for splat in self.result.boot_splats]
        found += [_of_splat(splat, one.id) for one in bad if one.id in base for splat in one.splats]
        return tuple(found)

    @property
    def note(self) -> str:
        """Outcomes and their numbers."""
        if self.result is None:
            return self.error
        words = [f"{n} {outcome}" for outcome, n in counts(self.result.tests).items()]
        return ", ".join([*words, *(["tested before"] if self.result.cached else [])])


def _beside(plan: Plan) -> Plan:
    """Leave half of the processors to make: to start a guest costs as much as thirty tests do."""
    if plan.guests.isdecimal():
        return plan
    guests = max(1, len(os.sched_getaffinity(0)) // 2)
    return dataclasses.replace(plan, guests=str(guests))


def _of_test(test: Test, flaky: Collection[str]) -> Finding:
    outcome = Outcome.FLAKY if test.id in flaky else test.outcome
    levels = {Outcome.FLAKY: Severity.WARNING, Outcome.XPASS: Severity.NOTE}
    file, _, name = test.id.partition("::")
    # Bad on the base in any way is not new here, as harness.model.kind has it.
    level = levels.get(outcome, Severity.ERROR)
    return Finding(level, f"{name} {outcome}: {test.headline}", file, 0, test.id, same="bad")


def _of_splat(splat: Splat, where: str) -> Finding:
    return Finding(Severity.ERROR, f"{where}: {splat.title}", rule="splat", same=splat.name)


class Booter:
    """Tests kernels one after another in a thread of its own.

    A test session has its own parallel guests; two sessions at once would only make deadlines
    tighter.
    """

    def __init__(self, lab: Lab, place: Path) -> None:
        plan = lab.plan
        self.plan = plan if plan.suites else dataclasses.replace(plan, suites=(str(BOOTS),))
        self.lab, self.place = lab, place
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._known: dict[str, concurrent.futures.Future[Tested]] = {}

    def test(
        self, made: Made, name: str, *, keep: bool
    ) -> concurrent.futures.Future[Tested] | None:
        """Begin to test a kernel; the same bytes are tested once.  None when there is none.

        With ``keep`` the results of an earlier check will do.
        """
        if made.kernel is None:
            return None
        if made.digest not in self._known:
            side = Side.BASE if name == "base" else Side.PATCHED
            self._known[made.digest] = self._pool.submit(self._run, made, side, name, keep)
        return self._known[made.digest]

    def again(self, made: Made, tests: Sequence[str]) -> concurrent.futures.Future[Tested] | None:
        """Begin to run some tests alone, before anything else that is asked for later."""
        there = [one for one in tests if (self.plan.folder / one.partition("::")[0]).exists()]
        if made.kernel is None or not there:
            return None
        plan = dataclasses.replace(self.plan, suites=tuple(there))
        return self._pool.submit(self._run, made, Side.PATCHED, "first", keep=False, plan=plan)

    def _run(
        self, made: Made, side: Side, name: str, keep: bool, plan: Plan | None = None
    ) -> Tested:
        assert made.kernel is not None
        built = Built(side, made.checkout, made.kernel)
        place = self.place / name
        try:
            with folder.writing(place):
                asked = plan or (_beside(self.plan) if keep else self.plan)
                lab = dataclasses.replace(self.lab, plan=asked)
                return Tested(trial.run(lab, built, place, keep=keep))
        except HostFault as error:  # of this boot; the next may do
            return Tested(None, error.what)
        except UsageError as error:
            if plan is None:
                raise
            return Tested(None, error.what)  # tests of another day may not be there

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the thread; on the way out wait for it, or end what it runs."""
        try:
            yield
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)
            process.interrupt_all()
            self._pool.shutdown(wait=True)
            raise
        self._pool.shutdown(wait=True)
