# SPDX-License-Identifier: GPL-2.0-only
"""The installed pytest-xdist and execnet still have what harness/plugin/xdist_internals.py uses."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import execnet
import pytest
from execnet import gateway_base, gateway_bootstrap, gateway_io
from xdist import dsession, remote, workermanage
from xdist.scheduler import LoadScheduling

from harness.plugin import xdist_internals

ROOT = Path(__file__).parents[2]
VERSIONS = ", ".join(
    f"{name} {importlib.metadata.version(name)}" for name in ("pytest-xdist", "execnet")
)
# What is used; a piece of its source that shows that it is there and means the same; our function.
USES = [
    (dsession.DSession, r"self\._clone_node\(node\)", "intercept_replacements"),
    (dsession.DSession, r"clone = self\.nodemanager\.setup_node\(", "intercept_replacements"),
    (dsession.DSession, r"self\.sched\b", "intercept_replacements"),
    (dsession.DSession, r"self\.shouldstop\b", "intercept_replacements"),
    (dsession.DSession, r"def _handlefailures\(\s*self,\s*rep: ", "count_crash"),
    (LoadScheduling, r"def tests_finished\(self\) -> bool", "intercept_replacements"),
    (LoadScheduling, r"def mark_test_pending\(self, item", "Crashes.explain"),
    (workermanage.WorkerController, r"def process_from_remote\(\s*self, eventcall", "XdistNode"),
    (workermanage.WorkerController, r"setcallback\(\s*self\.process_from_remote", "XdistNode"),
    (workermanage.WorkerController, r"def sendcommand\(self, name: str, \*\*", "XdistNode"),
    (workermanage.WorkerController, r"def notify_inproc\(self, eventname: str, \*\*", "XdistNode"),
    (workermanage.WorkerController, r"self\._down = False", "XdistNode.break_off"),
    (workermanage, r"def unserialize_warning_message\(data", "XdistNode.warning"),
    (workermanage.WorkerController, r'sendcommand\("runtests", indices=', "RUN_TESTS"),
    (workermanage.WorkerController, r'sendcommand\("runtests_all"', "RUN_ALL"),
    (workermanage.WorkerController, r'sendcommand\("shutdown"', "SHUTDOWN"),
    (remote.WorkerInteractor, r"self\.channel = channel", "result_descriptors"),
    (remote.WorkerInteractor, r"self\.torun = ", "result_descriptors"),
    (gateway_base.BaseGateway, r"self\._io = io", "relay_status, result_descriptors"),
    (gateway_base.Popen2IO, r"self\.outfile, self\.infile = outfile, infile", "result_descriptors"),
    (gateway_io.Popen2IOMaster, r"self\.popen = ", "relay_status"),
    # harness.guestside.gateway takes the place of the Python that execnet starts.
    (gateway_bootstrap.bootstrap_exec, r"inspect\.getsource\(gateway_base\),\n", "gateway.run"),
    (gateway_bootstrap.sendexec, r'repr\(source\) \+ "\\n"', "gateway.first_line"),
]


def named(use: Any) -> str:
    return getattr(use, "__name__", "") or str(use)


@pytest.mark.parametrize(("owner", "source", "ours"), USES, ids=named)
def test_what_we_use_is_still_there(owner: Any, source: str, ours: str) -> None:
    assert re.search(source, inspect.getsource(owner)), (
        f"{owner.__name__} of {VERSIONS} does not match {source!r} any more: adapt {ours} "
        "(harness/plugin/xdist_internals.py), or limit the version in pyproject.toml"
    )


def test_workers_send_the_events_that_we_know() -> None:
    calls = list(ast.walk(ast.parse(inspect.getsource(remote))))
    sent = {
        call.args[0].value: {keyword.arg for keyword in call.keywords}
        for call in calls
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "sendevent"
        and isinstance(call.args[0], ast.Constant)
    }
    assert sent == xdist_internals.EVENTS, (
        f"{VERSIONS}: adapt EVENTS in harness/plugin/xdist_internals.py"
    )


class Controller(workermanage.WorkerController):  # type: ignore[misc]
    """xdist's own class, without a gateway and a session."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.putevent = self.events.append
        self.log = lambda *_: None
        self._down = False
        self.gateway = SimpleNamespace(id="gw0")


def test_a_worker_that_is_broken_off_is_dead_to_xdist() -> None:
    node = Controller()
    xdist_internals.XdistNode(node, lambda _: None, lambda *_: None).break_off()
    [(event, values)] = node.events
    assert event == "errordown"
    assert f"worker_{event}" in vars(dsession.DSession)
    assert set(values) == set(inspect.signature(dsession.DSession.worker_errordown).parameters) - {
        "self"
    }
    assert node.shutting_down


@pytest.mark.parametrize("event", ["testreport", "collectreport", "warning_recorded"])
def test_what_we_give_xdist_is_what_it_takes(event: str) -> None:
    node = Controller()
    ours = xdist_internals.XdistNode(node, lambda _: None, lambda *_: None)
    report: Any = object()
    if event == "warning_recorded":
        data: dict[str, Any] = {"category_class_name": "UserWarning", "category_module": "builtins"}
        data |= dict.fromkeys(("message_module", "message_class_name", "message_args"))
        data |= {"message_str": "x", "filename": "f", "lineno": 1, "line": None}
        data |= {"file": None, "source": None}
        ours.warning(data, when="runtest", nodeid="a", location=None)
    elif event == "testreport":
        ours.report(report)
    else:
        ours.collect_report(report)
    [(name, values)] = node.events
    taker = getattr(dsession.DSession, f"worker_{name}")
    assert set(values) == set(inspect.signature(taker).parameters) - {"self"}


def test_an_incompatible_release_is_not_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [xdist] = [line for line in project["dependencies"] if line.startswith("pytest-xdist")]
    assert re.search(r",<\d+$", xdist), "pytest-xdist has no upper bound"


def test_execnet_is_the_one_that_xdist_uses() -> None:
    assert issubclass(execnet.Gateway, gateway_base.BaseGateway)
