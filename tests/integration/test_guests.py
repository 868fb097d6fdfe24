# SPDX-License-Identifier: GPL-2.0-only
"""Keepers and relays around a stand-in for virtme-run that replays a real boot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import seeds
from patience import PATIENCE

from harness import guest
from harness.errors import GuestFault
from harness.guest import GuestSpec
from harness.guest.machine import Machine
from harness.model import Accel

HERE = Path(__file__).parent
LOG = HERE.parent / "data" / "boot.log"
TEST = """
import os, time
def test_one():
    print("seen")
def test_slow():
    time.sleep(float(os.environ.get("SLOW", "0")))
"""


def spec_for(tmp_path: Path, mode: str, **more: object) -> GuestSpec:
    booter = (sys.executable, str(HERE / "fake_vng.py"), mode, str(LOG))
    (tmp_path / "image").touch()
    return GuestSpec(
        image=tmp_path / "image",
        folder=tmp_path / "guests",
        accel=Accel.KVM,
        cwd=tmp_path,
        booter=booter,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(autouse=True)
def _own_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What other runs on this machine leave is none of our business.  tmp_path must be there first,
    # or pytest's own folders move too.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        seeds.own_cache(tmp_path, monkeypatch)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield


def wait(what: Callable[[], object], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def alive(mark: Path) -> list[int]:
    """Give the processes that name ``mark`` in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.fsencode(mark) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def xdist(spec: GuestSpec, *words: str, workers: int = 1) -> subprocess.CompletedProcess[str]:
    file = spec.folder.parent / "guest-spec.json"
    spec.save(file)
    tx = f"popen//python={guest.relay_command(file)}"
    argv = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "no:cacheprovider", "-q"]
    argv += [
        "-c",
        os.devnull,
        "--rootdir",
        str(spec.cwd),
        "--dist",
        "load",
        *["--tx", tx] * workers,
    ]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*argv, *words], cwd=spec.cwd, env=environment, text=True, capture_output=True, check=False
    )


def test_a_worker_runs_behind_relay_keeper_and_port(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    spec = spec_for(tmp_path, "up")
    (keeper,) = guest.start(spec, 1)
    assert keeper.wait_up(PATIENCE)
    result = xdist(spec, "test_it.py")
    assert "2 passed" in result.stdout, result.stdout + result.stderr
    record = keeper.end()
    assert (record.name, record.ended, record.accel) == ("guest0", "done", "kvm")
    console = (keeper.folder / "console.log").read_text()
    assert " | [    2.000000] harness: up\n" in console
    assert "Linux version" in console


def test_two_guests_and_a_replacement(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "def test_it(n):\n    n == 3 and os._exit(3)\n"
    )
    spec = spec_for(tmp_path, "up")
    keepers = guest.start(spec, 2)
    result = xdist(spec, "test_it.py", workers=2)
    assert "1 failed, 5 passed" in result.stdout, result.stdout + result.stderr
    for keeper in keepers:
        keeper.end()
    ended = sorted(keeper.end().ended for keeper in guest.find(spec))
    assert ended == ["done", "done", "left"]


@pytest.mark.parametrize(
    ("mode", "ended", "up"),
    [("panic at boot", "panic", False), ("panic", "panic", True), ("vanish", "reset", True)],
)
def test_a_guest_that_ends_by_itself(tmp_path: Path, mode: str, ended: str, up: bool) -> None:
    (keeper,) = guest.start(spec_for(tmp_path, mode), 1)
    assert wait(keeper.poll)
    record = keeper.end()
    assert record.ended == ended
    assert (record.boot_seconds is not None) == up


def test_a_boot_that_does_not_end_is_the_kernels_fault(tmp_path: Path) -> None:
    # Its kernel says something in that time, or it would be the host's.
    (keeper,) = guest.start(spec_for(tmp_path, "hang at boot", boot_deadline=10.0), 1)
    assert wait(keeper.poll)
    assert keeper.end().ended == "boot"


@pytest.mark.parametrize(
    ("mode", "words", "seconds"),
    [("broken", "qemu: no such machine", PATIENCE), ("mute", "printed nothing", 1.0)],
)
def test_a_silent_boot_is_the_hosts_fault(
    tmp_path: Path, mode: str, words: str, seconds: float
) -> None:
    (keeper,) = guest.start(spec_for(tmp_path, mode, boot_deadline=seconds), 1)
    with pytest.raises(GuestFault) as caught:
        wait(keeper.poll)
    assert words in caught.value.what + caught.value.details


# Who answers has half a minute for it; who does not is not waited for so long.
@pytest.mark.parametrize(
    ("mode", "ended", "scale"), [("up", "timeout", 8.0), ("deaf", "hang", 1.0)]
)
def test_a_test_over_its_deadline_shows_what_the_guest_does(
    tmp_path: Path, mode: str, ended: str, scale: float
) -> None:
    spec = spec_for(tmp_path, mode, scale=scale)
    (keeper,) = guest.start(spec, 1)
    assert keeper.wait_up(PATIENCE)
    keeper.timeout()
    assert wait(keeper.poll)
    assert keeper.end().ended == ended
    asked = (keeper.folder / "console.log").read_text()
    assert ("asked for w" in asked and "asked for t" in asked) == (mode == "up")


def test_ending_early_leaves_nothing(tmp_path: Path) -> None:
    (keeper,) = guest.start(spec_for(tmp_path, "hang at boot"), 1)
    assert wait((keeper.folder / "console.log").exists)
    living = (keeper.folder / "run").resolve()
    assert keeper.end().ended == "done"
    assert keeper.end().ended == "done", "ending twice is no harm"
    assert not living.exists()
    assert not (keeper.folder / "run").is_symlink()
    assert wait(lambda: not alive(tmp_path))


def test_a_killed_keeper_leaves_no_program_and_sweep_removes_the_rest(tmp_path: Path) -> None:
    (keeper,) = guest.start(spec_for(tmp_path, "up"), 1)
    assert keeper.wait_up(PATIENCE)
    living = (keeper.folder / "run").resolve()
    assert alive(living)
    keeper.signal(signal.SIGKILL)
    assert wait(lambda: not alive(living))
    assert keeper.end().ended == "lost"
    assert living.exists()
    assert guest.sweep() >= 1
    assert not living.exists()


def test_sweep_keeps_living_guests(tmp_path: Path) -> None:
    (keeper,) = guest.start(spec_for(tmp_path, "up"), 1)
    assert keeper.wait_up(PATIENCE)
    guest.sweep()
    assert (keeper.folder / "run").resolve().exists()
    assert keeper.poll() is None
    assert keeper.end().ended == "done"


def test_a_killed_harness_ends_its_guests(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, "up")
    spec.save(tmp_path / "spec.json")
    program = (
        "import sys, time; from pathlib import Path; from harness.guest import *\n"
        "start(GuestSpec.load(Path(sys.argv[1])), 2); time.sleep(36_000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path / "spec.json"])
    assert wait(lambda: sum(keeper.up for keeper in guest.find(spec)) == 2)
    living = [(keeper.folder / "run").resolve() for keeper in guest.find(spec)]
    parent.kill()
    parent.wait()
    assert wait(lambda: not any(map(alive, living)))
    assert guest.sweep() == 2


def test_folders_with_spaces_and_umlauts(tmp_path: Path) -> None:
    odd = tmp_path / "Ä b, à la"
    odd.mkdir()
    (odd / "test_it.py").write_text(TEST)
    spec = spec_for(odd, "up")
    (keeper,) = guest.start(spec, 1)
    result = xdist(spec, "test_it.py")
    assert "2 passed" in result.stdout, result.stdout + result.stderr
    assert keeper.end().ended == "done"


def test_a_guests_clock_always_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.guest.machine.waiting", lambda _processes: 1e9)
    begin = time.monotonic()
    with Machine(["sleep", "600"], tmp_path, tmp_path / "log", begin) as machine:
        first, real = machine.waited, time.monotonic() - begin
        assert 0 < first < real
        monkeypatch.setattr("harness.guest.machine.waiting", lambda _processes: 0.0)
        assert machine.waited == first, "a thread that has ended takes nothing back"
