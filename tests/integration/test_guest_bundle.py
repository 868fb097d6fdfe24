# SPDX-License-Identifier: GPL-2.0-only
"""The real bundle of this environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.guest import bundle

PROGRAM = """
import sys
sys.path[:] = [path for path in {path!r}]
from harness.guestside import bundled
found = bundled.install({modules!r})
import pytest, execnet, _pytest.assertion.rewrite
loaded = {{n: m.__spec__.loader for n, m in sys.modules.items() if getattr(m, "__spec__", None)}}
assert type(loaded["pytest"]) is bundled.Loader, loaded["pytest"]
assert type(loaded["execnet"]) is bundled.Loader
assert not any(name.partition(".")[0] == "harness" for name in found.index)
files = [n for n, l in loaded.items() if type(l).__name__ == "SourceFileLoader"]
print(len(files), *files)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = bundle.ready(Path(sys.executable))
        assert made is not None
        before = (made / bundle.MODULES).stat()
        assert bundle.ready(Path(sys.executable)) == made
        assert (made / bundle.MODULES).stat() == before, "made twice"
    return made


def test_an_interpreter_without_site_finds_nearly_everything_in_the_bundle(place: Path) -> None:
    path = [entry for entry in sys.path if entry] + [str(Path(bundle.__file__).parents[2])]
    program = PROGRAM.format(path=path, modules=str(place / bundle.MODULES))
    words = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={place / bundle.COMPILED}", "-c"]
    done = subprocess.run([*words, program], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) < 20, done.stdout


def test_rewritten_plugins_are_kept_beside_the_bundle(place: Path) -> None:
    names = {path.name.partition(".")[0] for path in place.rglob("*-pytest-*.pyc")}
    assert "plugin" in names  # which others depends on how the harness is installed
