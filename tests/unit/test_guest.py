# SPDX-License-Identifier: GPL-2.0-only
"""What the guest stage decides without starting anything."""

from __future__ import annotations

import dataclasses
import io
import struct
import time
from pathlib import Path

import pytest

from harness.errors import HostFault, UsageError
from harness.guest import GuestSpec, initplan, qemu, records, relay_command
from harness.guest.console import (
    DRAIN,
    FAREWELL,
    LAST_WORDS,
    SILENCE,
    ConsoleWatch,
    Sign,
    Stamper,
    left,
    sign,
)
from harness.guest.handle import GuestHandle
from harness.guest.machine import waiting
from harness.model import Accel
from harness.options import parse_variables

KERNEL = b"[    0.000000] Linux version 7.2.13\n"
UP = b"[    2.000000] harness: up\n"
PANIC = b"[    2.100000] Kernel panic - not syncing: Attempted to kill init!\n"


@pytest.fixture
def spec(tmp_path: Path) -> GuestSpec:
    return GuestSpec(image=tmp_path / "bzImage", folder=tmp_path / "guests")


# -- the description ---------------------------------------------------------------------------


def test_a_spec_survives_its_file(spec: GuestSpec, tmp_path: Path) -> None:
    full = dataclasses.replace(
        spec,
        accel=Accel.KVM,
        cpus=3,
        disks=(tmp_path / "disk",),
        writable=(tmp_path,),
        vmlinux=tmp_path / "vmlinux",
        append=("a=b",),
        environment=(("A", "ä b"),),
        booter=("x", "y"),
    )
    for value in (spec, full):
        value.save(tmp_path / "deep" / "spec.json")
        assert GuestSpec.load(tmp_path / "deep" / "spec.json") == value


@pytest.mark.parametrize("text", ["", "{", "[]", '{"image": "x"}'])
def test_a_damaged_spec_is_a_clear_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(HostFault, match="is not a valid guest description"):
        GuestSpec.load(tmp_path / "spec.json")


def test_emulation_has_more_time_and_one_processor(spec: GuestSpec) -> None:
    fast = dataclasses.replace(spec, accel=Accel.KVM)
    assert spec.deadline > fast.deadline == fast.boot_deadline
    assert (spec.processors, fast.processors) == (1, 2)
    assert dataclasses.replace(spec, cpus=4).processors == 4
    assert dataclasses.replace(spec, scale=3.0).deadline == 3 * spec.deadline


# -- the command -------------------------------------------------------------------------------


def test_the_longest_wait_of_a_thread_counts(tmp_path: Path) -> None:
    for process, thread, text in (
        ("1", "1", "900 2000000000 7\n"),
        ("1", "2", "900 5000000000 7\n"),
        ("2", "2", "900 3000000000 7\n"),
        ("3", "3", ""),
    ):
        place = tmp_path / process / "task" / thread
        place.mkdir(parents=True)
        (place / "schedstat").write_text(text)
    assert waiting(tmp_path.iterdir()) == 5.0
    assert waiting([tmp_path / "ended"]) == 0.0


def test_a_guest_that_waits_for_a_processor_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    assert records.read_waited(folder) == 0.0
    assert not GuestHandle(folder).wait_up(0.0)
    records.write_waited(folder, 2.5)
    assert records.read_waited(folder) == 2.5


def test_accelerator_and_processors_reach_virtme(spec: GuestSpec, tmp_path: Path) -> None:
    words = qemu.argv(spec, "guest0", tmp_path, gateway=True)
    assert "--disable-kvm" in words
    assert words[words.index("--cpus") + 1] == "1"
    assert any(word.endswith("name=harness.0") for word in words)
    fast = dataclasses.replace(spec, accel=Accel.KVM)
    assert "--disable-kvm" not in qemu.argv(fast, "guest0", tmp_path, gateway=False)


def test_disks_and_shared_folders_reach_virtme(spec: GuestSpec, tmp_path: Path) -> None:
    more = dataclasses.replace(spec, disks=(tmp_path / "a b",), writable=(tmp_path,))
    words = qemu.argv(more, "guest0", tmp_path, gateway=False)
    assert f"a b={tmp_path}/a b" in words
    assert f"{tmp_path}={tmp_path}" in words
    assert qemu.mounts(more)[0][:2] == ("virtme.initmount0", str(tmp_path))


def test_a_disk_is_a_file_an_empty_one_or_the_kernels(spec: GuestSpec, tmp_path: Path) -> None:
    more = spec.with_disks(["null_blk", str(tmp_path / "a"), "2G", "null_blk"])
    assert more.disks == (tmp_path / "a",)
    assert more.empty_disks == (2048,)
    assert more.append == ("null_blk.nr_devices=2",)
    qemu.make_disks(more, tmp_path)
    words = qemu.argv(more, "guest0", tmp_path, gateway=False)
    disk = next(Path(word.partition("=")[2]) for word in words if word.startswith("empty0="))
    assert disk.stat().st_size == 2 << 30
    assert disk.stat().st_blocks == 0


def test_the_command_line_ends_with_our_init_in_quotes(spec: GuestSpec, tmp_path: Path) -> None:
    line = qemu.command_line(spec, tmp_path / "ä b" / "facts.json")
    assert f'init="{spec.python}" -- "-P" "-s" "-S" "' in line
    assert line.endswith(f'"{tmp_path}/ä b/facts.json" "-"')


def test_our_init_gets_the_bundle(spec: GuestSpec, tmp_path: Path) -> None:
    line = qemu.command_line(dataclasses.replace(spec, bundle=tmp_path), tmp_path / "facts.json")
    assert f'"-X" "pycache_prefix={tmp_path}/pyc"' in line
    assert line.endswith(f'"{tmp_path}/modules"')


def elf(*notes: tuple[bytes, int], machine: int = 62) -> bytes:
    """Give an ELF file with one segment of notes."""
    data = b"".join(
        struct.pack("<III", len(name), 2, kind)
        + name.ljust(-len(name) % 4 + len(name), b"\0")
        + b"ab\0\0"
        for name, kind in notes
    )
    head = struct.pack(
        "<16sHHIQQQIHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1
    )
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(data), len(data), 4)
    return head.ljust(64, b"\0") + segment + data


@pytest.mark.parametrize(
    ("content", "good"),
    [
        (elf((b"Linux\0", 257), (b"Xen\0", 6), (b"Xen\0", 18)), True),
        (elf((b"Linux\0", 257), (b"Xen\0", 6)), False),
        (elf((b"Xen\0", 18), machine=183), False),
        (elf((b"Xen\0", 18))[:100], False),
        (b"MZ", False),
    ],
)
def test_only_a_vmlinux_with_a_pvh_entry_is_booted(
    spec: GuestSpec, tmp_path: Path, content: bytes, good: bool
) -> None:
    (tmp_path / "vmlinux").write_bytes(content)
    words = qemu.argv(
        dataclasses.replace(spec, vmlinux=tmp_path / "vmlinux"), "guest0", tmp_path, gateway=False
    )
    assert ("-kernel" in words) == good


def test_own_arguments_come_late_enough_to_win(spec: GuestSpec, tmp_path: Path) -> None:
    line = qemu.command_line(dataclasses.replace(spec, append=("loglevel=3",)), tmp_path)
    assert line.index("loglevel=7") < line.index("loglevel=3") < line.index("init=")


@pytest.mark.parametrize(
    ("here", "asked", "seed"),
    [
        (None, (), "0"),
        ("5", (), "5"),
        ("random", (), "0"),
        ("4294967296", (), "0"),
        ("5", (("PYTHONHASHSEED", "7"),), "7"),
    ],
)
def test_all_guests_have_one_hash_seed(
    spec: GuestSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    here: str | None,
    asked: tuple[tuple[str, str], ...],
    seed: str,
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    if here is not None:
        monkeypatch.setenv("PYTHONHASHSEED", here)
    one = dataclasses.replace(spec, environment=asked)
    before, _, init = qemu.command_line(one, tmp_path).partition(" -- ")
    assert f" PYTHONHASHSEED={seed} " in before
    assert '"-I"' not in init, "Python would not look at it"
    assert '"-E"' not in init
    assert initplan.environment(one, "guest0")["PYTHONHASHSEED"] == seed


def test_variables_are_passed_to_guests(spec: GuestSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GADGET", "here")
    monkeypatch.delenv("GIZMO", raising=False)
    given = parse_variables(["GADGET", "A=", "B=x=y", "B=z"])
    assert given == (("GADGET", "here"), ("A", ""), ("B", "z"))
    seen = initplan.environment(dataclasses.replace(spec, environment=given), "guest0")
    assert (seen["GADGET"], seen["A"], seen["B"]) == ("here", "", "z")
    assert "GADGET" not in initplan.environment(spec, "guest0")


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("GIZMO", "GIZMO is not set", "to set it in the guests: --guest-env GIZMO=VALUE"),
        ("=x", "is not a valid variable name", "--guest-env NAME=x"),
        ("", "is not a valid variable name", "--guest-env NAME"),
        ("MY VAR=a b", "'MY VAR' is not a valid variable name", "--guest-env 'MY_VAR=a b'"),
        ("2ND=", "'2ND' is not a valid variable name", "--guest-env _2ND="),
        ("A-B", "'A-B' is not a valid variable name", "--guest-env A_B"),
        ("\u00e4=1", "is not a valid variable name", "--guest-env _=1"),
    ],
)
def test_invalid_variables_are_rejected(
    monkeypatch: pytest.MonkeyPatch, word: str, said: str, hint: str
) -> None:
    monkeypatch.delenv("GIZMO", raising=False)
    monkeypatch.setenv("A-B", "there all the same")
    with pytest.raises(UsageError, match=said) as caught:
        parse_variables([word])
    assert caught.value.hint == hint


@pytest.mark.parametrize(("name", "words"), [('a"b', "cannot pass"), ("x" * 3000, "bytes")])
def test_impossible_command_lines_are_rejected(spec: GuestSpec, name: str, words: str) -> None:
    with pytest.raises(HostFault, match=words):
        qemu.command_line(spec, Path("/") / name)


def test_the_relay_command_needs_no_site_and_is_quoted(tmp_path: Path) -> None:
    words = relay_command(tmp_path / "a b.json", Path("/usr/bin/python3"))
    assert words.startswith("/usr/bin/python3 -I -S ")
    assert words.endswith(f"'{tmp_path}/a b.json'")


# -- the console -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (b"qemu-system-x86_64: warning: host lacks x2apic\n", Sign.NOTHING),
        (b"Linux version 7.2.13 (x@y)\n", Sign.KERNEL),
        (KERNEL, Sign.KERNEL),
        (b"half a line of a program[   12.345678] tsc: fine\n", Sign.KERNEL),
        (UP, Sign.UP),
        (PANIC, Sign.PANIC),
        (b"[   10.000000] sysrq: Show Blocked State\n", Sign.SYSRQ),
        (b"[    9.1] harness: left with status 3\n", Sign.LEFT),
    ],
)
def test_signs(line: bytes, meaning: Sign) -> None:
    assert sign(line) is meaning


def test_the_exit_status_of_the_job() -> None:
    assert left(b"[    9.1] harness: left with status 37\n") == 37


def test_every_line_is_stamped_once_in_whatever_pieces_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)
    file = io.BytesIO()
    stamper = Stamper(file, begin=10.0)
    for piece in (b"on", b"e\r\r\ntw", b"o\r\n", b"\xff\n"):
        stamper.write(piece)
    assert file.getvalue() == b"".join(
        b"     2.500 | " + line + b"\n" for line in (b"one", b"two", b"\xff")
    )


def test_the_beginning_and_the_end_of_a_flood_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 12.5)
    monkeypatch.setattr("harness.guest.console.TAIL", 200)
    path = tmp_path / "console.log"
    stamper = Stamper(path.open("wb"), begin=10.0, limit=100)
    for number in range(100):
        stamper.write(b"line %d\n" % number)
    stamper.close()
    text = path.read_text()
    assert text.startswith("     2.500 | line 0\n     2.500 | line 1\n")
    assert text.endswith("     2.500 | line 98\n     2.500 | line 99\n")
    assert "\n(cut: " in text
    assert len(text) < 100 + 3 * 200


# -- what becomes of a guest -------------------------------------------------------------------


def test_a_guest_that_ends_normally() -> None:
    watch = ConsoleWatch(deadline=10, factor=1)
    watch.line(KERNEL, 0.5)
    watch.line(UP, 2.0)
    assert not watch.tick(100)
    watch.line(b"[    9.1] harness: left with status 0\n", 101)
    assert not watch.tick(101 + FAREWELL / 2)
    assert watch.tick(102 + FAREWELL)
    assert (watch.end(), watch.boot_seconds, watch.status) == ("done", 2.0, 0)


@pytest.mark.parametrize(
    ("status", "words"), [(139, "killed by SIGSEGV"), (3, "with status 3"), (255, "status 255")]
)
def test_a_worker_that_died_has_left(status: int, words: str) -> None:
    watch = ConsoleWatch(10, 1)
    watch.line(UP, 2.0)
    watch.line(f"[    9.1] harness: left with status {status}\n".encode(), 3.0)
    watch.gone(0, "")
    assert watch.end() == "left"
    assert words in watch.note


@pytest.mark.parametrize(
    ("status", "said", "ended", "note"),
    [
        (0, "", "reset", ""),
        (-9, "", "lost", "killed by SIGKILL"),
        (1, "qemu: bus error\n", "lost", "status 1"),
        (0, "qemu-system-x86_64: terminating on signal 15 from pid 7\n", "lost", "signal 15"),
    ],
)
def test_a_machine_that_powers_off_differs_from_one_that_is_killed(
    status: int, said: str, ended: str, note: str
) -> None:
    watch = ConsoleWatch(10, 1)
    watch.line(UP, 1.0)
    watch.gone(status, said)
    assert watch.end() == ended
    assert note in watch.note


def test_a_guest_that_is_killed_while_it_boots_is_lost_too() -> None:
    killed, off = ConsoleWatch(10, 1), ConsoleWatch(10, 1)
    for watch in (killed, off):
        watch.line(KERNEL, 1.0)
    killed.gone(-9, "")
    off.gone(0, "")
    assert (killed.end(), off.end()) == ("lost", "boot")


def test_a_boot_over_its_deadline() -> None:
    watch = ConsoleWatch(10, 1)
    watch.line(KERNEL, 1.0)
    assert not watch.tick(10.0)
    assert watch.tick(10.1)
    assert watch.end() == "boot"


@pytest.mark.parametrize("booted", [True, False])
def test_a_panic_wins_over_what_comes_with_it(booted: bool) -> None:
    watch = ConsoleWatch(10, 1)
    if booted:
        watch.line(UP, 1.0)
    watch.line(PANIC, 2.0)
    watch.over(2.1)
    assert not watch.tick(2.1 + DRAIN / 2)
    assert watch.tick(2.2 + DRAIN)
    assert watch.end() == "panic"


def test_a_guest_that_disappears_silently() -> None:
    watch = ConsoleWatch(10, 1)
    assert ConsoleWatch(10, 1).end() == "boot"
    watch.line(UP, 1.0)
    assert watch.end() == "lost"


def test_late_and_answering_is_a_timeout() -> None:
    watch = ConsoleWatch(10, 2)
    watch.line(UP, 1.0)
    assert watch.late(50.0)
    watch.line(b"[   50.000000] sysrq: Show State\n", 50.5)
    watch.line(b"[   50.000000] task:python\n", 51.0)
    assert not watch.tick(51.0 + SILENCE)
    assert watch.tick(51.1 + 2 * SILENCE)
    assert watch.end() == "timeout"


def test_late_and_deaf_is_a_hang() -> None:
    watch = ConsoleWatch(10, 1)
    watch.line(UP, 1.0)
    assert watch.late(50.0)
    assert not watch.tick(50.0 + LAST_WORDS / 2)
    assert watch.tick(50.1 + LAST_WORDS)
    assert watch.end() == "hang"


def test_a_guest_that_is_ending_is_not_asked() -> None:
    watch = ConsoleWatch(10, 1)
    watch.line(PANIC, 1.0)
    assert not watch.late(1.1)
    assert watch.end() == "panic"
