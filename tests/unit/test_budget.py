# SPDX-License-Identifier: GPL-2.0-only
"""No file and no function outgrows its budget, and every file keeps the project's manners."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "harness"

# Outer marks: most files and functions are far shorter.
FILE_LINES = 400
FUNCTION_LINES = 60

SOURCES = {".py", ".sh", ".toml", ".ini", ".config", ".yaml"}
TEXTS = {*SOURCES, ".md", ".txt", ".typed", ""}
LICENSE_LINE = "SPDX-License-Identifier: GPL-2.0-only"
# Made by tools, or other people's words as they came: mails, logs, the license itself.
SKIPPED = {"__pycache__", "data", "golden", "LICENSE", ".git"}  # the last is a file in a worktree

# Words that say nothing, or that the project has another word for.
BANNED_MODULES = {
    *("values", "whole", "given", "said", "wish", "asked", "look", "answer", "parts", "points"),
    *("facts", "things", "about", "misc"),
}
BANNED = {"patchset", "dut", "sut", "target", "artifact", "utils", "util", "helper", "manager"}
# Where a machine's own places and mirrors would show.
PLACES = re.compile(r"(?<![\w.~}$])/(?:root|work|home/[a-z]\w*)/\w")
HOSTS = re.compile(r"https?://([\w.-]+\.\w+)")
KNOWN_HOSTS = {
    *("kernel.org", "gnu.org", "spdx.org", "python.org", "keepachangelog.com", "semver.org"),
    *("github.com", "readthedocs.io", "pytest.org", "example.com", "example.org"),
    *("w3.org", "json-schema.org"),  # names of SVG and of JSON Schema: nobody is asked there
}


def files() -> Iterator[Path]:
    """Give the project's own text files: no caches, no patches, no data of tests."""
    tops = [ROOT / name for name in ("harness", "kconfigs", "tests", "docs", ".ci")]
    flat = [file for file in ROOT.iterdir() if file.is_file() and file.suffix in TEXTS]
    patches = list((ROOT / "patches").rglob("*.md")) + list((ROOT / "patches").rglob("*.toml"))
    for file in [*flat, *patches, *(file for top in tops for file in top.rglob("*"))]:
        parts = set(file.relative_to(ROOT).parts)
        if file.is_file() and file.suffix in TEXTS and not parts & SKIPPED:
            yield file


def is_source(file: Path) -> bool:
    return file.suffix in SOURCES or (not file.suffix and file.read_bytes()[:2] == b"#!")


FILES = sorted(files())
MODULES = sorted(PACKAGE.rglob("*.py"))


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_no_file_is_too_long(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= FILE_LINES


def long_functions(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{node.name}: {length} lines")
    return found


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_no_function_is_too_long(file: Path) -> None:
    assert long_functions(file.read_text()) == []


def test_this_test_sees_a_long_function() -> None:
    body = "\n".join(f"    x = {n}" for n in range(FUNCTION_LINES))
    assert long_functions(f"async def f():\n{body}") == [f"f: {FUNCTION_LINES + 1} lines"]


def words(identifier: str) -> set[str]:
    """Split snake_case and CamelCase into words; a plural counts as its singular."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)
    found = {part.lower() for part in parts}
    return found | {word.removesuffix("s") for word in found}


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """Give the names a file itself chooses: definitions, arguments, what it assigns to."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.FunctionDef(name=text)
                | ast.AsyncFunctionDef(name=text)
                | ast.ClassDef(name=text)
            ):
                yield node.lineno, text
            case ast.arg(arg=text) | ast.Name(id=text, ctx=ast.Store()):
                yield node.lineno, text
            case ast.Attribute(attr=text, ctx=ast.Store()):
                yield node.lineno, text


def public_classes(source: str) -> list[str]:
    """Return the classes that a module defines and others may use."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = {}
    for file in MODULES:
        for known in public_classes(file.read_text()):
            places.setdefault(known, []).append(name(file))
    assert {known: files for known, files in places.items() if len(files) > 1} == {}


def test_a_module_is_named_after_what_is_inside() -> None:
    assert [name(file) for file in MODULES if file.stem in BANNED_MODULES] == []


def test_this_test_sees_classes() -> None:
    assert public_classes("class A: ...\nclass _B: ...\ndef f():\n    class C: ...") == ["A"]


def test_no_empty_words_are_names() -> None:
    found = [name(file) for file in FILES if words(file.stem) & BANNED]
    for file in MODULES:
        found += [
            f"{name(file)}:{line}: {text}"
            for line, text in identifiers(file.read_text())
            if words(text) & BANNED
        ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "def build_helpers(): ...",
        "class TestManager: ...",
        "utils = 1",
        "def f(dut): ...",
        "x.Target = 1",
    ],
)
def test_this_test_sees_empty_words(source: str) -> None:
    assert any(words(text) & BANNED for _, text in identifiers(source))


@pytest.mark.parametrize("file", [file for file in FILES if is_source(file)], ids=name)
def test_the_license_stands_at_the_top(file: Path) -> None:
    top = file.read_text().splitlines()[:2]
    assert any(line.endswith(LICENSE_LINE) for line in top)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_text_is_tidy(file: Path) -> None:
    text = file.read_bytes().decode("utf-8")  # a file in another encoding fails here
    assert "\r" not in text
    # A makefile in a test has tabs; elsewhere nobody should have to see them.
    assert "\t" not in text or file.suffix in {".config", ""} or name(file).startswith("tests")
    assert text.endswith("\n") or not text
    assert not text.endswith("\n\n")
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert not re.search(r"^(<<<<<<<|>>>>>>>)", text, re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_place_of_a_machine_is_named(file: Path) -> None:
    if file != Path(__file__):
        assert PLACES.findall(file.read_text()) == []


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_unknown_host_is_named(file: Path) -> None:
    hosts = {".".join(host.split(".")[-2:]) for host in HOSTS.findall(file.read_text())}
    assert hosts <= KNOWN_HOSTS


@pytest.mark.parametrize("text", ["see /root/lab/x", f'"/{"work"}/main"', "cd /home/jane/linux"])
def test_this_test_sees_a_place_of_a_machine(text: str) -> None:
    assert PLACES.search(text)


@pytest.mark.parametrize("text", ["harness/root/x", "~/linux", "tests/work/a", "$HOME/root/x"])
def test_this_test_lets_other_paths_pass(text: str) -> None:
    assert not PLACES.search(text)


@pytest.mark.parametrize("file", [f for f in FILES if f.read_bytes()[:2] == b"#!"], ids=name)
def test_scripts_can_be_run(file: Path) -> None:
    assert file.stat().st_mode & 0o111


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    assert [name(file) for file in FILES if marks.search(file.read_text())] == []
