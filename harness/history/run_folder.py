# SPDX-License-Identifier: GPL-2.0-only
"""The sides of a run (the kernels it tested), from its Run value or from its folder."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

from harness.build import kernel_store
from harness.errors import HarnessError
from harness.history.run_facts import (
    Ended,
    GuestFacts,
    KernelFacts,
    RunFacts,
    SessionFacts,
    SideFacts,
    SplatFacts,
    TestFacts,
)
from harness.model import GuestRecord, Kernel, Outcome, Run, Side, Splat, Test, looks_running
from harness.results import evidence, journal, store

MESSAGE = 200  # characters of a test's headline that are kept
_DEPTH = 3  # levels below a run's folder in which a kernel's results may be
_NOT_SIDES = {"guests", "retries", "series", "kernel"}


def complete(facts: RunFacts) -> RunFacts:
    """Add the results in the run's folder, the only ones that a killed run leaves."""
    sides: tuple[SideFacts, ...] = ()
    try:
        sides = sides_of_folder(facts.folder) if facts.folder else ()
    except Exception as error:  # a damaged folder must not keep other records from the database
        facts = dataclasses.replace(facts, error=facts.error or f"folder: {error!r}")
    if facts.ended is Ended.KILLED and facts.seconds is None:
        last = max((side.session.at for side in sides if side.session), default=None)
        facts = dataclasses.replace(facts, seconds=max(0.0, last - facts.began) if last else None)
    return without_unfinished(dataclasses.replace(facts, sides=sides))


def without_unfinished(facts: RunFacts) -> RunFacts:
    """Count the tests that were running when a run was stopped as not run, not as crashed."""
    if facts.ended in (Ended.DONE, Ended.RUNNING):
        return facts
    sides = []
    for side in facts.sides:
        if side.session is not None and not side.cached:
            tests = tuple(
                dataclasses.replace(test, outcome=Outcome.NOTRUN)
                if looks_running(test.outcome, test.message)
                else test
                for test in side.session.tests
            )
            session = dataclasses.replace(side.session, tests=tests)
            side = dataclasses.replace(side, session=session)
        sides.append(side)
    return dataclasses.replace(facts, sides=tuple(sides))


def sides_of_run(run: Run) -> tuple[SideFacts, ...]:
    return tuple(
        SideFacts(
            name=side.side,
            kernel=_kernel_facts(side.kernel, side.kernel.config),
            session=_session(run.folder / side.side, run.accel, side.tests, side.guests),
            seconds=side.kernel.seconds,
            reused=side.kernel.reused,
            warnings=len(side.kernel.warnings),
            cached=side.cached,
            error=side.error,
        )
        for side in run.sides
    )


def sides_of_folder(folder: Path) -> tuple[SideFacts, ...]:
    """Return the sides in run.json, or else those found from the journals in the folder.

    The verdict of a run is about the last side.
    """
    run = _run(folder)
    if run is not None:
        return sides_of_run(run)
    if (folder / store.MATRIX).is_file():  # each of its cells has a record of its own
        return ()
    places = _journal_folders(folder, _DEPTH)
    if (folder / store.MUTATION).is_file():  # what tests do on broken kernels is not their history
        places = (place for place in places if place.name == evidence.UNCHANGED)
    sides = [_side_of_journal(folder, place) for place in places]
    return tuple(sorted(sides, key=lambda side: (side.name != Side.BASE, side.patch, side.name)))


def kernel_folders(folder: Path) -> Iterator[Path]:
    """Yield the cache folders of the kernels that a run tested."""
    images = [
        image for place in _journal_folders(folder, _DEPTH) if (image := evidence.image(place))
    ]
    if images:
        yield from (image.parent for image in images)
    elif run := _run(folder):  # no test was started
        yield from (side.kernel.folder for side in run.sides)


def _run(folder: Path) -> Run | None:
    """Read run.json; None if it is missing or damaged."""
    try:
        return store.load_run(folder)
    except (HarnessError, OSError):
        return None


def _journal_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the subfolders that hold a journal, except those of repeated tests."""
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return
    for path in folders:
        if path.name in _NOT_SIDES or path.is_symlink():
            continue
        if (path / journal.NAME).is_file():
            yield path
        elif depth > 1:
            yield from _journal_folders(path, depth - 1)


def _kernel_facts(kernel: Kernel | None, config: Path) -> KernelFacts | None:
    """Describe a kernel; an unknown kernel is named by the digest of its .config, if present."""
    digest = toolchain = ""
    with contextlib.suppress(OSError):
        text = config.read_text(encoding="utf-8", errors="replace")
        options = "\n".join(line for line in text.splitlines() if line.startswith("CONFIG_"))
        digest = hashlib.sha256(options.encode()).hexdigest()[:16]
        toolchain = evidence.compiler(text)
    if kernel is not None:
        names = (kernel.key, kernel.release, kernel.commit, kernel.arch)
        return KernelFacts(*names, digest, toolchain)
    return KernelFacts(digest, "", "", "", digest, toolchain) if digest else None


def _session(
    folder: Path, accel: str, tests: tuple[Test, ...], guests: tuple[GuestRecord, ...]
) -> SessionFacts | None:
    """Return the session whose journal is in a folder; None if nothing was started."""
    file = folder / journal.NAME
    try:
        with file.open("rb") as data:
            digest, at = hashlib.file_digest(data, "sha256").hexdigest()[:32], file.stat().st_mtime
    except OSError:
        return None
    if not (tests or guests):
        return None
    boot_splats = (splat for guest in guests for splat in guest.splats if splat.test == "boot")
    return SessionFacts(
        digest,
        at,
        accel,
        tests=tuple(map(_test, tests)),
        guests=tuple(GuestFacts(guest.name, guest.ended, guest.boot_seconds) for guest in guests),
        boot_splats=tuple(map(_splat, boot_splats)),
    )


def _test(test: Test) -> TestFacts:
    return TestFacts(
        id=test.id,
        outcome=test.outcome,
        seconds=test.seconds,
        attempts=test.attempts,
        message=test.headline[:MESSAGE] if test.outcome.bad else "",
        splats=tuple(map(_splat, test.splats)),
    )


def _splat(splat: Splat) -> SplatFacts:
    name = splat.fingerprint or hashlib.sha256(splat.title.encode()).hexdigest()[:16]
    return SplatFacts(name, splat.title, splat.kind, splat.function)


def _side_of_journal(top: Path, folder: Path) -> SideFacts:
    """Return a side that has no run.json: from a check, a bisection or a killed run."""
    image = evidence.image(folder)
    kernel = kernel_store.kernel_in(image.parent) if image else None
    tests, guests = journal.read(folder), evidence.guests(folder)
    accel = next((guest.accel for guest in guests if guest.accel), "")
    name = folder.relative_to(top).as_posix()
    return SideFacts(
        name=name,
        kernel=_kernel_facts(kernel, folder / evidence.CONFIG),
        session=_session(folder, accel, tests, guests) if tests else None,
        patch=int(name) if name.isdecimal() else 0,
        seconds=kernel.seconds if kernel else 0.0,
        reused=True,
        warnings=len(kernel.warnings) if kernel else 0,
    )
