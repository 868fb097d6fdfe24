# SPDX-License-Identifier: GPL-2.0-only
"""series.toml: what a series says about itself beyond its mails."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import Any

from harness.errors import SeriesError

NAME = "series.toml"


@dataclasses.dataclass(frozen=True)
class About:
    """The keys of series.toml, each with its value or empty.

    ``kernel`` is a release, ``base`` a commit or tag of the tree the series is made for;
    ``kconfig`` and ``suites`` are names, or paths.  A path that exists beside series.toml is
    given absolute; everything else stays as written, for the project's own folders to be
    searched.
    """

    title: str = ""
    link: str = ""
    kernel: str = ""
    base: str = ""
    kconfig: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()


_KEYS = {field.name: field.default for field in dataclasses.fields(About)}


def read(folder: Path) -> About:
    """Read ``folder``'s series.toml; a folder without one says nothing.

    Raises SeriesError for broken TOML, an unknown key, or a value of the wrong kind.
    """
    path = folder / NAME
    try:
        values = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return About()
    except OSError as error:
        raise SeriesError(
            f"cannot read {path}: {error.strerror}", hint=f"check the permissions of {path}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SeriesError(f"{path} is not valid TOML: {error}", hint="correct that line") from error
    return About(**{key: _value(path, folder, key, value) for key, value in values.items()})


def _value(path: Path, folder: Path, key: str, value: object) -> Any:
    if key not in _KEYS:
        near = difflib.get_close_matches(key, _KEYS, 1)
        raise SeriesError(
            f"{path} has the unknown key '{key}'",
            hint=f"did you mean '{near[0]}'?" if near else f"known are {', '.join(_KEYS)}",
        )
    if _KEYS[key] == "":
        if isinstance(value, str):
            return value
        raise SeriesError(f"{path}: '{key}' is not a string", hint=f'write {key} = "..."')
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if key == "subsystems":
            return tuple(value)
        return tuple(_beside(folder, item) for item in value)
    raise SeriesError(f"{path}: '{key}' is not a list of strings", hint=f'write {key} = ["..."]')


def _beside(folder: Path, item: str) -> str:
    path = (folder / item).absolute()
    return str(path) if item and path.exists() else item
