# SPDX-License-Identifier: GPL-2.0-only
"""Which KUnit suites a kernel tree has, and the Kconfig option that builds each."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import re
from collections.abc import Sequence
from pathlib import PurePath

from harness import architectures, git
from harness.adaptors import Sources
from harness.errors import UsageError
from harness.kbuild.makefiles import Makefiles
from harness.model import Option

ORIGIN = "--kunit"
_ALL = "*"
# Not at boot: a crash would cost every guest.
_ALWAYS = {
    "KUNIT": "y",
    "KUNIT_DEBUGFS": "y",
    "KUNIT_DEFAULT_ENABLED": "y",
    "KUNIT_AUTORUN_ENABLED": "n",
}
_SUITE = r"^(static )?struct kunit_suite [A-Za-z0-9_]+ = \{"
_NAME = re.compile(r'^\s*\.name\s*=\s*"([^"]+)"')


@dataclasses.dataclass(frozen=True)
class KunitSuite:
    """A suite of KUnit's in a tree; ``option`` is empty if it was not found."""

    name: str
    file: str
    option: str


def options(whats: Sequence[str], sources: Sources) -> tuple[Option, ...]:
    """Return the options for the suites that match, and for KUnit itself.

    Raises UsageError if no suite matches.
    """
    chosen: list[KunitSuite] = []
    listed = suites(sources) if set(whats) != {_ALL} else []
    for what in whats:
        if what == _ALL:  # Kconfig knows best which of them this kernel can have
            chosen.append(KunitSuite(_ALL, "", "KUNIT_ALL_TESTS"))
            continue
        found = [suite for suite in listed if fnmatch.fnmatchcase(suite.name, what)]
        if not found:
            near = difflib.get_close_matches(what, {suite.name for suite in listed}, 3, 0.5)
            raise UsageError(
                f"--kunit {what}: the tree has no KUnit suite of this name",
                hint=f"one of {', '.join(near)}" if near else "a glob of suites, such as 'ext4*'",
            )
        if not any(suite.option for suite in found):
            raise UsageError(
                f"--kunit {what}: cannot tell which option builds {found[0].file}",
                hint="give the option, and use --kunit '*'",
            )
        chosen += [suite for suite in found if suite.option]
    return options_of(chosen)


def options_of(chosen: Sequence[KunitSuite]) -> tuple[Option, ...]:
    """Return the options that build these suites, and those of KUnit itself."""
    always = [Option(name, value, ORIGIN, "KUnit") for name, value in _ALWAYS.items()]
    own = {s.option: Option(s.option, "y", ORIGIN, f"KUnit {s.name}") for s in chosen}
    return (*always, *own.values())


def suites(sources: Sources, folders: Sequence[str] = ()) -> list[KunitSuite]:
    """Return the suites in the C files of a commit, or only in those directly in some folders.

    Only files that are called tests are read: reading all of a tree takes minutes.
    """
    places = [f"{folder}/*{word}*.c" for folder in folders or ("",) for word in ("test", "kunit")]
    words = ("grep", "-z", "-E", "-A8", "-e", _SUITE, sources.commit, "--")
    names = [place.removeprefix("/") for place in places]
    patterns = {"GIT_LITERAL_PATHSPECS": None}
    result = git.run(sources.repo, *words, *names, ":!tools", env=patterns, check=False)
    found = []
    folder = architectures.named(sources.toolchain.arch).folder
    makefiles = Makefiles(sources.repo, folder, commit=sources.commit)
    for line in result.stdout.splitlines():
        path, nul, text = line.partition("\0")
        match = _NAME.match(text)
        if nul and match:
            file = path.removeprefix(f"{sources.commit}:")
            if folders and str(PurePath(file).parent) not in folders:
                continue  # * stands for folders, too
            found.append(KunitSuite(match[1], file, makefiles.option(file)))
    return found
