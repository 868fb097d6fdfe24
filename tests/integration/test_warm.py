# SPDX-License-Identifier: GPL-2.0-only
"""A program that is forked is what a program that is started would be."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import warm
from patience import PATIENCE

HARNESS = [sys.executable, "-m", "harness"]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-s", "-c", os.devnull]
Look = Callable[..., dict[str, Any]]

# What a process can say of itself; with WAIT it stays.
SUITE = """
import json, os, signal, sys, threading, time

def test_look():
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP)
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    fds = [int(n) for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]
    table = {
        "parent": os.getppid(),
        "leads": (os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid()),
        "cwd": os.getcwd(),
        "environment": {n: v for n, v in os.environ.items() if n != "PYTEST_CURRENT_TEST"},
        "argv": sys.argv,
        "path": sys.path,
        "threads": threading.active_count(),
        "signals": {kind.name: str(signal.getsignal(kind)) for kind in kinds},
        "streams": [(s.encoding, s.errors, s.line_buffering, s.mode) for s in streams],
        "umask": os.umask(0o22),
        "fds": len([n for n in fds if n > 2]),
    }
    with open("said.new", "w") as file:
        json.dump(table, file)
    os.rename("said.new", "said")
    if "WAIT" in os.environ:
        time.sleep(36_000)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "test_look.py").write_text(SUITE)
    return tmp_path


def start(module: ModuleType, place: Path, **words: Any) -> subprocess.Popen[str]:
    env = {**os.environ, "A": "ü", **words.pop("env", {})}
    argv = [*PYTEST, "--rootdir", str(place), "test_look.py"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process: subprocess.Popen[str] = module.Popen(
        argv, cwd=place, env=env, text=True, **streams, **words
    )
    assert getattr(process, "forked", False) == (module is warm)
    return process


def looked(module: ModuleType, place: Path, **words: Any) -> dict[str, Any]:
    process = start(module, place, **words)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    assert "1 passed" in out
    assert "warning" not in out
    table: dict[str, Any] = json.loads((place / "said").read_text())
    return table


@pytest.mark.parametrize("words", [{}, {"start_new_session": True}, {"process_group": 0}])
def test_it_is_as_if_started(place: Path, words: dict[str, Any]) -> None:
    forked, started = looked(warm, place, **words), looked(subprocess, place, **words)
    assert forked.pop("fds") == started.pop("fds") + 1, "the way to a nursery of its own"
    assert forked == started
    assert forked["parent"] == os.getpid()


@pytest.mark.parametrize("words", [["--version"], ["nonsense"], ["splats", "-"], []])
def test_what_it_says_and_its_status_are_the_same(place: Path, words: list[str]) -> None:
    said = b"[    1.0] WARNING: fs/configfs/dir.c:1 at configfs_rmdir+0x1/0x2\n"
    forked, started = (
        module.run([*HARNESS, *words], input=said, capture_output=True, cwd=place, check=False)
        for module in (warm, subprocess)
    )
    assert (forked.args, forked.returncode) == (started.args, started.returncode)
    for name in ("stdout", "stderr"):
        texts = (getattr(process, name) for process in (forked, started))
        first, second = (re.sub(rb"\d+\.\ds\b", b"SECONDS", text) for text in texts)
        assert first == second


def test_a_status_that_is_not_wanted_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError, match="exit status 129"):
        warm.run([*HARNESS, "nonsense"], capture_output=True, check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_and_its_nursery(place: Path, number: signal.Signals) -> None:
    process = start(warm, place, env={"WAIT": "1"})
    until(lambda: (place / "said").exists() or process.poll() is not None)
    nurseries = children(process.pid)
    assert nurseries
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == (2 if number is signal.SIGINT else -number), out
    assert "KeyboardInterrupt" in out or number is not signal.SIGINT
    until(lambda: not any(map(lives, nurseries)))


def children(parent: int) -> list[int]:
    words = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(word) for word in words]


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def until(there: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([sys.executable, "-c", "pass"], {}),
        ([sys.executable, "-X", "utf8", *HARNESS[1:], "--version"], {}),
        (["/bin/sh", "-c", ":"], {}),
        ([*HARNESS, "--version"], {"env": {**os.environ, "PYTHONHASHSEED": "1"}}),
        ([*HARNESS, "--version"], {"preexec_fn": lambda: None}),
        ([*HARNESS, "--version"], {"umask": 0o77}),
    ],
)
def test_what_a_fork_cannot_be_is_started(argv: list[str], words: dict[str, Any]) -> None:
    with warm.Popen(argv, stdout=subprocess.DEVNULL, **words) as process:
        assert not process.forked
    assert process.returncode == 0


def test_without_a_nursery_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours:
        monkeypatch.setattr(warm, "_nursery", warm.Nursery(ours, dict(os.environ)))
        with warm.Popen([*HARNESS, "--version"], stdout=subprocess.PIPE, text=True) as process:
            assert process.communicate()[0].startswith("harness ")
        assert not process.forked
