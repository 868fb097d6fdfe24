# SPDX-License-Identifier: GPL-2.0-only
"""Modules out of a bundle look like modules out of their files."""

from __future__ import annotations

import importlib
import inspect
import json
import marshal
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.guest import bundle
from harness.guestside import bundled

SOURCE = 'WHO = "bundle"\n\ndef fail():\n    raise ValueError("x")\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder in sys.path with a module and a package, which are in a bundle as well."""
    home = tmp_path / "site"
    (home / "bd_package").mkdir(parents=True)
    files = {"bd_single": "bd_single.py", "bd_package": "bd_package/__init__.py"}
    files["bd_package.inner"] = "bd_package/inner.py"
    index, codes = {}, b""
    for name, file in files.items():
        (home / file).write_text(SOURCE)
        code = marshal.dumps(compile(SOURCE, str(home / file), "exec"))
        index[name] = (file.endswith("__init__.py"), str(home / file), len(codes), len(code))
        codes += code
        # Whoever reads the file instead is found out.
        (home / file).write_text(SOURCE.replace('"bundle"', '"file"'))
    monkeypatch.syspath_prepend(str(home))
    head = marshal.dumps((index, sys.path))
    (tmp_path / "modules").write_bytes(len(head).to_bytes(8, "little") + head + codes)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.chdir(tmp_path)
    bundled.install(str(tmp_path / "modules"))
    yield home
    for name in [name for name in sys.modules if name.startswith("bd_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["bd_single", "bd_package", "bd_package.inner"])
def test_a_module_comes_from_the_bundle_and_looks_like_its_file(home: Path, name: str) -> None:
    module = importlib.import_module(name)
    assert module.WHO == "bundle"
    assert Path(module.__file__ or "").is_relative_to(home)
    assert module.__spec__ is not None
    assert module.__spec__.has_location
    assert module.__package__ == ("bd_package" if "package" in name else "")
    assert 'raise ValueError("x")' in inspect.getsource(module)
    with pytest.raises(ValueError, match="x") as caught:
        module.fail()
    assert 'raise ValueError("x")' in "".join(traceback.format_tb(caught.tb))


def test_a_file_beside_bundled_ones_is_found_as_usual(home: Path) -> None:
    (home / "bd_package" / "other.py").write_text('WHO = "file"\n')
    assert importlib.import_module("bd_package.other").WHO == "file"


def test_a_folder_earlier_in_the_path_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = home.parent / "own"
    own.mkdir()
    (own / "bd_single.py").write_text('WHO = "own"\n')
    (own / "bd_package").write_text("a program\n")
    monkeypatch.setattr(sys, "path", [str(own), *sys.path])
    importlib.invalidate_caches()
    assert importlib.import_module("bd_single").WHO == "own"
    assert importlib.import_module("bd_package").WHO == "bundle"


def test_a_bundle_is_fresh_until_a_source_changes(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.touch()
    assert not bundle.fresh(tmp_path)
    (tmp_path / bundle.MODULES).touch()
    stamps = {str(source): source.stat().st_mtime_ns}
    (tmp_path / bundle.STAMPS).write_text(json.dumps(stamps))
    assert bundle.fresh(tmp_path)
    os.utime(source, (1, 1))
    assert not bundle.fresh(tmp_path)
    source.unlink()
    assert not bundle.fresh(tmp_path)
