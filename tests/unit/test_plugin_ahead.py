# SPDX-License-Identifier: GPL-2.0-only
"""What the host compiles ahead is what a guest finds, and nothing that is out of date."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.plugin import ahead

ROOT = Path(__file__).parents[2]
#: Runs pytest as a guest does; prints what it had to compile.
GUEST = """
import builtins, os, sys
sys.dont_write_bytecode = True
from harness.guestside import gateway
gateway.warm_up(sys.argv[1])
import pytest
from _pytest.assertion import rewrite
seen = []
def note(event, words):
    if event == "compile" and words[1] and str(words[1]).startswith(os.getcwd()):
        seen.append(os.path.relpath(words[1]))
original = rewrite._rewrite_test
def rewritten(path, config):
    if str(path).startswith(os.getcwd()):  # plugins are compiled once, in their environment
        seen.append(os.path.relpath(path))
    return original(path, config)
rewrite._rewrite_test = rewritten
sys.addaudithook(note)
status = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]])
print("STATUS", int(status), "COMPILED", *sorted(set(seen)))
"""


def guest(folder: Path, compiled: Path, *words: str) -> tuple[int, set[str]]:
    """Run tests as a guest would; return pytest's status and what it compiled."""
    argv = [sys.executable, "-c", GUEST, str(compiled), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HARNESS_GUEST": "guest1"}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert "STATUS" in done.stdout, done.stdout + done.stderr
    status, _, *names = done.stdout.partition("STATUS ")[2].split()
    return int(status), set(names)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    for name, text in {
        "pytest.ini": "[pytest]\npythonpath = lib\n",
        "conftest.py": "import helper\n",
        "helper.py": "X = 1\n",
        "lib/shared/__init__.py": "from shared import more\n",
        "lib/shared/more.py": "Y = 2\n",
        "part/test_it.py": "import shared\ndef test_it():\n    assert shared.more.Y == 2\n",
        "part/oddly_named.py": "def test_odd():\n    assert [1] == [1]\n",
        "part/test_broken.py": "def test_broken(:\n",
        "venv/pyvenv.cfg": "",
        "venv/lib.py": "Z = 3\n",
        ".hidden/test_no.py": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def compile_for(folder: Path, compiled: Path, *words: str) -> None:
    """Compile what the command line names, as the host's pytest does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = pytest.Config.fromdictargs({}, [*words])
        try:
            ahead.compile_suite(config, compiled)
        finally:
            config._ensure_unconfigure()


def test_a_guest_compiles_nothing(suite: Path, tmp_path: Path) -> None:
    words = ("part/test_it.py", "part/oddly_named.py")
    assert guest(suite, tmp_path, *words)[1] >= {"part/test_it.py", "helper.py", "conftest.py"}
    compile_for(suite, tmp_path / "compiled", *words)
    assert guest(suite, tmp_path / "compiled", *words) == (0, set())
    assert not list((suite / "part").rglob("*.pyc")), "the user's files are not touched"


def test_only_what_changed_is_compiled_again(suite: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    compile_for(suite, compiled, "part/test_it.py")
    before = {path: path.stat().st_ctime_ns for path in compiled.rglob("*.pyc")}
    (suite / "helper.py").write_text("X = 1 + 1\n")
    edited = suite / "part" / "test_it.py"
    edited.write_text("def test_it():\n    assert not 1\n")
    assert guest(suite, compiled, "part/test_it.py") == (1, {"helper.py", "part/test_it.py"})
    compile_for(suite, compiled, "part/test_it.py")
    after = {path: path.stat().st_ctime_ns for path in compiled.rglob("*.pyc")}
    assert len([path for path in before if before[path] == after[path]]) == len(before) - 2
    assert guest(suite, compiled, "part/test_it.py") == (1, set())


def test_a_folder_is_searched_as_pytest_does(suite: Path, tmp_path: Path) -> None:
    compile_for(suite, tmp_path / "compiled", ".")
    found = {path.name.partition(".")[0] for path in (tmp_path / "compiled").rglob("*.pyc")}
    assert found >= {"test_it", "helper", "conftest", "more", "oddly_named"}
    assert found.isdisjoint({"test_broken", "test_no"})
    assert "lib" not in found


def test_plain_assertions_are_not_rewritten(suite: Path, tmp_path: Path) -> None:
    compile_for(suite, tmp_path / "compiled", "--assert=plain", "part/test_it.py")
    assert not list((tmp_path / "compiled").rglob("test_it*.pyc"))
