# SPDX-License-Identifier: GPL-2.0-only
"""Logs full of the words of reports, in which nothing is wrong: no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.splat import find

HEALTHY = sorted((Path(__file__).parents[1] / "data" / "healthy").glob("*.txt"))
#: What stands before each line.
FORMS = {
    "bare": "",
    "stamped": "[{seconds:12.6f}] ",
    "quoted": "> ",
    "journal": "Nov 30 12:00:00 host kernel: ",
    "a program's in the journal": "Nov 30 12:00:00 host prog[42]: ",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_nothing_is_found_where_nothing_is_wrong(path: Path, form: str) -> None:
    lines = path.read_text().splitlines()
    assert find(form.format(seconds=1 + n / 100) + line for n, line in enumerate(lines)) == ()


def test_the_first_line_of_a_lockdep_report_counts_with_what_follows() -> None:
    head = "WARNING: possible circular locking dependency detected"
    assert find(["I saw", head, "on an older kernel, where a lock was taken twice."]) == ()
    (splat,) = find([head, "7.2.0 #1 Not tainted", "-" * 54, "frob/42 is trying to acquire lock:"])
    assert splat.title == "possible deadlock"
