# SPDX-License-Identifier: GPL-2.0-only
"""A trial: one kernel boots and runs the suites once, using pytest with our plugin.

pytest runs as a separate program, with a command that a user could type.  If it crashes, no results
are lost: they are in the journal.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import math
import os
import shlex
import shutil
import signal
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import harness
from harness import adaptors, kconfig, options, paths, process
from harness.decode import Decoded, decode_run, render
from harness.errors import GuestFault, HarnessError, HostFault, Uncollected, UsageError
from harness.guest import attend
from harness.lab import coverage, suites
from harness.lab.kernels import Built, Lab
from harness.lab.live import SessionView
from harness.model import (
    Accel,
    GuestRecord,
    Kernel,
    Outcome,
    Plan,
    Request,
    Side,
    Splat,
    Test,
    Trial,
)
from harness.plugin import suite_files
from harness.progress import Progress, Stage
from harness.results import evidence, journal, store
from harness.results.evidence import DecodedSplat
from harness.results.regression import outcomes_text

FIRST = "first-tests"  # in a trial's folder: the ids of the tests to run before all others
# pytest's exit codes; those in _UNFIT are no verdict on the kernel.  Exit code 2 can also mean
# Ctrl-C, but then we are interrupted first.
_ENDED = (0, 1)  # it ran all tests
_INTERNAL = 3
_UNCOLLECTED = 2
_UNFIT = {
    _UNCOLLECTED: "the suites cannot be collected",
    4: "pytest does not accept its command line",
    5: "no tests were found in the suites",
}


def run(
    lab: Lab, built: Built, folder: Path, *, keep: bool | None = None, base: Trial | None = None
) -> Trial:
    """Run the plan's suites on one kernel; write evidence to ``folder``, and decode splats.

    A base that was already tested with the same suites is not booted again; ``keep`` says so for
    any kernel, or that it is.  ``base`` is the result of the base: tests that fail there too are
    marked.
    Raises UsageError, GuestFault or HostFault if pytest had no result.
    """
    plan, progress = lab.plan, lab.progress
    places = suites.build(plan, built.checkout, lab.toolchain, progress)
    keep = built.side is Side.BASE if keep is None else keep
    keep = keep and adaptors.from_tree(plan.suites)
    kept = _kept_folder(plan, built.kernel, lab.accel, places) if keep else None
    if kept is not None and _is_complete(kept):
        return _decoded(_reused(built, kept, folder, progress), built, folder, progress)
    request = kconfig.effective(lab.request, built.kernel.config.read_text())
    write_inputs(built.kernel, request, folder)
    argv = command(plan, built.kernel, slowness(request), lab.accel, folder, places)
    with _stage(built, progress) as stage, _attendant(plan, folder, progress):
        failing = {test.id for test in base.tests if test.outcome.bad} if base else set()
        judged = built.side is Side.PATCHED or plan.series is None
        view = SessionView(stage, folder, built.side, judged=judged, known=failing)
        with view.watched():
            status, tail = _pytest(argv, folder, plan.folder, progress)
        stage.finish(f"{stage.what}: {view.summary}")
    # If this runs in a thread, only pytest receives Ctrl-C, and may end because of it.
    result = evidence.read(folder, built.side, built.kernel, stopped=status not in _ENDED)
    # If the base could collect the suites and this kernel cannot, the series is at fault.
    at_fault = status == _UNCOLLECTED and collects(base)
    raise_fault(status, tail, result, folder, collects=at_fault)
    if built.kernel.notes is not None:
        _count(lab, built, folder)
    if kept is not None and not result.error and _is_complete(folder):
        _keep(folder, kept)
    return _decoded(result, built, folder, progress)


def read_back(built: Built, folder: Path, *, cached: bool = False) -> Trial:
    """Read a trial that was run elsewhere; its splats were decoded there."""
    result = evidence.read(folder, built.side, built.kernel, cached=cached)
    decoded = {(entry.title, entry.frames): entry.decoded for entry in evidence.decoded(folder)}
    return _located(result, decoded)


def collects(base: Trial | None) -> bool:
    """Whether the suites could be collected on the base, so that they can be on any kernel."""
    return base is not None and any(map(_ran, base.tests))


def _count(lab: Lab, built: Built, folder: Path) -> None:
    """Write which lines of the series each test executed; no verdict depends on it."""
    lines = built.lines or lab.lines(built.kernel)
    if lines is None:
        return
    with lab.progress.stage("coverage", "what each test executed") as stage:
        try:
            found = coverage.collect(folder, built.kernel, built.checkout, lines, lab.toolchain)
        except HarnessError as error:
            stage.finish(f"not counted: {error.what}")
            return
        if not found.files:
            stage.finish("not counted: no guest could read its counters, or no test ended")
            return
        store.save_coverage(folder, found)
        executed, counted = found.counted(executed=True), found.counted()
        stage.finish(f"{executed} of {counted} lines with counters executed")


def _stage(built: Built, progress: Progress) -> contextlib.AbstractContextManager[Stage]:
    return progress.stage("test", f"{built.side} {built.kernel.release}")


def _reused(built: Built, kept: Path, folder: Path, progress: Progress) -> Trial:
    """Copy the evidence of an earlier trial, and read it."""
    with _stage(built, progress) as stage:
        shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
        result = evidence.read(folder, built.side, built.kernel, cached=True)
        text = outcomes_text(result.tests)
        stage.finish(f"{stage.what}: {text} (from an earlier run of the same suites)")
    return result


def write_inputs(kernel: Kernel, request: Request, folder: Path) -> None:
    """Write a kernel's .config, its build log and the requested options into a trial's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kernel.config, folder / evidence.CONFIG)
    if kernel.log is not None:
        shutil.copyfile(kernel.log, folder / evidence.BUILD_LOG)
    evidence.write_options(folder, request)


# Options that make a kernel slower in general, and by what factor.
_SLOW = {"KASAN": 2.0, "PROVE_LOCKING": 1.5, "DEBUG_KMEMLEAK": 1.3}


def slowness(request: Request) -> float:
    """Return the factor by which these options slow down a kernel."""
    on = {option.name.removeprefix("CONFIG_") for option in request.options if option.value == "y"}
    return math.prod(factor for name, factor in _SLOW.items() if name in on)


def command(
    plan: Plan,
    kernel: Kernel,
    scale: float,
    accel: Accel,
    folder: Path,
    places: Mapping[str, Path] = types.MappingProxyType({}),
) -> list[str]:
    """Return the pytest command for one kernel, as a user could type it.

    ``places`` are the folders of suites that were built.
    """
    arguments = {
        "--kernel": kernel.image,
        "--rootdir": plan.folder,  # otherwise pytest considers the image a test path and uses /
        "--guest-folder": folder,
        "--kernel-options": folder / evidence.OPTIONS,
        "--guest-scale": f"{scale:g}",
    }
    # pytest writes to a pipe and has no terminal for --hold: see _attendant.
    arch = kernel.arch if kernel.arch != options.GUEST_ARCH else ""
    plan = dataclasses.replace(plan, accel=str(accel), arch=arch, hold=False)
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"]
    pytest += [str(word) for pair in arguments.items() for word in pair]
    for suite, place in places.items():
        pytest += ["--suite-folder", f"{suite}={place}"]
    if plan.first:
        (folder / FIRST).write_text("".join(f"{test}\n" for test in plan.first))
        pytest += ["--run-first", str(folder / FIRST)]
        pytest += ["--only-first"] if plan.only_first else []
    suites = map(paths.own_suite, plan.suites)
    return [*pytest, *options.pytest_words(plan), *suites, *plan.pytest_args]


def _pytest(argv: list[str], folder: Path, cwd: Path, progress: Progress) -> tuple[int, list[str]]:
    """Run pytest; return its exit status and its last lines."""
    tail: collections.deque[str] = collections.deque(maxlen=40)
    with (folder / evidence.PYTEST_LOG).open("w", encoding="utf-8") as log:

        def line(text: str) -> None:
            tail.append(text)
            log.write(text + "\n")
            progress.more(text)

        log.write(f"$ {shlex.join(argv)}\n")
        status = process.follow(argv, line, cwd=cwd, env={"NO_COLOR": "1"})
    return status, list(tail)


def _attendant(
    plan: Plan, folder: Path, progress: Progress
) -> contextlib.AbstractContextManager[object]:
    """Enter held guests: pytest has no terminal, since it writes to a pipe."""
    if not plan.hold:
        return contextlib.nullcontext()
    return attend.Attendant(folder / evidence.GUESTS, progress.say, attend.terminal())


def _ran(test: Test) -> bool:
    """Whether this is a test that ran, rather than a file that could not be imported."""
    return test.outcome is not Outcome.NOTRUN and "::" in test.id


def raise_fault(
    status: int, tail: list[str], result: Trial, folder: Path, *, collects: bool
) -> None:
    """Raise if pytest had no result: it refused to run, was killed, failed, or left nothing.

    ``collects``: the suites can be collected on another kernel, so this kernel is at fault.
    """
    hint, details = f"see {folder / evidence.PYTEST_LOG}", "\n".join(tail)
    # With -x pytest exits with 2 as well; the tests that ran give a verdict.
    if status in _UNFIT and not collects and not any(map(_ran, result.tests)):
        kind = Uncollected if status == _UNCOLLECTED else UsageError
        raise kind(_UNFIT[status], hint=hint, details=details)
    if status < 0:
        name = signal.Signals(-status).name
        raise HostFault(f"pytest was killed by {name}", hint=hint, details=details)
    if status == _INTERNAL:
        raise GuestFault("the guests could not be run", hint=hint, details=details)
    if not result.tests and not result.error:
        raise HostFault("pytest ended without a result", hint=hint, details=details)


def _kept_folder(plan: Plan, kernel: Kernel, accel: Accel, places: Mapping[str, Path]) -> Path:
    """Return the cache folder, named by what a result depends on: kernel, suites, how they run."""
    guest = (accel, plan.memory, plan.cpus, plan.disks, plan.environment, plan.no_snapshot)
    tests = (plan.test_timeout, plan.keyword, plan.repeat, plan.fresh, plan.retry, plan.allow_flaky)
    adapted = (*places.items(), *filter(adaptors.parse, plan.suites))
    only = plan.first if plan.only_first else ()
    rest = (plan.hold_for, plan.vmcore, plan.pytest_args, *plan.ignored_splats)
    how = (kernel.key, *guest, *tests, *only, *rest, *adapted)
    digest = hashlib.sha256(repr(how).encode())
    digest.update(os.fsencode("\0".join((str(plan.folder), *plan.suites))))
    own = sorted(Path(harness.__file__).parent.rglob("*.py"))
    for file in dict.fromkeys([*suite_files.of_plan(plan), *own]):
        digest.update(os.fsencode(file) + b"\0")
        with contextlib.suppress(OSError):  # nor can a guest read it
            digest.update(file.read_bytes())
    return paths.cache("baselines") / digest.hexdigest()[:24]


def _is_complete(folder: Path) -> bool:
    """Whether all tests in a folder have ended: a partial result must not stand for the base."""
    tests = journal.read(folder, stopped=True)
    return bool(tests) and all(test.outcome is not Outcome.NOTRUN for test in tests)


def _keep(folder: Path, kept: Path) -> None:
    with paths.scratch(kept) as draft:
        # Dumps are as large as guest memory, and those of an earlier run are not needed.
        without_dumps = shutil.ignore_patterns("vmcore")
        shutil.copytree(folder, draft / "kept", symlinks=True, ignore=without_dumps)
        if not _is_complete(kept):  # another run may have been faster
            if kept.exists():
                kept.rename(draft / "old")
            (draft / "kept").replace(kept)


_Key = tuple[str, tuple[str, ...]]
_Owner = TypeVar("_Owner", Test, GuestRecord)


def _key(splat: Splat) -> _Key:
    return splat.title, splat.frames


def _decoded(result: Trial, built: Built, folder: Path, progress: Progress) -> Trial:
    """Add the source location and patches to each splat; write them to ``folder``.

    A splat that cannot be decoded is left unchanged: no verdict depends on this.
    """
    owners: list[Test | GuestRecord] = [*result.tests, *result.guests]
    # A test's splat is on its guest's console as well, with another line number.
    splats = {_key(splat): splat for owner in owners for splat in owner.splats}
    if not splats:
        return result
    try:
        places = decode_run(splats.values(), built.kernel, built.checkout)
    except HarnessError as error:
        progress.say(f"splats are not decoded: {error.what}")
        return result
    decoded = dict(zip(splats, places, strict=True))
    text = "\n".join(_decoded_text(owners, decoded))
    (folder / evidence.SPLATS_TEXT).write_text(text, encoding="utf-8")
    stored = [DecodedSplat(title, frames, splat) for (title, frames), splat in decoded.items()]
    evidence.write_decoded(folder, tuple(stored))
    return _located(result, decoded)


def _located(result: Trial, decoded: dict[_Key, Decoded]) -> Trial:
    return dataclasses.replace(
        result,
        tests=tuple(_with_places(test, decoded) for test in result.tests),
        guests=tuple(_with_places(guest, decoded) for guest in result.guests),
    )


def _with_places(owner: _Owner, decoded: dict[_Key, Decoded]) -> _Owner:
    splats = []
    for splat in owner.splats:
        source = decoded.get(_key(splat))
        if source is None:  # it could not be decoded
            splats.append(splat)
            continue
        # The first location of a frame is the innermost inlined function.
        guilty = source.frames[source.guilty :][:1]
        places = [place for frame in guilty for place in frame.places]
        place = f"{places[0].file}:{places[0].line}" if places else ""
        splats.append(dataclasses.replace(splat, place=place, patches=source.patches))
    return dataclasses.replace(owner, splats=tuple(splats))


def _decoded_text(owners: list[Test | GuestRecord], decoded: dict[_Key, Decoded]) -> Iterator[str]:
    shown = set()
    for owner in owners:
        for key in map(_key, owner.splats):
            if key not in shown:
                shown.add(key)
                yield owner.id if isinstance(owner, Test) else f"{owner.name} (no test)"
                yield render(decoded[key]) + "\n"
