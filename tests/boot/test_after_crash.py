# SPDX-License-Identifier: GPL-2.0-only
"""What stays after a failure: a dump of the memory, a guest that can be entered."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from patience import PATIENCE

SUITE = """
import ctypes, os, time
from pathlib import Path

def blocks():
    # The parent of a vfork() cannot be interrupted until its child is done.
    pid = os.fork()
    if pid == 0:
        ctypes.PyDLL(None).vfork()
        time.sleep(1000)
    end = time.monotonic() + 100
    while ") D " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)

def test_crash():
    blocks()
    Path("/proc/sysrq-trigger").write_text("c")

def test_next():
    pass
"""


def session(image: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_dies.py").write_text(SUITE)
    argv = [sys.executable, "-m", "pytest", "--kernel", str(image), "--guests", "1", "--retry", "0"]
    argv += ["-p", "no:cacheprovider", "--guest-folder", str(folder / "out"), *words]
    return subprocess.run(
        [*argv, "test_dies.py"],
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
        start_new_session=True,  # without a terminal
    )


def test_a_panic_leaves_a_dump(image: Path, tmp_path: Path) -> None:
    done = session(image, tmp_path, "--vmcore")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    (dump,) = (tmp_path / "out" / "guests").glob("*/vmcore")
    with dump.open("rb") as file:
        assert file.read(4) == b"\x7fELF"
    assert dump.stat().st_size > 512 << 20
    # What drgn finds: who panicked and where, who waits for what, and the log itself.
    text = dump.with_name("vmcore.txt").read_text()
    head = re.compile(r"panic in python[\d.]*/\d+ on CPU 0: sysrq_handle_crash < __handle_sysrq")
    assert head.match(text), text[:2000]
    assert "drivers/tty/sysrq.c:" in text
    _, blocked, rest = text.partition("tasks are blocked (state D)")
    assert blocked, text[:2000]
    stack, _, log = rest.partition("kernel log, from memory:")
    assert re.search(r"^blocked: python[\d.]*/\d+$", stack, re.MULTILINE), text[:2000]
    assert "kernel/fork.c:" in stack, stack  # where a vfork()'s parent waits for its child
    assert "Linux version 7.2" in log
    assert "Kernel panic - not syncing: sysrq triggered crash" in log
    assert str(dump) in done.stdout
    assert head.search(done.stdout)


HELD = """
from pathlib import Path

def test_fails():
    Path("/run/state").write_text("as " + "it was")
    assert 1 == 2

def test_crash():
    Path("/proc/sysrq-trigger").write_text("c")

def test_next():
    assert Path("/run/state").exists() is False
"""


def test_a_held_guest_is_entered_from_the_terminal(image: Path, tmp_path: Path) -> None:
    (tmp_path / "test_held.py").write_text(HELD)
    words = ["-m", "pytest", "--kernel", str(image), "--retry", "0", "-p", "no:cacheprovider"]
    words += ["--color=no", "--hold", "--guest-folder", str(tmp_path / "out"), "test_held.py"]
    child = pexpect.spawn(
        sys.executable, words, cwd=str(tmp_path), timeout=PATIENCE, encoding="utf-8"
    )
    with (tmp_path / "said").open("w") as child.logfile_read:
        child.expect("guest0 is held: .*test_fails failed in its call: assert 1 == 2")
        child.expect("type exit")
        child.sendline("cat /run/state; id -u")
        child.expect("as it was")
        child.sendline("exit")
        child.expect("guest0 is held: its kernel panicked")
        child.expect("(gdb [^\r\n]*)")
        command = str(child.match[1])
        child.expect("Enter")
        # The stub speaks gdb's protocol: asked why the machine stopped it names a signal.
        assert stub(command.split()[-1].rstrip("'")).startswith(b"+$T")
        child.sendline("")
        child.expect("2 failed, 1 passed")
        child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


def stub(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(path)
        sock.sendall(b"+$?#3f")
        said = b""
        while len(said) < 3:
            said += sock.recv(100)
        return said


@pytest.mark.nightly
def test_holding_without_a_terminal_has_an_end(image: Path, tmp_path: Path) -> None:
    done = session(image, tmp_path, "--hold-for", "1")
    assert "guest0 is held: its kernel panicked" in done.stdout
    assert "held for 1 s" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_holding_until_enter_needs_a_terminal(image: Path, tmp_path: Path) -> None:
    done = session(image, tmp_path, "--hold")
    assert done.returncode == 4
    assert "--hold-for SECONDS" in done.stderr
