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
ODD = [
    '{"schema": 1, "sides": "abc"}',
    '{"schema": 1, "sides": [3]}',
    '{"schema": 1, "sides": 3}',
    '{"schema": 1, "seconds": "long"}',
    '{"schema": 1, "sides": [{"side": "third"}]}',
]
NOT_UTF8 = b"\xff\xfe{"
#: How Python says it.
OURS_ONLY = (
    "object",
    "attribute",
    "argument",
    "codec",
    "literal",
    "convert",
    "iterable",
    "is not a valid",
)
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
    if b"99" in data and (verb, name) != ("show", "compare.json"):
        assert "format 99" in said.err


@pytest.mark.parametrize("data", [*(text.encode() for text in (*TEXTS, *ODD)), NOT_UTF8])
@pytest.mark.parametrize(
    ("verb", "name"),
    [
        *((verb, "run.json") for verb in ("report", "show", "compare")),
        *(("report", name) for name in ("check.json", "bisect.json")),
        ("bisect --resume", "state.json"),
    ],
)
def test_it_is_told_without_the_words_of_python(
    folder: Path, capsys: pytest.CaptureFixture[str], verb: str, name: str, data: bytes
) -> None:
    (folder / name).write_bytes(data)
    twice = [str(folder)] if verb == "compare" else []
    assert main([*verb.split(), str(folder), *twice]) == 129
    said = capsys.readouterr().err
    assert not [word for word in OURS_ONLY if word in said], said


def test_the_odd_value_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run.json").write_text('{"schema": 1, "sides": [{"side": "third"}]}')
    main(["report", str(folder)])
    assert "run.json is damaged: the value of 'sides[0].side' does not" in capsys.readouterr().err


def test_a_bisection_without_its_text_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bisect.json").write_text("{}")
    assert main(["show", str(folder)]) == 128
    assert "bisect.txt" in capsys.readouterr().err
