# SPDX-License-Identifier: GPL-2.0-only
"""Compare what was asked for with a .config.  Pure."""

from __future__ import annotations

import dataclasses
import re

from harness.model import Option, Request

_LINE = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Difference:
    """An option that did not land: ``got`` is its value in the .config, "n" when it is not set."""

    option: Option
    got: str

    def __str__(self) -> str:
        wanted = f"CONFIG_{self.option.name}={self.option.value} asked ({self.option.origin})"
        return f"{wanted}, got {'unset' if self.got == 'n' else self.got}"


def values(config: str) -> dict[str, str]:
    """Read the text of a .config (or /proc/config.gz): name to value, without those not set."""
    return dict(_LINE.findall(config))


def compare(request: Request, config_text: str) -> list[Difference]:
    """Give the requested options that have another value in ``config_text``, in request order.

    An option that is asked to be n is satisfied when it is not set or does not exist at all.
    """
    got = values(config_text)
    return [
        Difference(option, got.get(option.name, "n"))
        for option in request.options
        if not same(option.value, got.get(option.name, "n"))
    ]


def same(one: str, other: str) -> bool:
    """Whether two values mean the same: 0x10 is 16, everything else is compared as written."""
    if one == other:
        return True
    try:
        return int(one, 0) == int(other, 0)
    except ValueError:
        return False
