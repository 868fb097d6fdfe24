# SPDX-License-Identifier: GPL-2.0-only
"""What a series would have this machine run, before any kernel of it runs in a guest.

A build runs programs of the tree: scripts, make's recipes, Kconfig's macros.  Those of a tree
that a person chose are trusted; those that a series brings are somebody's from a mailing list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness import kbuild
from harness.errors import UsageError
from harness.model import Series
from harness.series import diff
from harness.series.mail import parse

# A macro, or a file that is read as Kconfig and not called that: nobody would look at its lines.
# A macro's name can be that of a variable, and a string can get into a shell's command.
_MACRO = re.compile(
    r"\$\((?![\w-]+\))|:=|^\s*default\s+[\"'][^\"']*[`;|&<>\\]|^\s*o?r?source\s*[\"'](?!(?:[\w$()-]+/)*Kconfig[\w.-]*[\"'])"
)
_OBJECTS = r"(?:[\w./-]+\.o|[\w./-]+/|\$\([\w-]+\)|\$\([\w-]+:[\w%.]*=[\w%.]*\))"
# Lines of a Makefile that only say what is built, and with which plain options.
_TAME = re.compile(
    r"\s*(?:#.*"
    r"|(?:end(?:if|ef)|else|ifn?def\s+\w+"
    r"|(?:else\s+)?ifn?eq\s*\((?!.*(?:\$\(\w+[\s,]|\$(?![\w(]))).*\))"
    # Other names than these are variables: CC, PATH, the command of a rule.
    rf"|(?:targets|[\w.-]*-(?:objs|\$\(\w+\)|[ymn])(?:-\$\(\w+\))?)"
    rf"\s*[:+]?=\s*(?:{_OBJECTS}\s*)*\\?"
    rf"|(?:{_OBJECTS}\s*)+\\?"
    r"|(?:sub)?dir-ccflags(?:-\$?\(?\w+\)?)?\s*[:+]?=\s*(?:-[DI][\w./=$()-]+\s*)*"
    r"|(?:ccflags(?:-\$?\(?\w+\)?)?|CFLAGS_[\w.-]+)\s*[:+]?=\s*(?:-[DI][\w./=$()-]+\s*)*"
    r"|[\w-]+(?:_SANITIZE|_PROFILE|_INSTRUMENT)(?:_[\w.-]+)?\s*:=\s*[yn])?\s*"
)


def commands(series: Series) -> tuple[str, ...]:
    """Give what the series brings that would run here, each in a line with its patch and file."""
    return tuple(line for line, harmful in _found(series) if harmful)


def told(series: Series) -> tuple[str, ...]:
    """Give programs of the build that the series changes; a build cannot do without them."""
    return tuple(line for line, harmful in _found(series) if not harmful)


def see(series: Series, trusted: bool) -> tuple[str, ...]:
    """Refuse a series that would run commands here, unless it is trusted.

    Gives the lines to tell people.  Raises UsageError.
    """
    found = commands(series)
    if found and not trusted:
        raise UsageError(
            f"the series {series.name} changes what a build runs on this machine: {found[0]}",
            hint="read those changes; if you trust them, give --trust",
            details="\n".join(found),
        )
    words = "trusted, runs on this machine" if trusted else ""
    return (*(f"{words}: {line}" for line in found), *told(series))


def _found(series: Series) -> Iterator[tuple[str, bool]]:
    for patch in series.patches:
        text = parse(patch.path.read_bytes(), str(patch.path)).patch
        added, other = diff.added(text), diff.moved(text)
        for file in patch.files:
            where = f"patch {patch.number}, {file}"
            if kbuild.PROGRAMS.match(file):
                yield where, True
                continue
            named = kbuild.KCONFIG.match(file) or kbuild.MAKE.match(file)
            risky = other.get(file, "") if named else ""
            risky = risky or _risky(file, added.get(file, ()))
            if risky:
                yield f"{where}: {risky.strip()}", True
            elif kbuild.HOST_PROGRAMS.match(file):
                yield f"{where}: the build compiles and runs it here", False


def _risky(file: str, lines: tuple[str, ...]) -> str:
    """Give the first added line that can run a command; empty if there is none."""
    if kbuild.KCONFIG.match(file):
        return next((line for line in lines if _MACRO.search(line)), "")
    if kbuild.MAKE.match(file):
        return next((line for line in lines if not _TAME.fullmatch(line)), "")
    return ""
