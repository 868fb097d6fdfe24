# SPDX-License-Identifier: GPL-2.0-only
"""The configfs instance that a test uses: the initial one, or that of a container."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from harness.guestside.container import Container
from harness.guestside.kernelfiles import CONFIGFS

T = TypeVar("T")

#: Has a folder for each instance but the initial one, as long as anything refers to it.
INSTANCES = Path("/sys/kernel/debug/nvmet-instances")


@dataclasses.dataclass(frozen=True)
class NvmetPlace:
    """Where a test configures nvmet and connects to it: outside, or in a container."""

    container: Container | None = None

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function there, where ``Instance()`` is the place's instance.

        Raises AssertionError if a container does not have its own instance.
        """
        if not self.container:
            return function(*arguments)
        check_own(self.container)
        return self.container.run(function, *arguments)


def check_own(container: Container) -> None:
    """Raise AssertionError if a container sees the initial instance, which makes tests useless."""
    inside = Path(f"{container.root}{CONFIGFS}").stat().st_dev
    assert inside != Path(CONFIGFS).stat().st_dev, (
        f"expected the container's own instance at {CONFIGFS}, found the initial one"
    )
