# SPDX-License-Identifier: GPL-2.0-only
"""`harness run` on a terminal, seen through pyte: meanwhile, at the end, on Ctrl-C."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from pathlib import Path

import pytest
from fakeproject import Project
from screen import Screen

DIR = "fs/configfs/dir.c"
CTRL_C = b"\x03"
WAITS = "test_same or test_waits"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    one = Project(tmp_path_factory.mktemp("live"))
    one.patch(DIR, '\nconst char *harness_word = "fixed by the series";\n')
    assert one.run("-k", "test_same or test_fixed")[0] == 0  # the kernels are there
    return one


def start(
    project: Project, *words: str, size: tuple[int, int] = (24, 80), mode: str = "up", **more: str
) -> Screen:
    project.out = project.path / f"out{time.monotonic_ns()}"
    argv = [word for word in project.argv if word != "--json"]
    return Screen([*argv, *words], project.path, project.environment(mode, **more), size)


@pytest.mark.parametrize("size", [(24, 80), (40, 120)])
def test_base_and_patched_run_one_after_another(project: Project, size: tuple[int, int]) -> None:
    memory = f"{1000 + size[0]}M"  # a base of its own, or an earlier result would be taken
    screen = start(project, "--memory", memory, WAIT="3", size=size)
    assert screen.ended() == 0, screen.text
    for side in ("base", "patched"):
        under_way = [n for n, lines in enumerate(screen.seen) if live(lines, f"test       {side}")]
        assert under_way, screen.seen
        shown = "\n".join(line for n in under_way for line in screen.seen[n])
        assert re.search(r"guest0 +(boots|collects the tests) +\d", shown)
        assert re.search(r"guest0 +suite/test_it.py::test_waits +\d", shown)
        assert re.search(r"━ +[0-6]/7 ", shown)
    # Never two at once, and the base's ended line stands while the patched one runs.
    for lines in screen.seen:
        assert len([line for line in lines if re.match(r"[⠀-⣿] test ", line)]) <= 1
        if live(lines, "test       patched"):
            assert [line for line in lines if line.startswith("✓ test       base")]
    assert not screen.cursor_hidden
    assert not [line for line in screen.lines if re.match(r"[⠀-⣿] ", line)]  # nothing live is left
    assert all(len(line) <= size[1] for lines in screen.seen for line in lines)


def live(lines: list[str], what: str) -> bool:
    return any(re.match(r"[⠀-⣿] ", line) and what in line for line in lines)


def test_the_build_shows_its_objects(tmp_path: Path) -> None:
    fresh = Project(tmp_path)
    fresh.patch(DIR, '\nconst char *harness_word = "fixed by the series";\n')
    screen = start(fresh, "-k", "test_same")
    assert screen.ended() == 0, screen.text
    said = "\n".join(screen.scrolled)
    order = [said.index(f"✓ {name}") for name in ("apply", "configure", "build", "test")]
    assert order == sorted(order)


def test_failures_come_above_the_live_part(project: Project) -> None:
    screen = start(project, BREAK="1", DIE="1", WAIT="4")
    screen.until(lambda: live(screen.lines, "patched") and "assert (not True" in screen.text)
    lines = screen.lines
    fail = next(n for n, line in enumerate(lines) if line.startswith("✗ fail"))
    assert "suite/test_it.py::test_broken" in lines[fail]
    assert "assert (not True or " in lines[fail + 1]
    assert fail < next(n for n, line in enumerate(lines) if live([line], "patched"))
    assert screen.ended() == 1
    told = "\n".join(screen.scrolled)
    assert told.count("✗ fail") == 1
    assert re.search(r"✗ crash +suite/test_it.py::test_dies", told)
    # The base fails test_fixed, which is what the series is for: only counted.
    assert "✗ fail       suite/test_it.py::test_fixed" not in told


def test_a_failure_that_the_base_has_too_is_told_so(project: Project) -> None:
    (project.path / "suite" / "test_old.py").write_text("def test_old():\n    assert False\n")
    try:
        screen = start(project, "--suite", "suite/test_old.py")
        assert screen.ended() == 0
    finally:
        (project.path / "suite" / "test_old.py").unlink()
    assert "suite/test_old.py::test_old (on the base too)" in "\n".join(screen.scrolled)


def test_the_end_fits_the_screen(project: Project) -> None:
    names = "\n".join(f"def test_{n}():\n    assert {n} < 0, 'w' * 300\n" for n in range(30))
    (project.path / "suite" / "test_many.py").write_text(names)
    try:
        screen = start(project, "--patched-only")
        assert screen.ended() == 1
    finally:
        (project.path / "suite" / "test_many.py").unlink()
    lines = screen.lines
    assert lines[0].startswith("kernel ") or any(line.startswith("kernel ") for line in lines)
    assert any("30 failing on the patched kernel" in line for line in lines)
    assert any(re.search(r"\.\.\. and \d+ more", line) for line in lines)
    assert any(line.startswith("BAD A demo") for line in lines)
    assert any(line.startswith("evidence") for line in lines)
    assert any(line.startswith("again     harness run") for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_what_is_kept_and_how_to_go_on(
    project: Project, number: signal.Signals
) -> None:
    screen = start(project, "--patched-only", "-k", WAITS, WAIT="36000")
    screen.until(lambda: "test_waits" in screen.text)
    if number is signal.SIGINT:
        screen.press(CTRL_C)  # the terminal's own Ctrl-C
    else:
        screen.process.send_signal(number)
    assert screen.ended() == 130
    said = "".join(screen.scrolled)  # without the ends of lines where a long one was wrapped
    assert "stopping; results so far are kept" in said
    assert f"interrupted: patched 1 of 2 tests; all evidence is kept in {project.out}" in said
    command = said.partition("try: ")[2]
    assert command.startswith("harness run --tree ")
    assert "--out" not in command
    assert not screen.cursor_hidden
    assert not [line for line in screen.scrolled if re.match(r"[⠀-⣿] ", line)]
    run = json.loads((project.out / "run.json").read_text())
    assert run["interrupted"]


def test_the_command_it_gives_goes_on(project: Project) -> None:
    screen = start(project, "-k", WAITS, WAIT="36000", size=(24, 400))
    screen.until(lambda: live(screen.lines, "base") and "test_waits" in screen.text)
    screen.press(CTRL_C)
    assert screen.ended() == 130
    line = next(line for line in screen.lines if line.startswith("  try: harness run"))
    words = shlex.split(line.removeprefix("  try: "))
    again = Screen([*project.argv[:3], *words[1:]], project.path, project.environment())
    assert again.ended() == 0, again.text
    assert "GOOD A demo" in again.text


def test_a_second_time_it_stops_at_once(project: Project) -> None:
    screen = start(project, "--patched-only", "-k", WAITS, WAIT="36000", mode="stuck")
    screen.until(lambda: "test_waits" in screen.text)
    screen.press(CTRL_C)
    screen.until(lambda: "stopping" in screen.text)
    screen.press(CTRL_C)
    assert screen.ended() == 130
    assert not screen.cursor_hidden


def test_v_shows_commands_and_what_pytest_prints(project: Project) -> None:
    screen = start(project, "--patched-only", "-k", "test_same", "-v", size=(60, 120))
    assert screen.ended() == 0
    said = "\n".join(screen.scrolled)
    assert re.search(r"\$ git -C ", said)
    assert re.search(r"\$ \S*python\S* -m pytest", said)
    assert re.search(r"PASSED.* suite/test_it.py::test_same", said)


def test_without_v_it_does_not(project: Project) -> None:
    screen = start(project, "--patched-only", "-k", "test_same")
    assert screen.ended() == 0
    assert "$ git" not in "\n".join(screen.scrolled)
    assert "PASSED" not in "\n".join(screen.scrolled)
