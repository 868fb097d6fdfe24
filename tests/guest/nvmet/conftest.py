# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the nvmet suites."""

from __future__ import annotations

import pytest

from harness.guestside import links


@pytest.fixture(scope="session", autouse=True)
def _loopback() -> None:
    """127.0.0.1 answers: a guest starts with its loopback link down."""
    links.loopback_up()
