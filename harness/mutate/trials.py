# SPDX-License-Identifier: GPL-2.0-only
"""The trial of one mutant: which tests run, in which order, and what killed it."""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import paths, serial
from harness.errors import GuestFault, HarnessError, HostFault, Interrupted, Untestable
from harness.lab import trial as lab_trial
from harness.lab.kernels import Built
from harness.lab.plan import BOOTS
from harness.model import (
    Kernel,
    Killer,
    Mutant,
    MutantResult,
    MutantState,
    MutantTrial,
    Outcome,
    Plan,
    Side,
    Test,
    Trial,
)
from harness.mutate.prepare import Prepared
from harness.mutate.switched import Switch
from harness.mutate.workshop import MutantBuild

RESULT, DEADLINES = "result.json", "deadlines.json"
# A mutant may make any test wait forever.  A test's deadline is a multiple of what it took without
# one, but not less than this many seconds: a busy machine must not look like a hang.
_SLOWER, _LEAST = 5.0, 30.0


class Reach(enum.Enum):
    """How tests reach a mutated line: they execute it, or something else does; or nothing."""

    EXECUTED = "executed by tests"
    BOOT = "executed at boot"
    DATA = "data"
    NOWHERE = "not executed"


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The tests for a mutant, in the order in which they run; ``left_out`` exceed its budget."""

    reach: Reach
    tests: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class TestChooser:
    """Chooses the tests of each mutant, those first that are most likely to notice it.

    These are tests that killed others in the same function or file, then one test of each way
    through the file, the shortest first.  A mutant's tests take at most ``seconds``, as measured
    without a mutant; 0 means no limit.
    """

    __test__ = False  # keeps pytest from collecting this class

    def __init__(self, prepared: Prepared, seconds: float = 0.0) -> None:
        self.coverage, self.passing, self.seconds = prepared.coverage, prepared.passing, seconds
        self._kills: collections.Counter[tuple[str, str, str]] = collections.Counter()
        self._ways: dict[str, dict[str, frozenset[int]]] = {}

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember that a test killed a mutant."""
        self._kills.update({(test, mutant.file, mutant.function), (test, mutant.file, "")})

    def choose(self, mutant: Mutant) -> Chosen:
        """Return the tests that can notice a mutant.

        Initialised data has no counters, and code that runs at boot has none for tests: their
        effects are looked for by all tests that execute something of the file.
        """
        reach = self.reach(mutant)
        if reach is Reach.NOWHERE:
            return Chosen(reach)
        if reach is Reach.EXECUTED:
            found = self.coverage.tests_of(mutant.file, mutant.line, mutant.last)
        else:
            found = self.coverage.tests_in(mutant.file)
        tests = [test for test in found if test in self.passing]
        if not tests:
            return Chosen(reach, (str(BOOTS),))
        tests.sort(key=self.passing.__getitem__)
        turns = self._turns(mutant.file, tests)
        kills, file, function = self._kills, mutant.file, mutant.function
        tests.sort(key=lambda t: (-kills[t, file, function], -kills[t, file, ""], turns[t]))
        left, taken = self.seconds or math.inf, tests[:1]
        left -= self.passing[tests[0]]
        for test in tests[1:]:
            if self.passing[test] <= left:
                left -= self.passing[test]
                taken.append(test)
        left_out = set(tests) - set(taken)
        return Chosen(reach, tuple(taken), tuple(test for test in tests if test in left_out))

    def _turns(self, path: str, tests: Sequence[str]) -> dict[str, int]:
        """Return how many of the tests before each one execute exactly the same of the file."""
        if path not in self._ways:
            file, ways = self.coverage.file(path), collections.defaultdict[str, set[int]](set)
            for number, line in enumerate(file.lines if file else ()):
                for index, _ in line.tests:
                    ways[self.coverage.tests[index]].add(number)
            self._ways[path] = {test: frozenset(way) for test, way in ways.items()}
        before: collections.Counter[frozenset[int]] = collections.Counter()
        turns: dict[str, int] = {}
        for test in tests:
            way = self._ways[path].get(test, frozenset())
            turns[test], before[way] = before[way], before[way] + 1
        return turns

    def trial(self, mutant: Mutant, number: int) -> MutantTrial:
        """Return what to try: the mutant with its tests, in a folder that ``number`` begins."""
        chosen = self.choose(mutant)
        name = re.sub(r"[^\w.+-]+", "-", f"{mutant.where}-{mutant.kind}")
        tests = tuple((test, self.passing.get(test, 0.0)) for test in chosen.tests)
        return MutantTrial(
            *(f"{number:03}-{name}", mutant, tests, chosen.left_out),
            link=chosen.reach is not Reach.NOWHERE,
            at_boot=chosen.reach is not Reach.EXECUTED,
        )

    def reach(self, mutant: Mutant) -> Reach:
        """Return how tests reach the mutant's lines."""
        file = self.coverage.file(mutant.file)
        tests = self.coverage.tests_of(mutant.file, mutant.line, mutant.last)
        if any(test in self.passing for test in tests):
            return Reach.EXECUTED
        if not mutant.function:
            return Reach.DATA
        if file is None:
            return Reach.NOWHERE
        lines = [c for c in file.lines if c.first <= mutant.last and mutant.line <= c.last]
        around = [f for f in file.functions if f.first <= mutant.line <= f.last]
        if any(c.boot for c in lines) or (not lines and any(f.boot for f in around)):
            return Reach.BOOT
        return Reach.NOWHERE


def attempt(
    prepared: Prepared,
    wanted: MutantTrial,
    build: MutantBuild,
    top: Path,
    proven: set[str] | None = None,
    stop: Callable[[], bool] = bool,
) -> MutantResult:
    """Run a mutant's tests in a guest, with evidence below ``top``; its own kernel is removed.

    A fault of the host is tried once more.  On a kernel with other mutants, a test must pass when
    none of them is chosen; those that did are in ``proven``.  Once ``stop`` returns True, what ran
    was interrupted: nothing else is run, and the mutant is undecided.
    """
    begin, kernel = time.monotonic(), build.kernel
    tests = tuple(test for test, _ in wanted.tests)
    result = MutantResult(
        *(wanted.mutant, MutantState.UNDECIDED),
        executed_by=(*tests, *wanted.left_out),
        built=build.seconds,
    )
    if kernel is None:
        assert build.state is not None
        return dataclasses.replace(result, state=build.state, message=build.message, executed_by=())
    plan = _plan(prepared, wanted, build.switch)
    try:
        for number in (1, 2):
            folder = top / f"{wanted.name}{'-again' * (number - 1)}"
            try:
                trial = run(prepared, kernel, plan, tests, folder)
                _require_whole(stop)
                found, ran = noticed(trial), len(trial.tests) - trial.left
                if found and build.switch and proven is not None and found.test not in proven:
                    place = folder.with_name(f"{folder.name}-without")
                    _prove(prepared, kernel, found.test or tests[0], place)
                    proven.add(found.test)
            except (HostFault, GuestFault) as error:
                result = dataclasses.replace(result, message=error.what, folder=folder)
                _require_whole(stop)
                continue
            if not (found or ran):
                result = dataclasses.replace(result, message="no test ran", folder=folder)
                continue
            result = dataclasses.replace(
                result,
                state=MutantState.KILLED if found else MutantState.SURVIVED,
                killer=found.killer if found else None,
                test=found.test if found else "",
                message=found.message if found else "",
                ran=ran,
                folder=folder,
            )
            break
    except HarnessError as error:
        result = dataclasses.replace(result, message=error.what)
    finally:
        if build.switch is None:
            shutil.rmtree(kernel.folder, ignore_errors=True)
    return dataclasses.replace(result, tested=round(time.monotonic() - begin, 3))


def _require_whole(stop: Callable[[], bool]) -> None:
    if stop():
        raise Interrupted("interrupted")


def _plan(prepared: Prepared, wanted: MutantTrial, switch: Switch | None) -> Plan:
    """Return how to run a mutant's tests.

    A kernel with other mutants is told which one to be before its first test, so that a copy of a
    saved guest will do; or at boot, if that is when the line is executed.
    """
    tests = tuple(test for test, _ in wanted.tests)
    if switch is None:
        return prepared.lab.plan.alone(tests)
    if wanted.at_boot:
        words = ("--guest-append", switch.at_boot)
        return dataclasses.replace(prepared.lab.plan.alone(tests), pytest_args=words)
    words = ("--guest-write", switch.later)
    return dataclasses.replace(_in_copy(prepared, tests), pytest_args=words)


def _in_copy(prepared: Prepared, tests: tuple[str, ...]) -> Plan:
    """Return the plan that runs these tests alone, in a copy of a saved guest if allowed."""
    plan = prepared.lab.plan
    return dataclasses.replace(plan.alone(tests), no_snapshot=plan.no_snapshot)


def _prove(prepared: Prepared, kernel: Kernel, test: str, folder: Path) -> None:
    """Raise Untestable unless a test passes on a kernel of which no mutant is chosen."""
    plan = _in_copy(prepared, (test,))
    if found := noticed(run(prepared, kernel, plan, (test,), folder)):
        what = f"the kernel with all mutants fails {found.test or 'to boot'} though none is chosen"
        raise Untestable(what, hint="--separate builds a kernel for each mutant")


def run(
    prepared: Prepared, kernel: Kernel, plan: Plan, tests: tuple[str, ...], folder: Path
) -> Trial:
    """Run the tests in a guest with a mutant's kernel until one is bad.

    Raises what ``lab.trial.run`` raises.
    """
    known = ((test, prepared.passing.get(test, 0.0)) for test in tests)
    deadlines = {test: max(_LEAST, _SLOWER * seconds) for test, seconds in known}
    with paths.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        serial.write(folder / DEADLINES, deadlines)
    words = ("-x", "--deadlines", str(folder / DEADLINES), *plan.pytest_args)
    built = Built(Side.PATCHED, prepared.tip, kernel)
    lab = dataclasses.replace(prepared.lab, plan=dataclasses.replace(plan, pytest_args=words))
    result = lab_trial.run(lab, built, folder, base=prepared.unchanged)
    serial.write(folder / RESULT, result, indent=1)
    return result


@dataclasses.dataclass(frozen=True)
class Noticed:
    """How a mutant was noticed; ``test`` is "" if no test had begun."""

    killer: Killer
    test: str
    message: str


def noticed(result: Trial) -> Noticed | None:
    """Return how a trial noticed its mutant; None if it did not."""
    if result.error:
        return Noticed(Killer.BOOT, "", result.error)
    bad = [test for test in result.tests if test.outcome.bad and test.outcome is not Outcome.NOTRUN]
    if bad:
        first = min(bad, key=lambda test: test.began or float("inf"))
        return Noticed(_killer(first), first.id, first.headline)
    if result.boot_splats:
        return Noticed(Killer.SPLAT, "", result.boot_splats[0].title)
    return None


def _killer(test: Test) -> Killer:
    if test.outcome is Outcome.TIMEOUT:
        return Killer.HANG
    if test.outcome is Outcome.CRASH:
        return Killer.CRASH
    if test.outcome is Outcome.ERROR and test.splats:
        return Killer.SPLAT
    if test.outcome is Outcome.ERROR and "leak" in test.message:
        return Killer.LEAK
    return Killer.ASSERTION
