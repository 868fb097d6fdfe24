# SPDX-License-Identifier: GPL-2.0-only
import pytest

from harness.splat import find, plain

KASAN = """\
[   12.000001] ==================================================================
[   12.000002] BUG: KASAN: slab-use-after-free in nvmet_port_release+0x12/0x80
[   12.000003] Read of size 8 at addr ffff888012345678 by task rmdir/123
[   12.000004] CPU: 0 UID: 0 PID: 123 Comm: rmdir Not tainted 7.2.13 #1
"""

WARNING = """\
[    3.100000] ------------[ cut here ]------------
[    3.100001] WARNING: fs/configfs/dir.c:512 at configfs_detach_prep+0x1/0x2, CPU#0: rmdir/99
[    3.100002] RIP: 0010:configfs_detach_prep+0x1/0x2
[    3.100003] ---[ end trace 0000000000000000 ]---
[    3.200000] ordinary words
"""

OOPS = """\
[   42.000000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[   42.000001] #PF: supervisor read access in kernel mode
[   42.000002] Oops: Oops: 0000 [#1] SMP
[   42.000003] ---[ end trace 0000000000000000 ]---
[   42.100000] Kernel panic - not syncing: Fatal exception
[   42.100001] ---[ end Kernel panic - not syncing: Fatal exception ]---
"""


def kinds(text):
    return [splat.kind for splat in find(text.splitlines())]


def test_a_report_is_one_splat_with_its_lines():
    (splat,) = find(KASAN.splitlines())
    assert splat.kind == "kasan"
    assert splat.title == "BUG: KASAN: slab-use-after-free in nvmet_port_release"
    assert len(splat.lines) == 3


def test_a_warning_ends_with_its_trace():
    (splat,) = find(WARNING.splitlines())
    assert splat.kind == "warning"
    assert "ordinary words" not in splat.lines


def test_an_oops_and_the_panic_after_it_are_two():
    assert kinds(OOPS) == ["oops", "panic"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("INFO: task umount:77 blocked for more than 120 seconds.", "hung task"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [cat:1]", "soft lockup"),
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu stall"),
        ("WARNING: possible circular locking dependency detected", "lockdep"),
        ("refcount_t: underflow; use-after-free.", "refcount"),
        ("BUG: sleeping function called from invalid context at mm/x.c:1", "atomic"),
        ("list_del corruption, ffff888000000000->next is NULL", "list"),
        ("kernel BUG at fs/configfs/dir.c:1!", "kernel bug"),
        ("Kernel panic - not syncing: sysrq triggered crash", "panic"),
        ("Oops: general protection fault, probably for non-canonical address", "oops"),
        ("VFS: Busy inodes after unmount of configfs", "busy inodes"),
        ("UBSAN: array-index-out-of-bounds in a.c:1:2", "ubsan"),
    ],
)
def test_kinds(line, kind):
    assert kinds(f"[    1.000000] {line}") == [kind]
    assert kinds(f"  12.345 | [    1.000000][    T1] {line}\r") == [kind]


@pytest.mark.parametrize(
    "line",
    [
        "[    1.0] ACPI: BIOS bug: incorrect, WARNING in my words",
        "user says BUG: something",
        "[    0.000000] Kernel command line: panic=-1 debug",
        "[    0.1] ERST: Error Record Serialization Table support",
        "",
    ],
)
def test_ordinary_lines_are_no_splats(line):
    assert kinds(line) == []


def test_plain_takes_stamps_and_colours_off():
    assert plain("  12.345 | [   11.000000][   T12] \x1b[31mhello\x1b[0m\r\n") == "hello"
