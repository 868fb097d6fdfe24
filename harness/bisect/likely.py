# SPDX-License-Identifier: GPL-2.0-only
"""Which commits are likely to be it: those that touch files named like what fails.

A test of configfs, or a splat in configfs_release(), was seldom broken below net/.  It is a guess:
such commits are tried earlier, and nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_WORD = re.compile(r"[a-z][a-z0-9]{2,}")
# A word that so large a part of all commits has tells nothing.
_COMMON = 1 / 4


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
