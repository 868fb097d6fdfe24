# SPDX-License-Identifier: GPL-2.0-only
"""``[tool.harness]`` of the nearest pyproject.toml: a project's own defaults."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import Any

from harness.errors import UsageError

# How messages name each type, with an example.
_KINDS = {str: ("a string", '"..."'), int: ("a number", "2"), bool: ("true or false", "true")}


@dataclasses.dataclass(frozen=True)
class Settings:
    """A project's own defaults; paths are relative to ``folder``.  See harness.options."""

    folder: Path
    series: str = ""
    kernel: str = ""
    tree: str = ""
    base: str = ""
    kconfig: tuple[str, ...] = ("base",)  # a kernel without it does not boot
    suites: tuple[str, ...] = ()
    guests: int = 0
    accel: str = ""
    memory: str = ""
    cpus: int = 0
    arch: str = ""
    llvm: bool = False
    db: str = ""


def load(start: Path) -> Settings:
    """Read [tool.harness] in ``start``, or in its nearest parent that has such a table.

    Raises UsageError that names the file and the invalid key.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise UsageError(f"{file}: {error}", hint="fix the syntax") from error
            tool = table.get("tool")
            if isinstance(tool, dict) and "harness" in tool:
                return _settings(file, tool["harness"])
    return Settings(start)


def _settings(file: Path, table: Any) -> Settings:
    if not isinstance(table, dict):
        raise UsageError(
            f"{file}: tool.harness is not a table", hint="make it a table: [tool.harness]"
        )
    fields = {f.name: f for f in dataclasses.fields(Settings) if f.name != "folder"}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise UsageError(
                f"{file}: [tool.harness] has no key {key!r}",
                hint=f"the key {near[0]}" if near else f"one of {', '.join(fields)}",
            )
        default = fields[key].default
        if isinstance(default, tuple):
            if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
                raise UsageError(
                    f"{file}: [tool.harness] {key} must be a list of strings",
                    hint=f'{key} = ["...", "..."]',
                )
            value = tuple(value)
        elif type(value) is not type(default):
            kind, example = _KINDS[type(default)]
            raise UsageError(
                f"{file}: [tool.harness] {key} must be {kind}, not {value!r}",
                hint=f"{key} = {example}",
            )
        values[key] = value
    return Settings(file.parent, **values)
