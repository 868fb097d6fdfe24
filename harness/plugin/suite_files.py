# SPDX-License-Identifier: GPL-2.0-only
"""The files that pytest's own suites are made of, and those that their tests may import or read."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness import adaptors, paths
from harness.model import Plan

_SETTINGS = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
_LEFT_OUT = ("__pycache__", ".git", ".pytest_cache")


def of_plan(plan: Plan) -> Iterator[Path]:
    """Yield the files of a plan's suites, and those of its folder with pytest's settings."""
    yield from (plan.folder / name for name in _SETTINGS if (plan.folder / name).is_file())
    suites = (plan.folder / path for path in paths_of(plan.suites))
    yield from of_suites(suites, plan.folder, _python_path(plan.folder))


def paths_of(suites: Iterable[str]) -> Iterator[Path]:
    """Yield the paths of pytest's own suites."""
    for word in suites:
        if not adaptors.parse(word):
            yield Path(paths.own_suite(word).partition("::")[0])


def of_suites(
    suites: Iterable[Path],
    top: Path,
    python_path: Iterable[Path],
    left_out: Iterable[str] = (),
) -> Iterator[Path]:
    """Yield the files of suites, some of them twice: their own, and those that they share.

    ``top`` is the folder that pytest starts from, ``python_path`` what it adds to Python's, and
    ``left_out`` are patterns of folders into which it does not go.
    """
    for suite in suites:
        if suite.is_dir():
            yield from _below(suite, left_out)
        else:
            yield from (suite, *sorted(suite.parent.glob("*.py")))
        yield from shared(suite, top, left_out)
    for folder in python_path:
        yield from _importable(folder, left_out)


def shared(suite: Path, top: Path, left_out: Iterable[str] = ()) -> Iterator[Path]:
    """Yield the modules and packages beside each conftest.py above a suite."""
    for folder in suite.parents:
        if folder.is_relative_to(top) and (folder / "conftest.py").is_file():
            yield from _importable(folder, left_out)


def _importable(folder: Path, left_out: Iterable[str]) -> Iterator[Path]:
    yield from sorted(folder.glob("*.py"))
    for package in sorted(folder.glob("*/__init__.py")):
        yield from _below(package.parent, left_out)


def _below(top: Path, left_out: Iterable[str]) -> Iterator[Path]:
    """Yield the files below a folder; of virtual environments and caches, none."""
    patterns = (*_LEFT_OUT, *left_out)
    for where, folders, files in os.walk(top):
        folders[:] = sorted(
            name
            for name in folders
            if not any(map(Path(where, name).match, patterns))
            and not Path(where, name, "pyvenv.cfg").exists()
        )
        yield from (path for name in sorted(files) if (path := Path(where, name)).is_file())


def _python_path(folder: Path) -> list[Path]:
    """Return the folders that pytest's settings add to Python's path."""
    try:
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        named = table["tool"]["pytest"]["ini_options"]["pythonpath"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [folder / name for name in ([named] if isinstance(named, str) else named)]
