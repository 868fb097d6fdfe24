# SPDX-License-Identifier: GPL-2.0-only
"""Words of the command line may stand anywhere among its options."""

from __future__ import annotations

import pytest

from harness import cli
from harness.cli.parser import parse
from harness.errors import UsageError


def words(*line: str) -> list[str]:
    found: list[str] = parse(cli.parser(line[0]), line[0], line).words
    return found


@pytest.mark.parametrize(
    "line",
    [
        ("x", "CONFIG_A=y", "--kernel", "7.2", "--llvm"),
        ("x", "--kernel", "7.2", "CONFIG_A=y", "--llvm"),
        ("--kernel", "7.2", "x", "--llvm", "CONFIG_A=y"),
        ("--kernel", "7.2", "--llvm", "x", "CONFIG_A=y"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "check", "shell"])
def test_a_series_and_config_options_between_options(verb: str, line: tuple[str, ...]) -> None:
    assert words(verb, *line) == ["x", "CONFIG_A=y"]


def test_standard_input_after_options() -> None:
    assert words("check", "--only", "mail", "-") == ["-"]


@pytest.mark.parametrize("line", [("run", "x", "--no-such", "y"), ("clean", "x")])
def test_unknown_words_are_refused(line: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        parse(cli.parser(line[0]), line[0], line)
