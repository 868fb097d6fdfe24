# SPDX-License-Identifier: GPL-2.0-only
"""The documents: generated files are current, links exist, commands are valid."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import types
from pathlib import Path

import jsonschema
import pytest
from doccommands import ROOT, Command, commands, documents, understood, unmarked

from harness import cli


@pytest.fixture(scope="module")
def reference() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses looks up the module there.
    importlib.import_module("sys").modules["reference"] = module
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_current(reference: types.ModuleType) -> None:
    stale = [file.name for file, text in reference.files().items() if file.read_text() != text]
    assert not stale, "run: python docs/reference.py"


def test_every_verb_and_option_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text()
    for verb in cli.VERBS:
        assert f"## harness {verb}\n" in text
    for flag in ("`--kconfig FILE\\|NAME`", "`-q, --quiet`", "`-k EXPR`", "`--accel auto\\|kvm"):
        assert flag in text


def test_the_schema_of_a_run_is_valid() -> None:
    schema = json.loads((ROOT / "docs/reference/run.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["sides"]["items"] == {"$ref": "#/$defs/Trial"}


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_is_valid_roff() -> None:
    words = ["groff", "-man", "-Tutf8", "-ww", "-z", str(ROOT / "docs/harness.1")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "cannot break" not in line]
    assert done.returncode == 0


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_links_exist(file: Path) -> None:
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text):
        path = target[0] or target[1]
        if "://" not in path:
            assert (file.parent / path).exists(), path


@pytest.mark.parametrize("command", commands(), ids=str)
def test_commands_are_understood(command: Command) -> None:
    understood(command.words)


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_blocks_that_are_not_run_are_marked(file: Path) -> None:
    assert not unmarked(file), "a block of commands is ```sh, or the document says why it is not"


def test_an_invalid_command_is_noticed() -> None:
    with pytest.raises(AssertionError):
        understood(["harness", "run", "--no-such-option"])
    with pytest.raises(AssertionError):
        understood(["harness", "frobnicate"])
