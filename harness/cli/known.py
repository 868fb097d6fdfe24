# SPDX-License-Identifier: GPL-2.0-only
"""Values that a shell can complete because they are known: series, fragments, suites, runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import doctor, kconfig, paths, settings
from harness.cli.parser import verbs
from harness.errors import HarnessError
from harness.settings import Settings

Values = Callable[[Settings], Iterator[str]]


def series(there: Settings) -> Iterator[str]:
    """Give the names of the series below patches/."""
    yield from _names(there.folder / "patches", "*/")


def fragments(there: Settings) -> Iterator[str]:
    """Give the names of config fragments, the project's and our own."""
    yield from sorted(set(kconfig.available([there.folder / "kconfigs"])))


def suites(there: Settings) -> Iterator[str]:
    """Give folders of tests and their files, from where one is."""
    for suite in there.suites:
        top = there.folder / suite
        for path in (top, *sorted(top.rglob("*/")), *sorted(top.rglob("test_*.py"))):
            if path.is_relative_to(Path.cwd()) and not path.name.startswith(("_", ".")):
                yield str(path.relative_to(Path.cwd()))


def folders(_: Settings) -> Iterator[str]:
    """Give the folders of past runs, the newest first."""
    found = sorted(paths.state("runs").glob("*/"), reverse=True)
    yield from (str(folder) for folder in found)


def runs(there: Settings) -> Iterator[str]:
    """Give what can stand for a run."""
    yield "last"
    yield from folders(there)


def tests(there: Settings) -> Iterator[str]:
    """Give the names of tests' files: a test's own name is known to pytest alone."""
    yield from (one for one in suites(there) if one.endswith(".py"))


def needs(_: Settings) -> Iterator[str]:
    """Give what the doctor looks for."""
    yield from (need.what for need in doctor.NEEDS)


#: What completes an argument, by its option or its metavar.
VALUES: dict[str, Values] = {
    "--kconfig": fragments,
    "--suite": suites,
    "--previous": series,
    "SERIES": series,
    "RUN": runs,
    "CHECK": folders,
    "BASE": folders,
    "PATCHED": folders,
    "TEST": tests,
    "TEST|SERIES|SPLAT": tests,
    "NAME": needs,
}


def complete(top: argparse.ArgumentParser) -> None:
    """Tell argcomplete what each argument can be; an argument nobody knows is a file."""
    for parser in verbs(top).values():
        for action in parser._actions:
            kinds = str(action.metavar or "").split(" | ")
            words = set(action.option_strings or kinds) | ({"RUN"} & set(kinds))
            found = [VALUES[word] for word in sorted(words) if word in VALUES]
            if found:
                action.completer = _completer(found)  # type: ignore[attr-defined]


def _completer(found: list[Values]) -> Callable[..., list[str]]:
    def complete(prefix: str, **_: object) -> list[str]:
        try:
            there = settings.load(Path.cwd())
            known = [value for values in found for value in values(there)]
        except (HarnessError, OSError):
            return []
        return [one for one in known if one.startswith(prefix)] or list(_files(prefix))

    return complete


def _files(prefix: str) -> Iterator[str]:
    """Give the files that begin like ``prefix``, once something of a path is typed."""
    if prefix:
        folder, name = Path(prefix + "x").parent, Path(prefix + "x").name[:-1]
        for one in _names(folder, f"{name}*"):
            path = folder / one
            yield f"{prefix[: len(prefix) - len(name)]}{one}{'/' if path.is_dir() else ''}"


def _names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern) if not path.name.startswith("."))
