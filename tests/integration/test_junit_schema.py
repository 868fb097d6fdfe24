# SPDX-License-Identifier: GPL-2.0-only
"""junit.xml against the schema that Jenkins' xunit plugin publishes.

The schema is not ours, so it is not here: pytest brings it in its source package, for tests of its
own junit.xml, and pip fetches that.  Only a file of it is wanted, but pip asks what it builds of
what it fetches; a backend that only says what the package itself says spares the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import xmlschema

from harness.publish import junit

sys.path.append(str(Path(__file__).parents[1] / "unit"))
import outputruns

NAME = "testing/example_scripts/junit-10.xsd"

BACKEND = """
import pathlib

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    place = pathlib.Path(folder, "pytest.dist-info")
    place.mkdir()
    (place / "METADATA").write_bytes(pathlib.Path("PKG-INFO").read_bytes())
    return place.name
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> xmlschema.XMLSchema:
    folder = tmp_path_factory.mktemp("pytest")
    backend = folder / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(BACKEND)
    words = ["download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "-d", str(folder), f"pytest=={pytest.__version__}"],
        env={**os.environ, "PYTHONPATH": str(backend.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    packages = list(folder.glob("pytest-*.tar.gz"))
    if not packages:
        pytest.skip(f"pip cannot fetch pytest's source package: {done.stderr.strip()[-300:]}")
    with tarfile.open(packages[0]) as package:
        member = next(one for one in package.getmembers() if one.name.endswith(NAME))
        content = package.extractfile(member)
        assert content is not None
        return xmlschema.XMLSchema(content.read().decode())


@pytest.mark.parametrize("name", ["good", "bad", "hostile"])
def test_junit_fits_the_schema(schema: xmlschema.XMLSchema, tmp_path: Path, name: str) -> None:
    run = getattr(outputruns, name)(tmp_path)
    schema.validate(str(junit.write(tmp_path / "junit.xml", run)))


def test_the_schema_rejects_an_invalid_file(schema: xmlschema.XMLSchema, tmp_path: Path) -> None:
    run = outputruns.bad(tmp_path)
    path = junit.write(tmp_path / "junit.xml", run)
    path.write_text(path.read_text().replace("<rerunFailure", "<rerunFailures", 1))
    assert not schema.is_valid(str(path))
