# SPDX-License-Identifier: GPL-2.0-only
"""Kernel release numbers: what was asked, what matches, which is newer."""

from __future__ import annotations

import dataclasses
import re

from harness.errors import UsageError

_ASKED = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(-rc\d+)?")
_FIELD = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A release asked for: ``line`` is "7.2"; ``exact`` is "7.2.13", or empty for the newest."""

    line: str
    exact: str

    def __str__(self) -> str:
        return self.exact or self.line

    def matches(self, version: str) -> bool:
        """Whether ``version`` is what was asked; a release candidate only if asked by name."""
        if self.exact:
            return version == self.exact
        return "-rc" not in version and version.split(".")[:2] == self.line.split(".")


def parse(text: str) -> Wanted:
    """Read "7.2" (the newest 7.2.x), "7.2.13", "7.2.0" (the first 7.2) or "7.3-rc2".

    Raises UsageError for anything else.
    """
    match = _ASKED.fullmatch(text.strip())
    if not match or (match[3] and match[4]):
        raise UsageError(
            f"'{text}' is no kernel release",
            hint="name one as 7.2 (the newest 7.2.x) or 7.2.13; a git tree goes with --tree",
        )
    line = f"{match[1]}.{match[2]}"
    if match[4]:
        return Wanted(line, line + match[4])
    if match[3] is None:
        return Wanted(line, "")
    return Wanted(line, line if int(match[3]) == 0 else f"{line}.{int(match[3])}")


def key(version: str) -> tuple[int, int, int, int]:
    """Give what sorts releases from old to new."""
    match = _ASKED.fullmatch(version)
    if not match:
        return (0, 0, 0, 0)
    candidate = int(match[4][3:]) if match[4] else 1_000_000
    return int(match[1]), int(match[2]), int(match[3] or 0), candidate


def of_makefile(text: str) -> str:
    """Give the release a kernel's top Makefile names, "" when it is no kernel's."""
    fields: dict[str, str] = dict(_FIELD.findall(text[:4096]))
    if not fields.get("VERSION") or "PATCHLEVEL" not in fields:
        return ""
    version = f"{fields['VERSION']}.{fields['PATCHLEVEL']}"
    if fields.get("SUBLEVEL", "0") not in ("", "0"):
        version += f".{fields['SUBLEVEL']}"
    return version + fields.get("EXTRAVERSION", "")
