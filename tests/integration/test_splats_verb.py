# SPDX-License-Identifier: GPL-2.0-only
"""``harness splats`` on files of all kinds."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import errors
from harness.cli import main

LOGS = Path(__file__).parents[1] / "data" / "splats"
LOG = LOGS / "written" / "kasan-uaf.log"
TITLE = "KASAN: slab-use-after-free Read in nvmet_port_release"


def find_splats(capsys: pytest.CaptureFixture[str], *logs: object) -> tuple[int, list[Any]]:
    code = main(["splats", "--json", "-q", *map(str, logs)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_line_of_json_for_each_file_in_the_order_of_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [LOGS / "written/lockdep.log", LOGS.parent / "boot.log", LOG]
    code, tables = find_splats(capsys, *names)
    assert code == errors.BAD
    assert [table["file"] for table in tables] == list(map(str, names))
    lines = [splat["line"] for splat in tables[0]["splats"]]
    assert lines == sorted(lines)
    assert len(set(lines)) == 8
    assert tables[1]["splats"] == []
    (splat,) = tables[2]["splats"]
    assert (splat["title"], splat["kind"], splat["function"], splat["line"]) == (
        TITLE,
        "kasan",
        "nvmet_port_release",
        3,
    )
    assert (splat["test"], splat["phase"]) == ("t/test_a.py::test_rmdir", "during")


@pytest.mark.parametrize(
    ("pack", "ending"), [(gzip.compress, "gz"), (bz2.compress, "bz2"), (lzma.compress, "xz")]
)
def test_compressed_logs(
    pack: Callable[[bytes], bytes], ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / f"console.log.{ending}"
    log.write_bytes(pack(LOG.read_bytes()))
    code, (table,) = find_splats(capsys, log)
    assert code == errors.BAD
    assert [splat["title"] for splat in table["splats"]] == [TITLE]


def test_a_compressed_log_that_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "console.log.gz"
    log.write_bytes(gzip.compress(LOG.read_bytes())[:-50])
    assert main(["splats", "-q", str(log)]) == errors.HOST_FAULT
    assert "cannot be read to its end" in capsys.readouterr().err


def test_zstd_is_for_another_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "console.log.zst"
    log.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    assert main(["splats", str(log)]) == errors.USAGE
    assert "zstdcat" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"\n", bytes(range(256)) * 5000, b"\xff\xfe" + b"a\0" * 100, b"\x1f"]
)
def test_other_files_have_no_splats(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    assert find_splats(capsys, log) == (errors.GOOD, [{"file": str(log), "splats": []}])


def test_bytes_that_are_not_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG.read_bytes().replace(b"Call Trace:", b"\xff\xc3Call Trace:\n\xe2\x82", 1))
    code, (table,) = find_splats(capsys, log)
    assert [splat["title"] for splat in table["splats"]] == [TITLE]
    assert code == errors.BAD


@pytest.mark.parametrize("end", [b"\r\n", b"\r\r\n", b"\n\r"])
def test_line_ends_of_serial_ports(
    end: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG.read_bytes().replace(b"\n", end))
    _, (table,) = find_splats(capsys, log)
    (splat,) = table["splats"]
    assert splat["title"] == TITLE
    assert not any("\r" in line for line in (*splat["lines"], *splat["raw"]))


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with LOG.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        code, (table,) = find_splats(capsys, "-")
    assert code == errors.BAD
    assert [splat["title"] for splat in table["splats"]] == [TITLE]


def test_people_see_when_a_splat_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    warn = "[    {0}.000001] WARNING: fs/a.c:1 at f{0}+0x1/0x2\n"
    log.write_text(
        warn.format(1)
        + "[    2.000000] harness: start t.py::a\n"
        + warn.format(3)
        + "[    4.000000] harness: end t.py::a\n"
        + warn.format(5)
    )
    assert main(["splats", "-q", str(log)]) == errors.BAD
    out = capsys.readouterr().out
    assert "WARNING in f1  [boot]" in out
    assert "WARNING in f3  [t.py::a]" in out
    assert "WARNING in f5  [after t.py::a]" in out


@pytest.mark.parametrize(("name", "code"), [("nothing", errors.USAGE), (".", errors.USAGE)])
def test_a_log_that_does_not_exist(
    name: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["splats", name]) == code
    assert "try:" in capsys.readouterr().err


def test_kinds_that_do_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    log = LOGS / "written/also-trouble.log"
    kinds = ["sysfs duplicate", "page allocation failure"]
    code, (table,) = find_splats(capsys, log)
    assert (code, [splat["kind"] for splat in table["splats"]]) == (errors.BAD, kinds)
    code, (table,) = find_splats(capsys, log, "--ignore", kinds[0])
    assert (code, [splat["kind"] for splat in table["splats"]]) == (errors.BAD, kinds[1:])
    code, (table,) = find_splats(capsys, log, *(f"--ignore={kind}" for kind in kinds))
    assert (code, table["splats"]) == (errors.GOOD, [])
    assert main(["splats", "-q", "--ignore=misprint", str(log)]) == errors.USAGE
