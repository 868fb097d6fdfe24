# SPDX-License-Identifier: GPL-2.0-only
"""The history without a database: flaky tests, trends, waiting records, what gc may remove."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from harness import history, paths
from harness.cache import KINDS, CacheEntry
from harness.cli.clean import amount
from harness.errors import UsageError
from harness.history import address, retention, run_facts, waiting, write
from harness.history.histories import Flakes, Trend
from harness.history.run_facts import Ended, HostFacts, RunFacts
from harness.model import Outcome, Series

KIND = {kind.name: kind for kind in KINDS}
PASS, FAIL, SKIP, CRASH = Outcome.PASS, Outcome.FAIL, Outcome.SKIP, Outcome.CRASH


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DB", raising=False)


def test_flakes_count_only_kernels_that_can_pass() -> None:
    found = Flakes.of(
        [
            ("broken", [FAIL]),
            ("broken", [FAIL, FAIL]),
            ("able", [PASS]),
            ("able", [FAIL, PASS]),
            ("good", [PASS]),
            ("good", [SKIP]),
        ]
    )
    assert (found.bad, found.runs) == (1, 4)
    assert found.rate == 0.25
    assert 0.04 < found.low < 0.25 < found.high < 0.71


def test_without_runs_the_flake_rate_is_unknown() -> None:
    found = Flakes.of([("broken", [CRASH]), ("other", [SKIP])])
    assert (found.bad, found.runs, found.rate) == (0, 0, 0.0)
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("times", "change"),
    [
        ([], 0.0),
        ([1.0] * 9, 0.0),  # too few to tell
        ([1.0] * 10, 0.0),
        ([1.0] * 20 + [2.0] * 5, 1.0),
        ([4.0] * 5 + [3.0] * 5, -0.25),
        ([0.0] * 5 + [3.0] * 5, 0.0),
    ],
)
def test_the_trend_compares_the_newest_times_with_earlier_ones(
    times: list[float], change: float
) -> None:
    assert Trend.of(times).change == pytest.approx(change)


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert Trend.of([1, 2, 3, 8]).sparkline() == "▁▂▃█"
    assert Trend.of([1, 2, 3, 8]).sparkline(ascii_only=True) == "_.,#"
    assert Trend.of([1, 2, 3, 8]).sparkline(last=3) == "▁▂█"
    assert Trend.of([5, 5]).sparkline() == "▁▁"
    assert Trend.of([]).sparkline() == ""


def series(title: str, name: str = "demo", version: int = 1) -> Series:
    return Series(name, Path(), (), f"digest {title} {version}", title=title, version=version)


@pytest.mark.parametrize(
    "title",
    [
        "configfs: namespaces",
        "[PATCH v3 0/8] configfs: namespaces",
        "[RFC] configfs: namespaces",
        "configfs: namespaces v2",
        "Configfs:  namespaces",
    ],
)
def test_revisions_of_a_series_share_their_lineage(title: str) -> None:
    assert run_facts.lineage(series(title)) == "configfs namespaces"


def test_other_series_have_another_lineage() -> None:
    assert run_facts.lineage(series("nvmet: v2 of the protocol")) != "nvmet"
    assert run_facts.lineage(series("", name="my-topic-v2")) == "my topic"
    assert run_facts.lineage(series("ソート")) == "ソート"
    assert run_facts.lineage(series("v2")) == "demo"


def test_the_database_is_chosen_by_option_then_environment_then_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project" / "deep"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    assert address.choose() == f"sqlite:///{paths.state('history')}/history.db"
    (project.parent / "pyproject.toml").write_text('[tool.harness]\ndb = "sqlite:///own.db"\n')
    assert address.choose() == f"sqlite:///{project.parent}/own.db"
    monkeypatch.setenv("HARNESS_DB", "postgresql://host/name")
    assert address.choose() == "postgresql://host/name"
    assert address.choose("mine.db") == f"sqlite:///{project}/mine.db"


@pytest.mark.parametrize(
    ("text", "size"),
    [("20G", 20 * 10**9), ("500m", 500 * 10**6), ("1.5 GB", 1_500_000_000), ("7", 7)],
)
def test_sizes_are_parsed(text: str, size: int) -> None:
    assert amount(text) == size


@pytest.mark.parametrize("text", ["", "-1G", "G", "lots", "1.2.3"])
def test_an_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        amount(text)


# Records that wait for the database.

URL = "sqlite:///nowhere"


def facts(name: str = "a0", **more: object) -> RunFacts:
    made = RunFacts(name, "run", HostFacts("host", "home"), time.time(), command="harness run")
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def test_a_locked_record_is_a_running_run() -> None:
    record = waiting.begin(URL, facts(folder=Path("/x")))
    assert [one.id for one in waiting.running()] == ["a0"]
    assert list(waiting.unheld(URL)) == []
    record.close(taken=True)
    assert waiting.running() == ()
    assert list(waiting.folder(URL).iterdir()) == []


def test_a_finished_record_waits_until_it_is_taken() -> None:
    record = waiting.begin(URL, facts())
    record.write(facts(ended=Ended.DONE, code=1))
    record.close(taken=False)
    assert waiting.running() == ()
    ((again, found),) = waiting.unheld(URL)
    assert (found.ended, found.code) == (Ended.DONE, 1)
    assert list(waiting.unheld(URL)) == []  # we hold its lock now
    again.close(taken=True)
    assert list(waiting.folder(URL).iterdir()) == []


def test_the_record_of_a_killed_process_is_killed() -> None:
    script = (
        "import os, signal, pathlib\n"
        "from harness.history import waiting\n"
        "from harness.history.run_facts import HostFacts, RunFacts\n"
        f"waiting.begin({URL!r}, RunFacts('dead', 'run', HostFacts('', ''), 1.0))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    ((record, found),) = waiting.unheld(URL)
    assert (found.id, found.ended) == ("dead", Ended.KILLED)
    record.close(taken=False)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"form": 99}', '{"form": 1}', "\0"])
def test_an_unreadable_record_is_ignored(text: str) -> None:
    (waiting.folder(URL) / "bad.json").write_text(text)
    assert list(waiting.unheld(URL)) == []
    assert waiting.running() == ()
    assert (waiting.folder(URL) / "bad.json").exists()


def test_run_ids_are_short_and_random() -> None:
    names = {waiting.new_id() for _ in range(1000)}
    assert len(names) > 990
    assert all(len(name) == 8 and not name.isdecimal() for name in names)


def test_waiting_records_are_private() -> None:
    assert waiting.folder(URL).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:se/cr@et@host/name", "postgresql://me:***@host/name"),
        ("postgresql://me@host/name", "postgresql://me@host/name"),
        ("sqlite:///a:b@c", "sqlite:///a:b@c"),
    ],
)
def test_no_password_is_recorded(url: str, kept: str, tmp_path: Path) -> None:
    command = ("harness", "run", "--db", url)
    with history.recording("run", command, print, db=str(tmp_path / "x.db")) as recording:
        assert recording.facts.command == f"harness run --db {kept}"
        recording.drop()


# What gc may remove.

NOTHING = retention.Held()
NOW = 1000 * retention.DAY


def entry(kind: str, name: str, *, days: float, size: int = 10, held: bool = False) -> CacheEntry:
    return CacheEntry(KIND[kind], Path("/") / kind / name, size, NOW - days * retention.DAY, held)


def sort(
    entries: Iterable[CacheEntry],
    needs: Mapping[str, list[str]] | None = None,
    held: retention.Held = NOTHING,
    days: float | None = None,
    most: int | None = None,
) -> retention.Sorted:
    wanted = needs or {}
    return retention.sort(
        entries,
        held,
        retention.Limits(None if days is None else NOW - days * retention.DAY, most),
        lambda run: frozenset(Path("/kernels") / one for one in wanted.get(run.name, ())),
    )


def names(some: Iterable[tuple[CacheEntry, str]]) -> list[str]:
    return [one.path.name for one, _ in some]


def test_without_a_limit_nothing_is_removed() -> None:
    found = sort([entry("runs", "r", days=900), entry("builds", "b", days=900)])
    assert (names(found.goes), names(found.stays), found.over) == ([], ["r", "b"], 0)


def test_old_entries_go_unless_a_kept_run_needs_them() -> None:
    entries = [
        entry("runs", "old", days=40),
        entry("runs", "new", days=3),
        entry("kernels", "of-both", days=41),
        entry("kernels", "of-old", days=42),
        entry("kernels", "of-nobody", days=2),
        entry("images", "image", days=43),
    ]
    found = sort(entries, {"old": ["of-old", "of-both"], "new": ["of-both"]}, days=30)
    assert set(names(found.goes)) == {"old", "of-old", "image"}
    assert dict(zip(names(found.stays), (why for _, why in found.stays), strict=True)) == {
        "of-both": "a kept run needs it",
        "new": "",
        "of-nobody": "",
    }


def test_pinned_and_running_runs_stay_with_what_they_need() -> None:
    entries = [
        entry("runs", "pinned", days=90),
        entry("runs", "running", days=90),
        entry("kernels", "a", days=90),
        entry("kernels", "b", days=90),
        entry("kernels", "c", days=90),
        entry("builds", "held", days=90, held=True),
    ]
    held = retention.Held(
        pinned=frozenset([Path("/runs/pinned")]),
        running=frozenset([Path("/runs/running")]),
        elsewhere=frozenset([Path("/home/out")]),
    )
    needs = {"pinned": ["a"], "running": ["b"], "out": ["c"]}
    found = sort(entries, needs, held, days=30, most=0)
    assert names(found.goes) == []
    assert found.over == 60
    assert {why for _, why in found.stays} == {
        *("pinned", "in use by a run", "a kept run needs it", "in use")
    }


def test_to_save_space_the_cache_goes_before_the_oldest_run() -> None:
    entries = [
        entry("runs", "older", days=9),
        entry("runs", "newer", days=1),
        entry("kernels", "of-older", days=8),
        entry("kernels", "of-newer", days=7),
        entry("builds", "build", days=0),
    ]
    needs = {"older": ["of-older"], "newer": ["of-newer"]}
    assert names(sort(entries, needs, most=50).goes) == []
    assert names(sort(entries, needs, most=49).goes) == ["build"]
    assert set(names(sort(entries, needs, most=39).goes)) == {"build", "older"}
    assert set(names(sort(entries, needs, most=29).goes)) == {"build", "older", "of-older"}
    assert len(sort(entries, needs, most=0).goes) == 5


def test_gc_ignores_sources() -> None:
    found = sort([entry("sources", "linux", days=900), entry("trees", "t", days=900)], days=1)
    assert found == retention.Sorted((), ())


def test_the_command_line_does_not_import_sqlalchemy() -> None:
    script = (
        "import importlib, sys, harness.cli as c\n"
        "for verb in c.VERBS.values():\n"
        "    importlib.import_module('harness.cli.' + verb.body.partition(':')[0])\n"
        "print(sorted(sys.modules))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert "harness.cli.history" in done.stdout
    assert "sqlalchemy" not in done.stdout
    assert "alembic" not in done.stdout


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "ab"), ("\ud800x", "\ufffdx"), ("\udcc3\udca4", "ä"), ("\udcff", "\ufffd")],
)
def test_text_is_cleaned_for_any_database(text: str, kept: str) -> None:
    assert write.clean(text) == kept
