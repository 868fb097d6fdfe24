# SPDX-License-Identifier: GPL-2.0-only
"""Guests on a real kernel: how they come up, what they offer, how they end."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import PATIENCE

from harness import guest
from harness.errors import GuestFault
from harness.guest import GuestSpec, accel
from harness.progress import Progress

LOOK = """
import json, os, sys
print("FACTS", json.dumps({
    "release": os.uname().release,
    "name": os.uname().nodename,
    "uid": os.getuid(),
    "cwd": os.getcwd(),
    "mounts": [line.split()[1] for line in open("/proc/mounts")],
    "lo": open("/sys/class/net/lo/flags").read().strip(),
    "variable": os.environ.get("FROM_HOST"),
    "disks": sorted(os.listdir("/sys/block")),
}))
"""


@pytest.fixture
def spec(image: Path, tmp_path: Path) -> GuestSpec:
    kind, _ = accel.choose("auto", Progress(quiet=True))
    return GuestSpec(image=image, folder=tmp_path / "guests", accel=kind, cwd=tmp_path)


@pytest.fixture
def keeper(spec: GuestSpec) -> Iterator[guest.GuestHandle]:
    (keeper,) = guest.start(spec, 1)
    assert keeper.wait_up(spec.deadline)
    yield keeper
    keeper.end()


def over(keeper: guest.GuestHandle, seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while keeper.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    return keeper.poll() is not None


def shell(spec: GuestSpec, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one command in a guest, in a process of its own, for its standard output."""
    spec.save(spec.cwd / "spec.json")
    program = (
        "import sys; from pathlib import Path; from harness.guest import GuestSpec, shell\n"
        "sys.exit(shell(GuestSpec.load(Path(sys.argv[1])), sys.argv[2:]))"
    )
    argv = [sys.executable, "-c", program, str(spec.cwd / "spec.json"), *words]
    return subprocess.run(argv, text=True, capture_output=True, check=False)


def test_a_guest_offers_what_tests_expect(spec: GuestSpec, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(LOOK)
    (tmp_path / "disk").write_bytes(b"\0" * (1 << 20))
    more = {"disks": (tmp_path / "disk",), "environment": (("FROM_HOST", "ä b"),)}
    done = shell(guest_with(spec, **more), sys.executable, "look.py")
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout.partition("FACTS ")[2])
    assert facts["name"] == "guest0"
    assert facts["uid"] == 0
    assert facts["cwd"] == str(tmp_path)
    assert {"/", "/proc", "/sys", "/dev", "/run", "/tmp"} <= set(facts["mounts"])
    assert int(facts["lo"], 16) & 1, "the loopback device is down"
    assert facts["variable"] == "ä b"
    assert "vda" in facts["disks"]


def guest_with(spec: GuestSpec, **more: object) -> GuestSpec:
    return dataclasses.replace(spec, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [0, 7])
def test_a_commands_status_comes_through(spec: GuestSpec, status: int) -> None:
    done = shell(spec, "sh", "-c", f"echo said; exit {status}")
    assert done.returncode == status
    assert done.stdout == "said\n"


def test_the_host_keeps_its_files(spec: GuestSpec, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    script = f"echo x > {tmp_path}/own; echo y > shared/both; cat {tmp_path}/own"
    done = shell(guest_with(spec, writable=(shared,)), "sh", "-c", script)
    assert (shared / "both").read_text() == "y\n"
    assert not (tmp_path / "own").exists()
    assert "x" in done.stdout or done.returncode, "neither written nor refused"


def test_a_panic_is_told_with_its_trace(spec: GuestSpec) -> None:
    program = "open('/proc/sysrq-trigger', 'w').write('c')"
    done = shell(spec, sys.executable, "-c", program)
    assert "its kernel panicked" in done.stderr
    console = (spec.folder / "0" / "console.log").read_text(errors="replace")
    assert "Kernel panic - not syncing: sysrq triggered crash" in console


def test_late_and_alive_is_a_timeout_with_all_tasks_on_the_console(
    keeper: guest.GuestHandle,
) -> None:
    keeper.timeout()
    assert over(keeper)
    assert keeper.end().ended == "timeout"
    console = (keeper.folder / "console.log").read_text()
    assert "sysrq: Show State" in console
    assert "task:python" in console


def test_a_kernel_that_cannot_start_its_init(spec: GuestSpec) -> None:
    bad = guest_with(spec, python=Path("/no/such/python"), bundle=Path("/no/such/bundle"))
    assert ends(bad) == "panic"


def test_a_boot_over_its_deadline(spec: GuestSpec) -> None:
    # A root that never comes: the kernel waits for it for good.
    bad = guest_with(spec, append=("root=/dev/nothing", "rootwait", "rootfstype=ext4"))
    assert ends(guest_with(bad, boot_deadline=8.0 / spec.factor)) == "boot"


def ends(spec: GuestSpec) -> str:
    # Not through start(): its keepers run spec.python, which is what is wrong here.
    place = spec.folder / "0"
    place.mkdir(parents=True)
    spec.save(place / "spec.json")
    argv = [sys.executable, "-m", "harness.guest.keeper", str(place)]
    subprocess.run(argv, cwd=Path(guest.__file__).parents[2], check=True, timeout=PATIENCE)
    (keeper,) = guest.find(spec)
    return keeper.end().ended


def test_what_is_no_kernel_is_the_hosts_fault(spec: GuestSpec, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"no kernel" * 1000)
    (keeper,) = guest.start(guest_with(spec, image=tmp_path / "image", boot_deadline=3.0), 1)
    with pytest.raises(GuestFault):
        over(keeper)


def test_nothing_is_left_of_a_guest(keeper: guest.GuestHandle) -> None:
    living = (keeper.folder / "run").resolve()
    assert processes(living)
    assert keeper.end().ended == "done"
    assert not living.exists()
    assert wait_for(lambda: not processes(living))


def processes(mark: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.fsencode(mark) in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def wait_for(what: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()
