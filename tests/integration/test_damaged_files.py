# SPDX-License-Identifier: GPL-2.0-only
"""What a run left may be cut, of another form, or not ours: it is told, with what to try."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main

TEXTS = [
    "",
    "{",
    "[]",
    "{}",
    "3",
    "null",
    '{"schema": 99}',
    '{"schema": 1}',
    '{"schema": 1, "x": "',
]
NOT_UTF8 = b"\xff\xfe{"
READERS = [
    *((verb, "run.json") for verb in ("report", "show")),
    *((verb, "check.json") for verb in ("report", "show")),
    *((verb, "bisect.json") for verb in ("report",)),
    ("show", "compare.json"),
    ("bisect --resume", "state.json"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "left"
    place.mkdir()
    return place


@pytest.mark.parametrize("data", [*(text.encode() for text in TEXTS), NOT_UTF8])
@pytest.mark.parametrize(("verb", "name"), READERS)
def test_it_is_told_with_a_hint(
    folder: Path, capsys: pytest.CaptureFixture[str], verb: str, name: str, data: bytes
) -> None:
    (folder / name).write_bytes(data)
    code = main([*verb.split(), str(folder)])
    said = capsys.readouterr()
    assert (code, said.out) == (129, ""), said.err
    assert name in said.err
    assert "try: " in said.err
    if b"99" in data and not (verb == "show" and name in ("check.json", "compare.json")):
        assert "form 99" in said.err


def test_a_bisection_without_its_text_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bisect.json").write_text("{}")
    assert main(["show", str(folder)]) == 128
    assert "bisect.txt" in capsys.readouterr().err
