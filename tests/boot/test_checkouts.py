# SPDX-License-Identifier: GPL-2.0-only
"""blktests and fstests on the default kernel, in checkouts that BLKTESTS and FSTESTS name."""

from __future__ import annotations

import os

import pytest
from conftest import harness

# Each kernel has more options than the default one, and the tests themselves take minutes.
pytestmark = pytest.mark.nightly


def outcomes(kind: str, *tests: str) -> dict[str, tuple[str, str]]:
    """Run tests of a checkout; return their outcomes and messages."""
    folder = os.environ.get(kind.upper())
    if not folder:
        pytest.skip(f"{kind.upper()} names no built checkout of {kind}")
    words = [word for test in tests for word in (f"--{kind}", f"{folder}:{test}")]
    code, run, printed = harness("run", "--no-series", *words, "--json")
    assert code in (0, 1), printed
    found = {test["id"].partition("::")[2]: test for test in run["sides"][0]["tests"]}
    return {name: (test["outcome"], test["message"]) for name, test in found.items()}


def test_blktests_over_loop_and_tcp() -> None:
    found = outcomes("blktests", "nvme/004", "nvme/046", "nvme/061")
    assert found["nvme/004"][0] == "pass"
    assert found["nvme/004::tr=loop"][0] == "pass"
    assert found["nvme/004::tr=tcp"][0] == "pass"
    assert found["nvme/061::tr=loop"][0] == "skip"
    assert "loop is not supported" in found["nvme/061::tr=loop"][1]
    # Runs on disks only, and the guest has none.
    assert found["nvme/046"][0] == "skip"
    assert "--disk" in found["nvme/046"][1]


def test_fstests_on_ext4() -> None:
    found = outcomes("fstests", "generic/005", "generic/116")
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "generic/005": "pass",
        "generic/116": "skip",
    }
    assert "Reflink not supported" in found["generic/116"][1]
