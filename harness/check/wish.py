# SPDX-License-Identifier: GPL-2.0-only
"""Which checks there are, and which of them are wanted."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable

from harness.errors import UsageError
from harness.model import Series

# In the order of their columns.
CHECKS = {
    "apply": "the patch applies",
    "form": "subjects, numbers, prefix, cover letter",
    "signed": "Signed-off-by of the author and of who passes it on",
    "fixes": "Fixes: commits exist and are called that",
    "spdx": "new files say their license",
    "checkpatch": "scripts/checkpatch.pl --strict, spelling included",
    "maintainers": "scripts/get_maintainer.pl against To and Cc; new files have an entry",
    "kernel-doc": "new complaints of scripts/kernel-doc in the files touched",
    "revision": "what became of each patch since --previous (git range-diff)",
    "exports": "symbols that modules may use now, or no more",
    "uapi": "changes to what programs see (include/uapi)",
    "build": "it builds with W=1, and new warnings",
    "sparse": "new complaints of sparse in the files touched (only when asked for)",
    "variants": "its files compile with their options at y, m, n, and for 32 bits (when asked for)",
    "tests": "it boots and passes the suites as the base does",
    "size": "functions and data that grew (scripts/bloat-o-meter)",
}
GROUPS = {
    "mail": ("apply", "form", "revision", "signed", "fixes", "spdx", "exports", "uapi"),
    "scripts": ("checkpatch", "maintainers", "kernel-doc"),
    "kernel": ("build", "sparse", "variants", "tests", "size"),
}
_ASKED = {"sparse", "variants"}  # takes long or finds much that is old: only by name
_NEED_BUILD = set(GROUPS["kernel"])


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be checked, and how.

    ``mails``: the series was sent or will be as it is, so its form counts; ``committers`` are
    those of commits that were made into mails.  ``trust``: run what the series itself changes.
    ``previous`` is the revision before.
    """

    checks: tuple[str, ...]
    mails: bool = True
    committers: tuple[str, ...] = ()
    trust: bool = False
    strict: bool = False
    previous: Series | None = None

    def wants(self, *names: str) -> bool:
        """Whether any of these is wanted."""
        return any(name in self.checks for name in names)

    @property
    def kernels(self) -> bool:
        """Whether a kernel is built at each patch."""
        return self.wants(*(_NEED_BUILD - {"variants"}))

    @property
    def builds(self) -> bool:
        """Whether anything is compiled."""
        return self.wants(*_NEED_BUILD)


def choose(only: Iterable[str], skip: Iterable[str], more: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the wanted checks in their order; names may be separated by commas, or be groups."""
    asked, left_out = _names(only), _names(skip)
    default = [name for name in CHECKS if name not in _ASKED]
    wanted = {*(asked or default), *more, "apply"} - set(left_out)
    return tuple(name for name in CHECKS if name in wanted)


def _names(words: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in (part.strip() for word in words for part in word.split(",")):
        if name and name not in CHECKS and name not in GROUPS:
            near = difflib.get_close_matches(name, [*CHECKS, *GROUPS], 1)
            raise UsageError(
                f"there is no check called {name!r}",
                hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(CHECKS)}",
            )
        found += GROUPS.get(name, (name,)) if name else ()
    return found
