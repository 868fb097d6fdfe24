# SPDX-License-Identifier: GPL-2.0-only
"""Find out which modules a worker imports, and write their code to one file.

``python gather.py FOLDER`` runs a small suite under pytest in this process, with the installed
plugins, because a worker in a guest imports the same modules.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import marshal
import os
import pkgutil
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

#: What a worker imports only when it knows that it is one.
LATE = (
    *("harness.adaptors.nodes", "harness.guestside.plugin", "harness.plugin.xdist_internals"),
    *("xdist.remote", "email.parser", "pwd", "tomllib", "packaging.version"),
)
# A passing test, a failing test (its report needs more modules) and the most common fixtures.
_SUITE = """
import pytest

@pytest.mark.parametrize("n", [1])
def test_passes(n, tmp_path, monkeypatch, capsys, request):
    with pytest.raises(ValueError):
        int("x")

def test_fails():
    assert [1] == [2]
"""


def exercise() -> None:
    """Import everything that a worker imports."""
    importlib.import_module("execnet.gateway_base")
    pytest = importlib.import_module("pytest")
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as null:
        suite = Path(folder) / "test_gather.py"
        suite.write_text(_SUITE)
        # pytest rewrites the assertions of modules imported in a test and caches the result.
        # Guests cannot write to that cache.
        names = [f"harness.guestside.{m.name}" for m in pkgutil.iter_modules(_folder())]
        names += LATE
        with suite.open("a") as file:
            file.write(f"\ndef test_imports():\n    import {', '.join(names)}\n")
        options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder]
        with contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
            pytest.main([*options, str(suite)])


def _folder() -> list[str]:
    return list(importlib.import_module("harness.guestside").__path__)


def collect() -> tuple[dict[str, tuple[bool, str, int, int]], bytes]:
    """Return the index and the code of all modules that were loaded unchanged from files.

    Modules whose assertions pytest rewrites are left out, and so are ours, which change often.
    """
    index, codes = {}, bytearray()
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if (
            spec is None
            or spec.name != name
            or name.partition(".")[0] == "harness"
            or type(spec.loader) is not SourceFileLoader
        ):
            continue
        code = marshal.dumps(spec.loader.get_code(name))
        index[name] = (
            spec.submodule_search_locations is not None,
            spec.origin,
            len(codes),
            len(code),
        )
        codes += code
    return index, bytes(codes)


def unbundled() -> set[str]:
    """Return the sources that a saved guest has imported too, although they are not bundled.

    These are ours, and those whose assertions pytest has rewritten.
    """
    rewrite = importlib.import_module("_pytest.assertion.rewrite")
    found = set()
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if spec is None or not spec.has_location:
            continue
        ours = name.partition(".")[0] == "harness"
        if ours or isinstance(spec.loader, rewrite.AssertionRewritingHook):
            found.add(spec.origin)
    return {origin for origin in found if Path(origin).exists()}  # without the small suite


def main(argv: list[str]) -> None:
    """Write the bundle to a folder, with the modification times of its sources."""
    folder = Path(argv[1])
    search_path = [*sys.path]
    exercise()
    index, codes = collect()
    sources = {origin for _, origin, _, _ in index.values()} | unbundled()
    stamps = {origin: Path(origin).stat().st_mtime_ns for origin in sources}
    head = marshal.dumps((index, search_path))
    (folder / "modules").write_bytes(len(head).to_bytes(8, "little") + head + codes)
    (folder / "stamps.json").write_text(json.dumps(stamps))


if __name__ == "__main__":
    main(sys.argv)
