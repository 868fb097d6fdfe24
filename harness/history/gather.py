# SPDX-License-Identifier: GPL-2.0-only
"""Read what a run found: from the value it gave, or from the folder that it left."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.history import identity
from harness.history.facts import (
    GuestFacts,
    KernelFacts,
    Session,
    SideFacts,
    SplatFacts,
    TestFacts,
)
from harness.model import Kernel, Run, Side, SideResult, Splat, Test
from harness.results import journal, store

MESSAGE = 200  # letters of a test's headline that are kept
_DEPTH = 3  # folders below a run's in which a kernel's results may lie
_NOT_SIDES = {"guests", "retries", "series", "kernel"}
_COMPILER = re.compile(r'^CONFIG_CC_VERSION_TEXT="(.*)"$', re.MULTILINE)


def of_run(run: Run) -> tuple[SideFacts, ...]:
    """Give the sides of a run that ended."""
    return tuple(_of_side(run.folder / one.side, one, run.accel) for one in run.sides)


def of_folder(folder: Path) -> tuple[SideFacts, ...]:
    """Give what a folder holds: run.json's sides, or what the journals in it say.

    The last one is what a run's verdict is about.
    """
    if (folder / store.RUN).is_file():
        try:
            return of_run(store.load_run(folder))
        except (HarnessError, TypeError, KeyError, ValueError, AttributeError):
            pass  # damaged: the journals are the witnesses
    sides = [_of_journal(folder, one) for one in _journals(folder, _DEPTH)]
    return tuple(sorted(sides, key=lambda one: (one.name != Side.BASE, one.patch, one.name)))


def kernel_folders(folder: Path) -> Iterator[Path]:
    """Give the folders of the kernels that a run's folder tells of."""
    found = False
    for one in _journals(folder, _DEPTH):
        image = _image(one)
        if image is not None:
            found = True
            yield image.parent
    if not found and (folder / store.RUN).is_file():  # not one test was begun
        for side in _json(folder / store.RUN).get("sides", ()):
            yield Path(side["kernel"]["folder"])


def _journals(folder: Path, depth: int) -> Iterator[Path]:
    """Give the folders below that hold a journal, but not those of tests that were run again."""
    try:
        below = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return
    for one in below:
        if one.name in _NOT_SIDES:
            continue
        if (one / journal.NAME).is_file():
            yield one
        elif depth > 1:
            yield from _journals(one, depth - 1)


def _of_side(folder: Path, side: SideResult, accel: str) -> SideFacts:
    return SideFacts(
        name=side.side,
        kernel=_kernel(side.kernel),
        session=_session(folder, side, accel),
        seconds=side.kernel.seconds,
        reused=side.kernel.reused,
        warnings=len(side.kernel.warnings),
        cached=side.cached,
        error=side.error,
    )


def _kernel(kernel: Kernel) -> KernelFacts:
    config, compiler = _config(kernel.config)
    return KernelFacts(kernel.key, kernel.release, kernel.commit, kernel.arch, config, compiler)


def _config(file: Path) -> tuple[str, str]:
    """Give the digest of a .config, whatever its comments say, and the compiler it names."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    options = "\n".join(line for line in text.splitlines() if line.startswith("CONFIG_"))
    compiler = _COMPILER.search(text)
    digest = hashlib.sha256(options.encode()).hexdigest()[:16]
    return digest, compiler[1] if compiler else ""


def _session(folder: Path, side: SideResult, accel: str) -> Session | None:
    stamp = _stamp(folder)
    if stamp is None or not (side.tests or side.guests):
        return None
    return Session(
        digest=stamp[0],
        at=stamp[1],
        accel=accel,
        tests=tuple(map(_test, side.tests)),
        guests=tuple(GuestFacts(one.name, one.ended, one.boot_seconds) for one in side.guests),
        boot_splats=tuple(map(_splat, side.boot_splats)),
    )


def _stamp(folder: Path) -> tuple[str, float] | None:
    """Give a journal's digest and the time it was last written; None when there is none."""
    file = folder / journal.NAME
    try:
        with file.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()[:32], file.stat().st_mtime
    except OSError:
        return None


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


def _of_journal(top: Path, folder: Path) -> SideFacts:
    """Give a side of which only its folder tells: it was a check's, or the run was killed."""
    image = _image(folder)
    about = _about(image)
    stamp = _stamp(folder)
    tests = journal.read(folder)
    guests = tuple(_guests(folder / "guests"))
    name = folder.relative_to(top).as_posix()
    session = None
    if stamp and tests:
        accel = next((one["accel"] for one in guests if one.get("accel")), "")
        lives = tuple(
            GuestFacts(one.get("name", ""), one.get("ended", ""), one.get("boot_seconds"))
            for one in guests
        )
        session = Session(*stamp, accel, tuple(map(_test, tests)), lives)
    config, compiler = _config(folder / "config")
    key = image.parent.name if image and about else config
    release, commit, arch = (str(about.get(word, "")) for word in ("release", "commit", "arch"))
    known = KernelFacts(key, release, commit, arch, config, compiler) if key else None
    return SideFacts(
        name=name,
        kernel=known,
        session=session,
        patch=int(name) if name.isdecimal() else 0,
        seconds=float(about.get("seconds", 0.0)),
        reused=True,
        warnings=len(about.get("warnings", ())),
    )


def _image(folder: Path) -> Path | None:
    """Say which image a folder's tests ran on."""
    return identity.image(journal.events(folder))


def _about(image: Path | None) -> dict[str, Any]:
    """Read what the cache says of a kernel; nothing if it is gone."""
    return _json(image.parent / "kernel.json") if image else {}


def _guests(folder: Path) -> Iterator[dict[str, Any]]:
    for one in sorted(folder.glob("[0-9]*"), key=lambda path: path.name.zfill(6)):
        found = _json(one / "guest.json")
        if found:
            yield found


def _json(file: Path) -> dict[str, Any]:
    try:
        table = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
