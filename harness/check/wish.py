# SPDX-License-Identifier: GPL-2.0-only
"""Which checks there are, and which of them are wanted."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterable

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
    "sparse": "new complaints of sparse in the files touched (when asked for)",
    "smatch": "the same of smatch (when asked for)",
    "coccinelle": "the same of the tree's semantic patches (when asked for)",
    "variants": "its files compile with options at y, m, n, for 32 bits, by clang (when asked for)",
    "tests": "it boots and passes the suites as the base does",
    "size": "functions and data that grew (scripts/bloat-o-meter)",
    "layout": "structures that are laid out otherwise (pahole, where installed)",
    "headers": "what make headers gives programs otherwise than before (only if uapi is touched)",
}
GROUPS = {
    "mail": ("apply", "form", "revision", "signed", "fixes", "spdx", "exports", "uapi"),
    "scripts": ("checkpatch", "maintainers", "kernel-doc", "coccinelle"),
    "kernel": (
        *("build", "sparse", "smatch", "variants", "tests", "size", "layout"),
        "headers",
    ),
}
# They take long, or find much that is old: only by name.
ASKED = {
    "sparse": "sparse on the files touched as well",
    "smatch": "smatch on the files touched as well",
    "coccinelle": "the tree's semantic patches on the files touched as well",
    "variants": "other values of its options as well, 32 bits, clang",
}
_NEED_BUILD = set(GROUPS["kernel"])
_NO_KERNEL = {"variants", "headers"}  # something is built, but no whole kernel


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be checked, and how.

    ``mails``: the series was sent or will be as it is, so its form counts; ``committers`` are
    those of commits that were made into mails.  ``trust``: run what the series itself changes.
    ``previous`` is the revision before, and ``first`` the tests that failed there.
    """

    checks: tuple[str, ...]
    mails: bool = True
    committers: tuple[str, ...] = ()
    trust: bool = False
    strict: bool = False
    previous: Series | None = None
    first: tuple[str, ...] = ()

    def wants(self, *names: str) -> bool:
        """Whether any of these is wanted."""
        return any(name in self.checks for name in names)

    @property
    def kernels(self) -> bool:
        """Whether a kernel is built at each patch."""
        return self.wants(*(_NEED_BUILD - _NO_KERNEL))

    @property
    def builds(self) -> bool:
        """Whether anything is compiled."""
        return self.wants(*_NEED_BUILD)


def choose(only: Iterable[str], skip: Iterable[str], more: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the wanted checks in their order; names may be separated by commas, or be groups.

    A group stands for those of its checks that need not be asked for by name.
    """
    asked, left_out = _names(only, ASKED), _names(skip)
    default = [name for name in CHECKS if name not in ASKED]
    wanted = {*(asked or default), *more, "apply"} - set(left_out)
    return tuple(name for name in CHECKS if name in wanted)


def _names(words: Iterable[str], without: Collection[str] = ()) -> list[str]:
    found: list[str] = []
    for name in (part.strip() for word in words for part in word.split(",")):
        if name and name not in CHECKS and name not in GROUPS:
            near = difflib.get_close_matches(name, [*CHECKS, *GROUPS], 1)
            raise UsageError(
                f"there is no check called {name!r}",
                hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(CHECKS)}",
            )
        group = [one for one in GROUPS.get(name, ()) if one not in without]
        found += group if name in GROUPS else [name] if name else []
    return found
