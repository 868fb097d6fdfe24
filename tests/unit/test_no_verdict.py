# SPDX-License-Identifier: GPL-2.0-only
"""What pytest's end says, when it is no verdict on the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError, HostFault, Uncollected
from harness.lab import trial
from harness.model import Kernel, Outcome, Side, Test, Trial

KERNEL = Kernel("k", Path(), Path(), Path(), "7.2.13", "c0ffee", "x86_64")
FILE, RAN = Test("test_x.py", Outcome.ERROR), Test("test_y.py::test_y", Outcome.PASS)


def ended(status: int, *tests: Test, fit: bool) -> type[HarnessError] | None:
    result = Trial(Side.PATCHED, KERNEL, tests)
    try:
        trial.raise_fault(status, [], result, Path("folder"), collects=fit)
    except HarnessError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("tests", "fit", "error"),
    [
        ((FILE,), False, Uncollected),  # nobody could collect it
        ((FILE,), True, None),  # the base could: it is the series' doing
        ((FILE, RAN), False, None),
        ((), True, HostFault),  # whatever the base could: nothing at all is no result
    ],
)
def test_a_suite_that_cannot_be_collected(
    tests: tuple[Test, ...], fit: bool, error: type[Exception] | None
) -> None:
    assert ended(2, *tests, fit=fit) is error
