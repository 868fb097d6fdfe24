# SPDX-License-Identifier: GPL-2.0-only
"""``--ignore-splat``: kinds of splats that fail no test, in reports and in consoles."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here

from harness.results import evidence

SUITE = '''
import os

REPORT = """prober: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL), nodemask=(null)
CPU: 0 UID: 0 PID: 7 Comm: prober Not tainted 7.2.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x1/0x2
 warn_alloc+0x1/0x2
 frob_init+0x1/0x2
 </TASK>
Mem-Info:
"""


def test_asks_for_too_much():
    with open(os.environ["FAKE_KMSG"], "a") as kmsg:
        for n, line in enumerate(REPORT.splitlines()):
            kmsg.write(f"4,{n + 9000},{n + 9_000_000},-;{line}\\n")
'''


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path, SUITE)


def test_a_kind_counts_unless_it_is_ignored(session: Session) -> None:
    status, said = session.run()
    assert (status, session.outcomes()) == (1, {"test_asks_for_too_much": "error"}), said
    assert "page allocation failure in frob_init" in said


def test_a_kind_that_is_ignored_fails_no_test(session: Session) -> None:
    status, said = session.run("--ignore-splat", "page allocation failure")
    assert (status, session.outcomes()) == (0, {"test_asks_for_too_much": "pass"}), said
    started = evidence.session(session.out)
    assert started is not None
    assert started.ignored_splats == ("page allocation failure",)


def test_consoles_are_read_in_the_same_way(session: Session) -> None:
    session.run("--ignore-splat", "page allocation failure")
    (guest, *_) = sorted((session.out / "guests").glob("[0-9]*"))
    with (guest / "console.log").open("a") as console:
        console.write("[   60.0] prober: page allocation failure: order:4, mode:0x40cc0\n")
        console.write("[   61.000000] BUG: workqueue lockup - pool cpus=0 stuck for 10s!\n")
    titles = [splat.title for record in evidence.guests(session.out) for splat in record.splats]
    assert titles == ["BUG: workqueue lockup"]


def test_an_unknown_kind_is_named(session: Session) -> None:
    status, said = session.run("--ignore-splat", "page allocation")
    assert status == 4
    assert "there is no kind of splat 'page allocation'" in said
