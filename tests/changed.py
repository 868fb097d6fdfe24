# SPDX-License-Identifier: GPL-2.0-only
"""A pytest plugin for `tox -e quick`: keep the tests of what changed (``pytest -p changed``).

What changed is the working tree and the commits since the branch left ``main``; on ``main``
itself, since its last commit.  A test file is kept if it changed, or if a file of ours that it
imports did; if it imports a changed module, or the package that contains it; or if it is named
after that package (``harness/check/...``: ``test_check*.py``).  This is a guess for the person who
works on something, and no replacement for the whole.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


def changed_files() -> set[str]:
    """Return the paths that changed, relative to the repository."""
    head, main = _git("rev-parse", "HEAD"), _git("rev-parse", "--verify", "-q", "main")
    since = _git("merge-base", "HEAD", "main") if main and main != head else "HEAD~1"
    committed = _git("diff", "--name-only", since)
    untracked = _git("ls-files", "--others", "--exclude-standard")
    return {*committed.splitlines(), *untracked.splitlines()}


def concerns(test_file: Path, changed: set[str], top: Path = TOP) -> bool:
    """Tell whether a test file tests one of the changed files."""
    names = {name for path in changed for name in _names(path)}
    packages = {
        Path(path).parts[1]
        for path in changed
        if len(Path(path).parts) > 2 and path.startswith("harness/")
    }
    if any(test_file.stem.startswith(f"test_{package}") for package in packages):
        return True
    read = {test_file, *_helpers(test_file)}
    if any(str(file.relative_to(top)) in changed for file in read):
        return True
    return any(name in names for file in read for name in _imported(file))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of files that nothing changed for."""
    changed = changed_files()
    kept_files = {path for path in {item.path for item in items} if concerns(path, changed)}
    left_out = [item for item in items if item.path not in kept_files]
    items[:] = [item for item in items if item.path in kept_files]
    config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing to test is no failure."""
    if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", TOP, *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _names(path: str) -> Iterator[str]:
    """Yield the names under which a changed module is imported: its own and its package's."""
    parts = Path(path).with_suffix("").parts
    if path.endswith(".py") and parts[0] == "harness" and len(parts) > 1:
        yield ".".join(parts)
        if len(parts) > 2:
            yield ".".join(parts[:-1])


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _helpers(test_file: Path) -> set[Path]:
    """Return the modules of tests/ that a test file imports, and those that these import."""
    known: set[Path] = set()
    open_files = [test_file]
    while open_files:
        for name in _imported(open_files.pop()):
            for folder in (test_file.parent, TOP / "tests", TOP / "tests/unit"):
                helper = folder / f"{name}.py"
                if helper.exists() and helper not in known:
                    known.add(helper)
                    open_files.append(helper)
    return known
