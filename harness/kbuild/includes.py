# SPDX-License-Identifier: GPL-2.0-only
"""Find out who includes a file, as far as the text of ``#include`` lines tells."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness import git, kbuild

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
_UP = re.compile(r"^(?:\.\.?/)+")


class Inclusion(NamedTuple):
    """A line of ``user`` that includes another file."""

    user: str
    line: int


def inclusions(
    repo: Path, files: Sequence[str], places: Collection[str], tree: str = ""
) -> Iterator[tuple[str, Inclusion]]:
    """Yield each line that includes one of the files, in files that match ``places``.

    They are those of a tree object, or of the worktree, where a search of all takes seconds.
    """
    if not files:
        return
    words = [word for file in files for word in ("-e", _included_as(file))]
    argv = ("grep", "-n", "-I", "-F", *words, *filter(None, [tree]), "--", *sorted(places))
    result = git.run(repo, *argv, env={"GIT_LITERAL_PATHSPECS": None}, check=False)
    for line in result.stdout.splitlines():
        name, number, text = line.removeprefix(f"{tree}:").split(":", 2)
        if (match := INCLUDE.match(text)) and name.endswith(kbuild.SOURCES):
            meant = included_files(match[1], name, files)
            if '"' in text and meant and _is_another(repo, tree, match[1], name, meant):
                continue
            for file in meant:
                yield file, Inclusion(name, int(number))


def included_files(words: str, user: str, files: Sequence[str]) -> Sequence[str]:
    """Return which of the files an ``#include`` in ``user`` may mean; the one beside it first."""
    beside = _beside(user, words)
    if beside in files:
        return (beside,)
    end = _UP.sub("", words)
    return [file for file in files if f"/{file}".endswith((f"/{end}", f"/uapi/{end}"))]


def _is_another(repo: Path, tree: str, words: str, user: str, meant: Sequence[str]) -> bool:
    """Whether ``#include "words"`` means a file beside ``user``, and none of ``meant``."""
    beside = _beside(user, words)
    if beside in meant:
        return False
    if not tree:
        return (repo / beside).is_file()
    return git.run(repo, "cat-file", "-e", f"{tree}:{beside}", check=False).ok


def _beside(user: str, words: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(user), words))


def is_public(header: str) -> bool:
    """Whether a header may be included from anywhere."""
    return "include/" in header


def _included_as(file: str) -> str:
    """Return what an #include of a file ends with."""
    if not is_public(file):
        return posixpath.basename(file)
    return file.partition("include/")[2].removeprefix("uapi/")
