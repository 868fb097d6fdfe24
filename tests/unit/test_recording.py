# SPDX-License-Identifier: GPL-2.0-only
"""The pictures in the documents match the recordings they are made from."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from doccommands import ROOT

CASTS = sorted((ROOT / "docs").glob("*.cast.gz"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def record() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("record", ROOT / "docs" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["record"] = module  # a dataclass looks its module up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("cast", CASTS, ids=lambda cast: cast.name)
def test_a_picture_is_made_from_its_recording(cast: Path, record: types.ModuleType) -> None:
    file = cast.with_name(cast.name.replace(".cast.gz", ".svg"))
    assert file.read_text() == record.picture(cast, 4), "python docs/record.py picture CAST SVG"


@pytest.mark.parametrize("cast", CASTS, ids=lambda cast: cast.name)
def test_a_recording_shows_a_whole_run(cast: Path) -> None:
    with gzip.open(cast, "rt") as lines:
        head, *events = [json.loads(line) for line in lines]
    assert head["command"].startswith("harness run ")
    times = [event[0] for event in events]
    assert times == sorted(times)
    said = "".join(event[2] for event in events)
    assert "guest0" in said
    assert "evidence  " in said  # the summary's
    assert not re.search(r"/(root|work)/", said)


def test_the_recorder_sees_what_the_terminal_shows(
    record: types.ModuleType, tmp_path: Path
) -> None:
    cast = tmp_path / "x.cast.gz"
    first, last = r"one\n\033[31mtwo\033[0m <&>\n", r"\033[1Athree\033[K\n"
    script = f"printf '{first}'; sleep 0.6; printf '{last}'"
    assert record.record(cast, ["sh", "-c", script], 40, 6) == 0
    root = ET.fromstring(record.picture(cast, 1))
    lines = {one.get("id"): "".join(one.itertext()) for one in root.iter(f"{SVG}text")}
    seen = [lines[one.get("href", "")[1:]] for one in root.iter(f"{SVG}use")]
    assert "two <&>" in seen
    assert seen[-2:] == ["one", "three"]
    assert any("ff7b72" in (span.get("style") or "") for span in root.iter(f"{SVG}tspan"))
