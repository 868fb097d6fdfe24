# SPDX-License-Identifier: GPL-2.0-only
"""Progress: durations, estimates, the live view, plain lines."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable

import pytest
import rich.console
import rich.spinner

from harness import progress as display
from harness.progress import Progress, Stage, StageRow, clock
from harness.progress.screen import View


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0s"),
        (9.96, "10.0s"),
        (12.4, "12s"),
        (185, "3m05"),
        (3599, "59m59"),
        (7620, "2h07m"),
    ],
)
def test_durations_are_formatted_for_people(seconds: float, words: str) -> None:
    assert clock(seconds) == words


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Returns a function that advances the clock."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_the_time_left_is_estimated_from_what_was_done(later: Callable[[float], None]) -> None:
    one = Stage(Progress(quiet=True), "test", begin=time.monotonic())
    one.update(0, None)
    later(100)  # a boot
    one.update(10, 110)
    assert one.left is None
    later(20)
    one.update(60, 110)
    assert one.left == pytest.approx(20)
    one.update(110, 110)
    assert one.left is None
    assert one.to_go == ""
    one.update(None, None)
    assert one.left is None


@pytest.mark.parametrize(
    ("seconds", "done", "total"),
    [
        (9, 100, 1400),  # too short
        (600, 60, 1400),  # too few
        (600, 900, None),  # of an unknown number
        (600, 1401, 1400),  # more than expected
        (600, 0, 1400),
    ],
)
def test_there_is_no_estimate_without_a_basis(
    seconds: float, done: int, total: int | None, later: Callable[[float], None]
) -> None:
    one = Stage(Progress(quiet=True), "build")
    one.update(0, total)
    later(seconds)
    one.update(done, total)
    assert one.left is None
    assert one.to_go == ""


def test_the_pace_is_the_recent_one(later: Callable[[float], None]) -> None:
    one = Stage(Progress(quiet=True), "build")
    one.update(0, 1400)
    for done in range(10, 401, 10):  # ccache has them
        later(1)
        one.update(done, 1400)
    assert one.left == pytest.approx(100)
    assert one.to_go == "about 2 minutes to go"
    for done in range(401, 600):  # and not these
        later(1)
        one.update(done, 1400)
    assert one.left == pytest.approx(801, rel=0.02)
    assert one.to_go == "about 15 minutes to go"
    later(3600)  # nothing happens, for an unknown time
    assert one.left == pytest.approx(801 * 31, rel=0.1)


def test_a_busy_machine_does_not_upset_the_estimate(later: Callable[[float], None]) -> None:
    one = Stage(Progress(quiet=True), "build")
    one.update(0, 1400)
    for done in range(10, 1001, 10):
        later(20 if done % 60 else 120)  # sometimes another build has the processors
        one.update(done, 1400)
        real = (1400 - done) * (5 * 20 + 120) / 60
        assert one.left is None or real / 2 < one.left < 2 * real
    assert one.left is not None


def test_a_stage_that_restarts_has_a_new_pace(later: Callable[[float], None]) -> None:
    one = Stage(Progress(quiet=True), "source")
    one.update(0, 100)
    later(1000)
    one.update(100, 100)
    one.update(0, 50)
    later(20)
    one.update(25, 50)
    assert one.left == pytest.approx(20)


def estimates(minutes: list[float], later: Callable[[float], None]) -> list[str]:
    """Return the estimates shown while so many minutes are left."""
    one = Stage(Progress(quiet=True), "build")
    one.update(0, 1000)
    later(600)
    shown = []
    for left in minutes:
        # At the pace until now, this total takes so many more minutes.
        one.update(500, 500 * (1 + left / 10))
        shown.append(one.to_go)
    return shown


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.2, "less than a minute to go"),
        (0.8, "about a minute to go"),
        (8.7, "about 9 minutes to go"),
        (13.1, "about 15 minutes to go"),
        (61, "about an hour to go"),
        (100, "about 1.5 hours to go"),
    ],
)
def test_the_time_left_in_words(minutes: float, words: str, later: Callable[[float], None]) -> None:
    assert estimates([minutes], later) == [words]


def test_the_estimate_does_not_flicker(later: Callable[[float], None]) -> None:
    trembling = estimates([9.3, 9.6, 9.4, 9.7, 8.5, 9.5], later)
    assert trembling == ["about 9 minutes to go"] * 6
    assert estimates([9.3, 8.1, 8.6, 12, 13, 14], later) == [
        *["about 9 minutes to go", "about 8 minutes to go", "about 8 minutes to go"],
        *["about 10 minutes to go", "about 10 minutes to go", "about 15 minutes to go"],
    ]


def screen(stages: list[Stage], width: int = 80, height: int = 24) -> list[str]:
    console = rich.console.Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None
    )
    lines = console.render_lines(View(stages, rich.spinner.Spinner("dots")))
    return ["".join(part.text for part in line).rstrip() for line in lines]


def test_the_live_view() -> None:
    one = Stage(Progress(quiet=True), "test", "patched 7.2.13")
    one.update(45, 205, "40 pass, 5 fail")
    one.rows = (StageRow("guest0", f"tests/{'long/' * 30}test_it.py::test_it", time.time() - 3),)
    lines = screen([one])
    assert re.match(r"[⠀-⣿] test +patched 7.2.13 +0.0s$", lines[0])
    assert re.match(r" +━+ +45/205 40 pass, 5 fail$", lines[1])
    assert re.match(r"  guest0 +…\S*/test_it.py::test_it 3\.\ds$", lines[2])
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_view_shows_the_time_left(width: int, later: Callable[[float], None]) -> None:
    what = "x86_64 with gcc (Debian 12.2.0-14+deb12u1) 12.2.0"
    one = Stage(Progress(quiet=True), "build", what, begin=time.monotonic())
    one.update(0, 1400, "fs")
    later(600)
    one.update(700, 1400, "drivers/nvme/target")
    first, second = screen([one], width)
    assert re.match(r"[⠀-⣿] build +x86_64 w.* about 10 minutes to go +10m00$", first)
    assert "700/1400" in second
    assert max(len(first), len(second)) <= width


@pytest.mark.parametrize("height", [3, 10, 24])
def test_many_guests_never_fill_the_screen(height: int) -> None:
    one = Stage(Progress(quiet=True), "test")
    one.rows = tuple(StageRow(f"guest{n}", "boots", time.time()) for n in range(50))
    lines = screen([one], height=height)
    assert len(lines) <= max(height - 1, 3)
    assert re.search(r"and \d+ more", lines[-1])


@pytest.mark.parametrize("width", [60, 80])
def test_a_long_note_does_not_hide_the_numbers(width: int) -> None:
    one = Stage(Progress(quiet=True), "build")
    one.update(700, 1400, "a/long/place/" * 9)
    assert re.match(r" +━+[╸ ]* 700/1400 a/lo\S*…$", screen([one], width)[1])


def test_text_of_others_is_not_taken_for_markup() -> None:
    one = Stage(Progress(quiet=True), "test", "[red]x[/]")
    one.update(1, 2, "[/nothing]")
    one.rows = (StageRow("guest0", "test_it[bold]", time.time()),)
    text = "\n".join(screen([one]))
    assert "[red]x[/]" in text
    assert "[/nothing]" in text
    assert "test_it[bold]" in text


def test_plain_lines_are_rare(
    capsys: pytest.CaptureFixture[str], later: Callable[[float], None]
) -> None:
    progress = Progress()
    assert not progress.live
    with progress.stage("build", "x86_64") as one:
        one.begin = one.shown = time.monotonic()
        for n in range(100):
            later(1)
            one.update(n, 100, f"fs/{n}")
        one.finish("7.2.13")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 + 100 // int(display.PLAIN_EVERY)
    assert lines[0] == "  build      14/100 fs/14, about a minute to go 15s"
    assert lines[-1] == "✓ build      7.2.13 1m40"
    assert progress.times == [("build", 100.0)]
    assert [span.what for span in progress.spans] == ["7.2.13"]


@pytest.mark.parametrize(("kind", "mark"), [(ValueError, "✗"), (KeyboardInterrupt, "-")])
def test_a_stage_that_fails_is_shown(
    kind: type[BaseException], mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress()
    with pytest.raises(kind), progress.stage("apply", "8 patches"):
        raise kind
    assert re.match(rf"{mark} apply +8 patches 0\.0s$", capsys.readouterr().err.strip())
    assert progress.times == []


def test_quiet_shows_only_messages(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(quiet=True, verbose=True)
    with progress.stage("build") as one:
        one.update(1, 2)
        progress.event("bad", "fail x", "y")
        progress.more("$ make")
    assert capsys.readouterr().err == ""
    progress.say("evidence: [x]")
    assert capsys.readouterr().err == "evidence: [x]\n"


def test_an_event_is_one_line_where_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().event("bad", "fail       test_it[a]", "AssertionError: " + "x" * 300)
    assert capsys.readouterr().err == f"✗ fail       test_it[a]  AssertionError: {'x' * 300}\n"


def test_marks_are_ascii_without_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", plain)
    with Progress().stage("build", "x86_64"):
        pass
    plain.flush()
    assert plain.buffer.getvalue().startswith(b"ok build ")


def test_forced_colour_does_not_make_a_file_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not Progress().live


def test_nested_stages_are_both_shown() -> None:
    progress = Progress(quiet=True)
    with progress.stage("rerun"), progress.stage("test"):
        pass
    assert [name for name, _ in progress.times] == ["test", "rerun"]
    outer, inner = Stage(progress, "rerun", "a"), Stage(progress, "test", "b")
    assert len(screen([outer, inner])) == 2


@pytest.mark.parametrize("on_github", [True, False])
def test_text_of_others_is_not_taken_for_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, on_github: bool
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if on_github else "")
    progress = Progress(verbose=True)
    gcc = "fs/a.c:1: error:\n::set-env name=X::y\n  ::error file=a::b\n\tstd::x ##[error]z\x1b[2J"
    with progress.stage("test", "::stop-commands::x") as stage:
        progress.say(gcc)
        progress.more(gcc)
        progress.event("bad", "fail a::b\n::error::x", "::debug::y")
        stage.finish("\n::error::z\x1b")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "std::x" in err
    started = [line for line in err.splitlines() if line.strip().startswith("::")]
    assert bool(started) is ("##[" in err) is not on_github


def test_the_live_view_shows_any_name_safely() -> None:
    stage = Stage(Progress(quiet=True), "test", "\x1b[2J")
    stage.update(1, 2, "\x1b[31m")
    stage.rows = (StageRow("guest0", "test[\x1b]0;title\x07]", time.time()),)
    out = io.StringIO()
    console = rich.console.Console(file=out, width=80, height=20)
    console.print(View([stage], rich.spinner.Spinner("dots")))
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
