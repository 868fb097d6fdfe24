# SPDX-License-Identifier: GPL-2.0-only
"""Build single objects with counters (gcov): those that are compiled from what a series touches.

kbuild compiles an object with counters if CONFIG_GCOV_PROFILE_ALL is set, unless a Makefile rules
that out.  make expands a variable of its command line anew in each rule, so that one word can set
it for exactly these objects: names alone (GCOV_PROFILE_dir.o) would be those of all folders, and
would overrule the Makefiles.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import git, kbuild
from harness.build import line_kinds
from harness.diff import FileDiff
from harness.model import Checkout

_NOTES = ".harness-gcno"  # in a build folder: the notes of the kernel built last
_MOST_USERS = 4  # of a header that no touched source includes; each costs time after each test
_UPWARD = re.compile(r"^(?:\.\./)+")
_INCLUDED = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def counted_objects(tip: Checkout, changed: Sequence[FileDiff], arch: str) -> tuple[str, ...]:
    """Return the objects that need counters to tell what executes the lines added by ``changed``.

    The code in a header is counted in the touched sources that include it; if none does, in a few
    other sources, those of its own folder first.  ``arch`` is the folder below arch/.  The tip's
    files must be in its worktree.
    """
    added = {
        file.path: frozenset(file.added_numbers)
        for file in changed
        if file.new and file.added_numbers and not kbuild.outside_image(file.path, arch)
    }
    sources = [path for path in added if path.endswith(".c")]
    texts = {path: (tip.path / path).read_text(errors="replace") for path in added}
    names = [name for path in sources for name in _INCLUDED.findall(texts[path])]
    for path in added:
        if path.endswith(".h") and not any(_is_named(path, name) for name in names):
            plain = line_kinds.without_code(texts[path], added[path], is_c=True)
            if added[path] - plain.keys():
                sources += list(_users(tip, path))[:_MOST_USERS]
    return tuple(sorted({f"{path.removesuffix('.c')}.o" for path in sources}))


def _is_named(path: str, name: str) -> bool:
    """Whether an ``#include`` with this name may mean the header."""
    return f"/{path}".endswith(f"/{_UPWARD.sub('', name)}")


def _users(tip: Checkout, header: str) -> Iterator[str]:
    """Yield the sources that include a header, those of its own folder first."""
    folder, _, name = header.rpartition("/")
    # In the worktree and for fixed words, this takes seconds; in a commit, it would be a minute.
    argv = ("grep", "--fixed-strings", "-e", name, "--")
    lines = git.run(tip.path, *argv, check=False).stdout.splitlines()
    found: dict[str, None] = {}
    for line in lines:
        path, _, text = line.partition(":")
        match = _INCLUDED.match(text)
        if match and path.endswith(".c") and _is_named(header, match[1]):
            found[path] = None
    near = [path for path in found if path.startswith(f"{folder}/")]
    yield from dict.fromkeys([*near, *found])


def make_words(objects: Sequence[str]) -> list[str]:
    """Return the words for make's command line that give these objects counters."""
    if not objects:
        return []
    return [f"CONFIG_GCOV_PROFILE_ALL=$(if $(filter {' '.join(objects)},$@),y)"]


def notes(out: Path, objects: Sequence[str]) -> Path:
    """Gather the compiler's notes about the objects in the folder ``out``; return their folder.

    The names in it are those of the counters below /sys/kernel/debug/gcov.
    """
    gathered = out / _NOTES
    shutil.rmtree(gathered, ignore_errors=True)
    top = gathered / out.resolve().relative_to("/")
    top.mkdir(parents=True)
    for name in objects:
        file = Path(name).with_suffix(".gcno")
        if (out / file).exists() and (out / name).exists():
            (top / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(out / file, top / file)
    return gathered
