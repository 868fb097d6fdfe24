# SPDX-License-Identifier: GPL-2.0-only
"""``harness clean`` with a made-up cache and state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from harness import paths
from harness.cache import KINDS, RUNS, entries
from harness.cli import clean
from harness.cli.arguments import machine
from harness.cli.parser import Parser
from harness.errors import HostFault
from harness.progress import Progress

QUIET = Progress(quiet=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one entry of each kind, and a state with one run."""
    top = tmp_path / "cache ü"
    monkeypatch.setenv("HARNESS_CACHE", str(top))
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    for kind in KINDS:
        folder = paths.state("runs") if kind.name == RUNS else paths.cache(kind.name)
        (folder / "one").mkdir()
        (folder / "one" / "file").write_bytes(b"x" * 5000)
    paths.cache("ccache-links")
    return top


def verb(*words: str) -> int:
    parser = Parser()
    machine.clean(parser.add_subparsers())
    options = parser.parse_args(["clean", *(word for word in words if word != "--json")])
    options.json = "--json" in words
    return clean.run(options, QUIET)


def left(cache: Path) -> set[str]:
    """Return the kinds that still have their entry."""
    runs = {"runs"} if (paths.state("runs") / "one").exists() else set()
    return runs | {kind.name for kind in KINDS if (cache / kind.name / "one").exists()}


EVERY = {kind.name for kind in KINDS}
SENT = {"packs", "suites", "trials"}  # what a driver sends to a worker, which checks it out


def test_without_options_nothing_is_removed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb() == 0
    out = capsys.readouterr().out
    assert all(kind.name in out for kind in KINDS)
    assert left(cache) == EVERY


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (["--builds"], {"builds"}),
        (["--kernels"], {"kernels", "baselines", "images", "snapshots"}),
        (["--trees"], {"trees", *SENT}),
        (["--sources"], {"sources", "downloads", "lists", "trees", "series", *SENT}),
        (["--builds", "--runs"], {"builds", "runs"}),
        (["--all"], EVERY - {"runs"}),
        (["--all", "--runs"], EVERY),
        (["--all", "--dry-run"], set()),
    ],
)
def test_only_the_chosen_kinds_are_removed(cache: Path, words: list[str], gone: set[str]) -> None:
    assert verb(*words) == 0
    assert left(cache) == EVERY - gone
    assert (cache / "ccache-links").exists() == ("--all" not in words or "--dry-run" in words)


def test_the_entry_is_removed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb("--builds") == 0
    assert list((cache / "builds").iterdir()) == []
    assert "removed 1" in capsys.readouterr().out


def test_the_dry_run_lists_what_would_be_removed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb("--trees", "--dry-run")
    assert str(cache / "trees" / "one") in capsys.readouterr().out


@pytest.mark.parametrize("lock", ["one/lock", "one/.lock", "one.lock", ".one.lock"])
def test_a_locked_entry_stays(cache: Path, lock: str) -> None:
    with filelock.FileLock(cache / "builds" / lock):
        assert next(one for one in entries() if one.kind.name == "builds").held
        verb("--builds", "--trees")
        assert left(cache) == EVERY - {"trees", *SENT}
    verb("--builds")
    assert left(cache) == EVERY - {"trees", "builds", *SENT}


@pytest.fixture
def another_run(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is using the cache."""
    words = "from harness import paths\nwith paths.in_use(): print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_nothing_is_removed_while_a_run_uses_the_cache(
    cache: Path, another_run: subprocess.Popen[str]
) -> None:
    with pytest.raises(HostFault, match="a run is using the cache"):
        verb("--all")
    assert left(cache) == EVERY
    with paths.in_use():  # two runs at once are fine
        pass


def test_a_killed_run_holds_no_lock(cache: Path, another_run: subprocess.Popen[str]) -> None:
    another_run.kill()
    another_run.wait()
    verb("--all")
    assert left(cache) == {"runs"}


def test_the_result_as_json(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verb("--kernels", "--json")
    said = json.loads(capsys.readouterr().out)
    kinds = {row["kind"] for row in said["removed"]}
    assert kinds == {"kernels", "baselines", "images", "snapshots"}
    assert said["freed"] >= 3 * 5000


def test_an_empty_cache_is_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "nothing"))
    assert verb() == 0
    assert verb("--all") == 0
    assert "removed 0" in capsys.readouterr().out


def test_a_link_is_removed_but_not_its_destination(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    (cache / "builds" / "link").symlink_to(tmp_path / "mine")
    verb("--builds")
    assert (tmp_path / "mine" / "file").exists()
    assert not (cache / "builds" / "link").is_symlink()


def test_a_file_with_two_links_counts_once(cache: Path) -> None:
    before = next(one for one in entries() if one.kind.name == "builds").bytes
    (cache / "builds" / "one" / "again").hardlink_to(cache / "builds" / "one" / "file")
    after = next(one for one in entries() if one.kind.name == "builds").bytes
    assert after == before
