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
import itertools
import os
import py_compile
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.pathlib import fnmatch_ex

from harness.plugin import suite_files

MOST = 2000  # modules; a folder with more is not only a suite


def compile_suite(config: pytest.Config, folder: Path) -> None:
    """Compile the modules that collecting the tests will import, into ``folder``.

    A file that cannot be compiled is left to the guests, whose pytest reports why.
    """
    patterns = config.getini("python_files")
    start = config.invocation_params.dir
    suites = [Path(os.path.normpath(start / path)) for path in suite_files.paths_of(config.args)]
    found = suite_files.of_suites(
        suites,
        config.rootpath,
        map(Path, config.getini("pythonpath")),
        config.getini("norecursedirs"),
    )
    modules = (path for path in found if path.suffix == ".py" or path in suites)
    for path in itertools.islice(dict.fromkeys(modules), MOST):
        tests = path in suites or path.name == "conftest.py"
        tests = tests or any(fnmatch_ex(pattern, path) for pattern in patterns)
        with contextlib.suppress(Exception):
            _compile(config, path, folder, tests=tests)


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
