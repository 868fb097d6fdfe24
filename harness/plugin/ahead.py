# SPDX-License-Identifier: GPL-2.0-only
"""Compile a suite's modules on the host, ahead of the guests, which have no time for that.

Under emulation compiling takes ten times as long, and each guest would do it again, since guests do
not write to the host's files.  The compiled files are put where guests look first, beside those of
the bundle (``harness.guestside.gateway``).  Python and pytest check there that a compiled file
belongs to its source.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import py_compile
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.pathlib import fnmatch_ex

from harness import adaptors

MOST = 2000  # modules; a folder with more is not only a suite


def compile_suite(config: pytest.Config, folder: Path) -> None:
    """Compile the modules that collecting the tests will import, into ``folder``.

    A file that cannot be compiled is left to the guests, whose pytest reports why.
    """
    patterns = config.getini("python_files")
    named, others = _sources(config)
    for path in dict.fromkeys([*named, *others]):
        tests = path in named or path.name == "conftest.py"
        tests = tests or any(fnmatch_ex(pattern, path) for pattern in patterns)
        with contextlib.suppress(Exception):
            _compile(config, path, folder, tests=tests)


def _sources(config: pytest.Config) -> tuple[list[Path], list[Path]]:
    """Return the files that the command line names, and others that may be imported with them."""
    named: list[Path] = []
    others: list[Path] = []
    for word in config.args:
        if adaptors.parse(word):
            continue
        path = Path(os.path.normpath(config.invocation_params.dir / word.partition("::")[0]))
        if path.is_dir():
            others += _below(path, config.getini("norecursedirs"))
        else:
            named.append(path)
            others += path.parent.glob("*.py")
        for top in [path, *path.parents]:
            if top.is_relative_to(config.rootpath) and (top / "conftest.py").exists():
                others += top.glob("*.py")
    for top in map(Path, config.getini("pythonpath")):
        others += top.glob("*.py")
        for package in top.glob("*/__init__.py"):
            others += _below(package.parent, config.getini("norecursedirs"))
    return named, others[:MOST]


def _below(top: Path, left_out: list[str]) -> Iterator[Path]:
    """Yield the modules below a folder, without the folders into which pytest does not go."""
    for where, folders, files in os.walk(top):
        folders[:] = [
            name
            for name in folders
            if not any(fnmatch_ex(pattern, Path(where, name)) for pattern in left_out)
            and name != "__pycache__"
            and not Path(where, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(where, name) for name in files if name.endswith(".py"))


def _cached_name(path: Path) -> str:
    return Path(importlib.util.cache_from_source(str(path))).name


def _compile(config: pytest.Config, path: Path, folder: Path, *, tests: bool) -> None:
    """Compile a source, unless that has been done; ``tests``: with rewritten assertions."""
    name = f"{path.stem}{rewrite.PYC_TAIL}" if tests else _cached_name(path)
    compiled = folder.joinpath(*path.parts[1:-1], name)
    written = path.stat().st_mtime_ns
    if compiled.exists() and compiled.stat().st_mtime_ns == written:
        return
    compiled.parent.mkdir(parents=True, exist_ok=True)
    if not tests:
        py_compile.compile(str(path), str(compiled), doraise=True)
    elif config.getoption("assertmode") == "rewrite":
        source, code = rewrite._rewrite_test(path, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, compiled)
    os.utime(compiled, ns=(written, written))
