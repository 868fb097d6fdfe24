# SPDX-License-Identifier: GPL-2.0-only
"""What a mutation needs before the first mutant: the kernel, its tests, and what they execute."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from harness import build, kconfig, paths, serial, tree
from harness.errors import HostFault, Untestable, UsageError
from harness.lab import coverage as counters
from harness.lab import trial
from harness.lab.kernels import Built, Lab
from harness.lab.plan import make_jobs
from harness.model import (
    Checkout,
    Coverage,
    Kernel,
    Outcome,
    Plan,
    SeriesLines,
    Side,
    Source,
    Trial,
)
from harness.results import evidence, store

PLAN = "plan.json"  # in the folder of a mutation
_PURPOSE = "mutants"  # of the build folder


@dataclasses.dataclass(frozen=True)
class MutationPlan:
    """What a mutation should do; ``run`` is how its kernels are built and run.

    Mutants are tried in the order that ``seed`` decides, for at most ``minutes`` (after the trial
    without a mutant) and at most ``most`` of them; 0 means all.  ``kinds`` are the names of the
    kinds to use.  ``at_least`` is the score in percent that makes it good.  ``run_folder`` holds a
    run with coverage of the same kernel, whose results stand for the trial without a mutant.
    The tests of one mutant may take ``seconds`` without it; 0 means that all run.  ``again`` is the
    folder of a mutation: only mutants that were not killed there are tried.  ``separate``: each
    mutant gets a kernel of its own, also where one kernel could hold them all.
    """

    run: Plan
    seed: int = 0
    minutes: float = 0.0
    most: int = 0
    at_least: float = 0.0
    kinds: tuple[str, ...] = ()
    run_folder: Path | None = None
    seconds: float = 0.0
    again: Path | None = None
    separate: bool = False

    def save(self, folder: Path) -> None:
        """Write the plan into the folder of the mutation, for --resume."""
        serial.write(folder / PLAN, self, indent=1)

    @classmethod
    def load(cls, folder: Path) -> MutationPlan:
        """Read the saved plan.  Raises UsageError if it is missing or damaged."""
        try:
            return serial.read(folder / PLAN, cls)
        except FileNotFoundError:
            what = f"{folder} holds no {PLAN}"
            raise UsageError(what, hint="name a folder written by harness mutate") from None
        except serial.DamagedError as error:
            hint = "leave out --resume to start again"
            raise UsageError(f"{folder / PLAN} is damaged: {error}", hint=hint) from error


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The kernel without a mutant, and what its tests showed.

    ``lab`` builds and runs mutants; ``out`` is their build folder, which holds the build of
    ``kernel``, a lean one, unless workers build.  ``unchanged`` are the results without a mutant.
    """

    lab: Lab
    source: Source
    base: Checkout
    tip: Checkout
    kernel: Kernel
    out: Path
    lines: SeriesLines
    unchanged: Trial
    coverage: Coverage = dataclasses.field(default_factory=Coverage)

    @property
    def passing(self) -> dict[str, float]:
        """The tests that pass without a mutant, with the seconds they take."""
        good = (Outcome.PASS, Outcome.XFAIL)
        return {test.id: test.seconds for test in self.unchanged.tests if test.outcome in good}


def prepare(lab: Lab, source: Source, folder: Path, run_folder: Path | None = None) -> Prepared:
    """Build the kernel with and without counters, and run the plan's suites on the former.

    Results of an earlier mutation of the same kernel with the same suites are used again, and so
    are those of the run in ``run_folder``.  Raises UsageError if that tested something else,
    Untestable if the series does not apply or build, nothing of it is compiled, or no test passes.
    """
    with tree.slot(source, lab.progress) as slot:
        counting, lab, base, tip = both_labs(lab, slot)
        counted = counting.kernel(slot, tip)
        kernel, out = unmutated(lab, slot, tip)
    lines = compiled(counting.lines(counted))
    place, built = folder / evidence.UNCHANGED, Built(Side.PATCHED, tip, counted, lines)
    unchanged = known(built, place, run_folder) or trial.run(counting, built, place, keep=True)
    return checked(Prepared(lab, source, base, tip, kernel, out, lines, unchanged), place)


def both_labs(lab: Lab, slot: tree.Slot) -> tuple[Lab, Lab, Checkout, Checkout]:
    """Return the lab with counters and the one without; the base, and the series on it."""
    series = lab.plan.series
    assert series is not None
    plan = dataclasses.replace(lab.plan, coverage=True)
    request = counters.with_counters(plan, lab.request)
    counting = dataclasses.replace(lab, plan=plan, request=request)
    base, tip = slot.base(), slot.patched(series)
    counting = counting.following(slot, base, tip, held=True) or counting
    return counting, lab.following(slot, base, tip, held=True) or lab, base, tip


def unmutated(lab: Lab, slot: tree.Slot, tip: Checkout) -> tuple[Kernel, Path]:
    """Build the kernel without a mutant in the build folder of mutants; return both.

    Raises Untestable if it cannot be lean.
    """
    slot.check_out(tip)
    out = build.folder(tip, lab.folder_request, lab.toolchain, _PURPOSE)
    request = lab.request_for(tip)
    kconfig.configure(tip.path, out, request, lab.toolchain, lab.progress)
    if not build.can_be_lean(out, lab.toolchain):
        raise Untestable(
            "mutants need a kernel that QEMU boots uncompressed, without BTF",
            hint="CONFIG_PVH=y CONFIG_DEBUG_INFO_BTF=n",
        )
    build.restore(out)
    key = build.lean(build.key(tip, request, lab.toolchain))
    return build.build(tip, out, key, lab.toolchain, lab.progress, make_jobs(lab.plan)), out


def compiled(lines: SeriesLines | None) -> SeriesLines:
    """Return the lines of a series.  Raises Untestable if none of them is compiled."""
    if lines is None or not lines.compiled:
        raise Untestable(
            "nothing of the series is compiled into its kernel",
            hint="harness run says why for each line",
        )
    return lines


def checked(prepared: Prepared, place: Path) -> Prepared:
    """Add the coverage in the folder of the trial without a mutant, which must have succeeded."""
    unchanged = prepared.unchanged
    if unchanged.error:
        raise Untestable(f"the kernel without a mutant {unchanged.error}", hint="harness run")
    coverage = store.load_coverage(place)
    if coverage is None:
        raise HostFault("it is not known which test executes which line", hint=f"see {place}")
    found = dataclasses.replace(prepared, coverage=coverage)
    if not found.passing:
        raise Untestable("no test passes on the kernel without a mutant", hint="harness run")
    return found


def known(built: Built, folder: Path, run_folder: Path | None) -> Trial | None:
    """Return the results without a mutant that the folder, or a run, has; None if there are none.

    Raises UsageError if they are those of another kernel.
    """
    if (folder / store.COVERAGE).exists():  # a mutation is continued
        image = evidence.image(folder)
        if image is None or image.parent.name != built.kernel.folder.name:
            what = "the series, its kernel or the configuration has changed since"
            raise UsageError(what, hint="leave out --resume to start again")
        return evidence.read(folder, built.side, built.kernel, cached=True)
    if run_folder is None:
        return None
    run = store.load_run(run_folder)
    place = run_folder / run.judged.side
    if run.judged.kernel.key != built.kernel.key or not (place / store.COVERAGE).exists():
        raise UsageError(
            f"the run in {run_folder} is not about this kernel with counters",
            hint="run `harness run --coverage` with the same options first, or leave out --run",
        )
    with paths.writing(folder):
        shutil.copytree(place, folder, dirs_exist_ok=True, symlinks=True)
    return evidence.read(folder, built.side, built.kernel, cached=True)
