# SPDX-License-Identifier: GPL-2.0-only
"""A new output is one entry of the table: its option, its help and its file follow."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import outputruns
import pytest

from harness.cli import main
from harness.publish import outputs
from harness.publish.outputs import OUTPUTS, Output, OutputChoices
from harness.results import store

FAKE = Output(
    "fake",
    "a line with the verdict",
    lambda run, choices, _: f"{run.verdict} for {choices.origin}\n",
    choices=("origin",),
)


@pytest.fixture
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("harness.") and getattr(module, "OUTPUTS", None) is OUTPUTS:
            monkeypatch.setattr(module, "OUTPUTS", (*OUTPUTS, FAKE))


def test_names_and_choices_are_consistent() -> None:
    assert len({output.name for output in OUTPUTS}) == len(OUTPUTS)
    choices = {field.name for field in dataclasses.fields(OutputChoices)}
    assert {choice for output in OUTPUTS for choice in output.choices} == choices


@pytest.mark.usefixtures("_fake")
def test_an_entry_becomes_an_option(capsys: Any) -> None:
    assert main(["report", "--help"]) == 0
    assert "--fake FILE" in (text := capsys.readouterr().out)
    assert "a line with the verdict" in text


@pytest.mark.usefixtures("_fake")
def test_an_entry_is_written(tmp_path: Path, capsys: Any) -> None:
    folder = store.save_run(outputruns.good(tmp_path / "run")).parent
    file = tmp_path / "fake.txt"
    assert main(["report", str(folder), "--fake", str(file), "--origin", "me"]) == 0
    assert file.read_text() == "good for me\n"
    capsys.readouterr()
    assert main(["report", str(folder), "--fake", "-"]) == 0
    assert capsys.readouterr().out == "good for \n"


def test_a_moved_run_names_its_consoles_where_they_are(tmp_path: Path) -> None:
    folder = store.save_run(outputruns.bad(tmp_path / "run")).parent
    folder.rename(tmp_path / "moved")
    run = outputs.load(tmp_path / "moved")
    assert run.folder == tmp_path / "moved"
    consoles = [guest.console for guest in run.judged.guests]
    assert consoles[0] == str(tmp_path / "moved/patched/guests/0/console.log")
