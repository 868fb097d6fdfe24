# SPDX-License-Identifier: GPL-2.0-only
"""A run for KCIDB, KernelCI's common database, checked by KCIDB's own library.

A status describes the tested code: FAIL means that it is faulty, ERROR that the test reached no
result, MISS that the test never ran.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.model import GuestRecord, Outcome, Run, Side, Test, Trial
from harness.publish import sentences
from harness.results import evidence
from harness.text import clean, clip, one_line

MAJOR, MINOR = 5, 3  # version of the schema
EXCERPT = 16384  # characters, the schema's own limit
_ORIGIN = re.compile(r"[a-z0-9_]+")
_MAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_STATUS = {
    Outcome.PASS: "PASS",
    Outcome.XFAIL: "PASS",  # as expected
    Outcome.SKIP: "SKIP",
    Outcome.FAIL: "FAIL",
    Outcome.XPASS: "FAIL",
    Outcome.FLAKY: "FAIL",
    Outcome.NOTRUN: "MISS",
}
_KERNEL_DIED = {"panic", "reset", "hang"}

Table = dict[str, Any]  # an object of KCIDB's schema


def report(run: Run, origin: str) -> Table:
    """Return the run as checkouts, builds and tests of ``origin``.

    Raises UsageError if ``origin`` is not a valid name or kcidb-io is not installed.
    """
    if not _ORIGIN.fullmatch(origin):
        raise UsageError(
            f"'{one_line(origin)}' is not a valid origin name",
            hint="use the name that KernelCI gave you: lower case letters, digits and _",
        )
    name = f"{origin}:{_digest(run)}"
    table: Table = {
        "version": {"major": MAJOR, "minor": MINOR},
        "checkouts": [_checkout(run, side, name, origin) for side in run.sides],
        "builds": [_build(run, side, name, origin) for side in run.sides],
        "tests": [test for side in run.sides for test in _tests(run, side, name, origin)],
    }
    try:
        from kcidb_io.schema import V5_3
    except ImportError:
        raise UsageError(
            "KCIDB needs kcidb-io, which is not installed",
            hint="pip install 'kernel-harness[kcidb]'",
        ) from None
    if not V5_3.is_valid_exactly(table):
        what = "the report does not fit KCIDB's schema"
        raise HarnessError(what, hint="report this, it is a bug in the harness")
    return table


def _digest(run: Run) -> str:
    """Return a run's identity, which stays the same if the run is moved or reported again."""
    digest = run.series.digest if run.series else ""
    identity = "\0".join((run.started, repr(run.seconds), run.source.commit, digest, *run.command))
    return hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:20]


def _checkout(run: Run, side: Trial, name: str, origin: str) -> Table:
    series = run.series if side.side is Side.PATCHED else None
    checkout: Table = {
        "id": f"{name}-{side.side}",
        "origin": origin,
        "git_commit_name": one_line(run.source.name),
        "comment": sentences.title(run) if series else one_line(run.source.name),
        "start_time": run.started,
        "valid": True,
        "misc": {"source": one_line(run.source.origin)},
    }
    if re.fullmatch(r"[0-9a-f]{40}", run.source.commit):
        checkout["git_commit_hash"] = run.source.commit
    if (digest := _patches_digest(run) if series else "") is not None:
        checkout["patchset_hash"] = digest
    ids = [series.cover_id, *(patch.message_id for patch in series.patches)] if series else []
    ids = [message_id for message_id in ids if _MAIL.fullmatch(message_id)]
    return checkout | ({"message_id": ids[0]} if ids else {})


def _patches_digest(run: Run) -> str | None:
    """Return the hash of the patches, as defined by the schema; None if they were removed."""
    digests = hashlib.sha256()
    for patch in run.series.patches if run.series else ():
        try:
            data = evidence.patch_file(run.folder, patch).read_bytes()
        except OSError:
            return None
        digests.update(f"{hashlib.sha256(data).hexdigest()}\n".encode())
    return digests.hexdigest()


def _build(run: Run, side: Trial, name: str, origin: str) -> Table:
    kernel = side.kernel
    warnings = [warning.message for warning in kernel.warnings]
    config = " ".join(run.series.kconfig) if run.series else ""
    build: Table = {
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
        build["config_name"] = one_line(config)
    return build | ({"log_excerpt": _excerpt("\n".join(warnings))} if warnings else {})


def _tests(run: Run, side: Trial, name: str, origin: str) -> Iterator[Table]:
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
        result = _test(side, test, guests.get(test.guest))
        yield {**common, "id": f"{name}-{side.side}-{number}", **result}


def _boot(side: Trial) -> Table:
    bad = bool(side.error or side.boot_splats)
    boots = [g.boot_seconds for g in side.guests if g.boot_seconds is not None]
    boot: Table = {"path": "boot", "status": "FAIL" if bad else "PASS"}
    if not (bad or boots):
        boot["status"] = "SKIP"  # the results are from an earlier run of the same kernel
    if boots:
        boot["duration"] = round(max(boots), 3)
    parts = (side.error, *("\n".join(splat.lines) for splat in side.boot_splats))
    return boot | ({"log_excerpt": _excerpt("\n\n".join(parts))} if bad else {})


def _test(side: Trial, test: Test, guest: GuestRecord | None) -> Table:
    result: Table = {
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
        result["log_excerpt"] = _excerpt(log)
    return result


def status(test: Test, guest: GuestRecord | None = None, *, excused: bool = False) -> str:
    """Return the schema's status for an outcome.

    Crash, timeout and error are FAIL only if the kernel itself is visibly at fault: it printed a
    splat, panicked, reset or hung.  Otherwise they are ERROR: the test did not complete.
    """
    if excused:
        return "PASS"
    if test.outcome in _STATUS:
        return _STATUS[test.outcome]
    died = guest is not None and guest.ended in _KERNEL_DIED and test.outcome is not Outcome.ERROR
    return "FAIL" if test.splats or died else "ERROR"


def path(test: str) -> str:
    """Return a test's path in KCIDB's tree of tests: words joined by dots."""
    file, _, name = test.partition("::")
    words = re.split(r"[/\[\]]|::", f"{file.removesuffix('.py')}::{name}")
    return ".".join(re.sub(r"[^a-zA-Z0-9_-]+", "_", word)[:100] for word in words if word)


def _excerpt(raw: str) -> str:
    return clean(clip(raw, EXCERPT - 100))[:EXCERPT]
