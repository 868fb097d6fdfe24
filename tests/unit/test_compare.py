# SPDX-License-Identifier: GPL-2.0-only
"""Comparing two kernels' results: words for changes, splats, warnings, noise."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from harness import compare
from harness.cli import differences as cli_compare
from harness.cli import main
from harness.compare import KernelResults
from harness.errors import UsageError
from harness.model import ChangeKind, Comparison, CompilerWarning, Outcome, Splat, Test, Verdict
from harness.progress import Progress
from harness.results import statistics
from harness.results.journal import Journal, Phase


def ran(**outcomes: str) -> tuple[Test, ...]:
    return tuple(Test(name, Outcome(value)) for name, value in outcomes.items())


def half(*, name: str = "x", **fields: object) -> KernelResults:
    whole: dict[str, object] = {
        "folder": Path("/nowhere"),
        "tests": (),
        "splats": (),
        "warnings": (),
        "boots": (),
        "memory": 0,
    }
    return KernelResults(name, **{**whole, **fields})  # type: ignore[arg-type]


def compared(base: KernelResults, patched: KernelResults, place: Path) -> Comparison:
    return compare.compare(base, patched, 1, place, Progress(quiet=True))


def test_splats_are_told_by_their_fingerprint(tmp_path: Path) -> None:
    def splat(title: str, name: str = "") -> Splat:
        return Splat("warning", title, fingerprint=name)

    base = half(splats=(splat("a", "1"), splat("b")))
    patched = half(splats=(splat("a at another line", "1"), splat("c", "3"), splat("c", "3")))
    found = compared(base, patched, tmp_path)
    assert [one.title for one in found.splats] == ["c"]
    assert [one.title for one in found.healed] == ["b"]
    assert found.verdict is Verdict.BAD


def test_warnings_are_told_wherever_their_lines_went(tmp_path: Path) -> None:
    old = (CompilerWarning("a.c", 1, "unused"),)
    new = (CompilerWarning("a.c", 7, "unused"), CompilerWarning("b.c", 2, "unused"))
    found = compared(half(warnings=old), half(warnings=new), tmp_path)
    assert [one.file for one in found.warnings] == ["b.c"]
    assert compared(half(warnings=None), half(warnings=new), tmp_path).warnings == ()


def test_a_suspect_that_cannot_be_run_again_stays_one(tmp_path: Path) -> None:
    base = half(tests=ran(t="pass"), folder=tmp_path)
    patched = half(tests=ran(t="fail"), folder=tmp_path)
    found = compared(base, patched, tmp_path)
    assert [one.kind for one in found.tests] == [ChangeKind.SUSPECT]
    assert found.verdict is Verdict.BAD


def test_a_machine_that_is_busy_changes_nothing() -> None:
    rng = random.Random(7)
    base = {f"t{n}": rng.uniform(0.1, 5) for n in range(60)}
    busy = {name: value * 1.7 * rng.uniform(0.9, 1.1) for name, value in base.items()}
    assert statistics.test_times(base, busy) == []
    slow = {**busy, "t3": busy["t3"] * 4 + 3}
    assert [one.what for one in statistics.test_times(base, slow)] == ["t3"]


def test_few_tests_say_nothing_of_time() -> None:
    assert statistics.test_times({"a": 1.0}, {"a": 100.0}) == []


def test_boots_and_memory() -> None:
    assert statistics.boot_times([3.0, 9.0], [3.4]) == []
    assert [one.patched for one in statistics.boot_times([3.0, 9.0], [7.0, 8.0])] == [7.0]
    assert statistics.boot_times([], [7.0]) == []
    assert statistics.memory_sizes(900_000, 900_100) == []
    assert [one.patched for one in statistics.memory_sizes(900_000, 890_000)] == [890_000]
    assert statistics.memory_sizes(0, 890_000) == []


def test_a_folder_of_tests_alone_can_be_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.collected(["a", "b"])
    journal.started("a", "guest0")
    for when in ("setup", "call", "teardown"):
        journal.reported("a", Phase(when, Outcome.PASS))
    journal.close()
    guest = tmp_path / "guests" / "0"
    guest.mkdir(parents=True)
    (guest / "console.log").write_text(
        "[    0.1] Memory: 976492K/1048056K available (14336K kernel code, 100K init)\n"
        "[    1.0] WARNING: fs/x.c:1 at f+0x1/0x2\n"
    )
    record = (
        '{"name": "guest0", "ended": "done", "accel": "tcg", "boot_seconds": 3.5, "console": ""}'
    )
    (guest / "guest.json").write_text(record)
    found = compare.read(tmp_path)
    assert found.outcomes().keys() == {"a"}
    assert (found.memory, found.boots) == (976492, (3.5,))
    assert [one.title for one in found.splats] == ["WARNING in f"]
    assert found.warnings is None


def test_guests_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    for number in (10, 2, 0):
        guest = tmp_path / "guests" / str(number)
        guest.mkdir(parents=True)
        record = {"name": f"guest{number}", "ended": "done", "accel": "tcg", "console": ""}
        (guest / "guest.json").write_text(json.dumps({**record, "boot_seconds": number}))
    assert compare.read(tmp_path).boots == (0, 2, 10)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run's folder"):
        compare.read(tmp_path)


def test_one_is_counted_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ran(a="pass", b="fail", gone="pass", same="pass")
    patched = ran(a="fail", b="pass", new="pass", same="pass")
    old, new = (Splat("warning", name, fingerprint=name) for name in ("old", "new"))
    found = compared(
        half(tests=base, splats=(old,), folder=tmp_path),
        half(tests=patched, splats=(new,), folder=tmp_path),
        tmp_path,
    )
    cli_compare.show(found)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line[:1].isdecimal()] == [
        "1 suspected regression, not rerun on both kernels:",
        "1 fixed:",
        "1 new test:",
        "1 test gone:",
        "1 new splat:",
        "1 splat gone:",
        "1 test unchanged",
    ]


def test_a_comparison_of_an_older_harness_can_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test: dict[str, object] = {
        "kind": "new",
        "base": None,
        "patched": "fail",
        "text": "",
        "again": [[], []],
    }
    table = {"base": "a", "patched": "b", "tests": [{"test": "t::x", **test}], "same": 3}
    table |= {key: [] for key in ("splats", "healed", "warnings", "shifts")}
    (tmp_path / "compare.json").write_text(json.dumps({**table, "bad": True, "exit_code": 1}))
    assert main(["show", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "t::x: not there -> fail" in out
    assert "BAD" in out
