# SPDX-License-Identifier: GPL-2.0-only
"""The history's database: SQLite and PostgreSQL, migrations, many writers, faults."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import postgresql
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pastruns import CRASH, FAIL, PASS, facts, put, side, story
from patience import PATIENCE

from harness import history
from harness.errors import HostFault, UsageError
from harness.history import (
    database,
    migrations,
    queries,
    run_folder,
    run_queries,
    schema,
    waiting,
)
from harness.history.database import HEAD, Database
from harness.history.run_facts import Ended, SessionFacts, SideFacts, TestFacts
from harness.model import Verdict

REVISIONS = [
    one.revision for one in ScriptDirectory.from_config(migrations.config()).walk_revisions()
]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    programs = postgresql.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with postgresql.cluster(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database; on the server each test has its own schema."""
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/histöry.db"
    base = request.getfixturevalue("server")
    name = f"s{abs(hash(request.node.nodeid)):x}"
    with Database(base).engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    return f"{base}&options=-csearch_path%3D{name}"


def name(test: str) -> str:
    return f"suite/test_it.py::{test}"


def test_a_test_has_a_history(url: str) -> None:
    story(url)
    found = history.of_test(name("same"), db=url)
    assert found is not None
    assert found.runs == 4  # the base was tested once, however many runs use it
    assert found.counts == {PASS: 3, FAIL: 1}
    assert [one.where.run for one in found.seen] == ["run00004", "run00003", "run00002", "run00002"]
    assert [one.where.side for one in found.seen] == ["patched", "patched", "patched", "base"]
    assert found.first_failed is not None
    assert (found.first_failed.where.run, found.first_failed.where.version) == ("run00003", 1)
    assert found.first_failed.message == "E same is not well"
    assert found.last_passed is not None
    assert found.last_passed.where.commit == "commit p2"
    assert (found.flakes.bad, found.flakes.runs) == (1, 4)
    assert found.trend.times == (0.25, 0.25, 0.25)


def test_a_history_can_be_limited_to_one_side(url: str) -> None:
    story(url)
    base = history.of_test(name("fixed"), on="base", db=url)
    assert base is not None
    assert (base.runs, base.last_passed) == (1, None)
    assert (base.flakes.bad, base.flakes.runs) == (
        0,
        0,
    )  # it never passed there
    patched = history.of_test(name("fixed"), on="patched", db=url)
    assert patched is not None
    assert (patched.runs, patched.first_failed) == (3, None)
    assert history.of_test(name("broken"), on="base", db=url) is None
    assert history.of_test(name("nobody"), db=url) is None
    assert list(history.of_tests([name("same"), name("nobody")], db=url)) == [name("same")]


def test_the_newest_results_are_returned(url: str) -> None:
    story(url)
    found = history.of_test(name("same"), last=1, db=url)
    assert found is not None
    assert [one.where.run for one in found.seen] == ["run00004"]
    assert found.runs == 4
    assert found.first.where.side == "base"


def test_a_series_has_a_history(url: str) -> None:
    story(url)
    with database.opened(url) as (connection, _):
        found = run_queries.of_series(connection, "demo")
        assert found is not None
        assert [(one.version, one.runs, one.last.verdict) for one in found.revisions] == [
            *((1, 2, "bad"), (2, 1, "good"))
        ]
        assert dict(found.failures) == {name("same"): (FAIL, PASS), name("broken"): (CRASH, PASS)}
        assert run_queries.last_failures(connection, "demo", 2) == ()
        before = run_queries.last_failures(connection, "demo", 1)
        assert set(before) == {name("same"), name("broken")}
        assert run_queries.last_failures(connection, "other", 9) == ()


def test_a_splat_has_a_history(url: str) -> None:
    story(url)
    with database.opened(url) as (connection, _):
        found = queries.of_splat(connection, "5p1a7")
        assert found is not None
        assert (found.times, found.runs, found.tests) == (2, 2, ((name("broken"), 2),))
        assert found.first is not None
        assert found.last is not None
        assert (found.first.run, found.last.run) == ("run00002", "run00003")
        assert connection.execute(sa.select(schema.splat.c.first)).scalar() == 2.0


@pytest.mark.parametrize(
    ("words", "kind", "found"),
    [
        ("suite/test_it.py::same", "", ["test"]),
        ("SAME", "", ["test"]),
        ("test_it", "", ["test"] * 3),
        ("demo", "", ["series"]),
        ("digest 2", "", ["series"]),
        ("rmdir", "", ["splat"]),
        ("5p1", "", ["splat"]),
        ("WARNING in configfs_rmdir", "", ["splat"]),
        ("e", "", ["test"] * 3 + ["series"]),
        ("e", "series", ["series"]),
        ("100%", "", []),
        ("test_it%same", "", []),
    ],
)
def test_words_match_names(url: str, words: str, kind: str, found: list[str]) -> None:
    story(url)
    with database.opened(url) as (connection, _):
        assert sorted(one.kind for one in queries.find(connection, words, kind)) == sorted(found)


def test_runs_are_listed_and_named(url: str, tmp_path: Path) -> None:
    story(url)
    put(url, facts(5, folder=tmp_path))
    with database.opened(url) as (connection, _):
        found = run_queries.runs(connection)
        assert [one.id for one in found] == ["run00005", "run00004", "run00003", "run00002"]
        assert [one.there for one in found] == [True, False, False, False]
        assert found[1].counts == {"pass": 3, "notrun": 1}
        assert (found[1].release, found[1].series) == ("7.2.13", "[PATCH v2] demo")
        assert run_queries.named(connection, "last") == found[:1]
        assert run_queries.named(connection, str(tmp_path)) == found[:1]
        assert run_queries.named(connection, tmp_path.name) == found[:1]
        assert run_queries.named(connection, "run00003") == found[2:3]
        assert len(run_queries.named(connection, "run")) == 4
        assert run_queries.named(connection, "ru_0") == ()
        assert len(run_queries.runs(connection, run_queries.matching("DEMO", "run", bad=True))) == 3
        base, patched = run_queries.sides(connection, "run00003")
        assert (base.cached, base.boots, base.failures[0][1]) == (True, (4.5,), FAIL)
        assert [(one, what) for one, what, _ in patched.failures] == [
            *((name("same"), FAIL), (name("broken"), CRASH))
        ]


def test_a_pinned_run_stays_pinned(url: str) -> None:
    story(url)
    assert database.pin(url, "run00003", pinned=True).pinned
    put(url, facts(3))
    with database.opened(url) as (connection, _):
        assert [one.id for one in run_queries.runs(connection) if one.pinned] == ["run00003"]
    assert not database.pin(url, "run00003", pinned=False).pinned


def test_an_ended_run_does_not_become_running(url: str) -> None:
    put(url, facts(1, ended=Ended.RUNNING, verdict=Verdict.NONE))
    put(url, facts(1))
    put(url, facts(1, ended=Ended.RUNNING, verdict=Verdict.NONE))
    with database.opened(url) as (connection, _):
        (found,) = run_queries.runs(connection)
    assert (found.ended, found.verdict) == ("done", "bad")


def test_names_can_be_anything(url: str) -> None:
    odd = ["ü" * 1000, "ü" * 999, "nul\0", "half \udcff", "% _ ' \" \\"]
    tests = [TestFacts(one, FAIL, 1e9 / 1000, message=one * 2) for one in odd]
    session = SessionFacts("d-001", 1.0, "", tuple(tests))
    put(url, facts(1, SideFacts("patched", None, session), command="\0\udc80"))
    for one in odd:
        found = history.of_test(one, db=url)
        assert found is not None
        assert found.runs == 1


def test_a_huge_session_is_written(url: str) -> None:
    many = {f"t{number}": PASS for number in range(2500)}
    put(url, facts(1, side("patched", "p", "d-001", **many)))
    with database.opened(url) as (connection, _):
        count = sa.select(sa.func.count()).select_from(schema.result)
        assert connection.execute(count).scalar() == 2500


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_older_version_is_migrated(url: str, revision: str) -> None:
    """The data of an older harness is kept, and the tables equal those of a new database."""
    database = Database(url)
    Path(database.url.database or "").parent.mkdir(parents=True, exist_ok=True)
    with database._write_transaction() as connection:
        migrations.upgrade(connection, revision)
        old = sa.MetaData()
        old.reflect(connection)
        row = {"home": "h", "name": "n", "system": "s", "cpus": 1, "memory": 2}
        connection.execute(old.tables["host"].insert().values(id=7, **row))
        row = {"uid": "old", "verb": "run", "host_id": 7, "began": 1.0, "ended": "done"}
        row |= {"verdict": "good", "code": 0}
        texts = dict.fromkeys(("error", "folder", "command", "accel", "harness"), "")
        connection.execute(old.tables["run"].insert().values(id=7, **row, **texts))
    story(url)
    with database.reading() as connection:
        assert [one.id for one in run_queries.runs(connection)][-1] == "old"
        context = MigrationContext.configure(connection, opts={"version_table": migrations.TABLE})
        differences = compare_metadata(context, schema.metadata)
        assert [one for one in differences if "pg_" not in str(one)] == []


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrations.config()).get_current_head() == HEAD
    assert len(REVISIONS) > 1


def test_the_history_of_a_newer_harness_is_refused(url: str) -> None:
    story(url)
    with Database(url)._write_transaction() as connection:
        connection.execute(sa.text("UPDATE harness_version SET version_num = '9999'"))
    with pytest.raises(UsageError, match="newer harness"):
        history.of_test(name("same"), db=url)


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
import pastruns as t
number = int(sys.argv[3])
outcomes = {f"t{n}": t.PASS if n % 7 else t.FAIL for n in range(300)}
side = t.side("patched", f"k{number % 3}", f"d{number}-{number:03}", **outcomes)
database = t.Database(sys.argv[1], patience=600.0)
with database.writing() as connection:
    t.write.write(connection, t.facts(number, side, version=number % 4))
"""
# Forks writers that start at the same moment, and prints their exit codes.
MANY = """
import json, os, sys
sys.path.insert(0, sys.argv[3])
import pastruns
script, count = compile(sys.argv[1], "writer", "exec"), int(sys.argv[4])
waits, go = os.pipe()
pids = []
for number in range(count):
    pid = os.fork()
    if not pid:
        os.close(go)
        os.read(waits, 1)
        sys.argv = ["-c", *sys.argv[2:4], str(number)]
        exec(script, {})
        os._exit(0)
    pids.append(pid)
os.close(go)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]))
"""


def test_twenty_processes_write_at_once(url: str) -> None:
    """All of them find no database and create it."""
    words = [sys.executable, "-c", MANY, WRITER, url, str(Path(__file__).parent), "20"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert json.loads(done.stdout or "null") == [0] * 20, done.stderr
    with database.opened(url) as (connection, _):
        assert len(run_queries.runs(connection)) == 20
        for table, number in ((schema.result, 6000), (schema.test, 300), (schema.series, 4)):
            count = sa.select(sa.func.count()).select_from(table)
            assert connection.execute(count).scalar() == number
        found = queries.of_test(connection, name("t1"))
        assert found is not None
        assert found.runs == 20


def test_a_killed_writer_leaves_no_partial_run(url: str) -> None:
    story(url)
    script = WRITER.replace(
        "    t.write.write", "    import os; os.kill(os.getpid(), 9)\n    t.write.write"
    )
    script = script.replace(
        "    import os;", "    t.write.write(connection, t.facts(77, side)); import os;"
    )
    words = [sys.executable, "-c", script, url, str(Path(__file__).parent), "50"]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    with database.opened(url) as (connection, _):
        assert len(run_queries.runs(connection)) == 3
    put(url, facts(9))


def record_of(url: str, verdict: Verdict, code: int) -> None:
    """Leave a record that waits."""
    record = waiting.begin(url, facts(1))
    record.write(facts(1, verdict=verdict, code=code))
    record.close(taken=False)


def test_waiting_records_are_imported_when_the_history_is_opened(url: str) -> None:
    record_of(url, Verdict.GOOD, 0)
    with database.opened(url) as (connection, trouble):
        assert trouble == ""
        assert [one.verdict for one in run_queries.runs(connection)] == ["good"]
    assert list(waiting.folder(url).iterdir()) == []


def test_a_run_without_a_folder_is_listed_as_running(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it builds it has not written to the database itself."""
    monkeypatch.setattr(database, "_YOUNG", PATIENCE)
    record = waiting.begin(url, facts(1, ended=Ended.RUNNING, verdict=Verdict.NONE))
    young = waiting.begin(url, facts(5, ended=Ended.RUNNING, began=time.time()))
    with database.opened(url) as (connection, _):
        assert [(one.id, one.host) for one in run_queries.runs(connection)] == [
            ("run00001", "host")
        ]
    record.close(taken=True)
    young.close(taken=True)


def test_a_damaged_folder_does_not_affect_other_runs(url: str, tmp_path: Path) -> None:
    for name, text in (("run.json", "[]"), ("run.json", '{"schema": 1, "sides": 3}'), ("x", "")):
        folder = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
        (folder / "patched").mkdir(parents=True)
        (folder / name).write_text(text)
        (folder / "patched" / "tests.jsonl").write_text('{"event": "started"}\n[]\n\0\n')
        record = waiting.begin(url, facts(len(text)))
        record.write(facts(len(text), folder=folder))
        record.close(taken=False)
    with database.opened(url) as (connection, trouble):
        assert trouble == ""
        assert len(run_queries.runs(connection)) == 3


def test_a_check_is_judged_by_its_last_patch(url: str, tmp_path: Path) -> None:
    """Its folder has a journal for each patch."""
    for name in ("base", "1", "2", "10"):
        outcome = "pass" if name == "10" else "fail"
        events = [
            {
                "event": "session",
                "command": ["pytest", "--kernel", f"/x/{name}/image"],
                "root": "/",
            },
            {"event": "started", "id": "t", "guest": "guest0"},
            {"event": "reported", "id": "t", "when": "teardown", "outcome": outcome, "seconds": 1}
            | {"message": "", "output": "", "log": "", "splats": [], "taint": None},
        ]
        (tmp_path / "checked" / name).mkdir(parents=True)
        journal = tmp_path / "checked" / name / "tests.jsonl"
        journal.write_text("".join(json.dumps(one) + "\n" for one in events))
    record = waiting.begin(url, facts(1))
    record.write(facts(1, folder=tmp_path / "checked", verb="check"))
    record.close(taken=False)
    with database.opened(url) as (connection, _):
        assert run_queries.runs(connection)[0].counts == {"pass": 1}
        sides = run_queries.sides(connection, "run00001")
        assert [(one.name, one.patch) for one in sides] == [
            *(("base", 0), ("1", 1), ("2", 2), ("10", 10))
        ]
    assert list(run_folder.kernel_folders(tmp_path / "checked")) == [
        *map(Path, ("/x/1", "/x/10", "/x/2", "/x/base"))
    ]


# Databases that cannot be used.


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "state"))
    return tmp_path / "history.db"


def test_a_locked_database_is_waited_for_only_briefly(file: Path) -> None:
    story(f"sqlite:///{file}")
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    database = Database(f"sqlite:///{file}", patience=0.2)
    with pytest.raises(HostFault, match="locked") as caught, database.writing():
        pass
    assert "again" in caught.value.hint
    with database.reading() as connection:  # readers do not wait for writers
        assert len(run_queries.runs(connection)) == 3
    holder.close()


def test_a_file_that_is_not_a_database_is_reported(file: Path) -> None:
    file.write_bytes(b"hello " * 1000)
    with pytest.raises(HostFault, match="not a database") as caught:
        history.of_test("x", db=str(file))
    assert "move that file away" in caught.value.hint
    assert file.read_bytes().startswith(b"hello")


def test_an_impossible_folder_is_reported(file: Path) -> None:
    file.write_text("")
    opening = database.opened(f"sqlite:///{file}/deeper/history.db", must_exist=False)
    with pytest.raises(HostFault, match="history"), opening:
        pass


def test_an_unreachable_server_is_reported(file: Path) -> None:
    url = "postgresql://me:secret@127.0.0.1:9/nobody"
    with pytest.raises(HostFault, match="cannot read the history in postgresql") as caught:
        history.of_test("x", db=url)
    assert "secret" not in f"{caught.value.what} {caught.value.hint}"


@pytest.mark.parametrize("url", ["nonsense://x", "://", "postgresql://h:port/x"])
def test_an_invalid_url_is_a_usage_error(file: Path, url: str) -> None:
    with pytest.raises((UsageError, HostFault)) as caught:
        history.of_test("x", db=url)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_read_only_history_can_be_read(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are private
        Path(folder).chmod(0o755)
        file = Path(folder, "history.db")
        story(f"sqlite:///{file}")
        script = (
            "import os\n"
            "from harness.history.database import Database\n"
            "Database('sqlite:///other')  # import everything before becoming nobody\n"
            "os.seteuid(65534)\n"
            f"with Database('sqlite:///{file}').reading() as connection:\n"
            "    print(len(connection.exec_driver_sql('select * from run').all()))\n"
        )
        words = [sys.executable, "-c", script]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "3", done.stderr
