# SPDX-License-Identifier: GPL-2.0-only
"""Failed tests and boots, and splats, with as much evidence as fits on a page."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness import vmcore
from harness.decode import Decoded
from harness.history.histories import TestHistory
from harness.model import Outcome, Run, Splat, Test
from harness.progress import clock
from harness.publish.html.excerpts import NOTHING, Budget, Excerpt, around_tests, end_of, excerpt
from harness.publish.html.test_table import BASE, KernelColumn
from harness.results import evidence

#: Returns the histories of tests; tests without a history are left out.
Ask = Callable[[Sequence[str]], Mapping[str, TestHistory]]

ROOM = 8 << 20  # maximum number of characters of evidence on a page
SHOWN = 400  # maximum number of failures shown for a kernel; the table contains all
ASKED = 60  # maximum number of failures whose history is looked up
SPLATS = 8  # maximum number of splats of a test, or of a kernel before its first test

_WORST_FIRST = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.ERROR, Outcome.FAIL, Outcome.XPASS)
_Decoded = Mapping[tuple[str, tuple[str, ...]], Decoded]


@dataclasses.dataclass(frozen=True)
class ShownSplat:
    """A splat; ``decoded`` is None if no source lines are known for its frames."""

    splat: Splat
    raw: Excerpt
    decoded: Decoded | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """Facts about the splat, a few words each."""
        splat = self.splat
        access = f"{splat.access} of {splat.size} bytes" if splat.size else splat.access
        facts = (
            splat.function and f"in {splat.function}",
            f"{access} at {splat.address}" if access and splat.address else access,
            splat.task and f"task {splat.task}",
            f"CPU {splat.cpu}" if splat.cpu is not None else "",
            splat.taint and f"taint {splat.taint}",
            f"then a panic: {splat.panic}" if splat.panic and splat.kind != "panic" else "",
            "after the test had ended" if splat.phase == "after" else "",
        )
        return tuple(filter(None, facts))


@dataclasses.dataclass(frozen=True)
class ShownFailure:
    """A test that was bad on the kernel ``column``; ``whole``: all its evidence is shown."""

    test: Test
    column: str
    change: str = ""
    message: Excerpt = NOTHING
    splats: tuple[ShownSplat, ...] = ()
    console: Excerpt = NOTHING
    output: Excerpt = NOTHING
    history: TestHistory | None = None
    whole: bool = False

    @property
    def anchor(self) -> str:
        """The failure's id in links; a test's id is the same in each report."""
        digest = hashlib.sha256(self.test.id.encode(errors="surrogatepass")).hexdigest()[:10]
        return f"f-{digest}" if self.column != BASE else f"b-{digest}"

    @property
    def facts(self) -> tuple[str, ...]:
        """Facts about the test, a few words each."""
        test = self.test
        facts = (
            test.guest and f"guest {test.guest}",
            f"took {clock(test.seconds)}",
            f"attempts {', '.join(test.attempts)}" if len(test.attempts) > 1 else "",
            "taint before, after {:#x}, {:#x}".format(*test.taint) if any(test.taint) else "",
        )
        return tuple(filter(None, facts))


def bad(kernel: KernelColumn) -> list[Test]:
    """Return the bad tests, the worst first, without those that merely did not run."""
    rank = {outcome: number for number, outcome in enumerate(_WORST_FIRST)}
    tests = [
        test
        for test in kernel.tests
        if test.outcome.bad and (test.message or test.outcome is not Outcome.NOTRUN)
    ]
    return sorted(tests, key=lambda test: rank.get(test.outcome, len(rank)))


def show(
    tests: Sequence[Test],
    kernel: KernelColumn,
    budget: Budget,
    changes: Mapping[str, str] | None = None,
    ask: Ask | None = None,
) -> tuple[ShownFailure, ...]:
    """Return the first SHOWN of ``tests``; once the budget is spent, without their evidence.

    ``changes`` describes in one word how the series changed each test.
    """
    tests = tests[:SHOWN]
    decoded = _decoded(kernel.folder)
    histories = ask([test.id for test in tests[:ASKED]]) if ask and tests else {}
    consoles = _consoles(tests, kernel.folder)
    failures = []
    for test in tests:
        failure = ShownFailure(
            test, kernel.label, (changes or {}).get(test.id, ""), history=histories.get(test.id)
        )
        if not budget.spent:
            failure = dataclasses.replace(
                failure,
                message=excerpt(test.message),
                splats=tuple(_splat(splat, decoded) for splat in test.splats[:SPLATS]),
                console=consoles.get((test.guest, test.id)) or excerpt(test.kernel_log),
                output=excerpt(test.output, 20, 60),
                whole=True,
            )
            raws = (splat.raw for splat in failure.splats)
            budget.spend(failure.message, failure.console, failure.output, *raws)
        failures.append(failure)
    return tuple(failures)


def _decoded(folder: Path) -> _Decoded:
    return {(splat.title, splat.frames): splat.decoded for splat in evidence.decoded(folder)}


def _splat(splat: Splat, decoded: _Decoded) -> ShownSplat:
    places = decoded.get((splat.title, splat.frames))
    if places and not (places.frames or places.alloc or places.free):
        places = None
    return ShownSplat(splat, excerpt("\n".join(splat.raw or splat.lines), 60, 40), places)


def _consoles(tests: Sequence[Test], folder: Path) -> dict[tuple[str, str], Excerpt]:
    """Read each guest's console once; return its lines around tests, by (guest, test)."""
    by_guest: dict[str, set[str]] = {}
    for test in tests:
        by_guest.setdefault(test.guest, set()).add(test.id)
    return {
        (guest, test): text
        for guest, names in by_guest.items()
        for test, text in around_tests(_console(folder, guest), names).items()
    }


def _console(folder: Path, guest: str) -> Path:
    return folder / evidence.GUESTS / guest.removeprefix("guest") / "console.log"


def boot_splats(
    run: Run, kernels: Sequence[KernelColumn]
) -> Iterator[tuple[KernelColumn, ShownSplat]]:
    """Return the splats that kernels printed before their first test."""
    for side, kernel in zip(run.sides, kernels, strict=True):
        decoded = _decoded(kernel.folder)
        not_booted = [splat for guest in side.guests if side.error for splat in guest.splats]
        splats = {splat.title: splat for splat in (*side.boot_splats, *not_booted)}
        for splat in list(splats.values())[:SPLATS]:
            yield kernel, _splat(splat, decoded)


def not_booted(run: Run, kernels: Sequence[KernelColumn]) -> Iterator[tuple[str, str, Excerpt]]:
    """Return (kernel, error, end of the console) for each kernel that did not boot."""
    for side, kernel in zip(run.sides, kernels, strict=True):
        if side.error:
            guest = side.guests[0].name if side.guests else "guest0"
            yield kernel.label, side.error, end_of(_console(kernel.folder, guest))


def dumps(kernels: Sequence[KernelColumn]) -> tuple[str, ...]:
    """Return the lines that summarise the memory dumps of kernels that died or hung."""
    return tuple(
        line for kernel in kernels for line in vmcore.heads(kernel.folder / evidence.GUESTS)
    )
