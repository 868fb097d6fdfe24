# SPDX-License-Identifier: GPL-2.0-only
"""What CI systems find in junit.xml.  The published schema is in tests/integration."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import outputruns
import pytest

from harness.model import Outcome, Run, Test
from harness.publish import junit


def suites(run: Run, folder: Path) -> dict[str, ET.Element]:
    path = junit.write(folder / "junit.xml", run)
    return {suite.get("name", ""): suite for suite in ET.parse(path).getroot()}


def cases(suite: ET.Element) -> dict[str, ET.Element]:
    return {case.get("name", ""): case for case in suite.iter("testcase")}


def child(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    assert found is not None, path
    return found


def test_there_is_a_suite_for_each_kernel_and_folder(tmp_path: Path) -> None:
    found = suites(outputruns.good(tmp_path), tmp_path)
    assert list(found) == [
        "base (7.2.13) tests/guest/configfs",
        "patched (7.2.13) tests/guest/configfs",
        "patched (7.2.13) tests/guest/nvmet",
    ]
    one = found["patched (7.2.13) tests/guest/configfs"]
    assert one.get("timestamp") == "2026-01-02T03:01:40"  # when its first test began
    assert found["patched (7.2.13) tests/guest/nvmet"].get("timestamp") == "2026-01-02T03:04:05"
    assert (one.get("tests"), float(one.get("time", ""))) == ("2", 0.75)
    values = {p.get("name"): p.get("value") for p in one.iter("property")}
    assert values["kernel"] == "patched"
    assert values["series"] == "configfs: make it better"
    assert values["about.QEMU"] == "7.2"
    case = cases(one)["test_a[x]"]
    assert case.get("classname") == "patched.tests.guest.configfs.test_mount"


def test_outcomes_map_to_junit_results(tmp_path: Path) -> None:
    run = outputruns.bad(tmp_path)
    found = cases(suites(run, tmp_path)["patched (7.2.13) tests/guest/configfs"])
    words = {
        name: next((e.tag for e in case if not e.tag.startswith("system")), "pass")
        for name, case in found.items()
    }
    assert words == {
        "test_a[x]": "pass",
        **dict.fromkeys(("test_b", "test_c", "test_d"), "error"),
        **dict.fromkeys(("test_e", "test_f"), "failure"),
        # Passing although it is expected to fail is no fault of the series.
        **dict.fromkeys(("test_g", "test_h", "test_i"), "skipped"),
    }
    rerun = child(found["test_e"], "rerunFailure")
    assert (rerun.get("type"), rerun.get("message")) == ("fail", "attempt: fail")
    assert child(found["test_f"], "flakyFailure").get("type") == "fail"


def test_a_failure_comes_with_its_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    run = outputruns.bad(tmp_path)
    found = cases(suites(run, tmp_path)["patched (7.2.13) tests/guest/configfs"])
    out = found["test_b"].findtext("system-out", "")
    assert out.startswith("reproduce: pytest --kernel")
    assert "at fs/configfs/dir.c:451" in out
    assert "[    1.0] it" in out
    assert re.findall(r"\[\[ATTACHMENT\|(.+)\]\]", out) == [
        "patched/guests/0/console.log",
        "patched/splats.txt",
    ]
    crash = found["test_c"].findtext("system-out", "")
    assert crash == "[[ATTACHMENT|patched/guests/1/console.log]]"
    assert "ATTACHMENT" not in found["test_a[x]"].findtext("system-out", "")
    monkeypatch.setenv("CI_PROJECT_DIR", "/elsewhere")
    found = cases(suites(run, tmp_path)["patched (7.2.13) tests/guest/configfs"])
    assert f"[[ATTACHMENT|{tmp_path}/patched" in found["test_c"].findtext("system-out", "")


def test_a_kernel_that_does_not_boot_is_an_error(tmp_path: Path) -> None:
    run = outputruns.good(tmp_path)
    dead = dataclasses.replace(run.sides[1], tests=(), error="it panicked\nat once")
    run = dataclasses.replace(run, sides=(run.sides[0], dead))
    suite = suites(run, tmp_path)["patched (7.2.13) boot"]
    assert suite.get("errors") == "1"
    error = child(suite, "testcase/error")
    assert error.get("message") == "it panicked at once"


def test_a_guest_cannot_have_files_attached_or_break_the_file(tmp_path: Path) -> None:
    run = outputruns.hostile(tmp_path)
    path = junit.write(tmp_path / "junit.xml", run)
    root = ET.parse(path).getroot()
    text = path.read_text()
    assert "[[ATTACHMENT|" not in text
    assert "\x1b" not in text
    assert len(text) < 1 << 20
    assert sum(len(suite.findall("testcase")) for suite in root) == 3 + 3 + 1  # and a boot


def test_a_long_message_keeps_both_ends(tmp_path: Path) -> None:
    message = f"begin\n{'x' * (1 << 20)}\nE  the end"
    base = (Test("a/b.py::c", Outcome.PASS),)
    run = outputruns.run(tmp_path, Test("a/b.py::c", Outcome.FAIL, message=message), base=base)
    case = cases(suites(run, tmp_path)["patched (7.2.13) a"])["c"]
    text = child(case, "failure").text or ""
    assert text.startswith("begin")
    assert text.endswith("E  the end")
    assert "characters left out" in text
    assert len(text) <= junit.BAD
