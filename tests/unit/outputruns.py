# SPDX-License-Identifier: GPL-2.0-only
"""Runs for tests of outputs: a good one, a bad one, and one that is as hostile as possible."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.model import (
    CompilerWarning,
    GuestRecord,
    Kernel,
    Outcome,
    Patch,
    Plan,
    Run,
    Series,
    Side,
    Source,
    Splat,
    Test,
    Trial,
)
from harness.results.regression import compared

COMMIT = "4363f6ec95eb9d0f66c2efc06fc25a0d0e1f6f5b"
FILE = "tests/guest/configfs/test_mount.py"
COVER = """\
From: Jane Maker <jane@example.org>
To: linux-fsdevel@example.org, "Doe, John" <john@example.org>
Cc: =?utf-8?q?J=C3=BCrgen_=22x=22?= <juergen@example.org>, undisclosed-recipients:;
Subject: [PATCH v2 0/2] configfs: make it
 better
Message-ID: <20260101.1-jane@example.org>
References: <20251201.0-jane@example.org>

What it does.
"""
SPLAT = Splat(
    "use-after-free",
    "KASAN: slab-use-after-free Read in configfs_lookup",
    (
        "BUG: KASAN: slab-use-after-free in configfs_lookup+0x1/0x2",
        "CPU: 0 UID: 0 PID: 87 Comm: python3 Not tainted 7.2.13",
        "Call Trace:",
        " <TASK>",
        " configfs_lookup+0x1/0x2",
        " ? old_frame+0x1/0x2",
        "RAX: 0000000000000033 RBX: ffff888006e4c280 RCX: ffffffff8131c041",
    ),
    "configfs_lookup",
    fingerprint="0123456789abcdef",
    test=f"{FILE}::test_b",
    place="fs/configfs/dir.c:451",
    patches=("configfs: free it early",),
)
HOSTILE = (
    "\x00\x07\x1b[31mred\x1b[0m \x1b]0;title\x07 ]]> <b>&amp; \udc80\ud800\ufffe \u202egnp.exe\n"
    "::error file=/etc/passwd::owned\n[[ATTACHMENT|/etc/passwd]]\n# ok 1 - no\n  ...\n```\n"
    "Cc: spy@example.org\r\nBcc: spy@example.org\r@everyone %0A \\# 1..0\nTested-by: A <a@b.cc>\n"
)


def kernel(*warnings: CompilerWarning) -> Kernel:
    place = Path("/cache/kernels/k")
    return Kernel(
        "k",
        place,
        place / "image",
        place / "config",
        "7.2.13",
        COMMIT,
        "x86_64",
        warnings=warnings,
    )


def side(which: Side, *tests: Test, error: str = "", guests: tuple[GuestRecord, ...] = ()) -> Trial:
    patch = "configfs: free it early" if which is Side.PATCHED else ""
    made = kernel(CompilerWarning("fs/configfs/dir.c", 12, "unused variable 'x'", patch))
    return Trial(which, made, tests, guests, error)


def series(folder: Path, cover: str = COVER) -> Series:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0000-cover.patch").write_bytes(cover.encode("utf-8", "surrogateescape"))
    patches = []
    for number, subject in enumerate(("configfs: free it early", "configfs: more"), 1):
        path = folder / f"000{number}.patch"
        path.write_text(
            f"From: Jane Maker <jane@example.org>\nSubject: [PATCH v2 {number}/2] {subject}\n"
            f"Message-ID: <20260101.1-{number}@example.org>\n\n---\n"
            "diff --git a/fs/configfs/dir.c b/fs/configfs/dir.c\n"
            "--- a/fs/configfs/dir.c\n+++ b/fs/configfs/dir.c\n@@ -1 +1 @@\n-a\n+b\n"
        )
        patches.append(Patch(number, subject, "Jane Maker <jane@example.org>", path))
    return Series(
        "better",
        folder,
        tuple(patches),
        "d" * 64,
        title="configfs: make it better",
        cover=folder / "0000-cover.patch",
        kernel="7.2",
        kconfig=("base", "nvmet"),
        cover_subject="configfs: make it better",
        cover_id="20260101.1-jane@example.org",
    )


def run(folder: Path, *tests: Test, cover: str = COVER, base: tuple[Test, ...] = ()) -> Run:
    """Return a run; ``tests`` are those of the patched kernel, ``base`` those of the base."""
    sides = (side(Side.BASE, *(base or tests)), side(Side.PATCHED, *tests))
    found = Run(
        series(folder / "given", cover),
        Source(Path("/r"), COMMIT, "v7.2.13", "a package"),
        folder,
        "2026-01-02T03:04:05+00:00",
        61.5,
        "tcg",
        sides,
        command=("harness", "run", "x", "--suite=/secret/place/test_a.py", "--out", "/secret/o"),
        plan=Plan(series_words=("x",), suites=("/secret/place/test_a.py",), out=Path("/secret/o")),
        about=(("QEMU", "7.2"), ("host", "Debian")),
    )
    return compared(found)


def series_of(run: Run) -> Series:
    assert run.series is not None
    return run.series


def without_cover(run: Run) -> Run:
    series = dataclasses.replace(series_of(run), cover=None, cover_id="")
    return dataclasses.replace(run, series=series)


def good(folder: Path) -> Run:
    return run(
        folder,
        Test(f"{FILE}::test_a[x]", Outcome.PASS, 0.25, began=1767322900.5),
        Test(f"{FILE}::test_b", Outcome.PASS, 0.5),
        Test("tests/guest/nvmet/test_tcp.py::test_c", Outcome.SKIP, message="needs #1 nvme"),
        Test("tests/guest/nvmet/test_tcp.py::test_d", Outcome.XFAIL, message="known"),
        base=(Test(f"{FILE}::test_a[x]", Outcome.FAIL, 0.2, "E  assert 1"),),
    )


def bad(folder: Path) -> Run:
    """Return a run with every outcome, and a splat whose line is known."""
    made = run(
        folder,
        Test(f"{FILE}::test_a[x]", Outcome.PASS, 0.25),
        Test(
            f"{FILE}::test_b",
            Outcome.ERROR,
            1.5,
            SPLAT.title,
            "printed",
            "guest0",
            (SPLAT,),
            "[    1.0] it",
            reproduce="pytest --kernel /secret/place/image x",
        ),
        Test(f"{FILE}::test_c", Outcome.CRASH, 2.0, "the kernel panicked", guest="guest1"),
        Test(f"{FILE}::test_d", Outcome.TIMEOUT, 60.0, "over its deadline"),
        Test(f"{FILE}::test_e", Outcome.FAIL, 0.1, "x\nE   assert 1 == 2", attempts=(FAIL, FAIL)),
        Test(f"{FILE}::test_f", Outcome.FLAKY, 0.1, "flaky", attempts=(FAIL, Outcome.PASS)),
        Test(f"{FILE}::test_g", Outcome.XPASS, 0.1),
        Test(f"{FILE}::test_h", Outcome.NOTRUN),
        Test(f"{FILE}::test_i", Outcome.SKIP, message="needs fio"),
        base=tuple(Test(f"{FILE}::test_{name}", Outcome.PASS) for name in "bcd"),
    )
    guests = (
        GuestRecord("guest0", "done", "tcg", 2.5, str(folder / "patched/guests/0/console.log")),
        GuestRecord("guest1", "panic", "tcg", 2.5, str(folder / "patched/guests/1/console.log")),
    )
    for guest in guests:
        Path(guest.console).parent.mkdir(parents=True)
        Path(guest.console).write_text("console")
    (folder / "patched" / "splats.txt").write_text("decoded")
    patched = dataclasses.replace(made.sides[1], guests=guests)
    return dataclasses.replace(made, sides=(made.sides[0], patched))


FAIL = Outcome.FAIL


def hostile(folder: Path) -> Run:
    """Return a run with hostile text wherever a guest or a patch can put it."""
    splat = Splat(
        "k\x00", HOSTILE, tuple(HOSTILE.splitlines()) * 50, place="a\nb:7", patches=(HOSTILE,)
    )
    boot = dataclasses.replace(splat, test="boot")
    test = Test(
        f"{FILE}::test_x[{HOSTILE}]",
        Outcome.ERROR,
        1.0,
        HOSTILE + "x" * (1 << 20) + HOSTILE,
        HOSTILE,
        "guest0",
        (splat,),
        HOSTILE * 2000,
        (Outcome.ERROR, Outcome.CRASH),
        reproduce=HOSTILE,
    )
    skipped = Test(f"{HOSTILE}/a::b", Outcome.SKIP, message=HOSTILE)
    made = run(folder, test, skipped, Test(HOSTILE, Outcome.FAIL, message=HOSTILE))
    title = series_of(made)
    title = dataclasses.replace(title, title=HOSTILE, cover_id=HOSTILE, link=HOSTILE)
    guests = (GuestRecord("guest0", "panic", "tcg", None, "/nowhere", (boot,)),)
    source = Source(Path("/r"), "main\nX: y", HOSTILE, HOSTILE)
    warnings = kernel(CompilerWarning(HOSTILE, 3, HOSTILE, HOSTILE))
    patched = dataclasses.replace(
        made.sides[1], guests=guests, error=HOSTILE, kernel=warnings, tests=made.sides[1].tests
    )
    return dataclasses.replace(
        made, series=title, sides=(made.sides[0], patched), source=source, accel=HOSTILE
    )
