# SPDX-License-Identifier: GPL-2.0-only
"""Incomplete runs: every output accepts them, and none of them reports success."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import outputruns
import pytest

from harness.model import Outcome, Run, Test, Verdict
from harness.publish import code_annotations, junit, kcidb, markdown, reply, tap
from harness.results.regression import compared

Change = Callable[[Run], Run]


def dead(run: Run) -> Run:
    side = dataclasses.replace(run.sides[1], tests=(), error="it did not boot: it panicked")
    return compared(dataclasses.replace(run, sides=(run.sides[0], side)))


def unrun(run: Run) -> Run:
    first, *rest = run.sides[1].tests
    stopped = tuple(dataclasses.replace(one, outcome=Outcome.NOTRUN, message="") for one in rest)
    sides = (run.sides[0], dataclasses.replace(run.sides[1], tests=(first, *stopped)))
    return compared(dataclasses.replace(run, sides=sides))


ODD: dict[str, Change] = {
    "nothing was tested": lambda run: dataclasses.replace(run, sides=(), changes=()),
    "only the base": lambda run: dataclasses.replace(run, sides=run.sides[:1], interrupted=True),
    "a kernel that does not boot": dead,
    "tests that were not run": unrun,
    "a run that was stopped": lambda run: dataclasses.replace(unrun(run), interrupted=True),
    "a series without patches left": lambda run: outputruns.without_cover(dead(run)),
}


@pytest.mark.parametrize("name", ODD)
def test_every_output_accepts_it(tmp_path: Path, name: str) -> None:
    run = ODD[name](outputruns.good(tmp_path))
    message = reply.compose(run, lambda: ((), ()), reply.person("J D <j@example.org>"))
    said = email.message_from_bytes(message, policy=email.policy.default).get_content()
    assert "Tested-by" not in said
    assert "Nothing failed" not in said
    assert reply.no_tested_by(run)
    kcidb.report(run, "me")
    code_annotations.gitlab(code_annotations.of_run(run))
    assert "✅" not in markdown.of_run(run)
    root = ET.parse(junit.write(tmp_path / "junit.xml", run)).getroot()
    assert (root.get("errors") != "0") is bool(run.sides)
    assert "\nnot ok 1" in tap.tap(run)
    assert "\nnot ok 1" in tap.ktap(run)


def test_a_test_that_did_not_run_is_counted_but_not_listed(tmp_path: Path) -> None:
    run = unrun(outputruns.good(tmp_path))
    for one in (run, dataclasses.replace(run, interrupted=True)):
        told = reply.text(one), markdown.of_run(one)
        for text in told:
            assert "3 of 4 tests were not run." in " ".join(text.split())
            assert "test_b" not in text
        assert [mark.title for mark in code_annotations.of_run(one)][:1] == [
            "3 of 4 tests were not run."
        ]
    assert told[1].startswith("## ⚠️ NO VERDICT")
    assert "breaks" not in told[1]


def test_a_kernel_without_a_series(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    run = dataclasses.replace(run, series=None, sides=run.sides[1:], changes=())
    raw = reply.compose(run, lambda: (("M <m@example.org>",), ()), None)
    found = email.message_from_bytes(raw, policy=email.policy.default)
    assert found["Subject"] == "test: v7.2.13"
    assert found["In-Reply-To"] is None
    assert "harness run --no-series --suite test_a.py --kernel 7.2.13" in " ".join(
        found.get_content().replace("\\\n", " ").split()
    )
    (checkout,) = kcidb.report(run, "me")["checkouts"]
    assert "message_id" not in checkout
    assert "# v7.2.13 on v7.2.13, patched kernel 7.2.13" in tap.tap(run)


def test_an_allowed_flaky_test_is_good_but_gives_no_tested_by(tmp_path: Path) -> None:
    flaky = Test("a/b.py::c", Outcome.FLAKY, attempts=(Outcome.FAIL, Outcome.PASS))
    run = outputruns.run(tmp_path, flaky, Test("a/b.py::d", Outcome.PASS))
    side = dataclasses.replace(run.sides[1], allow_flaky=True)
    run = dataclasses.replace(run, sides=(run.sides[0], side))
    assert run.verdict is Verdict.GOOD
    assert "\nok 1 - a/b.py" in tap.tap(run)
    assert [t["status"] for t in kcidb.report(run, "me")["tests"] if "patched-1" in t["id"]] == [
        "PASS"
    ]
    assert (
        code_annotations.of_run(run)[0].level is code_annotations.AnnotationLevel.WARNING
    )  # the compiler's; no error
    assert (
        "Tested-by"
        not in reply.compose(run, lambda: ((), ()), reply.person("J D <j@e.org>")).decode()
    )
