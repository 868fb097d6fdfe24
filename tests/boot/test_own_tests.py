# SPDX-License-Identifier: GPL-2.0-only
"""Anybody's tests on a kernel they have: `pytest --kernel IMAGE PATH`, with real crashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.model import Outcome, Test
from harness.results import journal

SUITE = """
import os, pathlib, time, pytest

def test_runs_in_a_guest():
    assert "harness" in pathlib.Path("/proc/version").read_text()

def test_fails():
    assert os.getpid() == 0

@pytest.mark.skip(reason="needs a disk")
def test_skipped():
    pass

def test_files(tmp_path):
    (tmp_path / "ä b").write_text("x")

@pytest.mark.parametrize("n", range(3))
def test_before(n):
    print("said", n)

def test_panics():
    pathlib.Path("/proc/sysrq-trigger").write_text("c")

def test_hangs():
    time.sleep(1000)

@pytest.mark.parametrize("n", range(3))
def test_after(n):
    pass

# The kernel hands all guests one hash seed, or they would not collect the same tests.
@pytest.mark.parametrize("name", {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"})
def test_of_a_set(name):
    if name == "delta":
        os._exit(1)

def test_variable():
    assert os.environ.get("GADGET") == "of the host"

def test_variable_left_behind():
    assert os.environ["GIZMO"]

def test_child_raises():
    # The child of a fork unwinds through pytest, too: its result is not the test's.
    pid = os.fork()
    if pid == 0:
        raise ValueError("in the child")
    os.waitpid(pid, 0)

def test_after_the_child():
    pass

def test_words_are_no_splat():
    with open("/dev/kmsg", "w") as log:
        log.write("BUG: KASAN: in my own words")
"""


def run(image: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--kernel", str(image)]
    argv += ["--guest-folder", str(folder / "out"), *words]
    environment = {**os.environ, "GADGET": "of the host", "GIZMO": "2"}
    return subprocess.run(
        argv, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def crashing(image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Test]:
    folder = tmp_path_factory.mktemp("own tésts")
    (folder / "test_own.py").write_text(SUITE)
    words = ("--guests", "2", "--test-timeout", "15", "--guest-env", "GADGET", "test_own.py")
    done = run(image, folder, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    return {test.id.split("::")[1]: test for test in journal.read(folder / "out")}


def test_a_panic_and_a_hang_cost_one_test_each(crashing: dict[str, Test]) -> None:
    bad = {name: test.outcome for name, test in crashing.items() if test.outcome.bad}
    assert bad == {
        "test_fails": Outcome.FAIL,
        "test_panics": Outcome.CRASH,
        "test_hangs": Outcome.TIMEOUT,
        "test_of_a_set[delta]": Outcome.CRASH,
        "test_variable_left_behind": Outcome.FAIL,
    }
    assert len(crashing) == 24


def test_a_variable_that_did_not_go_along_is_named(crashing: dict[str, Test]) -> None:
    test = crashing["test_variable_left_behind"]
    line = "GIZMO is set on this machine but not in the guest; pass it in with --guest-env GIZMO"
    assert line in test.message
    assert "--guest-env 'GADGET=of the host'" in test.reproduce


def test_a_panic_is_shown_with_its_console(crashing: dict[str, Test]) -> None:
    test = crashing["test_panics"]
    assert "sysrq triggered crash" in test.message
    assert [splat.kind for splat in test.splats] == ["panic"]
    assert "harness: start" in test.kernel_log


def test_a_hang_is_asked_what_it_is_at(crashing: dict[str, Test]) -> None:
    assert "sysrq" in crashing["test_hangs"].kernel_log


def test_output_of_a_test_is_kept(crashing: dict[str, Test]) -> None:
    assert "said 1" in crashing["test_before[1]"].output


def test_pytest_options_work_as_ever(image: Path, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(SUITE)
    done = run(image, tmp_path, "--guests", "1", "-k", "before or fails", "-x", "-q", "test_own.py")
    assert done.returncode == pytest.ExitCode.INTERRUPTED  # xdist's word for stopping at -x
    tests = {test.id.split("::")[1]: test.outcome for test in journal.read(tmp_path / "out")}
    assert set(tests) == {"test_fails", "test_before[0]", "test_before[1]", "test_before[2]"}
    assert tests["test_fails"] is Outcome.FAIL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kernel", "/no/such/image"), "/no/such/image does not exist"),
        (("--guests", "many"), "--guests: expected a whole number (1 or more) or auto"),
    ],
)
def test_what_cannot_be_is_said(
    image: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(image, tmp_path, *words, os.devnull)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert "Traceback" not in done.stderr


LEAK = """
import resource

def test_a_leaks():
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

def test_b_innocent(tmp_path):
    (tmp_path / "f").write_text("x")
"""


def test_a_guest_is_replaced_whose_limits_a_test_lowered(image: Path, tmp_path: Path) -> None:
    (tmp_path / "test_leak.py").write_text(LEAK)
    done = run(image, tmp_path, "--guests", "1", "test_leak.py")
    assert done.returncode == 0, done.stdout + done.stderr
    tests = {test.id.split("::")[1]: test.outcome for test in journal.read(tmp_path / "out")}
    assert tests == {"test_a_leaks": Outcome.PASS, "test_b_innocent": Outcome.PASS}
    assert "replaced: limits changed during " in (tmp_path / "out" / journal.NAME).read_text()


DISKS = """
from pathlib import Path

def test_disks():
    assert int(Path("/sys/block/vda/size").read_text()) * 512 == 8 << 20
    assert Path("/sys/block/nullb1").exists()
    assert not Path("/sys/block/nullb2").exists()
"""


def test_disks_are_files_or_null_blk(image: Path, tmp_path: Path) -> None:
    (tmp_path / "test_disks.py").write_text(DISKS)
    with (tmp_path / "scratch.img").open("wb") as disk:
        disk.truncate(8 << 20)
    disks = [
        word for disk in ("scratch.img", "null_blk", "null_blk") for word in ("--guest-disk", disk)
    ]
    done = run(image, tmp_path, "--guests", "1", *disks, "test_disks.py")
    assert done.returncode == 0, done.stdout + done.stderr
