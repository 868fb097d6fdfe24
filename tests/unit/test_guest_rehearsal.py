# SPDX-License-Identifier: GPL-2.0-only
"""What a saved guest has rehearsed: a worker's pytest is the same as without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: Configures pytest as a worker does, and prints what it then knows.
WORKER = """
import json, sys
from harness.guest import gather
from harness.guestside import gateway, rehearsal

gateway.warm_up("")
if sys.argv[1] == "rehearsed":
    rehearsal.keep_metadata([])
    rehearsal.rehearse(list(gather.LATE))
from _pytest import config as configuration
from _pytest.main import Session

config = configuration._prepareconfig(sys.argv[3:])
config._do_configure()
session = Session.from_config(config)
config.hook.pytest_sessionstart(session=session)
config.hook.pytest_collection(session=session)
manager, item = session._fixturemanager, session.items[0]
found = {name: manager.getfixturedefs(name, item) for name in sys.argv[2].split(",")}
print("KNOWN", json.dumps({
    "plugins": sorted(name for name, _ in config.pluginmanager.list_name_plugin() if "/" not in name
                      and not name.isdigit()),
    "fixtures": {name: [str(one.func).partition(" at ")[0] for one in every or ()]
                 for name, every in found.items()},
    "options": {name: str(value).partition(" at ")[0]
                for name, value in sorted(vars(config.option).items())},
    "where": [str(config.invocation_params.dir), str(config.rootpath), config.args],
    "items": [item.nodeid for item in session.items],
    "packages": sorted({package.metadata["Name"]
                        for _, package in config.pluginmanager.list_plugin_distinfo()}),
}))
"""
FIXTURES = (
    *("cache", "capfd", "capsys", "caplog", "doctest_namespace", "monkeypatch", "pytestconfig"),
    *("record_property", "recwarn", "request", "tmp_path", "tmp_path_factory", "tmpdir", "testdir"),
    *("worker_id", "testrun_uid", "own", "shared"),
)
SUITE = """
import pytest

@pytest.fixture
def own(tmp_path):
    return tmp_path

@pytest.mark.parametrize("n", [1, 2])
def test_it(n, own, monkeypatch):
    pass
"""


def known(kind: str, folder: Path, *words: str) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HARNESS_GUEST": "guest1"}
    argv = [sys.executable, "-c", WORKER, kind, ",".join(FIXTURES), *words]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert "KNOWN" in done.stdout, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.partition("KNOWN ")[2].splitlines()[0])
    return found


@pytest.mark.parametrize(
    "words", [(), ("-p", "no:cacheprovider", "-p", "no:doctest"), ("--import-mode=importlib", "-v")]
)
def test_a_rehearsed_worker_knows_the_same(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nminversion = 6.0\n")
    (tmp_path / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef shared(): pass\n")
    (tmp_path / "test_it.py").write_text(SUITE)
    usual = known("usual", tmp_path, *words, "test_it.py")
    assert usual["fixtures"]["tmp_path"]
    assert usual["fixtures"]["shared"]
    assert usual["items"] == ["test_it.py::test_it[1]", "test_it.py::test_it[2]"]
    assert known("rehearsed", tmp_path, *words, "test_it.py") == usual
