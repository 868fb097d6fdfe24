# SPDX-License-Identifier: GPL-2.0-only
"""Build single objects with counters (gcov): those that are compiled from what a series touches.

kbuild compiles an object with counters if CONFIG_GCOV_PROFILE_ALL is set, unless a Makefile rules
that out.  make expands a variable of its command line anew in each rule, so that one word can set
it for exactly these objects: names alone (GCOV_PROFILE_dir.o) would be those of all folders, and
would overrule the Makefiles.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness import kbuild
from harness.build import line_kinds
from harness.diff import FileDiff
from harness.kbuild import includes
from harness.kbuild.includes import INCLUDE, included_files
from harness.model import Checkout

_NOTES = ".harness-gcno"  # in a build folder: the notes of the kernel built last
_MOST_USERS = 4  # of a header that no touched source includes; each costs time after each test


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
    included = [(name, path) for path in sources for name in INCLUDE.findall(texts[path])]
    for path in added:
        if path.endswith(".h") and not any(included_files(*pair, [path]) for pair in included):
            plain = line_kinds.without_code(texts[path], added[path], is_c=True)
            if added[path] - plain.keys():
                sources += _users(tip, path)[:_MOST_USERS]
    return tuple(sorted({f"{path.removesuffix('.c')}.o" for path in sources}))


def _users(tip: Checkout, header: str) -> list[str]:
    """Return the sources that include a header, those of its own folder first."""
    folder = f"{header.rpartition('/')[0]}/"
    found = [user for _, (user, _) in includes.inclusions(tip.path, [header], ["*.c"])]
    return sorted(dict.fromkeys(found), key=lambda user: not user.startswith(folder))


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
