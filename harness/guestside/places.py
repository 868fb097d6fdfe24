# SPDX-License-Identifier: GPL-2.0-only
"""Where a test configures nvmet and connects to it: outside, or in a container."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from harness.guestside.container import Container
from harness.guestside.nvmet import CONFIGFS

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Place:
    """The initial instance, or that of a container."""

    container: Container | None = None

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function there; AssertionError where a container has no instance of its own.

        ``Instance()`` is the place's own in there.
        """
        if not self.container:
            return function(*arguments)
        check_own(self.container)
        return self.container.run(function, *arguments)


def check_own(container: Container) -> None:
    """AssertionError when a container sees the initial instance: then it shows nothing new."""
    inside = Path(f"{container.root}{CONFIGFS}").stat().st_dev
    assert inside != Path(CONFIGFS).stat().st_dev, (
        f"expected an instance of the container's own at {CONFIGFS}, found the initial one"
    )
