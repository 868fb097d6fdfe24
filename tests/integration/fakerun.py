# SPDX-License-Identifier: GPL-2.0-only
"""The folder of a run, of any size, without building or booting a kernel."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from harness.decode import Decoded, Frame, SourceLine, SourcePlace
from harness.model import (
    CompilerWarning,
    GuestRecord,
    Kernel,
    Outcome,
    Patch,
    Run,
    Series,
    Side,
    Source,
    Span,
    Splat,
    Test,
    Trial,
)
from harness.results import store
from harness.results.regression import compared
from harness.serial import to_json

BEGIN = 1_800_000_000.0
EVIL = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>\"'&{{ 7 * 7 }}"
SUBJECT = "demo: free it once more, in a subject as long as subjects are"
PATCH = f"""\
From 1234 Mon Sep 17 00:00:00 2001
From: A U Thor <a@example.org>
Date: Mon, 1 Jun 2026 10:00:00 +0000
Subject: [PATCH 1/1] {SUBJECT}

It was not free. </script>{EVIL}

Signed-off-by: A U Thor <a@example.org>
---
 fs/demo.c | 3 ++-
 1 file changed, 2 insertions(+), 1 deletion(-)

diff --git a/fs/demo.c b/fs/demo.c
--- a/fs/demo.c
+++ b/fs/demo.c
@@ -10,4 +10,5 @@ static void demo(void)
 {{
-\tkeep(it);
+\tint unused; /* </code></pre>{EVIL} */
+\tkfree(it);
 \tkfree(it);
 }}
--\x20
2.39
"""
SPLAT = Splat(
    kind="kasan",
    title=f"KASAN: double-free in demo {EVIL}",
    function="demo",
    frames=("demo+0x1/0x2", "main_demo+0x3/0x4"),
    lines=("BUG: KASAN: double-free in demo", "Call Trace:", " demo+0x1/0x2"),
    task="python3/77",
    test="tests/test_demo.py::test_crash",
    place="fs/demo.c:12",
    patches=(SUBJECT,),
)
_CONTEXT = (
    SourceLine(11, "\tint unused;", SUBJECT),
    SourceLine(12, "\tkfree(it);", SUBJECT),
    SourceLine(13, f"\tkfree(it); {EVIL}"),
)
DECODED = Decoded(
    SPLAT.title,
    (
        Frame("demo+0x1/0x2", (SourcePlace("demo", "fs/demo.c", 12, _CONTEXT, SUBJECT),), 16),
        Frame("main_demo+0x3/0x4", (SourcePlace("main_demo", "fs/demo.c", 40),), 32),
    ),
)


def each_kind(side: Side, number: int) -> tuple[Test, ...]:
    """Return tests of every kind, and ``number`` that pass, in files of a thousand."""
    at = BEGIN + (100.0 if side is Side.PATCHED else 40.0)
    return (*_kinds(at, patched=side is Side.PATCHED), *_many(at + 4, number))


def _kinds(at: float, *, patched: bool) -> tuple[Test, ...]:
    outcome, message = (Outcome.PASS, "") if patched else (Outcome.FAIL, "E   assert [1] == [2]")
    crash = Test(
        "tests/test_demo.py::test_crash",
        Outcome.PASS,
        2.0,
        output=f"--- Captured stdout call\n\x1b[31mred\x1b[0m \x00\u202e{EVIL}",
        guest="guest0",
        began=at + 2,
    )
    evil = Test(
        f"tests/test_<b>evil.py::test_name[{EVIL}]", Outcome.PASS, 0.1, guest="guest1", began=at + 3
    )
    if patched:
        crash = dataclasses.replace(
            crash,
            outcome=Outcome.CRASH,
            message=f"{SPLAT.title} (the kernel panicked)\n{EVIL}",
            splats=(SPLAT,),
            reproduce="pytest --kernel 'a b' tests/test_demo.py::test_crash",
            attempts=(Outcome.CRASH, Outcome.CRASH),
        )
        text = f"def test():\n>   assert 0\nE   {EVIL}"
        evil = dataclasses.replace(evil, outcome=Outcome.FAIL, message=text)
    return (
        Test("tests/test_demo.py::test_same", Outcome.PASS, 0.5, guest="guest0", began=at),
        Test("tests/test_demo.py::test_fixed", outcome, 0.5, message, guest="guest0", began=at + 1),
        crash,
        evil,
        Test("tests/test_other.py::test_skip", Outcome.SKIP, 0.0, f"no {EVIL}", guest="guest1"),
    )


def _many(at: float, number: int) -> tuple[Test, ...]:
    return tuple(
        Test(
            f"tests/many/test_{n // 1000}.py::TestMany::test_that_has_a_name[{n}-{'x' * 20}]",
            Outcome.SKIP if n % 97 == 0 else Outcome.PASS,
            0.01,
            guest=f"guest{n % 4}",
            began=at + n * 0.02,
        )
        for n in range(number)
    )


def failing(number: int, words: int) -> tuple[Test, ...]:
    """Return tests that fail, each with a long message, a log and an output."""
    text = f"E   {EVIL} it is wrong\n" * words
    return tuple(
        Test(
            f"tests/many/test_bad.py::test_bad[{n}]",
            Outcome.FAIL,
            0.1,
            text,
            output=text,
            kernel_log=text,
            guest="guest0",
            began=BEGIN + 200 + n,
        )
        for n in range(number)
    )


def console(file: Path, size: int = 0) -> None:
    """Write a console with a crash in the middle of ``size`` bytes of other lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    flood = b"    99.000 | [   98.000000] flood: nothing is wrong with this line of a console\n"
    half = flood * (size // 2 // len(flood))
    mark = b"tests/test_demo.py::test_crash"
    with file.open("wb") as out:
        out.write(b"     0.100 | [    0.000000] Linux version 7.2.0\n" + half)
        out.write(b"    10.000 | [    9.000000] harness: start " + mark + b"\n")
        out.write(b"    10.100 | \xff\xfe\x00\x1b[31m" + EVIL.encode() + b"\n")
        out.write(b"    10.200 | [    9.200000] BUG: KASAN: double-free in demo\n" + half)
        out.write(b"    11.000 | [   10.000000] Kernel panic - not syncing: Fatal exception\n")


def _side(folder: Path, side: Side, more: tuple[Test, ...], number: int, size: int) -> Trial:
    place = folder / side
    place.mkdir(parents=True)
    (place / "config").write_text(
        'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_CC_VERSION_TEXT="gcc"\n'
    )
    (place / "options.json").write_text(json.dumps({"CONFIG_A": "y", "CONFIG_B": "y"}))
    console(place / "guests" / "0" / "console.log", size)
    rows = [{"title": SPLAT.title, "frames": SPLAT.frames, "decoded": to_json(DECODED)}]
    (place / "splats.json").write_text(json.dumps(rows))
    kernel = Kernel(
        key=f"key-{side}",
        folder=place,
        image=place / "bzImage",
        config=place / "config",
        release="7.2.0-demo",
        commit="0123456789abcdef",
        arch="x86_64",
        warnings=(CompilerWarning("fs/demo.c", 11, f"unused variable {EVIL}", SUBJECT),),
        seconds=90.0,
        reused=side is Side.BASE,
    )
    at = BEGIN + (90.0 if side is Side.PATCHED else 30.0)
    guests = tuple(
        GuestRecord(
            f"guest{n}", "done", "tcg", 5.0, str(place / f"guests/{n}/console.log"), began=at,
            seconds=30.0,
        )
        for n in range(4)
    )  # fmt: skip
    return Trial(side, kernel, (*each_kind(side, number), *more), guests)


def make(
    folder: Path, *, number: int = 0, bad: tuple[Test, ...] = (), console_size: int = 0
) -> Run:
    """Write the folder; ``number`` more tests pass, ``bad`` tests are on the patched kernel."""
    (folder / "series").mkdir(parents=True)
    patch = folder / "series" / "0001-demo.patch"
    patch.write_text(PATCH)
    sides = (
        _side(folder, Side.BASE, (), number, 0),
        _side(folder, Side.PATCHED, bad, number, console_size),
    )
    series = Series(
        name="demo",
        folder=folder,
        patches=(Patch(1, SUBJECT, "A U Thor <a@example.org>", patch, ("fs/demo.c",)),),
        digest="d1",
        title=f"a demonstration {EVIL}",
    )
    run = Run(
        series=series,
        source=Source(folder, "0123456789abcdef", "v7.2", "a package"),
        folder=folder,
        started="2026-06-01T10:00:00+00:00",
        seconds=150.0,
        accel="tcg",
        sides=sides,
        stages=(("build", 20.0),),
        command=("harness", "run", "a b"),
        timeline=(
            Span("build", f"x86_64 {EVIL}", BEGIN, 20.0),
            Span("test", "base", BEGIN + 30, 30.0),
            Span("test", "patched", BEGIN + 90, 50.0),
        ),
        about=(("harness", "0.1.0"), ("QEMU", "7.2")),
    )
    run = compared(run)
    store.save_run(run)
    return run


CHECK: dict[str, Any] = {
    "schema": 1, "name": f"a series {EVIL}", "base": "v7.2", "strict": False,
    "checks": ["apply", "build", "tests"], "untestable": "", "refused": "", "fault": "",
    "seconds": 12.0, "bad": True, "exit_code": 1,
    "rows": [{"number": 1, "commit": "abc", "subject": SUBJECT}],
    "cells": [
        {"patch": 1, "check": "apply", "state": "good", "findings": [], "note": ""},
        {"patch": 1, "check": "build", "state": "bad", "note": "", "findings": [
            {"level": "error", "text": f"boom {EVIL}", "file": "fs/demo.c", "line": 12,
             "rule": "", "enters": 1, "leaves": 0, "same": ""}]},
    ],
}  # fmt: skip


def check(folder: Path, checks: int = 0) -> Path:
    """Write the folder of a check of the same series, with ``checks`` more clean checks."""
    (folder / "series").mkdir(parents=True)
    (folder / "series" / "0001-x.patch").write_text(PATCH)
    names = [f"another-{n}" for n in range(checks)]
    more = [
        {"patch": 1, "check": name, "state": "good", "findings": [], "note": ""} for name in names
    ]
    table = {**CHECK, "checks": [*CHECK["checks"], *names], "cells": [*CHECK["cells"], *more]}
    (folder / "check.json").write_text(json.dumps(table))
    return folder
