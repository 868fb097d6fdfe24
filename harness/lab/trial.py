# SPDX-License-Identifier: GPL-2.0-only
"""A trial: the suites in guests of one kernel, by pytest with our plugin as its own program."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import math
import shlex
import shutil
import signal
import sys
from pathlib import Path

import harness
from harness import paths, process
from harness.errors import GuestFault, HostFault, UsageError
from harness.guest import attend
from harness.lab import decoded, session
from harness.lab.kernels import Built, Lab
from harness.lab.plan import Plan
from harness.model import Accel, Kernel, Outcome, Request, Side, SideResult, Test
from harness.progress import Progress, Stage
from harness.results import evidence, journal
from harness.results.regression import counts

# pytest's exit codes that are no verdict on the kernel.  Ctrl-C, its other reason for 2, reaches us
# before it.
_ENDED = (0, 1)  # it ran all tests
_INTERNAL = 3
_UNCOLLECTED = 2
_UNFIT = {
    _UNCOLLECTED: "the suites cannot be collected",
    4: "pytest does not understand what it was asked",
    5: "no tests were found in the suites",
}


def run(
    lab: Lab, built: Built, folder: Path, *, keep: bool = False, base: SideResult | None = None
) -> SideResult:
    """Run the plan's suites on one kernel; evidence goes to ``folder``, splats are decoded.

    A base that was tested before with the same suites is not booted again; with ``keep`` no
    kernel is.  ``base`` is what the base did: what fails there too is shown so.
    """
    plan, progress = lab.plan, lab.progress
    keep = keep or built.side is Side.BASE
    known = _baseline(plan, built.kernel, lab.accel) if keep else None
    if known is not None and _is_whole(known):
        earlier = _earlier(built, known, folder, progress)
        return decoded.side(earlier, built, folder, progress)
    _evidence(built.kernel, lab.request, folder)
    words = command(plan, built.kernel, slowness(lab.request), lab.accel, folder)
    with _stage(built, progress) as stage, _attendant(plan, folder, progress):
        bad = {one.id for one in base.tests if one.outcome.bad} if base else set()
        judged = built.side is Side.PATCHED or plan.series is None
        seen = session.Session(stage, folder, built.side, judged=judged, known=bad)
        with seen.watched():
            status, tail = _pytest(words, folder, plan.folder, progress)
        stage.finish(f"{stage.what}: {seen.words}")
    # In a thread Ctrl-C is for pytest alone: that is how it ends then.
    result = evidence.read(folder, built.side, built.kernel, stopped=status not in _ENDED)
    # What the base could collect and this kernel cannot is the series' doing.
    fit = base is not None and any(map(_ran, base.tests)) and status == _UNCOLLECTED
    _no_verdict(status, tail, result, folder, fit=fit)
    if known is not None and not result.error and _is_whole(folder):
        _keep(folder, known)
    return decoded.side(result, built, folder, progress)


def _stage(built: Built, progress: Progress) -> contextlib.AbstractContextManager[Stage]:
    return progress.stage("test", f"{built.side} {built.kernel.release}")


def _earlier(built: Built, known: Path, folder: Path, progress: Progress) -> SideResult:
    """Take over what an earlier run found, with its evidence."""
    with _stage(built, progress) as stage:
        shutil.copytree(known, folder, dirs_exist_ok=True, symlinks=True)
        found = evidence.read(folder, built.side, built.kernel, cached=True)
        tally = session.tally(counts(found.tests)).plain
        stage.finish(f"{stage.what}: {tally} (an earlier run's, of the same suites)")
    return found


def _evidence(kernel: Kernel, request: Request, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kernel.config, folder / evidence.CONFIG)
    if kernel.log is not None:
        shutil.copyfile(kernel.log, folder / evidence.BUILD_LOG)
    evidence.write_options(folder, request)


# What makes a kernel slower at everything, and by how much.
_SLOW = {"KASAN": 2.0, "PROVE_LOCKING": 1.5, "DEBUG_KMEMLEAK": 1.3}


def slowness(request: Request) -> float:
    """Give the factor by which a kernel with these options needs more time for everything."""
    on = {option.name.removeprefix("CONFIG_") for option in request.options if option.value == "y"}
    return math.prod(factor for name, factor in _SLOW.items() if name in on)


def command(plan: Plan, kernel: Kernel, scale: float, accel: Accel, folder: Path) -> list[str]:
    """Give the pytest command for one kernel, as a person could type it."""
    options: dict[str, object] = {
        "--kernel": kernel.image,
        "--rootdir": plan.folder,  # or pytest takes the image for a place of tests, and / for all
        "--guest-folder": folder,
        "--kernel-options": folder / evidence.OPTIONS,
        "--accel": accel,
        "--guests": plan.guests,
        "--guest-arch": kernel.arch,
        "--guest-cpus": plan.cpus,
        "--guest-memory": plan.memory,
        "--guest-scale": scale,
        "--boot-timeout": plan.boot_timeout,
        "--test-timeout": plan.test_timeout,
        "--run-timeout": plan.run_timeout,
    }
    given = [word for name, value in options.items() if value for word in (name, str(value))]
    disks = [word for disk in plan.disks for word in ("--guest-disk", disk)]
    pairs = (("--guest-env", f"{name}={value}") for name, value in plan.environment)
    variables = [word for pair in pairs for word in pair]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"]
    return [*pytest, *given, *disks, *variables, *plan.suites, *plan.pytest_args]


def _pytest(words: list[str], folder: Path, cwd: Path, progress: Progress) -> tuple[int, list[str]]:
    """Run it; gives its status and its last lines."""
    tail: collections.deque[str] = collections.deque(maxlen=40)
    with (folder / evidence.PYTEST_LOG).open("w", encoding="utf-8") as log:

        def line(text: str) -> None:
            tail.append(text)
            log.write(text + "\n")
            progress.more(text)

        log.write(f"$ {shlex.join(words)}\n")
        status = process.follow(words, line, cwd=cwd, env={"NO_COLOR": "1"})
    return status, list(tail)


def _attendant(
    plan: Plan, folder: Path, progress: Progress
) -> contextlib.AbstractContextManager[object]:
    """Enter guests that are held: pytest, behind a pipe, has no terminal."""
    if not plan.hold:
        return contextlib.nullcontext()
    return attend.Attendant(folder / evidence.GUESTS, progress.say, attend.terminal())


def _ran(test: Test) -> bool:
    """Whether it is a test that ran, and not a file that could not be imported."""
    return test.outcome is not Outcome.NOTRUN and "::" in test.id


def _no_verdict(
    status: int, tail: list[str], result: SideResult, folder: Path, *, fit: bool
) -> None:
    """Raise when pytest did not come to a verdict, with its own last words."""
    details = "\n".join(tail)
    hint = f"see {folder / evidence.PYTEST_LOG}"
    # With -x pytest ends with 2 as well; whatever was run is a verdict.  Killed, it gives none.
    if status in _UNFIT and not fit and not any(map(_ran, result.tests)):
        raise UsageError(_UNFIT[status], hint=hint, details=details)
    if status < 0:
        name = signal.Signals(-status).name
        raise HostFault(f"pytest was ended from outside ({name})", hint=hint, details=details)
    if status == _INTERNAL:
        raise GuestFault("the guests could not be run", hint=hint, details=details)
    if not result.tests and not result.error:
        raise HostFault("pytest ended without a result", hint=hint, details=details)


def _baseline(plan: Plan, kernel: Kernel, accel: Accel) -> Path:
    """Name the folder for all that a base's result depends on: kernel, suites, how they are run."""
    guest = (accel, plan.memory, plan.cpus, plan.disks, plan.environment)
    how = (kernel.key, *guest, plan.test_timeout, plan.pytest_args)
    digest = hashlib.sha256(repr(how).encode())
    for folder in (*(plan.folder / suite for suite in plan.suites), Path(harness.__file__).parent):
        top = Path(str(folder).partition("::")[0])
        digest.update(str(folder).encode())
        files = sorted(top.rglob("*.py")) if top.is_dir() else [top] if top.is_file() else []
        for file in [*files, *_shared(top, plan.folder)]:
            digest.update(f"{file}\0".encode() + file.read_bytes())
    return paths.cache("baselines") / digest.hexdigest()[:24]


def _shared(suite: Path, top: Path) -> list[Path]:
    """Python files above a suite that its tests use: each conftest.py, and packages beside it."""
    confs = [folder / "conftest.py" for folder in suite.parents if folder.is_relative_to(top)]
    shared = [conf for conf in confs if conf.is_file()]
    for conf in list(shared):
        packages = [init.parent for init in conf.parent.glob("*/__init__.py")]
        shared += sorted(file for package in packages for file in package.rglob("*.py"))
    return shared


def _is_whole(folder: Path) -> bool:
    """Whether every test in a folder came to an end: half a result must not stand for the base."""
    tests = journal.read(folder, stopped=True)
    return bool(tests) and all(test.outcome is not Outcome.NOTRUN for test in tests)


def _keep(folder: Path, known: Path) -> None:
    with paths.scratch(known) as draft:
        # Dumps are as large as guests, and nobody asks for those of a run before.
        shutil.copytree(
            folder, draft / "kept", symlinks=True, ignore=shutil.ignore_patterns("vmcore")
        )
        if not _is_whole(known):  # another run may have been faster
            if known.exists():
                known.rename(draft / "old")
            (draft / "kept").replace(known)
