# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two trees of sources: headers that matter only to who names something in
them, and everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from harness import git
from harness.build import additive

_HEADERS = 64  # so many changed headers are another kernel: make may as well look itself
_PLAIN = "100644"


@dataclasses.dataclass(frozen=True)
class Header:
    """A changed header: its text before and after, and what it gained or lost."""

    path: str
    texts: tuple[str, str]
    additions: additive.Additions


@dataclasses.dataclass(frozen=True)
class Changes:
    """``others`` are the changed files that are no such headers; ``came`` the names of new ones."""

    headers: tuple[Header, ...] = ()
    others: frozenset[str] = frozenset()
    came: frozenset[str] = frozenset()


def between(repo: Path, old: str, new: str) -> Changes:
    """Compare two tree objects; without headers where nothing is certain, or one is lost."""
    words = ("diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", old, new)
    said = git.run(repo, *words, check=False)
    fields = said.stdout.split("\0") if said.ok else []
    entries = {path: what.split() for what, path in zip(fields[::2], fields[1::2], strict=False)}
    blobs = {
        path: (what[2], what[3])
        for path, what in entries.items()
        if path.endswith(".h") and what[0] == f":{_PLAIN}" and what[1] == _PLAIN
    }
    if not blobs or len(blobs) > _HEADERS:
        return Changes()
    texts = _texts(repo, [blob for pair in blobs.values() for blob in pair])
    headers = []
    for path, pair in blobs.items():
        before, after = (texts.get(blob) for blob in pair)
        if before is None or after is None:
            continue
        if found := additive.names(before, after):
            headers.append(Header(path, (before, after), found))
    came = {Path(path).name for path, what in entries.items() if what[0] == ":000000"}
    others = entries.keys() - {header.path for header in headers}
    return Changes(tuple(headers), frozenset(others), frozenset(came))


def _texts(repo: Path, blobs: Sequence[str]) -> dict[str, str]:
    """Give the content of blobs, all with one git; none when one is not there."""
    names = list(dict.fromkeys(blobs))
    words = ("cat-file", "--batch=%(objectname)")
    rest = git.run(repo, *words, stdin="\n".join(names) + "\n", check=False).stdout
    texts = {}
    for name, after in zip(names, [*names[1:], ""], strict=True):
        # Behind each content comes the next one's name, in a line of its own.
        end = rest.find(f"\n{after}\n", len(name)) if after else len(rest) - 1
        if not rest.startswith(f"{name}\n") or end < len(name):
            return {}
        texts[name] = rest[len(name) + 1 : end]
        rest = rest[end + 1 :]
    return texts
