# SPDX-License-Identifier: GPL-2.0-only
"""What --json prints is what docs/terminal.md and the schema promise."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import warm
from fakeproject import Project
from patience import PATIENCE

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/reference/run.schema.json").read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    one = Project(tmp_path_factory.mktemp("json"))
    one.patch("fs/configfs/dir.c", '\nconst char *harness_word = "fixed by the series";\n')
    return one


def valid(value: object) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(value)


def test_a_run_is_what_its_schema_says(project: Project) -> None:
    code, run, _ = project.run(SPLAT="1", DIE="1")
    assert code == run["exit_code"] == 1
    assert {"own", "children"} == run["cpu_seconds"].keys()
    valid(run)
    valid(json.loads((project.out / "run.json").read_text()))


def test_the_schema_refuses_another_form(project: Project) -> None:
    project.out = project.path / "other"
    _, run, _ = project.run("--patched-only", "-k", "test_same")
    valid(run)
    for wrong in (
        {**run, "schema": 99},
        {**run, "interrupted": "yes"},
        {key: value for key, value in run.items() if key != "sides"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            valid(wrong)


def test_what_stops_a_run_is_json_too(project: Project) -> None:
    project.out = project.path / "stopped"
    started = project.start("--patched-only", "-k", "test_waits", WAIT="36000")
    journal, end = project.out / "patched" / "tests.jsonl", time.monotonic() + PATIENCE
    while not (journal.exists() and '"started"' in journal.read_text()):
        assert time.monotonic() < end
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)
    out, err = started.communicate(timeout=PATIENCE)
    assert started.returncode == 130
    table = json.loads(out)
    assert table["exit_code"] == 130
    assert table["error"]["what"].startswith("interrupted: patched 0 of 1 tests")
    assert table["error"]["hint"].startswith("harness run ")
    assert "stopping" in err
    valid(json.loads((project.out / "run.json").read_text()))


def asked(*words: str, **environment: str) -> object:
    done = warm.run(
        [sys.executable, "-m", "harness", *words, "--json"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("verb", "words"),
    [("doctor", ()), ("clean", ()), ("completion", ("bash",)), ("setup", ())],
)
def test_the_keys_in_the_document_are_there(
    verb: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    row = re.search(rf"^\| `{verb}` \| (.*) \|$", (ROOT / "docs/terminal.md").read_text(), re.M)
    assert row is not None
    named = re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row[1]))
    more = (
        {} if verb == "setup" else {"HARNESS_CACHE": str(tmp_path), "HARNESS_STATE": str(tmp_path)}
    )
    found = asked(verb, *words, **more)
    assert isinstance(found, dict)
    if "error" in found:  # setup, where something is missing, has nobody to ask
        assert {"what", "hint", "details"} == found["error"].keys()
    else:
        assert set(named) <= found.keys()
