# SPDX-License-Identifier: GPL-2.0-only
"""Whatever a guest says, or a child that a test forked, results are those of the tests that ran."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here

from harness.results.journal import Started, events

CHILDREN = """
import multiprocessing, os, pathlib, sys, threading, time, unittest, warnings
import pytest

def child_of(does):
    pid = os.fork()
    if pid == 0:
        does()
    return pid

def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else None

def fails():
    raise ValueError("in the child")

def test_raises():
    found = status(child_of(fails))
    if found is not None:
        assert found == 1

def test_returns():
    assert status(child_of(lambda: None)) in (None, 0)

def test_asserts(capfd):
    found = status(child_of(lambda: pytest.fail("not so")))
    assert found == 1
    said = capfd.readouterr().err
    assert "Failed: not so" in said and "test_it.py" in said and "pluggy" not in said

@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), ("words", 1)])
def test_exits(code, expected):
    assert status(child_of(lambda: sys.exit(code))) == expected

@pytest.fixture
def forked():
    child_of(lambda: None)
    yield
    child_of(lambda: None)

def test_fixture(forked):
    os.wait()

class TestCase(unittest.TestCase):
    def test_unittest(self):
        assert status(child_of(fails)) == 1

def test_of_a_child():
    def again():
        status(child_of(fails))
        raise KeyboardInterrupt
    assert status(child_of(again)) == 1

def test_lives_on():
    child_of(lambda: time.sleep(0.3))

def test_multiprocessing():
    one = multiprocessing.get_context("fork").Process(target=fails)
    one.start()
    one.join()
    assert one.exitcode == 1

def test_thread():
    pids = []
    one = threading.Thread(target=lambda: pids.append(child_of(lambda: None)))
    one.start()
    one.join()
    assert status(pids[0]) == 0

def test_as_the_worker(request):
    worker = next(p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "torun"))
    def speaks():
        name = request.node.nodeid
        worker.sendevent("logfinish", nodeid=name, location=("test_it.py", 1, name))
        worker.sendevent("workerfinished", workeroutput={})
    assert status(child_of(speaks)) in (None, 0)

def test_fails():
    time.sleep(0.5)  # the one that lives on comes out meanwhile
    assert 0
"""
IMPORTED = "import os, time\nif os.fork() == 0:\n    raise ValueError\nos.wait()\n"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path, "def test_it():\n    pass\n")


def begun(session: Session) -> collections.Counter[str]:
    started = [event for event in events(session.out) if isinstance(event, Started)]
    return collections.Counter(event.id.split("::", 1)[1] for event in started)


def test_a_child_that_leaves_its_test_reports_nothing(session: Session) -> None:
    (session.path / "test_it.py").write_text(CHILDREN)
    (session.path / "test_import.py").write_text(f"{IMPORTED}\ndef test_other():\n    pass\n")
    status, said = session.run("--guests", "1", "test_import.py")
    outcomes = session.outcomes()
    assert outcomes.pop("test_fails") == "fail", said
    assert set(outcomes.values()) == {"pass"}, said
    assert set(begun(session).values()) == {1}
    assert status == 1
    assert "1 failed, 14 passed" in said
    assert "INTERNALERROR" not in said
    session.gone()


def test_what_a_child_prints_at_its_end_is_the_tests_output(session: Session) -> None:
    suite = "import os\ndef test_it():\n    if os.fork() == 0:\n        raise ValueError('so')\n"
    (session.path / "test_it.py").write_text(f"{suite}    os.wait()\n    assert 0\n")
    status, said = session.run("--guests", "1")
    assert status == 1
    assert "ValueError: so" in session.tests()["test_it"].output
    assert "1 failed" in said


NONSENSE = """
import pytest

@pytest.fixture
def worker(request):
    return next(p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "torun"))

@pytest.fixture
def say(worker):
    return worker.sendevent

def report(worker, name, when="call"):
    made = pytest.TestReport(name, ("f", 1, name), {}, "failed", "forged", when)
    return worker.config.hook.pytest_report_to_serializable(config=worker.config, report=made)

FORGED = {
    "ready again": ("workerready", {"workerinfo": {}}),
    "collected again": ("collectionfinish", {"topdir": "/", "ids": ["other"]}),
    "start of what is unknown": ("logstart", {"nodeid": "x.py::y", "location": ("x", 1, "y")}),
    "start of what is not ours": ("logstart", {"nodeid": LAST, "location": ("x", 1, "y")}),
    "end of another": ("logfinish", {"nodeid": LAST, "location": ("x", 1, "y")}),
    "completion of another": ("runtest_protocol_complete", {"item_index": 9999, "duration": 1}),
    "completion too early": ("runtest_protocol_complete", {"item_index": 0, "duration": 1}),
    "handed back": ("unscheduled", {"indices": [9999]}),
    "no event": ("testpassed", {"nodeid": LAST}),
    "half an event": ("logstart", {"nodeid": LAST}),
    "no report": ("testreport", {"data": {}}),
    "no collection": ("collectreport", {"data": {"nodeid": 1}}),
    "no output": ("workerfinished", {"workeroutput": {}}),
    "no warning": ("warning_recorded", {"warning_message_data": 1, "when": 1, "nodeid": 1,
                                        "location": 1}),
}

@pytest.mark.parametrize("name", FORGED)
def test_forged(say, name):
    event, values = FORGED[name]
    say(event, **values)

@pytest.mark.parametrize("value", [None, 1, (), ("logstart",), [["logstart"], {}], "logstart"])
def test_no_tuple(worker, value):
    worker.channel.send(value)

def test_report_of_another(worker, say):
    say("testreport", data=report(worker, LAST))

def test_report_of_nobody(worker, say):
    say("testreport", data=report(worker, "x.py::y"))

def test_start_twice(say, request):
    say("logstart", nodeid=request.node.nodeid, location=("x", 1, "y"))

class Own(UserWarning):
    pass

def test_warns():
    import warnings
    warnings.warn(Own("of a class that only the guest knows"))

def test_last():
    pass
"""


def test_impossible_messages_are_ignored(session: Session) -> None:
    suite = f"LAST = 'test_it.py::test_last'\n{NONSENSE}"
    (session.path / "test_it.py").write_text(suite)
    status, said = session.run("--guests", "1")
    assert status == 0, said
    assert set(session.outcomes().values()) == {"pass"}
    assert "25 passed" in said
    assert "of a class that only the guest knows" in said
    assert "INTERNALERROR" not in said
    assert "guest0: sent an invalid message (workerready) during test_it.py::test_forged" in said
    assert set(begun(session).values()) == {1}


# Deadlines that are kept: only a healthy guest's boot and first test lie before them.
FORGER = """
import time, pytest

@pytest.fixture
def say(request):
    plugins = request.config.pluginmanager.get_plugins()
    return next(p for p in plugins if hasattr(p, "torun")).sendevent

def test_disarms(say, request):
    where = {"nodeid": request.node.nodeid, "location": ("x", 1, "y")}
    say("logfinish", **where)
    say("runtest_protocol_complete", item_index=0, duration=0.1)
    time.sleep(36_000)

@pytest.mark.parametrize("n", range(3))
def test_after(n):
    pass
"""


def test_no_message_of_a_guest_disables_the_deadline(session: Session) -> None:
    (session.path / "test_it.py").write_text(FORGER)
    status, said = session.run("--guests", "1", "--test-timeout", "20", "--boot-timeout", "20")
    outcomes = session.outcomes()
    assert status == 1, said
    assert outcomes.pop("test_disarms") == "timeout", said
    assert "the time after the test ran over its deadline" in said
    assert set(outcomes.values()) == {"pass"}
    session.gone()


def test_the_end_of_a_session_has_a_deadline_too(session: Session) -> None:
    hook = "import time\ndef pytest_sessionfinish(session):\n"
    hook += "    if hasattr(session.config, 'workerinput'):\n        time.sleep(36_000)\n"
    (session.path / "conftest.py").write_text(hook)
    status, said = session.run("--guests", "1", "--test-timeout", "20", "--boot-timeout", "20")
    assert status == 1, said
    assert session.outcomes() == {"test_it": "timeout"}
    session.gone()


def test_a_worker_that_ends_before_its_tests_loses_none(session: Session) -> None:
    suite = "import os, pathlib, pytest\n@pytest.mark.parametrize('n', range(6))\n"
    suite += "def test_it(n, request):\n    been = pathlib.Path('been')\n"
    suite += "    if n == 2 and not been.exists():\n        been.touch()\n"
    suite += "        request.node.config.pluginmanager.get_plugin('harness-ender').ended = True\n"
    hook = "import pytest\nclass Ender:\n    ended = False\n"
    hook += "    def pytest_runtest_protocol(self, item):\n        if self.ended:\n"
    hook += "            plugins = item.config.pluginmanager.get_plugins()\n"
    hook += "            worker = next(p for p in plugins if hasattr(p, 'torun'))\n"
    hook += "            out = {'exitstatus': 0, 'shouldfail': False, 'shouldstop': False}\n"
    hook += "            worker.sendevent('workerfinished', workeroutput=out)\n"
    hook += "            import time; time.sleep(36_000)\n"
    hook += "def pytest_configure(config):\n"
    hook += "    config.pluginmanager.register(Ender(), 'harness-ender')\n"
    (session.path / "test_it.py").write_text(suite)
    (session.path / "conftest.py").write_text(hook)
    _, said = session.run("--guests", "1", "--retry", "0")
    assert "INTERNALERROR" not in said
    outcomes = session.outcomes()
    assert outcomes.pop("test_it[2]") == "crash", said
    assert set(outcomes.values()) == {"pass"}, said
    session.gone()


def test_a_guest_that_finds_other_tests_than_the_first_is_reported(session: Session) -> None:
    suite = "import os, pathlib, pytest\nwhole = not pathlib.Path('been').exists()\n"
    suite += "@pytest.mark.parametrize('n', range(6 if whole else 5))\ndef test_it(n):\n"
    suite += "    if n == 2:\n        pathlib.Path('been').touch()\n        os._exit(1)\n"
    (session.path / "test_it.py").write_text(suite)
    status, said = session.run("--guests", "1", "--retry", "0")
    assert status == 1
    assert "collected different tests than the first guest did: test_it.py::test_it[5]" in said
    assert "INTERNALERROR" not in said
    assert session.outcomes()["test_it[1]"] == "pass"
    assert session.outcomes()["test_it[2]"] == "crash"
    session.gone()


@pytest.mark.parametrize("way", ["load", "worksteal", "loadscope", "loadgroup"])
def test_all_ways_of_distributing_tests_work(session: Session, way: str) -> None:
    suite = "import time, pytest\n@pytest.mark.xdist_group('g')\n"
    suite += "@pytest.mark.parametrize('n', range(12))\ndef test_one(n):\n"
    suite += "    time.sleep(0.1 * (n < 2))\nclass TestIt:\n    def test_two(self):\n        pass\n"
    (session.path / "test_it.py").write_text(suite)
    status, said = session.run("--guests", "2", "--dist", way)
    assert status == 0, said
    assert "13 passed" in said
    assert "invalid message" not in said
    session.gone()


def test_a_variable_that_an_import_lacks_is_named(session: Session) -> None:
    # A fake guest sees all variables, so this one is taken away there.
    suite = "import os\nos.environ.pop('GADGET', None)\nDISK = os.environ['GADGET']\n"
    (session.path / "test_it.py").write_text(f"{suite}\ndef test_it():\n    pass\n")
    _, said = session.run("--guests", "1", GADGET="1")
    line = "GADGET is set on this machine but not in the guest; pass it in with --guest-env GADGET"
    assert line in said
    assert "INTERNALERROR" not in said


def test_a_guest_with_a_changed_limit_is_replaced(session: Session) -> None:
    suite = "import os, resource\ndef test_a():\n"
    suite += "    resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))\n"
    suite += "def test_b():\n    assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 4096\n"
    (session.path / "test_it.py").write_text(suite)
    status, said = session.run("--guests", "1")
    assert status == 0, said
    assert session.outcomes() == {"test_a": "pass", "test_b": "pass"}
    words = "guest0: replaced: limits changed during test_it.py::test_a"
    assert words in said
