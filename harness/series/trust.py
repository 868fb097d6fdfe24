# SPDX-License-Identifier: GPL-2.0-only
"""Check which changes of a series a build would execute on this machine.

A build runs programs from the tree: scripts, make recipes, Kconfig macros.  The user's own tree is
trusted; changes by a series come from somebody on a mailing list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness import kbuild
from harness.errors import UsageError
from harness.model import Patch, Series
from harness.series.mail import parse

# A macro, or a sourced file that is not named Kconfig, whose lines would not be checked.  A macro's
# name can be in a variable, and a string can end up in a shell command.
_MACRO = re.compile(
    r"\$\((?![\w-]+\))|:=|^\s*default\s+[\"'][^\"']*[`;|&<>\\]|^\s*o?r?source\s*[\"'](?!(?:[\w$()-]+/)*Kconfig[\w.-]*[\"'])"
)
_OBJECTS = r"(?:[\w./-]+\.o|[\w./-]+/|\$\([\w-]+\)|\$\([\w-]+:[\w%.]*=[\w%.]*\))"
# Makefile lines that only list what to build, with harmless options.
_TAME = re.compile(
    r"\s*(?:#.*"
    r"|(?:end(?:if|ef)|else|ifn?def\s+\w+"
    r"|(?:else\s+)?ifn?eq\s*\((?!.*(?:\$\(\w+[\s,]|\$(?![\w(]))).*\))"
    # Other names could be variables such as CC or PATH, or a rule's command.
    rf"|(?:targets|[\w.-]*-(?:objs|\$\(\w+\)|[ymn])(?:-\$\(\w+\))?)"
    rf"\s*[:+]?=\s*(?:{_OBJECTS}\s*)*\\?"
    rf"|(?:{_OBJECTS}\s*)+\\?"
    r"|(?:sub)?dir-ccflags(?:-\$?\(?\w+\)?)?\s*[:+]?=\s*(?:-[DI][\w./=$()-]+\s*)*"
    r"|(?:ccflags(?:-\$?\(?\w+\)?)?|CFLAGS_[\w.-]+)\s*[:+]?=\s*(?:-[DI][\w./=$()-]+\s*)*"
    r"|[\w-]+(?:_SANITIZE|_PROFILE|_INSTRUMENT)(?:_[\w.-]+)?\s*:=\s*[yn])?\s*"
)


def commands(series: Series) -> tuple[str, ...]:
    """Return the changes of the series that could run any command here, one line for each."""
    return tuple(line for line, risky in _changes(series) if risky)


def require(series: Series, trusted: bool) -> tuple[str, ...]:
    """Raise UsageError for a series that could run commands here, unless it is trusted.

    Returns notes for the user.
    """
    changes = list(_changes(series))
    risky = [line for line, runs_anything in changes if runs_anything]
    if risky and not trusted:
        raise UsageError(
            f"the series {series.name} changes what a build runs on this machine: {risky[0]}",
            hint="review these changes; if you trust them, use --trust",
            details="\n".join(risky),
        )
    # The other changes cannot be avoided: a build compiles and runs these programs.
    return tuple(
        f"trusted, runs on this machine: {line}" if runs_anything else line
        for line, runs_anything in sorted(changes, key=lambda change: not change[1])
    )


def _changes(series: Series) -> Iterator[tuple[str, bool]]:
    """Yield (line, whether it could run any command) for each change to what a build runs."""
    for earlier in series.after:
        for line, risky in _changes(earlier):
            yield f"{earlier.name}: {line}", risky
    for patch in series.patches:
        for file in patch.files:
            where = f"patch {patch.number}, {file}"
            if kbuild.PROGRAMS.match(file):
                yield where, True
            elif risk := _risk(file, patch):
                yield f"{where}: {risk}", True
            elif kbuild.HOST_PROGRAMS.match(file):
                yield f"{where}: the build compiles and runs it here", False


def _risk(name: str, patch: Patch) -> str:
    """Return why a patch's change of this file may run a command; empty if it cannot."""
    kconfig, makefile = kbuild.KCONFIG.match(name), kbuild.MAKE.match(name)
    if not kconfig and not makefile:
        return ""
    every = parse(patch.path.read_bytes(), str(patch.path)).diffs
    diffs = [file for file in every if name in file.names]
    for file in diffs:
        # In these cases, the added lines do not show the whole content.
        if file.moved and name == file.new:
            return "renamed or copied from another file"
        if file.link:
            return "a link"
        if file.binary:
            return "a binary diff"
    for line in (line for file in diffs for line in file.added):
        if _MACRO.search(line) if kconfig else not _TAME.fullmatch(line):
            return line.strip()
    return ""
