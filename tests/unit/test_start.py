# SPDX-License-Identifier: GPL-2.0-only
"""A short command imports little: modules are counted, since seconds depend on the machine."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.model import Kernel, Outcome, Run, Side, Source, Test, Trial
from harness.results import store

ROOT = Path(__file__).parents[2]

#: What words on a screen do not need.
HEAVY = {
    *("alembic", "asyncio", "b4", "cattrs", "drgn", "elftools", "execnet", "filelock", "jinja2"),
    *("junitparser", "lxml", "pexpect", "pygments", "pytest", "_pytest", "rich", "sqlalchemy"),
    *("unidiff", "virtme", "xdist"),
}
#: Their options and --help are made from tables whose entries name functions of most stages.
TABLES = {"check", "report"}


def imported(*argv: str, **env: str) -> frozenset[str]:
    """Run a Python program; return what it imports, without what every Python imports."""
    python = [sys.executable, "-X", "importtime", *argv]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(
        python, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert lines, done.stderr
    return frozenset(line.rpartition("|")[2].strip() for line in lines) - _bare()


@functools.cache
def _bare() -> frozenset[str]:
    python = [sys.executable, "-X", "importtime", "-c", "pass"]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    return frozenset(line.rpartition("|")[2].strip() for line in done.stderr.splitlines())


def heavy(modules: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules} & HEAVY


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("--help", 140),
        ("--version", 140),
        ("completion bash", 175),
        ("completion fish", 175),
        ("run --help", 140),
        ("bisect --help", 160),
        ("show --help", 140),
    ],
)
def test_a_short_command_imports_little(words: str, most: int, tmp_path: Path) -> None:
    modules = imported("-m", "harness", *words.split(), HARNESS_STATE=str(tmp_path))
    assert heavy(modules) == set()
    assert len(modules) <= most, sorted(modules)


def test_a_series_is_shown_with_what_reads_mails(tmp_path: Path) -> None:
    modules = imported(
        "-m", "harness", "series", "patches/configfs-ns", HARNESS_STATE=str(tmp_path)
    )
    assert heavy(modules) == {"unidiff"}
    assert not any(name.startswith("harness.splat") for name in modules)
    assert len(modules) <= 210, sorted(modules)


def test_a_run_is_shown_with_what_reads_and_prints_it(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    kernel = Kernel("k", Path(), Path(), Path(), "7.2.13", "c0ffee", "x86_64")
    trial = Trial(Side.PATCHED, kernel, (Test("test_it.py::test_x", Outcome.FAIL, 0.1),))
    store.save_run(Run(None, Source(Path(), "c0ffee", "v7.2"), run, "", 1.0, "tcg", (trial,)))
    history = tmp_path / "history" / "history.db"
    history.parent.mkdir()
    with contextlib.closing(sqlite3.connect(history)) as connection:
        connection.execute("CREATE TABLE run (id, uid, began, command, folder, ended)")
        connection.execute(
            "INSERT INTO run VALUES (1, 'abc', 1.0, 'harness run', ?, 'done')", [str(run)]
        )
        connection.commit()
    modules = imported("-m", "harness", "show", "last", HARNESS_STATE=str(tmp_path))
    assert heavy(modules) == {"rich", "cattrs"}
    assert len(modules) <= 330, sorted(modules)


@pytest.mark.parametrize("verb", sorted({*cli.VERBS} - TABLES))
def test_the_options_of_a_verb_are_completed_without_its_work(verb: str, tmp_path: Path) -> None:
    line, found = f"harness {verb} --", tmp_path / "found"
    modules = imported(
        *("-m", "harness"),
        _ARGCOMPLETE="1",
        COMP_LINE=line,
        COMP_POINT=str(len(line)),
        _ARGCOMPLETE_STDOUT_FILENAME=str(found),
    )
    assert "--json" in found.read_text()
    assert heavy(modules) == set()
    assert len(modules) <= 190, sorted(modules)


def test_the_patterns_of_splats_are_made_when_a_log_is_searched() -> None:
    code = "import re; old = re.compile; texts = []\n"
    code += "re.compile = lambda *words: texts.append(words[0]) or old(*words)\n"
    code += "import harness.splat; few = sum(map(len, texts)); harness.splat.find(['BUG: x'])\n"
    code += "print(few, sum(map(len, texts)) - few)"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < after


def test_what_is_imported_is_seen() -> None:
    modules = imported("-c", "import rich.text, json")
    assert "json" in modules
    assert heavy(modules) == {"rich"}
