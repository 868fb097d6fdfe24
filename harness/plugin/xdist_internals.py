# SPDX-License-Identifier: GPL-2.0-only
"""All undocumented parts of pytest-xdist and execnet that we use.

pyproject.toml keeps pytest-xdist below the next major release; tests/unit/test_xdist_internals.py
fails if the installed release lacks one of these parts.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

#: The events that xdist's workers send, and what each contains.
EVENTS: dict[str, set[str]] = {
    "workerready": {"workerinfo"},
    "collectionstart": set(),
    "collectreport": {"data"},
    "collectionfinish": {"topdir", "ids"},
    "logstart": {"nodeid", "location"},
    "testreport": {"data"},
    "logfinish": {"nodeid", "location"},
    "runtest_protocol_complete": {"item_index", "duration"},
    "unscheduled": {"indices"},
    "warning_recorded": {"warning_message_data", "when", "nodeid", "location"},
    "workerfinished": {"workeroutput"},
    "internal_error": {"formatted_error"},
}
#: The commands that xdist sends to its workers.
RUN_TESTS, RUN_ALL, SHUTDOWN = "runtests", "runtests_all", "shutdown"
# Fields that describe the class of a warning.
_CLASSES = ("message_module", "message_class_name", "message_args", "category_module")


def intercept_replacements(
    config: pytest.Config, replace: Callable[[Callable[[], None]], None]
) -> None:
    """Call ``replace`` when xdist replaces a dead worker; its argument connects the new worker.

    Unlike with xdist alone, a worker is not replaced if no tests are left, or none will be run.
    """
    dsession: Any = config.pluginmanager.get_plugin("dsession")
    clone = dsession._clone_node

    def replacement(node: Any) -> None:
        if not dsession.shouldstop and not dsession.sched.tests_finished:
            replace(lambda: clone(node))

    dsession._clone_node = replacement


def count_crash(config: pytest.Config, report: pytest.TestReport) -> None:
    """Let a crash end the session like any failure with -x and --maxfail; xdist does not."""
    dsession: Any = config.pluginmanager.get_plugin("dsession")
    dsession._handlefailures(report)


def relay_status(node: Any, seconds: float) -> int | None:
    """Return the exit status of a node's process; None if it is still running after ``seconds``."""
    try:
        return int(node.gateway._io.popen.wait(seconds))
    except (AttributeError, subprocess.TimeoutExpired):
        return None


def result_descriptors(config: pytest.Config) -> tuple[int, int]:
    """Return, in a worker, the file descriptors of its connection to the host."""
    plugins = config.pluginmanager.get_plugins()
    channel = next(plugin.channel for plugin in plugins if hasattr(plugin, "torun"))
    io = channel.gateway._io
    return io.infile.fileno(), io.outfile.fileno()


class XdistNode:
    """xdist's object for a worker.

    ``heard`` is called with everything the worker sends, and ``sending`` with everything xdist
    sends to it; they decide what to pass on (with ``pass_on`` and ``send``).
    """

    def __init__(
        self, node: Any, heard: Callable[[object], None], sending: Callable[..., None]
    ) -> None:
        self._node = node
        self.pass_on: Callable[[object], None] = node.process_from_remote
        self.send: Callable[..., None] = node.sendcommand
        node.process_from_remote, node.sendcommand = heard, sending

    def break_off(self) -> None:
        """Make xdist treat the worker as dead."""
        self._node._down = True
        self._node.notify_inproc("errordown", node=self._node, error="internal error")

    def deserialized(self, data: dict[str, Any]) -> object:
        """Return the report in ``data``; hook implementations choose its class."""
        config = self._node.config
        return config.hook.pytest_report_from_serializable(config=config, data=data)

    def report(self, report: pytest.TestReport) -> None:
        """Pass a test's report to xdist."""
        self._node.notify_inproc("testreport", node=self._node, rep=report)

    def collect_report(self, report: pytest.CollectReport) -> None:
        """Pass a report of failed test collection to xdist."""
        self._node.notify_inproc("collectreport", node=self._node, rep=report)

    def warning(self, data: dict[str, Any], **where: Any) -> None:
        """Pass a warning to xdist, without its class if only the guest can import the class."""
        from xdist.workermanage import unserialize_warning_message

        try:
            message = unserialize_warning_message(data)
        except (ImportError, AttributeError):
            message = unserialize_warning_message(data | dict.fromkeys(_CLASSES))
        self._node.notify_inproc("warning_recorded", warning_message=message, **where)
