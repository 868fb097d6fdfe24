# SPDX-License-Identifier: GPL-2.0-only
"""Where `harness run` prints to: a terminal of any kind, a pipe, nothing at all."""

from __future__ import annotations

import json
import re
import time

import pytest
import warm
from fakeproject import Project
from screen import Screen

DIR = "fs/configfs/dir.c"
WORDS = ("--patched-only", "-k", "test_same or test_fixed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    one = Project(tmp_path_factory.mktemp("terminal"))
    one.patch(DIR, '\nconst char *harness_word = "fixed by the series";\n')
    assert one.run(*WORDS)[0] == 0  # the kernel is there for all that follow
    return one


def argv(project: Project, *words: str) -> list[str]:
    project.out = project.path / f"out{time.monotonic_ns()}"
    return [word for word in project.argv if word != "--json"] + [*WORDS, *words]


def shell(project: Project, script: str, *words: str, **more: str) -> tuple[int, str, str]:
    words = tuple(argv(project, *words))
    done = warm.run(
        words if script == '"$@"' else ["sh", "-c", script, "sh", *words],
        cwd=project.path,
        env=project.environment(**more),
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    "script",
    ['"$@" <&-', '"$@" >&-', '"$@" 2>&-', '"$@" 2>/dev/full', '"$@" >&- 2>&-', '"$@" --json >&-'],
)
def test_closed_or_full_standard_streams(project: Project, script: str) -> None:
    code, _, err = shell(project, script)
    assert code == 0, err
    assert "Traceback" not in err
    assert (project.out / "run.json").is_file()


def test_a_reader_that_goes_away(project: Project) -> None:
    code, out, err = shell(project, '"$@" | head -c1', "--json")
    assert (code, out) == (0, "{")
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert json.loads((project.out / "run.json").read_text())


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "xx_XX.nonesuch"}]
)
def test_any_locale(project: Project, environment: dict[str, str]) -> None:
    code, out, err = shell(project, '"$@"', **environment)
    assert code == 0, err
    assert "GOOD" in out
    assert "\x1b" not in out + err


def test_quiet(project: Project) -> None:
    _, _, err = shell(project, '"$@"', "-q")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["evidence"]


@pytest.mark.parametrize("columns", [10, 80, 1000])
def test_a_terminal_of_any_width(project: Project, columns: int) -> None:
    environment = project.environment(TERM="xterm")
    screen = Screen(argv(project), project.path, environment, (24, columns))
    assert screen.ended() == 0, screen.text
    out = screen.raw.decode()
    assert "GOOD" in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", out)
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h")  # the cursor is shown again


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "xterm"}])
def test_a_terminal_without_colours(project: Project, environment: dict[str, str]) -> None:
    screen = Screen(argv(project), project.path, project.environment(**environment))
    assert screen.ended() == 0, screen.text
    out = screen.raw.decode()
    assert "GOOD" in out
    assert not re.search(r"\x1b\[(\d+;)*(3|9)\dm", out)
    assert environment["TERM"] != "dumb" or "\x1b" not in out


def test_a_terminal_that_is_closed_during_a_test(project: Project) -> None:
    words = [*argv(project)[:-1], "test_same or test_waits"]
    environment = project.environment(WAIT="36000", TERM="xterm")
    screen = Screen(words, project.path, environment)
    journal = project.out / "patched" / "tests.jsonl"
    screen.until(
        lambda: (
            journal.exists()
            and '"started", "id": "suite/test_it.py::test_waits' in journal.read_text()
        )
    )
    assert screen.hang_up() == 130
    run = json.loads((project.out / "run.json").read_text())
    assert run["interrupted"]
    found = {test["id"].split("::")[1]: test["outcome"] for test in run["sides"][0]["tests"]}
    assert found == {"test_same": "pass", "test_waits": "notrun"}
