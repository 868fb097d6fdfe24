# SPDX-License-Identifier: GPL-2.0-only
"""Splats in logs as people paste them: any prefix, decoded, wrapped, escaped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.splat import find

PASTED = Path(__file__).parents[1] / "data" / "pasted"
EXPECTED = json.loads((PASTED / "expected.json").read_text())


def identities(text: str) -> list[list[str]]:
    return [[splat.kind, splat.title, splat.task] for splat in find(text.split("\n"))]


WARNING = """\
------------[ cut here ]------------
WARNING: CPU: 1 PID: 77 at drivers/gadget/core.c:123 gadget_open+0x51/0x78 [gadget]
Modules linked in: gadget
CPU: 1 PID: 77 Comm: cat Not tainted 6.8.0 #1
Hardware name: QEMU Standard PC
RIP: 0010:gadget_open+0x51/0x78 [gadget]
Code: 00 00 68 37 13 37 13 9c
RSP: 0018:ffff8880a689fd20 EFLAGS: 00010207
Call Trace:
 <TASK>
 chrdev_open+0x91/0x1a0
 do_dentry_open+0xbd/0x100
 </TASK>
---[ end trace 0000000000000000 ]---"""
KASAN = """\
==================================================================
BUG: KASAN: slab-use-after-free in gadget_release+0x12/0x80 [gadget]
Read of size 8 at addr ffff888012345678 by task rmdir/123

CPU: 1 PID: 123 Comm: rmdir Tainted: G        W  OE  --------- -t - 4.18.0-167.el8.x86_64 #1
Call Trace:
 dump_stack_lvl+0x4e/0x70
 print_report+0x1/0x2
 kasan_report+0x1/0x2
 gadget_release+0x12/0x80 [gadget]
 vfs_rmdir+0x91/0x1a0

Allocated by task 120:
 kasan_save_stack+0x1/0x2
 gadget_make+0x41/0x210 [gadget]

The buggy address belongs to the object at ffff888012345600
=================================================================="""
OOPS = """\
BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 0 P4D 0
Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 3 PID: 355 Comm: cat Not tainted 6.8.0 #1
RIP: 0010:gadget_read+0x51/0x78
Call Trace:
 <TASK>
 ? __die+0x1f/0x70
 vfs_read+0x91/0x1a0
 </TASK>
---[ end trace 1111111111111111 ]---"""
OOM = """\
gadgetd invoked oom-killer: gfp_mask=0xdc0(GFP_KERNEL|__GFP_COMP), order=3, oom_score_adj=0
CPU: 1 PID: 3572 Comm: gadgetd Not tainted 5.4.0-29-generic #33
Call Trace:
 dump_stack+0x8a/0xc0
 dump_header+0x62/0x258
 oom_kill_process+0x172/0x180"""
HUNG = """\
INFO: task gadgetd:8400 blocked for more than 143 seconds.
      Not tainted 5.12.0-rc7 #0
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:gadgetd state:D stack:26912 pid: 8400 ppid:  8395 flags:0x00004000
Call Trace:
 __schedule+0x911/0x21b0
 schedule+0xcf/0x270
 gadget_stop+0x1db/0x250
 gadget_ioctl+0x1db/0x250"""
REPORTS = {"WARNING": WARNING, "KASAN": KASAN, "OOPS": OOPS, "OOM": OOM, "HUNG": HUNG}

# What stands before the lines of a report; {n} counts them.
PREFIXES = [
    # Journals and syslogs in other languages.
    "mars 08 14:05:{n:02} h\u00f4te kernel: ",
    "f\u00e9vr. 08 14:05:{n:02} box kernel: ",
    "8 \u043d\u043e\u044f 14:05:{n:02} box kernel: ",
    "11\u6708 21 14:05:{n:02} box kernel: ",
    "Sa 2026-11-21 14:05:{n:02} CET box kernel: ",
    "2026-11-21T14:05:{n:02}.123456+01:00 box kernel: ",
    "2026-11-21T14:05:{n:02}.123456Z WARNING kernel: [   12.3456{n:02}] ",
    "Nov 21 14:05:{n:02} 10.0.0.7 kernel: [   12.3456{n:02}] ",
    # dmesg.
    "[so nov. 21 14:05:{n:02} 2026] ",
    "[\u571f 11\u6708 21 14:05:{n:02} 2026] ",
    "[  123,4567{n:02}] ",
    "[  123,4567{n:02} <    0,000012>] ",
    "[  123.4567{n:02} <    0.000012>] ",
    "[<    0,0000{n:02}>] ",
    "[nov21 14:05] ",
    # Fields of vendors' kernels.
    "[   12.3456{n:02}] [4:     netbpfload:  825] ",
    "[   12.3456{n:02}] [{n}: kworker/u16:{n}: 8{n}5] ",
    "[   12.3456{n:02}] -(2)[{n}:swapper/0]",
    "<4>[   12.3456{n:02}]  (0)[1234:kworker/0:1]",
    "[   12.3456{n:02}] c0   1234 ",
    "[   12.3456{n:02}] [{n:4}] [c0] ",
    "<4>[   12.3456{n:02}] <2> [T39] ",
    "01-01 12:00:{n:02}.123     0     0 W         : ",
    "01-01 12:00:{n:02}.123 root     0     0 I KERNEL  : [   12.3456{n:02}] ",
    "W/kernel  (    {n}): ",
    # Test runners, CI systems, terminals, tools.
    "2026-11-21T14:05:{n:02}.123456789Z stdout F ",
    "000{n:02} ",
    "{n}.123s ",
    "#12 {n}.345 ",
    "00:00:{n:02}.345 ",
    "[00:00:{n:02}] ",
    "12:00:{n:02} ERROR| ",
    "2026-11-21 12:00:{n:02},123 serial           L0123 DEBUG| ",
    "guest_1  | ",
    "guest-1:console> ",
    "ttyS0: ",
    "[guest1] ",
    "(guest) [2026-11-21 12:00:{n:02}.123] ",
    "stdout: ",
    "| ",
    "> > ",
    "    ",
    "\t",
    "{n}:",
    "console.log:{n}:",
    "  {n}\t",
    "# ",
    # Stamps that somebody cut out.
    "[] ",
    "[...] ",
    "[\u2026] ",
    "[][   T39] ",
    "[ T39] ",
    "[xxxx.xxxxxx] ",
    "[    ] ",
    "kernel: ",
    "box kernel: ",
    "kernel: [] ",
    ".345{n:03}] ",
]


def with_prefix(prefix: str, text: str) -> str:
    return "\n".join(prefix.format(n=n) + line for n, line in enumerate(text.split("\n"), 1))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_learnt(prefix: str, name: str) -> None:
    (bare,) = find(REPORTS[name].split("\n"))
    text = f"\nHi,\n\nthis happened:\n\n{with_prefix(prefix, REPORTS[name])}\n\nThanks"
    (splat,) = find(text.split("\n"))
    assert (splat.title, splat.task, splat.frames) == (bare.title, bare.task, bare.frames)
    assert splat.fingerprint == bare.fingerprint


@pytest.mark.parametrize("name", EXPECTED)
def test_a_pasted_log(name: str) -> None:
    assert identities((PASTED / name).read_text()) == EXPECTED[name]


def test_inlined_functions_are_frames() -> None:
    (splat,) = find((PASTED / "inlined-run.log").read_text().split("\n"))
    assert len(splat.frames) == 11
    assert splat.frames[4] == "do_wait_for_common kernel/sched/completion.c:85"


def test_a_preemptible_section_is_named_by_the_function_with_the_offset() -> None:
    trace = (
        "Call Trace:\n dump_stack_lvl+0x241/0x360\n check_preemption_disabled+0x10e/0x120\n"
        " gadget_get_buf+0x2c/0xd0\n gadget_decompress+0xe42/0x17b0\n"
    )
    head = "BUG: using smp_processor_id() in preemptible [00000000] code: kworker/u9:1/4483\n"
    raw = f"{head}caller is gadget_get_buf+0x2c/0xd0\n{trace}"
    inlined = "gadget_buf_id fs/gadget/util.c:31 [inline]\n"
    decoded = raw.replace(" gadget_get", f" {inlined} gadget_get").replace(
        f"caller is {inlined} ", f"caller is {inlined}caller is "
    )
    found = [find(text.split("\n"))[0] for text in (raw, decoded)]
    assert found[0].title.endswith("preemptible code in gadget_get_buf")
    assert found[0].title == found[1].title
    assert found[0].fingerprint == found[1].fingerprint


def wrapped(text: str, column: int) -> str:
    """Break each line at the last blank before a column, as a mailer does."""
    lines: list[str] = []
    for line in text.split("\n"):
        while len(line) > column and " " in line[20:column]:
            at = line.rindex(" ", 20, column)
            lines.append(line[:at])
            line = line[at + 1 :]
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("stamp", ["[  136.316{n:03}] ", "[  136.316{n:03}][  T123] ", "> ", ""])
@pytest.mark.parametrize("column", [64, 72, 80])
@pytest.mark.parametrize("name", REPORTS)
def test_a_mailer_breaks_lines(name: str, column: int, stamp: str) -> None:
    (whole,) = find(REPORTS[name].split("\n"))
    (splat,) = find(wrapped(with_prefix(stamp, REPORTS[name]), column).split("\n"))
    assert (splat.title, splat.task) == (whole.title, whole.task)


def test_two_reports_behind_different_prefixes() -> None:
    """Two consoles in one log, line by line."""
    one = with_prefix("vm1 | ", WARNING).split("\n")
    two = with_prefix("vm2 | ", OOPS).split("\n")
    mixed = [line for pair in zip(one, two, strict=False) for line in pair]
    assert [splat.title for splat in find(mixed)] == [
        "WARNING in gadget_open",
        "BUG: kernel NULL pointer dereference in gadget_read".replace(
            "kernel", "unable to handle kernel"
        ),
    ]


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("prefix", ["log: ", "+ ", " * ", "He said that ", "12: "])
def test_words_behind_a_prefix_need_proof(prefix: str, name: str) -> None:
    """A headline that is quoted, and the report's other lines behind nothing or another prefix."""
    first = REPORTS[name].split("\n")[name in ("WARNING", "KASAN")]
    assert find(f"{prefix}{first}\nand that\nis all that I saw\n".split("\n")) == ()


@pytest.mark.parametrize("name", ["WARNING", "KASAN", "OOPS"])
@pytest.mark.parametrize("marks", ["+", "+ ", " * ", "// "])
def test_the_text_of_a_patch_is_no_report(marks: str, name: str) -> None:
    assert find(with_prefix(marks, REPORTS[name]).split("\n")) == ()


def test_a_program_in_the_journal_is_not_the_kernel() -> None:
    for prefix in ("ноя 08 14:05:04 box python3[12]: ", "mars 08 14:05:04 hôte cat[7]: "):
        assert find(with_prefix(prefix, WARNING).split("\n")) == ()


BOOT = "[    0.000000] Linux version 7.2.13\n[    0.100000] all is well\n"


def test_a_kernel_that_stamps_its_boot_stamps_its_reports() -> None:
    assert find(f"{BOOT}{WARNING}".split("\n")) == ()
    assert len(find(f"{BOOT.split(chr(10), 1)[1]}{WARNING}".split("\n"))) == 1


def test_cut_here_alone_is_no_report() -> None:
    cut = "[  178.116525] ------------[ cut here ]------------\n"
    assert find(f"{cut}[  178.2] gadget: ready\n[  178.3] gadget: set\n".split("\n")) == ()


def test_a_dump_of_registers_without_an_end_is_no_report() -> None:
    body = WARNING.split("\n", 3)[3]
    lost = find(with_prefix("[  136.316{n:03}] ", body).split("\n"))
    assert [(splat.kind, splat.title) for splat in lost] == [("oops", "Oops in gadget_open")]
    body = body[: body.rindex("\n")]
    assert find(with_prefix("[  136.316{n:03}] ", body).split("\n")) == ()


@pytest.mark.parametrize("stamp", ["", "[  136.316{n:03}] "])
def test_a_prompt_before_the_first_line_is_no_prefix(stamp: str) -> None:
    (splat,) = find(f"box login: {with_prefix(stamp, OOPS)}".split("\n"))
    title = "BUG: unable to handle kernel NULL pointer dereference in gadget_read"
    assert (splat.title, splat.task) == (title, "cat/355")


def test_a_die_of_one_word_is_found_by_registers_stack_and_end() -> None:
    text = """\
Oops
Path: /bin/busybox
CPU: 0 PID: 9 Comm: cat Not tainted 6.9.0 #1
[ECR   ]: 0x00050200 => Invalid Write @ 0x00000000 by insn @ 0x9041a6f8
[ERET  ]: gadget_write+0x14/0x20
Stack Trace:
  gadget_write+0x14/0x20
  gadget_ioctl+0x14/0x20
---[ end trace 0000000000000000 ]---"""
    for stamp in ("", "[  136.316{n:03}] "):
        assert identities(with_prefix(stamp, text)) == [["oops", "Oops in gadget_write", "cat/9"]]
