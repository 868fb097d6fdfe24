# SPDX-License-Identifier: GPL-2.0-only
"""Which commits are likely to be it: those that touch files named like what fails.

A test of configfs, or a splat in configfs_release(), was seldom broken below net/, and what runs
was never broken by a text, or by code that is not compiled.  It is a guess: such commits are tried
earlier or later, and nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_WORD = re.compile(r"[a-z][a-z0-9]{2,}")
# A word that so large a part of all commits has tells nothing.
_COMMON = 1 / 4
# What no kernel is made from, and what describes it.
_TEXT = re.compile(r"(?:Documentation|LICENSES|tools/testing|\.[^/]+)/|[A-Z]+$|\.[^/]+$|.*\.rst$")


def likely(text: str, files: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Choose the commits whose ``files`` have a word in their paths that ``text`` has.

    ``files`` holds those of every commit.
    """
    wanted = set(_WORD.findall(text.lower()))
    by_word: dict[str, set[str]] = {}
    for commit, paths in files.items():
        for word in wanted & set(_WORD.findall("\n".join(paths).lower())):
            by_word.setdefault(word, set()).add(commit)
    telling = [found for found in by_word.values() if len(found) <= _COMMON * len(files)]
    return frozenset().union(*telling)


def idle(
    files: Mapping[str, Sequence[str]], used: Callable[[str], bool] = lambda _: True
) -> frozenset[str]:
    """Choose the commits that touch only texts, and what this kernel is not made from.

    Merges touch nothing here: they are none of them.
    """

    def silent(path: str) -> bool:
        return bool(_TEXT.match(path)) or not used(path)

    return frozenset(commit for commit, paths in files.items() if paths and all(map(silent, paths)))
