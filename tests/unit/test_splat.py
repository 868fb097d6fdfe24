# SPDX-License-Identifier: GPL-2.0-only
"""Splats in logs; tests/data/splats/README.md says which logs are real kernels'."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.model import Splat
from harness.serial import from_json, to_json
from harness.splat import find
from harness.splat.blame import blame
from harness.splat.headline_search import HEADLINES, begins, candidates
from harness.splat.prefix import clean_text, messages

DATA = Path(__file__).parents[1] / "data"
LOGS = DATA / "splats"
EXPECTED = json.loads((LOGS / "expected.json").read_text())
FIRST = "[    1.000000] Linux version 7.2.13\n"


def titles(text: str) -> list[str]:
    return [splat.title for splat in find(text.split("\n"))]


def log(name: str) -> str:
    return (LOGS / name).read_text()


def plain(line: str) -> str:
    """A line without ANSI colours, carriage returns and stamps."""
    return "".join(message.text for message in messages(clean_text(line).rstrip("\n")))


def bare(text: str) -> str:
    return "\n".join(plain(line) for line in text.split("\n"))


def every_line(function: Callable[[int, str], str]) -> Callable[[str], str]:
    return lambda text: "\n".join(function(n, line) for n, line in enumerate(text.split("\n")))


def without_own(line: str) -> str:
    return re.sub(r"^ *\d+\.\d{3} \| ", "", line)


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "without stamps": bare,
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "colours": every_line(lambda n, line: f"\x1b[3{n % 8}m{line}\x1b[0m"),
    "console.log": every_line(lambda n, line: f"{n:10.3f} | {without_own(line)}"),
    "dmesg -r": every_line(lambda n, line: "<4>" + without_own(line)),
    "dmesg -x": every_line(lambda n, line: "kern  :warn  : " + without_own(line)),
    "dmesg -T": every_line(lambda n, line: f"[Sat Nov 21 02:07:00 2026] {plain(line)}"),
    "journal": every_line(lambda n, line: f"Nov 21 02:07:00 myhost kernel: {plain(line)}"),
    "journal, iso": every_line(
        lambda n, line: f"2026-11-21T02:07:00+0000 myhost kernel: {plain(line)}"
    ),
    "date in brackets": every_line(
        lambda n, line: f"[2026-11-21T02:07:00.123Z] {without_own(line)}"
    ),
    "date in brackets, no stamps": every_line(
        lambda n, line: f"[2026-11-21T02:07:00.123Z] {plain(line)}"
    ),
    "date with slashes": every_line(lambda n, line: f"2026/11/21 02:07:00 {plain(line)}"),
    "a clock of twelve hours": every_line(lambda n, line: f"11/21/2026 02:07:00 AM {plain(line)}"),
    "a syslog in which the kernel has a process": every_line(
        lambda n, line: f"Nov 21 02:07:00 myhost kernel[0]: {plain(line)}"
    ),
    "date, time and host": every_line(
        lambda n, line: f"2026-11-21 02:07:00 myhost kernel: {plain(line)}"
    ),
    "ci": every_line(lambda n, line: f"2026-11-21T02:07:00.1234567Z {without_own(line)}"),
    "program output before each line": every_line(
        lambda n, line: f"some output {without_own(line)}"
    ),
    "a prompt before each line": every_line(lambda n, line: f"myhost login: {bare(line)}"),
    "program output between": every_line(lambda n, line: f"WARNING: hello\n{line}\nBUG: in here"),
    "a mail's quote": every_line(lambda n, line: f"> {bare(line)}".rstrip()),
    "a commit's message": every_line(lambda n, line: f"    {bare(line)}".rstrip()),
    "journalctl -o json": every_line(
        lambda n, line: json.dumps(
            {"_TRANSPORT": "kernel", "MESSAGE": plain(line), "PRIORITY": "4"}
        )
    ),
    "journalctl -o short-monotonic": every_line(
        lambda n, line: f"[    7.{n:06}] myhost kernel: {plain(line)}"
    ),
    "journalctl -o short-full": every_line(
        lambda n, line: f"Sat 2026-11-21 02:07:00 UTC myhost kernel: {plain(line)}"
    ),
    "journalctl -o short-unix": every_line(
        lambda n, line: f"1763690820.{n:06} myhost kernel: {plain(line)}"
    ),
    "dmesg -J": every_line(lambda n, line: f'         "msg": {json.dumps(plain(line))}'),
    "dmesg --time-format=iso": every_line(
        lambda n, line: f"2026-11-21T02:07:00,{n:06}+00:00 {plain(line)}"
    ),
    "/dev/kmsg": every_line(lambda n, line: f"4,{n},{7000000 + n},-;{plain(line)}"),
    "netconsole": every_line(
        lambda n, line: f"7.2.13,4,{n},{7000000 + n},-,caller=T1;{plain(line)}"
    ),
    "syslog, rfc 5424": every_line(
        lambda n, line: f"<4>1 2026-11-21T02:07:00.000Z host kernel - - - {without_own(line)}"
    ),
    "logread": every_line(
        lambda n, line: f"Sat Nov 21 02:07:00 2026 kern.warn kernel: {without_own(line)}"
    ),
    "ramoops": lambda text: (
        "Oops#1 Part1\n" + every_line(lambda n, line: f"<4>{without_own(line)}")(text)
    ),
    "indented": every_line(lambda n, line: f"    {without_own(line)}"),
    "dmesg --color": every_line(
        lambda n, line: f"[    7.{n:06}] \x1b[33m{plain(line)[:5]}\x1b[0m{plain(line)[5:]}"
    ),
    "caller": every_line(lambda n, line: re.sub(r"(\[ *\d+\.\d+\])(?!\[) ", r"\1[   T12] ", line)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_corpus_in_each_form(name: str, form: str) -> None:
    text = log(name)
    if form.startswith("program output") and not re.search(r"\[ *\d+\.\d{6}\]", text):
        pytest.skip("only stamps tell the kernel's lines from a program's")
    assert titles(FORMS[form](text)) == [title for _, title in EXPECTED[name]]


@pytest.mark.parametrize("name", EXPECTED)
def test_kinds(name: str) -> None:
    assert [splat.kind for splat in find(log(name).split("\n"))] == [k for k, _ in EXPECTED[name]]


def test_every_log_of_the_corpus_has_expected_splats() -> None:
    found = {str(path.relative_to(LOGS)) for path in LOGS.glob("*/*")}
    assert found == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_splat_is_json_and_back(name: str) -> None:
    splats = find(log(name).split("\n"))
    assert from_json(tuple[Splat, ...], json.loads(json.dumps(to_json(splats)))) == splats


@pytest.mark.parametrize("name", EXPECTED)
def test_the_fingerprint_is_stable_over_addresses_and_offsets(name: str) -> None:
    def shift(found: re.Match[str]) -> str:
        return f"+0x{int(found[1], 16) + 32:x}/0x{int(found[2], 16) + 64:x}"

    moved = re.sub(r"\+0x([0-9a-f]+)/0x([0-9a-f]+)", shift, log(name))
    moved = re.sub(r"\bffff([89])", r"fffe\1", moved)
    before = [splat.fingerprint for splat in find(log(name).split("\n"))]
    assert [splat.fingerprint for splat in find(moved.split("\n"))] == before
    assert all(len(one) == 16 for one in before)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_truncated_log_is_read(name: str) -> None:
    text = log(name)
    for end in range(0, len(text), max(len(text) // 40, 1)):
        find(text[:end].split("\n"))
        find(text[end:].split("\n"))


def test_all_fields_of_a_splat() -> None:
    (splat,) = find(log("written/kasan-uaf.log").split("\n"))
    assert splat.function == "nvmet_port_release"
    assert (splat.access, splat.size, splat.address) == ("read", 8, "0xffff888012345678")
    assert (splat.task, splat.cpu, splat.taint) == ("rmdir/123", 1, "GW")
    assert splat.frames[3:5] == (
        "nvmet_port_release+0x12/0x80 [nvmet]",
        "config_item_put+0x5c/0x90",
    )
    assert splat.alloc_stack[3] == "nvmet_ports_make+0x41/0x210 [nvmet]"
    assert splat.free_stack[-1] == "nvmet_port_drop+0x22/0x40 [nvmet]"
    assert (splat.line, splat.test) == (3, "t/test_a.py::test_rmdir")
    assert splat.lines[0].startswith("BUG: KASAN")
    assert splat.raw[0].startswith("[   12.000002][  T123] BUG: KASAN")
    assert not any("nsid 1" in line for line in splat.lines)  # another task's


CALL = re.compile(r"(?P<name>[\w.$]+)\+0x[0-9a-f]+/0x[0-9a-f]+")
FRAME = re.compile(r"(?P<before>.*?)(?P<blanks>[ \t]+)(?:\? )?(?:\[<[0-9a-f]+>\] )?" + CALL.pattern)


def decoded_by_syzbot(text: str) -> str:
    """Each frame with its place, and three inlined functions before it."""
    lines: list[str] = []
    for line in text.split("\n"):
        frame = FRAME.match(line)
        if frame is None or ": " in line or " at" in line or "/0x" not in line:
            lines.append(line)
            continue
        inlined = f"{frame['before']}{frame['blanks']}inlined_{{}} fs/a-b/c.h:{{}} [inline]"
        lines += [inlined.format(n, n) for n in range(3) if "? " not in line]
        lines.append(f"{line} fs/a-b/c.c:12")
    return "\n".join(lines)


def decoded_by_script(text: str) -> str:
    """Places instead of offsets, as scripts/decode_stacktrace.sh prints them."""
    return CALL.sub(r"\g<name> (fs/a-b/c.h:7 (discriminator 3) ./fs/c.c:12)", text)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_decoded_log_has_the_same_titles_and_fingerprints(name: str) -> None:
    def identities(text: str) -> list[tuple[str, str]]:
        return [(one.title, one.fingerprint) for one in find(text.split("\n"))]

    raw = log(name)
    assert identities(decoded_by_syzbot(raw)) == identities(raw)
    assert identities(decoded_by_script(raw)) == identities(raw)


def test_modules() -> None:
    splats = find(log("written/kasan-others.log").split("\n"))
    assert splats[2].modules == ("nvmet", "configfs")


def test_the_panic_a_fault_leads_to_is_part_of_it() -> None:
    splats = find(log("written/kasan-others.log").split("\n"))
    assert [splat.panic for splat in splats] == ["", "", "Fatal exception"]


def test_a_splat_of_one_line_does_not_end_the_report_that_it_interrupts() -> None:
    lines = log("written/stalls.log").split("\n")
    at = next(n for n, line in enumerate(lines) if "Call Trace:" in line) + 2
    clock = lines[at].split("]")[0]
    waits = f"{clock}] unregister_netdevice: waiting for lo to become free. Usage count = 6"
    alone = [(splat.title, splat.frames) for splat in find(lines)]
    both = [(splat.title, splat.frames) for splat in find([*lines[:at], waits, *lines[at:]])]
    assert ("unregister_netdevice: waiting for DEV to become free", ()) in both
    assert [splat for splat in both if splat in alone] == alone


def test_processors_that_report_at_once_are_separated_by_the_caller() -> None:
    uaf = log("written/kasan-uaf.log").split("\n")
    other = [
        re.sub(r"^(\[.*?\])", r"\1[   T99]", line)
        for line in log("written/warnings.log").split("\n")
    ]
    mixed = [line for pair in zip(uaf, other[: len(uaf)], strict=False) for line in pair]
    both = find(mixed)
    assert [splat.title for splat in both][:3] == [
        "WARNING: refcount bug in config_item_put",
        "KASAN: slab-use-after-free Read in nvmet_port_release",
        "BUG: corrupted list in nvmet_referral_disable",
    ]
    assert both[1].free_stack[-1] == "nvmet_port_drop+0x22/0x40 [nvmet]"


def test_a_splat_belongs_to_the_test_before_it() -> None:
    warn = "[    {}.0] WARNING: fs/a.c:1 at f{}+0x1/0x2"
    text = "\n".join(
        [
            warn.format(1, 1),
            "[    2.000000] harness: start t.py::a[x y]",
            warn.format(3, 2),
            "[    4.000000] harness: end t.py::a[x y]",
            warn.format(5, 3),
            "harness: start a program says so",
            "[    6.000000] harness: start t.py::b",
            warn.format(7, 4),
        ]
    )
    assert [(splat.test, splat.phase) for splat in find(text.split("\n"))] == [
        ("boot", "boot"),
        ("t.py::a[x y]", "during"),
        ("t.py::a[x y]", "after"),
        ("t.py::b", "during"),
    ]
    (alone,) = find([warn.format(1, 1)], "t.py::c")
    assert (alone.test, alone.phase) == ("t.py::c", "during")


@pytest.mark.parametrize(
    ("lines", "title"),
    [
        # The serial port lost the start of a stamp, or the rest of a line.
        ("4.000001] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2", "KASAN: slab-out-of-bounds in f"),
        (
            "[    1.000001] BUG: KASAN: slab-out-of-bounds in nvme\n"
            "[    1.000002] Read of size 8 at addr ffff888012345678 by task a/1\n"
            "[    1.000003] Call Trace:\n"
            "[    1.000004]  nvmet_show+0x1/0x2",
            "KASAN: slab-out-of-bounds Read in nvme",
        ),
        (
            "BUG: KASAN: slab-out-of-bounds in searches+0xf1/0x1b0\n"
            "Read of size 1 at addr ffff88801bd9aff8 by task ls/99",
            "KASAN: slab-out-of-bounds Read in searches",
        ),
        (
            "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected\n"
            "a/12 [HC0[0]:SC0[2]:HE1:SE0] is trying to acquire:\n"
            "ffff888012345678 (&b->lock){+.+.}-{3:3}, at: takes_it+0x1/0x2",
            "possible deadlock in takes_it",
        ),
        (
            "BUG: looking up invalid subclass: 9\n"
            "CPU: 0 UID: 0 PID: 12 Comm: a Not tainted 6.12.0 #1\n"
            "Call Trace:\n look_up_lock_class+0x1/0x2\n register_lock_class+0x1/0x2\n"
            " nests_deep+0x1/0x2",
            "BUG: looking up invalid subclass in nests_deep",
        ),
        # A new message of the kernel that nobody has seen yet.
        (
            "[    1.000001] BUG: something new happened: 12\n"
            "[    1.000003] CPU: 0 UID: 0 PID: 7 Comm: a Not tainted 7.2.13 #1\n"
            "[    1.000003] Call Trace:\n"
            "[    1.000004]  culprit+0x1/0x2",
            "BUG: something new happened in culprit",
        ),
        (
            "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
            "kernel panic: VFS: Unable to mount root fs on unknown-block(NUM,NUM)",
        ),
        ("[    1.000001] WARNING: at f+0x1/0x2, CPU#1: a/7", "WARNING in f"),
        (
            "Out of memory: Killed process 12 (a b) total-vm:1kB",
            "Out of memory: Killed process (a b)",
        ),
    ],
)
def test_odd_forms(lines: str, title: str) -> None:
    assert titles(lines) == [title]


@pytest.mark.parametrize(
    "line",
    [
        "ACPI: BIOS bug: incorrect, WARNING in my words",
        "Kernel command line: panic=-1 oops=panic debug",
        "ERST: Error Record Serialization Table support",
        "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
        "rcu: rcu_preempt kthread starved for 12 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5)",
        "BUG: KASAN: in my own words",
        "BUG: KASAN: use-after-free in nothing",
        "BUG: I think",
        "WARNING: my own words, BUG: not one",
        "WARNING: Flushing system-wide workqueues will be prohibited in near future.",
        "INFO: task is done",
        "test_kernel_BUG at fs/a.c:1! is a name",
        "the kernel panic - not syncing is what we want",
        "kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)",
        "a[12]: segfault at 0 ip 00000000 sp 00000000 error 4 in a[400000+1000]",
        "Bluetooth: Unable to handle this",
        "Oops, I did it again",
        "see the report at gadget: Closes [#12]",
        "cat (pid 12): left early (code 1)",
        "a driver's dump, no fault: CPU: 1 PID: 77 Comm: cat Not tainted 6.8.0 #1",
        "usb 5-1: WARNING: this driver is incomplete, don't expect anything to work!",
        "",
    ],
)
def test_ordinary_lines_are_not_splats(line: str) -> None:
    assert titles(f"{FIRST}[    1.000000] {line}\n[    1.000000] and more") == []
    assert titles(line) == []


@pytest.mark.parametrize("name", ["written/warnings.log", "written/kasan-others.log"])
def test_lines_of_a_program_are_not_splats(name: str) -> None:
    shown = bare(log(name))
    assert titles(f"{FIRST}{shown}") == []
    journal = "\n".join(f"Nov 21 02:07:00 host python3[12]: {line}" for line in shown.split("\n"))
    assert titles(journal) == []


def test_a_splat_that_a_program_prints_again_with_stamps_counts_once() -> None:
    text = log("written/kasan-others.log")
    assert len(titles(text + text)) == 3


def test_a_boot_has_no_splats() -> None:
    assert titles((DATA / "boot.log").read_text()) == []


def test_many_tasks_that_never_finish_their_report() -> None:
    text = "".join(
        f"[    1.{n:06}][{f'T{n}':>6}] BUG: sleeping function called from invalid "
        f"context at a.c:{n}\n"
        for n in range(3000)
    )
    assert len(titles(text)) == 3000


def test_a_programs_words_about_a_kernel_do_not_hide_the_kernels() -> None:
    text = "my kernel: works\nWARNING: fs/a.c:1 at f+0x1/0x2\n"
    assert titles(text) == ["WARNING in f"]
    assert titles(f"Nov 21 02:07:00 host kernel: hello\n{text}") == []


def test_a_flood_without_a_newline() -> None:
    text = "x" * 1_000_000 + "[    1.000001] WARNING: fs/a.c:1 at f+0x1/0x2\n\0\x00\xff"
    assert titles(text) == ["WARNING in f"]


@pytest.mark.parametrize("word", ["x", "Kernel panic - not syncing: ", "\0", "\r", "\x1b]"])
def test_a_line_that_is_longer_than_a_piece_counts_once(word: str) -> None:
    flood = word * (2_500_000 // len(word))
    text = f"hello\n[    1.000000] x\n{flood}\n[    1.000001] WARNING: fs/a.c:1 at f+0x1/0x2\n"
    assert [(one.title, one.line) for one in find(io.StringIO(text))] == [("WARNING in f", 4)]


def test_a_file_gives_the_same_splats_as_its_lines() -> None:
    for name in EXPECTED:
        assert find(io.StringIO(log(name))) == find(log(name).split("\n"))


@pytest.mark.parametrize("word", ["Out of memory", "ODEBUG: a ", "Internal error: ", "BUG: a b"])
def test_a_repeating_line_takes_bounded_time(word: str) -> None:
    """Else this takes minutes."""
    assert find(io.StringIO(word * (1_000_000 // len(word)))) == ()


def test_stamps_and_colours_are_removed() -> None:
    assert plain("  12.345 | [   11.000000][   T12] \x1b[31mhello\x1b[0m\r\n") == "hello"
    assert plain("[   11.000000]  <TASK>") == " <TASK>"


def test_each_headline_has_a_sample() -> None:
    begun = {
        start.headline
        for name in EXPECTED
        for line in log(name).split("\n")
        if (start := begins(plain(line)))
    }
    assert [headline.first.pattern for headline in HEADLINES if headline not in begun] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_the_search_finds_the_first_line_of_each_splat(name: str) -> None:
    for line in log(name).split("\n"):
        assert begins(plain(line)) is None or candidates(line, stamped=False).places


def by_title(name: str) -> dict[str, Splat]:
    return {splat.title: splat for splat in find(log(name).split("\n"))}


def test_a_decoded_splat_begins_at_the_first_of_its_inlined_functions() -> None:
    found = by_title("written/decoded.log")
    assert found["WARNING in gup_thing"].lines[1].endswith("[inline], CPU#0: a/5")
    leak = found["KMSAN: kernel-infoleak in sctp_getsockopt_thing"]
    assert "[inline]" in leak.lines[0]
    assert leak.lines[1].startswith("BUG: KMSAN: kernel-infoleak in _copy_to_user+")


def test_arm64() -> None:
    found = by_title("written/arm64.log")
    warning = found["WARNING in arm_detach"]
    assert warning.frames[:2] == (
        "arm_detach+0x54/0x118 [configfs]",
        "configfs_rmdir+0x1a8/0x380 [configfs]",
    )
    assert (warning.task, warning.cpu, warning.taint) == ("rmdir/812", 2, "GE")
    assert warning.modules == ("nvmet", "configfs", "nvme_tcp")
    memory = found["BUG: unable to handle kernel access to user memory in arm_peek"]
    assert (memory.access, memory.address) == ("read", "0x0000aaaad2f01000")
    freed = found["KASAN: slab-use-after-free Write in arm_port_release"]
    assert (freed.access, freed.address) == ("write", "0xf5ff0000c2a31e40")
    assert freed.alloc_stack[-1] == "arm_ports_make+0x50/0x1a0"
    assert freed.free_stack[-1] == "arm_port_drop+0x24/0x40"
    hung = found["INFO: task hung in arm_wait_for_it"]
    assert hung.frames[-1] == "arm_wait_for_it+0x30/0x60"  # not the holder's


@pytest.mark.parametrize(
    ("name", "title", "frames", "task", "cpu"),
    [
        ("riscv", "WARNING in riscv_odd", 3, "odd/61", 1),
        ("riscv", "kernel stack overflow in riscv_deep", 3, "deep/64", 1),
        ("s390", "illegal operation in s390_illegal", 3, "trap/71", 2),
        ("s390", "WARNING in s390_odd", 2, "umount/72", 1),
        ("powerpc", "kernel BUG in ppc_bug", 4, "bug/81", 4),
        ("powerpc", "BUG: hard lockup in ppc_other", 2, "other/85", 6),
    ],
)
def test_other_architectures(name: str, title: str, frames: int, task: str, cpu: int) -> None:
    splat = by_title(f"written/{name}.log")[title]
    assert (len(splat.frames), splat.task, splat.cpu) == (frames, task, cpu)
    assert splat.function in splat.title.split()
    assert splat.frames[0].startswith(splat.function) or "overflow" in title


def test_when_the_unwinder_is_lost_its_guesses_are_better_than_nothing() -> None:
    (splat,) = by_title("real/lkdtm-exec-kmalloc.log").values()
    assert splat.frames[0] == "execute_location+0x44/0x60"
    assert (splat.access, splat.address) == ("execute", "0xffff888006e4c280")


def test_a_memory_cgroup_at_its_limit_is_not_a_splat() -> None:
    text = log("written/memcg.log")
    alone = text.split("------------[ cut")[0]
    assert titles(alone) == []
    assert titles(bare(alone)) == []
    whole = alone.replace("CONSTRAINT_MEMCG", "CONSTRAINT_NONE").replace("Memory cgroup out", "Out")
    whole = whole.replace("Memory cgroup stats", "Mem-Info")
    assert titles(whole) == ["Out of memory: greedy invoked oom-killer"]


def test_a_panic_behind_a_cgroup_at_its_limit_is_a_splat() -> None:
    text = log("written/memcg.log").split("------------[ cut")[0]
    text += "[  121.000000] Kernel panic - not syncing: Out of memory: panic_on_oom is selected\n"
    assert [splat.kind for splat in find(text.split("\n"))] == ["panic"]


@pytest.mark.parametrize(
    ("reason", "kinds"),
    [
        ("Out of memory: compulsory panic_on_oom is enabled", ["panic"]),
        ("System is deadlocked on memory", ["panic"]),
        ("sysrq triggered crash", ["oom", "panic"]),
    ],
)
def test_a_panic_instead_of_a_kill_is_a_panic(reason: str, kinds: list[str]) -> None:
    text = log("real/oom-panic.log").replace(
        "Out of memory: compulsory panic_on_oom is enabled", reason
    )
    found = find(text.split("\n"))
    assert [splat.kind for splat in found] == kinds
    assert found[-1].title == f"kernel panic: {reason}"


def test_a_panic_behind_a_kill_is_a_splat_of_its_own() -> None:
    text = log("real/oom.log").split("harness: start t/test_provoke.py::test_bb_oom\n")[1]
    text = text.split("harness: end")[0].rpartition("\n")[0]
    text += (
        "\n   102.302 | [   98.031000] Kernel panic - not syncing: System is deadlocked on memory"
    )
    assert [splat.kind for splat in find(text.split("\n"))] == ["oom", "panic"]


@pytest.mark.parametrize(("pid", "kinds"), [(57, []), (46, ["page allocation failure"])])
def test_a_victim_of_the_oom_killer_gets_no_more_pages(pid: int, kinds: list[str]) -> None:
    """The victim's own failure, seen on a busy machine, belongs to the report before it."""
    text = log("real/oom.log").split("harness: start t/test_provoke.py::test_bb_oom\n")[1]
    text = text.split("harness: end")[0].rpartition("\n")[0]
    text += f"""
   102.302 | [   98.031000] python3: page allocation failure: order:0, mode:0x140dca(GFP_HIGHUSER)
   102.302 | [   98.031200] CPU: 0 UID: 0 PID: {pid} Comm: python3 Not tainted 7.2.13 #1 PREEMPTLAZY
   102.303 | [   98.031400] Call Trace:
   102.303 | [   98.031500]  <TASK>
   102.303 | [   98.031600]  dump_stack_lvl+0x4f/0x60
   102.303 | [   98.031700]  warn_alloc+0xe5/0x100
   102.303 | [   98.031800]  __alloc_pages_slowpath.constprop.0+0x76e/0x9e0
   102.303 | [   98.031900]  __handle_mm_fault+0xc4b/0x17c0
   102.303 | [   98.032000]  handle_mm_fault+0xa1/0x170
   102.303 | [   98.032100]  asm_exc_page_fault+0x22/0x30
   102.303 | [   98.032200]  </TASK>
"""
    assert [splat.kind for splat in find(text.split("\n"))] == ["oom", *kinds]


def test_a_log_that_lost_most_stamps() -> None:
    """Somebody's sed took the stamps off the starts of lines, not from behind a program's words."""
    text = bare(log("real/lockdep-flush-work.log"))
    start = text.index("WARNING: possible")
    glued = f"{text[:start]}a program's words[    9.123456] {text[start:]}"
    mixed = "\n".join(f"{line}\nsome output" for line in glued.split("\n"))
    for form in (glued, mixed):
        assert titles(form) == ["possible deadlock in __flush_work"]


def test_a_panic_that_a_test_survives_is_not_a_splat() -> None:
    mark = "[    3.000000] harness: {} t.py::test_spoofs\n"
    text = mark.format("start") + "[    3.000001] Kernel panic - not syncing: x\n"
    assert titles(text) == ["kernel panic: x"]
    assert titles(text + mark.replace("3.0", "3.5").format("end")) == []
    # A mark with an earlier time is the next boot's.
    assert titles(text + mark.replace("3.0", "2.0").format("start")) == ["kernel panic: x"]
    fault = log("written/faults-x86.log").split("[   62")[0]
    text = mark.format("start") + fault + "[   42.100000] Kernel panic - not syncing: Oops\n"
    assert [splat.panic for splat in find(text.split("\n"))] == ["Oops"]
    after = mark.replace("3.0", "50.0").format("end")
    assert [splat.panic for splat in find((text + after).split("\n"))] == [""]


def test_two_boots_in_one_log() -> None:
    text = f"[    0.000000] Linux version 7.2.13\n{log('written/memory.log')}"
    marked = f"{text}[  900.000000] harness: start t.py::a\n"
    twice = find((marked + text).split("\n"))
    assert len(twice) == 2 * len(titles(text))
    assert {splat.test for splat in twice} == {"boot"}


# A stall is told with other processors' words, kmemleak's report by a program.
ALONE = {"written/stalls.log", "written/powerpc.log", "written/kmemleak.txt"}


def spoken_at_once(seed: int) -> tuple[str, list[str]]:
    """Mix two logs, a few lines at a time, each with its own caller; also return their titles."""
    chance = random.Random(seed)
    voices = []
    for caller, name in enumerate(chance.sample(sorted(set(EXPECTED) - ALONE), 2)):
        lines = [plain(line) for line in log(name).split("\n") if "harness: " not in line]
        voices.append([f"[   T{caller}] {line}" for line in lines])
    stamped = [[f"[  100.000001]{line}" for line in voice] for voice in voices]
    want = [title for voice in stamped for title in titles("\n".join(voice))]
    mixed: list[str] = []
    while any(voices):
        voice = chance.choice([voice for voice in voices if voice])
        for _ in range(min(chance.randint(1, 4), len(voice))):
            mixed.append(f"[  100.{len(mixed):06}]{voice.pop(0)}")
    return "\n".join(mixed), want


def test_a_report_without_headline_while_another_processor_reports() -> None:
    lines = log("written/die-and-lost.log").split("\n")
    begin = next(n for n, line in enumerate(lines) if "headless_opens" in line) - 2
    said = [
        ("C1", "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spins:12]"),
        ("C1", "CPU: 1 PID: 12 Comm: spins Not tainted 6.8.0 #1"),
        *(("T92", plain(line)) for line in lines[begin : begin + 8]),
        *(("C1", line) for line in ("RIP: 0010:spins+0x1/0x2", "Call Trace:", " spins+0x1/0x2")),
        *(("C1", line) for line in (" spin_ioctl+0x1/0x2", " vfs_ioctl+0x1/0x2")),
    ]
    text = "\n".join(f"[  100.{n:06}][{who:>6}] {line}" for n, (who, line) in enumerate(said))
    assert titles(text) == ["BUG: soft lockup in spin_ioctl", "Oops in headless_opens"]


@pytest.mark.parametrize("seed", range(40))
def test_two_processors_at_once(seed: int) -> None:
    text, want = spoken_at_once(seed)
    assert sorted(titles(text)) == sorted(want)


def test_where_all_is_common_a_reporter_is_the_last_choice() -> None:
    ways = ["dump_stack_lvl+0x7c/0x90", "__schedule_bug+0xb9/0x100", "__schedule+0x19fb/0x3890"]
    assert blame(ways) == "__schedule"
    assert blame(ways[:2]) == "dump_stack_lvl"
    assert blame([]) == ""
