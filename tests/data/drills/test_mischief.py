# SPDX-License-Identifier: GPL-2.0-only
"""Runs in guests: what mischief.py lists, and a harmless test behind each."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import mischief

one = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in mischief.CHOSEN else pytest.mark.nightly)
        for name in mischief.BY_NAME
    ],
    scope="module",
)


@one
def test_it(name: str) -> None:
    mischief.BY_NAME[name].does()


@one
def test_neighbour(name: str) -> None:
    assert name in mischief.BY_NAME


@pytest.fixture
def slow_setup() -> None:
    time.sleep(mischief.LONG)


@pytest.fixture
def slow_teardown() -> None:
    yield
    time.sleep(mischief.LONG)


@pytest.mark.nightly
def test_hangs_in_setup(slow_setup: None) -> None:
    pass


def test_hangs_in_teardown(slow_teardown: None) -> None:
    pass


def test_last() -> None:
    pass
