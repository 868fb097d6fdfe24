# SPDX-License-Identifier: GPL-2.0-only
"""``--fresh``: tests in guests of their own."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from fakesession import Session, own_base  # noqa: F401 - a fixture for all tests here

from harness.results import journal

SUITE = """
class TestOne:
    def test_a(self):
        pass

    def test_b(self):
        pass

def test_c():
    pass

def test_d():
    assert 0
"""


@pytest.mark.parametrize(
    ("fresh", "groups"),
    [
        ("test", ["a", "b", "c", "d"]),
        ("class", ["ab", "cd"]),
        ("module", ["abcd"]),
    ],
)
def test_which_tests_share_a_guest(tmp_path: Path, fresh: str, groups: list[str]) -> None:
    session = Session(tmp_path, SUITE)
    status, said = session.run("--fresh", fresh, "--guests", "1", "--retry", "0")
    assert status == 1, said
    assert "1 failed, 3 passed" in said
    assert "replaced" not in said, "what was asked for is no news"
    tests = sorted(journal.read(session.out), key=lambda test: test.id)
    assert [str(test.outcome) for test in tests] == ["pass", "pass", "pass", "fail"]
    shared = itertools.groupby(tests, key=lambda test: test.guest)
    assert ["".join(test.id[-1] for test in alike) for _, alike in shared] == groups
