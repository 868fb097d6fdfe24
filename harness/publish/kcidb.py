# SPDX-License-Identifier: GPL-2.0-only
"""KCIDB: a run as KernelCI's common database takes it, checked by its own library.

A status is about the tested code: FAIL says it is faulty, ERROR that the test could not tell, MISS
that the test never ran.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.model import GuestRecord, Outcome, Run, Side, SideResult, Test
from harness.publish import sentences
from harness.text import clean, clip, one_line

MAJOR, MINOR = 5, 3  # of the schema
EXCERPT = 16384  # characters, the schema's own limit
_ORIGIN = re.compile(r"[a-z0-9_]+")
_MAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_STATUS = {
    Outcome.PASS: "PASS",
    Outcome.XFAIL: "PASS",  # as it is known to
    Outcome.SKIP: "SKIP",
    Outcome.FAIL: "FAIL",
    Outcome.XPASS: "FAIL",
    Outcome.FLAKY: "FAIL",
    Outcome.NOTRUN: "MISS",
}
_KERNEL_DIED = {"panic", "reset", "hang"}

Table = dict[str, Any]


def report(run: Run, origin: str) -> Table:
    """Give the run as checkouts, builds and tests of ``origin``.

    Raises UsageError for a name that is none of an origin, and when kcidb-io is not installed.
    """
    if not _ORIGIN.fullmatch(origin):
        raise UsageError(
            f"'{one_line(origin)}' is no name of an origin",
            hint="lower case letters, digits and _, as KernelCI gave it to you",
        )
    name = f"{origin}:{_digest(run)}"
    found: Table = {
        "version": {"major": MAJOR, "minor": MINOR},
        "checkouts": [_checkout(run, side, name, origin) for side in run.sides],
        "builds": [_build(run, side, name, origin) for side in run.sides],
        "tests": [test for side in run.sides for test in _tests(run, side, name, origin)],
    }
    _check(found)
    return found


def _check(found: Table) -> None:
    try:
        from kcidb_io.schema import V5_3
    except ImportError:
        raise UsageError(
            "KCIDB needs kcidb-io, which is not installed",
            hint="pip install 'kernel-harness[kcidb]'",
        ) from None
    if not V5_3.is_valid_exactly(found):
        raise HarnessError(
            "the report does not fit KCIDB's schema", hint="tell us: it is our fault"
        )


def _digest(run: Run) -> str:
    """Name a run: it has the same name each time it is written, wherever its folder lies."""
    digest = run.series.digest if run.series else ""
    words = "\0".join((run.started, repr(run.seconds), run.source.commit, digest, *run.command))
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()[:20]


def _checkout(run: Run, side: SideResult, name: str, origin: str) -> Table:
    series = run.series if side.side is Side.PATCHED else None
    found: Table = {
        "id": f"{name}-{side.side}",
        "origin": origin,
        "git_commit_name": one_line(run.source.name),
        "comment": sentences.title(run) if series else one_line(run.source.name),
        "start_time": run.started,
        "valid": True,
        "misc": {"source": one_line(run.source.origin)},
    }
    if re.fullmatch(r"[0-9a-f]{40}", run.source.commit):
        found["git_commit_hash"] = run.source.commit
    if (patches := _patches(run) if series else "") is not None:
        found["patchset_hash"] = patches
    known = [series.cover_id, *(one.message_id for one in series.patches)] if series else []
    ids = [one for one in known if _MAIL.fullmatch(one)]
    return found | ({"message_id": ids[0]} if ids else {})


def _patches(run: Run) -> str | None:
    """Give the schema's hash over the patches; None when they are gone."""
    digests = hashlib.sha256()
    for patch in run.series.patches if run.series else ():
        kept = run.folder / "series" / patch.path.name
        try:
            data = (kept if kept.is_file() else patch.path).read_bytes()
        except OSError:
            return None
        digests.update(f"{hashlib.sha256(data).hexdigest()}\n".encode())
    return digests.hexdigest()


def _build(run: Run, side: SideResult, name: str, origin: str) -> Table:
    kernel = side.kernel
    warnings = [f"{one.file}:{one.line}: {one.text}" for one in kernel.warnings]
    config = " ".join(run.series.kconfig) if run.series else ""
    found: Table = {
        "id": f"{name}-{side.side}-build",
        "checkout_id": f"{name}-{side.side}",
        "origin": origin,
        "architecture": re.sub(r"[^a-z0-9_]", "_", kernel.arch.lower()),
        "status": "PASS",
        "duration": round(kernel.seconds, 3),
        "comment": one_line(f"Linux {kernel.release}"),
        "misc": {"key": kernel.key, "commit": kernel.commit, "warnings": len(warnings)},
    }
    if config:
        found["config_name"] = one_line(config)
    return found | ({"log_excerpt": _excerpt("\n".join(warnings))} if warnings else {})


def _tests(run: Run, side: SideResult, name: str, origin: str) -> Iterator[Table]:
    guests = {guest.name: guest for guest in side.guests}
    common: Table = {
        "build_id": f"{name}-{side.side}-build",
        "origin": origin,
        "environment": {
            "comment": one_line(f"QEMU guest, {run.accel}"),
            "misc": {key: one_line(value) for key, value in run.about},
        },
    }
    yield {**common, "id": f"{name}-{side.side}-boot", **_boot(side)}
    for number, test in enumerate(side.tests, 1):
        one = _test(side, test, guests.get(test.guest))
        yield {**common, "id": f"{name}-{side.side}-{number}", **one}


def _boot(side: SideResult) -> Table:
    bad = bool(side.error or side.boot_splats)
    boots = [one.boot_seconds for one in side.guests if one.boot_seconds is not None]
    found: Table = {"path": "boot", "status": "FAIL" if bad else "PASS"}
    if not (bad or boots):
        found["status"] = "SKIP"  # an earlier run's tests of the same kernel
    if boots:
        found["duration"] = round(max(boots), 3)
    parts = (side.error, *("\n".join(splat.lines) for splat in side.boot_splats))
    return found | ({"log_excerpt": _excerpt("\n\n".join(parts))} if bad else {})


def _test(side: SideResult, test: Test, guest: GuestRecord | None) -> Table:
    found: Table = {
        "path": path(test.id),
        "comment": one_line(test.id, 1000),
        "status": status(test, guest, excused=side.allows(test)),
        "duration": round(test.seconds, 3),
        "misc": {
            "outcome": str(test.outcome),
            "splats": [one_line(s.title) for s in test.splats],
        },
    }
    if test.outcome.bad or test.outcome is Outcome.SKIP:
        splats = ("\n".join(splat.lines) for splat in test.splats)
        log = "\n\n".join(filter(None, (test.message, *splats, test.kernel_log)))
        found["log_excerpt"] = _excerpt(log)
    return found


def status(test: Test, guest: GuestRecord | None = None, *, excused: bool = False) -> str:
    """Give the schema's word for an outcome.

    Crash, timeout and error are FAIL only where the kernel itself shows that it is at fault: it
    said so, panicked, went off or answers no more.  Else the test did not complete: ERROR.
    """
    if excused:
        return "PASS"
    if test.outcome in _STATUS:
        return _STATUS[test.outcome]
    died = guest is not None and guest.ended in _KERNEL_DIED and test.outcome is not Outcome.ERROR
    return "FAIL" if test.splats or died else "ERROR"


def path(test: str) -> str:
    """Give a test's place in the tree of tests: words joined by dots."""
    file, _, name = test.partition("::")
    words = re.split(r"[/\[\]]|::", f"{file.removesuffix('.py')}::{name}")
    return ".".join(re.sub(r"[^a-zA-Z0-9_-]+", "_", word)[:100] for word in words if word)


def _excerpt(raw: str) -> str:
    return clean(clip(raw, EXCERPT - 100))[:EXCERPT]
