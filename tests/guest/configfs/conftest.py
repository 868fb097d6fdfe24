# SPDX-License-Identifier: GPL-2.0-only
"""configfs behaves the same in the initial instance and in every other: tests run in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from guestlib.nvmet import Instance


@pytest.fixture(params=["initial", "container"])
def inside(
    request: pytest.FixtureRequest, initial: Instance, make_container: Callable[..., Any]
) -> Callable[..., Any]:
    """Run a function where the instance is the one at the usual place.

    Where there is no other instance than the initial one, its items are the test's all the same.
    """
    if request.param == "container":
        run: Callable[..., Any] = make_container().run
        return run
    return lambda function, *arguments: function(*arguments)
