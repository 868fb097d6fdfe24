# SPDX-License-Identifier: GPL-2.0-only
"""The examples in docs/ci.md and docs/outputs.md: their structure, and all harness commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import cli
from harness.cli import ci
from harness.cli.parser import verbs
from harness.errors import UsageError

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str, kind: str) -> list[str]:
    return [text for one, text in BLOCK.findall((DOCS / name).read_text()) if one == kind]


EXAMPLES = [yaml.safe_load(text) for text in blocks("ci.md", "yaml")]


def strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from strings(one)
        case dict():
            for one in value.values():
                yield from strings(one)


def commands() -> list[str]:
    """Return every line of an example that runs the harness."""
    lines = [line for text in strings(EXAMPLES) for line in text.splitlines()]
    lines += [text for block in blocks("ci.md", "groovy") for text in re.findall("'(.+)'", block)]
    lines += [line for block in blocks("outputs.md", "") for line in block.splitlines()]
    return [line for line in lines if re.match(r"(\.venv/bin/)?harness ", line)]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_is_understood(line: str) -> None:
    words = shlex.split(line)[1:]
    options = cli.parser(words[0]).parse_args(words)
    assert options.verb == words[0]


def test_there_are_commands() -> None:
    verbs = {shlex.split(line)[1] for line in commands()}
    assert verbs >= {"run", "check", "report", "doctor"}


def test_the_parser_refuses_unknown_options() -> None:
    with pytest.raises(UsageError):
        cli.parser("report").parse_args(["report", "run", "--junk", "x"])


def test_options_in_the_text_exist() -> None:
    known = verbs(cli.parser("report"))["report"].format_help()
    for name in ("ci.md", "outputs.md"):
        rows = re.findall(r"`((?:harness report RUN )?--[a-z-]+)", (DOCS / name).read_text())
        for option in {row.split()[-1] for row in rows} - {"--trust"}:
            assert f"{option} " in known or f"{option}\n" in known or f"{option}]" in known, option


def test_the_workflows_are_valid() -> None:
    github = [one for one in EXAMPLES if "jobs" in one]
    assert len(github) == 2
    for one in github:
        assert one["permissions"] == {"contents": "read"}
        assert "pull_request_target" not in str(one)
        for job in one["jobs"].values():
            assert job["runs-on"]
            for step in job["steps"]:
                assert ("run" in step) is not ("uses" in step)
                # Text of a pull request must not become part of a command.
                assert "${{" not in step.get("run", "")
        assert any("/dev/kvm" in text for text in strings(one))


def test_the_pipeline_uses_the_files_we_write() -> None:
    (job,) = [one["series"] for one in EXAMPLES if "series" in one]
    reports = job["artifacts"]["reports"]
    assert reports["codequality"] == f"run/{ci.QUALITY}"
    assert any(reports["junit"] in line for line in job["after_script"])
    assert job["artifacts"]["when"] == "always"
