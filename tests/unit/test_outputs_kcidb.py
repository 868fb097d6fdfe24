# SPDX-License-Identifier: GPL-2.0-only
"""KCIDB reports, validated by KCIDB's own library."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import outputruns
import pytest
from kcidb_io.schema import V5_3

from harness.errors import UsageError
from harness.model import GuestRecord, Outcome, Test
from harness.publish import kcidb


@pytest.mark.parametrize("name", ["good", "bad", "hostile"])
def test_the_report_fits_the_schema_and_is_consistent(tmp_path: Path, name: str) -> None:
    run = getattr(outputruns, name)(tmp_path)
    found = json.loads(json.dumps(kcidb.report(run, "me_1")))
    V5_3.validate_exactly(found)
    checkouts = {one["id"] for one in found["checkouts"]}
    builds = {one["id"]: one["checkout_id"] for one in found["builds"]}
    tests = [one["id"] for one in found["tests"]]
    assert set(builds.values()) == checkouts
    assert {one["build_id"] for one in found["tests"]} == set(builds)
    assert len(set(tests)) == len(tests) == sum(len(side.tests) + 1 for side in run.sides)
    assert all(re.match(r"me_1:\S+$", one) for one in [*checkouts, *builds, *tests])
    json.dumps(found).encode("ascii")
    assert "\\u0000" not in json.dumps(found)


def test_the_same_run_has_the_same_ids(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    assert kcidb.report(run, "me") == kcidb.report(run, "me")
    again = dataclasses.replace(run, started="2026-01-02T03:04:06+00:00")
    assert kcidb.report(run, "me")["checkouts"][0] != kcidb.report(again, "me")["checkouts"][0]


def test_the_series_hash_is_computed_as_the_schema_says(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    digests = [
        hashlib.sha256(one.path.read_bytes()).hexdigest()
        for one in outputruns.series_of(run).patches
    ]
    expected = hashlib.sha256("".join(f"{one}\n" for one in digests).encode()).hexdigest()
    base, patched = kcidb.report(run, "me")["checkouts"]
    assert base["patchset_hash"] == ""
    assert patched["patchset_hash"] == expected
    assert patched["message_id"] == "20260101.1-jane@example.org"
    outputruns.series_of(run).patches[1].path.unlink()
    assert "patchset_hash" not in kcidb.report(run, "me")["checkouts"][1]


@pytest.mark.parametrize(
    ("outcome", "ended", "splats", "status"),
    [
        (Outcome.PASS, "done", False, "PASS"),
        (Outcome.XFAIL, "done", False, "PASS"),
        (Outcome.FAIL, "done", False, "FAIL"),
        (Outcome.XPASS, "done", False, "FAIL"),
        (Outcome.FLAKY, "done", False, "FAIL"),
        (Outcome.SKIP, "done", False, "SKIP"),
        (Outcome.NOTRUN, "done", False, "MISS"),
        (Outcome.ERROR, "done", False, "ERROR"),
        (Outcome.ERROR, "panic", False, "ERROR"),  # of a later test's
        (Outcome.ERROR, "done", True, "FAIL"),
        (Outcome.CRASH, "panic", False, "FAIL"),
        (Outcome.CRASH, "reset", False, "FAIL"),
        (Outcome.CRASH, "done", False, "ERROR"),
        (Outcome.CRASH, "left", True, "FAIL"),
        (Outcome.TIMEOUT, "timeout", False, "ERROR"),
        (Outcome.TIMEOUT, "hang", False, "FAIL"),
    ],
)
def test_fail_means_the_kernel_is_at_fault(
    outcome: Outcome, ended: str, splats: bool, status: str
) -> None:
    guest = GuestRecord("g", ended, "tcg", 1.0, "")
    test = Test("a", outcome, splats=(outputruns.SPLAT,) if splats else ())
    assert kcidb.status(test, guest) == status


def test_a_test_has_a_path_in_the_tree_of_tests() -> None:
    assert (
        kcidb.path("tests/guest/a/test_b.py::TestC::test_d[x-1 y]")
        == "tests.guest.a.test_b.TestC.test_d.x-1_y"
    )


def test_logs_are_cut_to_the_schemas_limit(tmp_path: Path) -> None:
    found = kcidb.report(outputruns.hostile(tmp_path), "me")
    longest = max(len(one.get("log_excerpt", "")) for one in found["tests"])
    assert 15000 < longest <= kcidb.EXCERPT
    bad = kcidb.report(outputruns.bad(tmp_path / "b"), "me")
    by_path = {
        one["path"].rpartition(".")[2]: one for one in bad["tests"] if "patched" in one["id"]
    }
    assert "BUG: KASAN: slab-use-after-free" in by_path["test_b"]["log_excerpt"]
    assert "unused variable" in bad["builds"][1]["log_excerpt"]


@pytest.mark.parametrize("origin", ["", "Me", "a:b", "a b", "ä", "a\n"])
def test_an_invalid_origin_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(UsageError, match="origin"):
        kcidb.report(outputruns.good(tmp_path), origin)
