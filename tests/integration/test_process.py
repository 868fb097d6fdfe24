# SPDX-License-Identifier: GPL-2.0-only
"""Programs that are started, and that none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import PATIENCE

from harness import process
from harness.errors import HostFault

# Dies by SIGKILL just after it started a program, before anybody watches over that.
_KILLED = """
import os, signal, sys
from harness import process
process.guard = lambda group: os.kill(os.getpid(), signal.SIGKILL)
process.Group(["sleep", sys.argv[1]])
"""


def test_nothing_is_left_after_sigkill_before_the_guard_runs() -> None:
    seconds = f"9{os.getpid()}"
    done = subprocess.run([sys.executable, "-c", _KILLED, seconds], check=False)
    assert done.returncode < 0
    deadline = time.monotonic() + PATIENCE
    while left := with_word(seconds):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def with_word(word: str) -> list[str]:
    """The command lines of all processes that contain ``word``."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [line] if word in (line := file.read_text()) else []
    return found


def test_the_gate_becomes_the_program() -> None:
    with process.Group(["sleep", "1000"]) as group:
        deadline = time.monotonic() + PATIENCE
        while Path(f"/proc/{group.pid}/comm").read_text() != "sleep\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no CONFIG_SCHED_AUTOGROUP")
def test_nice_counts_outside_our_session_too() -> None:
    show = "from harness import process; print(process.run(['cat', '/proc/self/autogroup']).stdout)"
    argv = ["nice", "-n", "7", sys.executable, "-c", show]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert told.split()[-2:] == ["nice", str(min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19))]


def test_programs_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="no-such-program is not installed"):
        process.run(["no-such-program"])
    with pytest.raises(HostFault, match=r"the folder .*/nowhere does not exist"):
        process.run(["true"], cwd=tmp_path / "nowhere")
    (tmp_path / "plain").touch()
    with pytest.raises(HostFault, match="Permission denied"):
        process.run([tmp_path / "plain"])


def test_arguments_are_passed_unchanged(tmp_path: Path) -> None:
    words = ["a b", "'", '"', "$HOME", "*", "\\", "", "-n", "\n"]
    said = process.run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words]).stdout
    assert said == f"{words}\n"


def test_a_relative_program_is_found_in_its_working_directory(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "here").chmod(0o755)
    assert process.run(["./here"], cwd=tmp_path).stdout == "found\n"


def test_input_reaches_the_program() -> None:
    assert process.run(["cat"], stdin="one\ntwo").stdout == "one\ntwo"


def test_a_service_outlives_the_interruption_of_what_threads_run() -> None:
    with (
        process.Group(["sleep", "1000"]) as running,
        process.Group(["sleep", "1000"], service=True) as service,
    ):
        process.interrupt_all()
        assert running.popen.wait(PATIENCE) == -signal.SIGINT
        assert service.popen.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            service.popen.wait(0.2)
