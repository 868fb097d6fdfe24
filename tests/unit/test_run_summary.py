# SPDX-License-Identifier: GPL-2.0-only
"""The summary of a run: it fits the screen, whatever was found."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest
import rich.console

from harness.cli import run_summary as run_verb
from harness.model import (
    Change,
    CompilerWarning,
    Kernel,
    Outcome,
    Plan,
    Run,
    Series,
    Side,
    Source,
    Splat,
    Test,
    Trial,
)
from harness.results.regression import compared

KERNEL = Kernel("k", Path(), Path(), Path(), "7.2.13", "c0ffee", "x86_64")
SERIES = Series("demo", Path("patches/demo"), (), "digest", title="A demo")


def result(name: str, outcome: Outcome, message: str = "") -> Test:
    return Test(f"suite/test_it.py::{name}", outcome, 0.1, message, attempts=(outcome,))


def run(*tests: Test, changes: tuple[Change, ...] = ()) -> Run:
    base = Trial(Side.BASE, KERNEL, (result("test_x", Outcome.PASS),))
    patched = Trial(Side.PATCHED, KERNEL, tests)
    source = Source(Path("linux"), "c0ffee", "v7.2.13")
    folder = Path("/somewhere/harness/runs/20260101-000000-demo")
    plan = Plan(fragments=("debug",))
    found = Run(SERIES, source, folder, "", 61.0, "tcg", (base, patched), plan=plan)
    found = compared(found)
    return dataclasses.replace(found, changes=(*found.changes, *changes))


def shown(
    found: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    size: tuple[int, int] | None = (80, 24),
) -> list[str]:
    """Show it on a terminal of (columns, lines), or where there is none."""
    real = rich.console.Console

    if size is not None:
        terminal = functools.partial(
            real, force_terminal=True, width=size[0], height=size[1], color_system=None
        )
        monkeypatch.setattr(rich.console, "Console", terminal)
    run_verb.show(found)
    return capsys.readouterr().out.splitlines()


MANY = tuple(
    result(f"test_{outcome}_{n}", outcome, f"E   {'word ' * 40}{n}")
    for outcome in Outcome
    for n in range(40)
)
CHANGES = tuple(
    Change(f"suite/test_{n % 30}.py::test_{n}", *pair)
    for n in range(90)
    for pair in (((Outcome.FAIL, Outcome.PASS)), ((Outcome.PASS, Outcome.FAIL)))
)


@pytest.mark.parametrize("size", [(80, 24), (120, 24), (80, 50), (200, 60), (60, 24)])
def test_it_fits_the_screen(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of three lists: a fourth would have no room on the smallest.
    tests = (one for one in MANY if one.outcome is not Outcome.XPASS)
    found = run(*tests, changes=CHANGES)
    lines = shown(found, monkeypatch, capsys, size)
    heights = [max(1, -(-len(line) // size[0])) for line in lines]
    assert sum(heights) < size[1]  # the prompt stands below
    text = "\n".join(lines)
    head = "200 failing, with no result on the base"
    for words in ("40 pass", head, "the series fixes 90", "40 skipped"):
        assert words in text
    # Each list has a line below its head that says something.
    for words in (head, "the series fixes 90", "40 skipped"):
        at = next(n for n, line in enumerate(lines) if words in line)
        assert lines[at + 1].startswith("  ")
        assert "more, see" not in lines[at + 1]
    assert any(line.startswith("BAD A demo on v7.2.13 in 1m01") for line in lines)
    assert any(line.startswith("again") for line in lines)


def test_without_a_terminal_lines_are_not_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(run(*MANY[200:], changes=()), monkeypatch, capsys, None)
    assert len(max(lines, key=len)) > 200
    assert not any("\x1b" in line for line in lines)


def test_what_the_series_broke_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = (
        result("test_old", Outcome.FAIL, "E   old"),
        result("test_new", Outcome.FAIL, "E new"),
    )
    found = run(old, new, changes=(Change(new.id, Outcome.PASS, Outcome.FAIL),))
    lines = shown(found, monkeypatch, capsys, None)
    start = lines.index("1 broken by the series:")
    assert lines[start + 1].split() == [
        "pass",
        "->",
        "fail",
        new.id,
        "new",
        "(not",
        "rerun)",
    ]
    start = lines.index("1 failing, with no result on the base:")
    assert lines[start + 1].split() == ["fail", old.id, "old"]
    told = f"again     harness run --kconfig debug --patched-only --suite {new.id}"
    assert "".join(lines[-2:]).endswith(told)


def test_a_splat_is_placed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = "fs/configfs/mount.c:12"
    splat = Splat("warning", "WARNING in f", place=place, patches=("configfs: x",))
    bad = dataclasses.replace(result("test_it", Outcome.ERROR, "WARNING in f"), splats=(splat,))
    text = "\n".join(shown(run(bad), monkeypatch, capsys))
    assert 'at fs/configfs/mount.c:12, through code changed by "configfs: x"' in text


def test_names_of_tests_are_not_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = result("test_it[red-[bold]x]", Outcome.FAIL, "E   [/nothing] went [red]wrong[/]")
    text = "\n".join(shown(run(bad), monkeypatch, capsys, (200, 24)))
    assert "test_it[red-[bold]x]" in text
    assert "[/nothing] went [red]wrong[/]" in text


def test_a_kernel_that_did_not_boot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Trial(Side.PATCHED, KERNEL, (), error="did not boot (panic): Kernel panic")
    found = dataclasses.replace(run(), sides=(run().sides[0], dead))
    lines = shown(found, monkeypatch, capsys)
    assert "patched: did not boot (panic): Kernel panic" in lines
    assert any(line.startswith("BAD") for line in lines)


def test_all_good_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(run(result("test_x", Outcome.PASS)), monkeypatch, capsys)
    assert len(lines) == 7
    assert lines[4].startswith("GOOD A demo")


def test_tests_that_were_not_run_are_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crash = result("test_dies", Outcome.CRASH, "panic")
    rest = [result(f"test_{n}", Outcome.NOTRUN) for n in range(50)]
    found = dataclasses.replace(run(*rest, crash), interrupted=True)
    lines = shown(found, monkeypatch, capsys)
    assert "1 failing, with no result on the base:" in lines
    assert "50 of 51 tests were not run." in lines
    assert next(line.split()[0] for line in lines if "suite/test_it.py::" in line) == "crash"
    assert not any("notrun" in line for line in lines if "::" in line)
    assert any(line.startswith("NO VERDICT A demo") for line in lines)


EVIL = "\x1b[31mred\x1b]0;title\x07\n::error::owned\r##[group]x\u202e"


def test_text_of_a_guest_cannot_control_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    bad = result(f"test[{EVIL}]", Outcome.FAIL, f"E   {EVIL}")
    skipped = result("test_s", Outcome.SKIP, EVIL)
    found = run(bad, skipped, result("test_t", Outcome.SKIP))
    found = dataclasses.replace(
        found, sides=(found.sides[0], dataclasses.replace(found.sides[1], error=EVIL))
    )
    for size in ((80, 24), None):
        lines = shown(found, monkeypatch, capsys, size)
        text = "\n".join(lines)
        for control in "\x1b\x07\r\u202e":
            assert control not in text
        assert "##[" not in text
        assert not [line for line in lines if line.strip().startswith("::")]
    assert "     1 no reason given" in lines


def test_one_test_is_singular(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change = Change("suite/test_it.py::test_x", Outcome.FAIL, Outcome.PASS)
    found = run(result("test_x", Outcome.PASS), changes=(change,))
    kernel = dataclasses.replace(KERNEL, warnings=(CompilerWarning("a.c", 1, "unused"),))
    found = dataclasses.replace(
        found, sides=(found.sides[0], dataclasses.replace(found.sides[1], kernel=kernel))
    )
    text = "\n".join(shown(found, monkeypatch, capsys))
    assert "the series fixes 1 test:" in text
    assert "1 warning " in text


@pytest.mark.parametrize("size", [(40, 24), (60, 24), (80, 24), None])
def test_every_outcome_is_shown_on_any_terminal(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = " ".join(" ".join(shown(run(*MANY), monkeypatch, capsys, size)).split())
    for outcome in Outcome:
        assert f"40 {outcome}" in text.replace("… ", "")


def test_a_test_that_only_the_series_skips_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = result("test_x", Outcome.SKIP, "Skipped: no namespaces")
    text = "\n".join(shown(run(skipped), monkeypatch, capsys, None))
    assert "1 skipped, but passed on the base:\n  suite/test_it.py::test_x  " in text
    also = result("test_y", Outcome.SKIP, "Skipped: never ran")
    assert "but passed" not in "\n".join(shown(run(also), monkeypatch, capsys, None))
