# SPDX-License-Identifier: GPL-2.0-only
"""``harness completion``: shell completion of verbs, options and known values."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import errors, paths, settings
from harness.cli.parser import verbs
from harness.progress import Progress
from harness.settings import Settings

Values = Callable[[Settings], Iterator[str]]


def run(options: argparse.Namespace, _progress: Progress) -> int:
    """Print the code for a shell."""
    from argcomplete.shell_integration import shellcode  # importing it takes time

    code = shellcode(["harness"], shell=options.shell)
    print(json.dumps({"shell": options.shell, "code": code}) if options.json else code)
    return errors.GOOD


def answer() -> None:
    """Print completions and exit if a shell asks for them; otherwise do nothing."""
    import argcomplete

    from harness import cli  # cli imports this module

    typed = os.environ.get("COMP_LINE", "").split()
    top = cli.parser(typed[1] if len(typed) > 1 else "")
    _add_completers(top)
    argcomplete.autocomplete(top)


def _series(project: Settings) -> Iterator[str]:
    yield from _names(project.folder / "patches", "*/")


def _fragments(project: Settings) -> Iterator[str]:
    from harness.kconfig.fragment import available

    yield from sorted(set(available([project.folder / "kconfigs"])))


def _suites(project: Settings) -> Iterator[str]:
    """Yield folders of tests and their files, relative to the working directory."""
    for suite in project.suites:
        top = project.folder / suite
        for path in (top, *sorted(top.rglob("*/")), *sorted(top.rglob("test_*.py"))):
            if path.is_relative_to(Path.cwd()) and not path.name.startswith(("_", ".")):
                yield str(path.relative_to(Path.cwd()))


def _test_files(project: Settings) -> Iterator[str]:
    yield from (suite for suite in _suites(project) if suite.endswith(".py"))


def _run_folders(_: Settings) -> Iterator[str]:
    yield from map(str, sorted(paths.state("runs").glob("*/"), reverse=True))


def _runs(project: Settings) -> Iterator[str]:
    yield "last"
    yield from _run_folders(project)


def _needs(_: Settings) -> Iterator[str]:
    from harness.doctor.needs import NEEDS

    yield from (need.what for need in NEEDS)


#: The completions of an argument, by its option or metavar.
VALUES: dict[str, Values] = {
    "--kconfig": _fragments,
    "--suite": _suites,
    "--previous": _series,
    "SERIES": _series,
    "RUN": _runs,
    "CHECK": _run_folders,
    "BASE": _run_folders,
    "PATCHED": _run_folders,
    "TEST": _test_files,
    "TEST|SERIES|SPLAT": _test_files,
    "NAME": _needs,
}


def _add_completers(top: argparse.ArgumentParser) -> None:
    """Register the completions of arguments; all other arguments complete to file names."""
    for parser in verbs(top).values():
        for action in parser._actions:
            metavars = str(action.metavar or "").split(" | ")
            names = set(action.option_strings or metavars) | ({"RUN"} & set(metavars))
            values = [VALUES[name] for name in sorted(names) if name in VALUES]
            if values:
                action.completer = _completer(values)  # type: ignore[attr-defined]


def _completer(values: list[Values]) -> Callable[..., list[str]]:
    def complete(prefix: str, **_: object) -> list[str]:
        try:
            project = settings.load(Path.cwd())
            known = [value for source in values for value in source(project)]
        except (errors.HarnessError, OSError):
            return []
        matches = [value for value in known if value.startswith(prefix)]
        return matches or list(_files(prefix))

    return complete


def _files(prefix: str) -> Iterator[str]:
    """Yield the files that begin with ``prefix``; none for an empty prefix."""
    if prefix:
        folder, name = Path(prefix + "x").parent, Path(prefix + "x").name[:-1]
        for file in _names(folder, f"{name}*"):
            slash = "/" if (folder / file).is_dir() else ""
            yield f"{prefix[: len(prefix) - len(name)]}{file}{slash}"


def _names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern) if not path.name.startswith("."))
