# SPDX-License-Identifier: GPL-2.0-only
"""Read what make and the compilers print: progress, warnings, errors.  Pure.

make runs with --output-sync, so what one recipe prints stands together: "  CC  name.o" first,
then what the compiler has to say about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from harness import model

# As make prints it in its short form; host programs and generated files are not counted.
_STEP = re.compile(r"^  ([A-Z][A-Z0-9_+-]*)(?: \[M\])?\s+(\S+)$")
_COMPILED = ("CC", "AS", "CPP", "RUSTC")
_PLACE = r"^(?P<file>[^\s:][^:]*?)(?::(?P<line>\d+))?(?::\d+)?: "
_WARNING = re.compile(_PLACE + r"(?:warning|WARNING): (?P<text>.*)$")
_LOUD = re.compile(r"^WARNING: (?P<file>modpost): (?P<text>.*)$")

_ERROR = re.compile(
    r"^(?:"
    r"[^\s:][^:]*:\d+(?::\d+)?: (?:fatal )?error: "  # compilers
    r"|[^\s:][^:]*:\d+: Error: "  # as
    r"|[^\s:][^:]*: (?:fatal )?error: "  # linkers, objtool
    r"|(?:\S*ld\S*: )?\S+: (?:in function|undefined reference)"
    r"|\S*ld(?:\.lld)?: (?!warning)"
    r"|ERROR: "  # modpost
    r"|FATAL: "
    r"|make(?:\[\d+\])?: \*\*\* No rule to make target"
    r"|.*: (?:command )?not found$"
    r"|\S+\.(?:c|h|S|o|y|l|lds):.*undefined reference to "
    r")"
)
# Lines that belong to the error above them: code, carets, notes.
_MORE = re.compile(r"^\s+\d* ?\||^\s+\^|^[^\s:][^:]*:\d+(?::\d+)?: note: |^\s{2,}\S")
_BEFORE = re.compile(r"^In file included from |^\s+from \S+:\d+|^[^\s:][^:]*: (?:In|At) ")
_GIVES_UP = re.compile(r"^make(?:\[\d+\])?: \*\*\* ")
_HOST = (
    (re.compile(r"No space left on device"), "there is no space left on the disk"),
    (
        re.compile(r"Killed signal terminated program|internal compiler error: Killed"),
        "the compiler was killed, most likely for lack of memory",
    ),
    (re.compile(r"Read-only file system"), "the cache is on a read-only file system"),
)


def step(line: str) -> tuple[str, str] | None:
    """Give (kind, file) of a step's line, like ("CC", "fs/configfs/dir.o")."""
    found = _STEP.match(line)
    return (found[1], found[2]) if found else None


def is_object(kind: str, file: str) -> bool:
    """Whether a step makes one of the objects that progress counts."""
    return kind in _COMPILED and file.endswith(".o")


def warning(line: str, source: str) -> model.CompilerWarning | None:
    """Read a warning; its file is relative to the tree ``source`` when it lies in there."""
    found = _WARNING.match(line) or _LOUD.match(line)
    if found is None:
        return None
    number = found.groupdict().get("line") or 0
    return model.CompilerWarning(relative(found["file"], source), int(number), found["text"])


def relative(file: str, source: str) -> str:
    """Give a file's name as the tree has it."""
    path = PurePath(file)
    return str(path.relative_to(source)) if path.is_relative_to(source) else str(path)


def errors(lines: Iterable[str], source: str) -> list[str]:
    """Give the compiler's own lines of all errors, each with its context; names as in the tree.

    When nothing looks like an error, give what stands above the first failure make reports.
    """
    kept: list[str] = []
    before: list[str] = []  # "In file included from": only with the error that follows
    recent: list[str] = []  # what was said since the last step
    failure: list[str] = []
    inside = False
    for line in lines:
        recent = [] if step(line) else [*recent, line]
        if _ERROR.match(line):
            kept += [*before, line]
            before, inside = [], True
        elif _BEFORE.match(line):
            before, inside = [*before, line], False
        elif inside and _MORE.match(line) and step(line) is None:
            kept.append(line)
        else:
            before, inside = [], False
        if _GIVES_UP.match(line) and not failure:
            failure = recent
    return [line.replace(f"{source}/", "") for line in kept or failure]


def first_error(found: Iterable[str]) -> str:
    """Give the line that says most: the first real error, without what leads up to it."""
    return next((line for line in found if _ERROR.match(line)), "") or next(iter(found), "")


def host_fault(lines: Iterable[str]) -> str:
    """Say what is wrong with the machine if that is what broke the build, else an empty string."""
    for line in lines:
        for pattern, what in _HOST:
            if pattern.search(line):
                return what
    return ""
