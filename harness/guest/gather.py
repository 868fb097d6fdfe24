# SPDX-License-Identifier: GPL-2.0-only
"""Find out which modules a worker imports, and put their code into one file.

``python gather.py FOLDER`` runs a small suite under pytest, in this process, with the
plugins that are installed.  What that imported is what a worker in a guest will import, too.
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

# A pass, a failure (its report needs more) and the fixtures that tests use most.
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
    """Import all that a worker does."""
    importlib.import_module("execnet.gateway_base")
    pytest = importlib.import_module("pytest")
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as null:
        suite = Path(folder) / "test_gather.py"
        suite.write_text(_SUITE)
        # Inside the test, pytest rewrites the assertions of what is imported and keeps the result
        # beside the file, where it can; guests cannot.
        names = [f"harness.guestside.{m.name}" for m in pkgutil.iter_modules(_folder())]
        with suite.open("a") as file:
            file.write(f"\ndef test_imports():\n    import {', '.join(names)}\n")
        words = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder]
        with contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
            pytest.main([*words, str(suite)])


def _folder() -> list[str]:
    return list(importlib.import_module("harness.guestside").__path__)


def collect() -> tuple[dict[str, tuple[bool, str, int, int]], bytes]:
    """Give the index and the code of what is loaded from files as they are.

    Modules whose assertions pytest rewrites are left to pytest, and ours to the files: people
    change them.
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


def main(argv: list[str]) -> None:
    """Write the bundle into a folder, with the times when its sources were last changed."""
    folder = Path(argv[1])
    known = [*sys.path]
    exercise()
    index, codes = collect()
    stamps = {origin: Path(origin).stat().st_mtime_ns for _, origin, _, _ in index.values()}
    head = marshal.dumps((index, known))
    (folder / "modules").write_bytes(len(head).to_bytes(8, "little") + head + codes)
    (folder / "stamps.json").write_text(json.dumps(stamps))


if __name__ == "__main__":
    main(sys.argv)
