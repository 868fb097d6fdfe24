# SPDX-License-Identifier: GPL-2.0-only
"""Parse the output of make and the compilers: progress, warnings, errors.

make runs with --output-sync, so the output of a recipe stays together: "  CC  name.o" first, then
the compiler's messages.  A warning is printed only when its object is compiled, so each build
folder stores the warnings of all its objects.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from harness import git, serial
from harness.model import Checkout, CompilerWarning

_WARNINGS_RECORD = ".harness-warnings.json"

# A step in make's short output; host programs and generated files are not counted.
_STEP = re.compile(r"^  ([A-Z][A-Z0-9_+-]*)(?: \[M\])?\s+(\S+)$")
_COMPILED = ("CC", "AS", "CPP", "RUSTC")
_PLACE = r"^(?P<file>[^\s:][^:]*?)(?::(?P<line>\d+))?(?::\d+)?: "
_WARNING = re.compile(_PLACE + r"(?:warning|WARNING): (?P<text>.*)$")
_MODPOST = re.compile(r"^WARNING: (?P<file>modpost): (?P<text>.*)$")

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
# Lines that belong to the preceding error: code, carets, notes.
_CONTINUES = re.compile(r"^\s+\d* ?\||^\s+\^|^[^\s:][^:]*:\d+(?::\d+)?: note: |^\s{2,}\S")
_LEADS_UP = re.compile(r"^In file included from |^\s+from \S+:\d+|^[^\s:][^:]*: (?:In|At) ")
_MAKE_FAILED = re.compile(r"^make(?:\[\d+\])?: \*\*\* ")


@dataclasses.dataclass(frozen=True)
class HostSymptom:
    """Output of make or the compilers that indicates a fault of the machine, and what to try."""

    pattern: re.Pattern[str]
    what: str
    hint: str


_HOST_SYMPTOMS = (
    HostSymptom(
        re.compile(r"No space left on device"),
        "there is no space left on the disk",
        "free some space (harness clean), then run the same command again",
    ),
    HostSymptom(
        re.compile(r"Killed signal terminated program|internal compiler error: Killed"),
        "the compiler was killed, most likely for lack of memory",
        "free some memory or use a smaller --jobs, then run the same command again",
    ),
    HostSymptom(
        re.compile(r"Read-only file system"),
        "the cache is on a read-only file system",
        "set HARNESS_CACHE to a folder you can write to",
    ),
)


def step(line: str) -> tuple[str, str] | None:
    """Return the (kind, file) of a make step, such as ("CC", "fs/configfs/dir.o")."""
    match = _STEP.match(line)
    return (match[1], match[2]) if match else None


def is_object(kind: str, file: str) -> bool:
    """Whether a step builds one of the objects that count as progress."""
    return kind in _COMPILED and file.endswith(".o")


def warning(line: str, source: str) -> CompilerWarning | None:
    """Parse a warning; its file is relative to the tree ``source`` if it is inside."""
    match = _WARNING.match(line) or _MODPOST.match(line)
    if match is None:
        return None
    number = match.groupdict().get("line") or 0
    return CompilerWarning(relative(match["file"], source), int(number), match["text"])


def relative(file: str, source: str) -> str:
    """Return a file's name relative to the tree ``source``, if it is inside."""
    path = PurePath(file)
    return str(path.relative_to(source)) if path.is_relative_to(source) else str(path)


def errors(lines: Iterable[str], source: str) -> list[str]:
    """Return the compiler's error messages, each with its context.

    File names are relative to the tree ``source``.  If nothing looks like an error, return the
    lines before the first failure that make reports.
    """
    kept: list[str] = []
    before: list[str] = []  # "In file included from": kept only with the error that follows
    recent: list[str] = []  # output since the last step
    failure: list[str] = []
    inside = False
    for line in lines:
        recent = [] if step(line) else [*recent, line]
        if _ERROR.match(line):
            kept += [*before, line]
            before, inside = [], True
        elif _LEADS_UP.match(line):
            before, inside = [*before, line], False
        elif inside and _CONTINUES.match(line) and step(line) is None:
            kept.append(line)
        else:
            before, inside = [], False
        if _MAKE_FAILED.match(line) and not failure:
            failure = recent
    return [line.replace(f"{source}/", "") for line in kept or failure]


def first_error(lines: Sequence[str]) -> str:
    """Return the most informative line: the first actual error, without its lead-in."""
    return next((line for line in lines if _ERROR.match(line)), "") or next(iter(lines), "")


def host_fault(lines: Iterable[str]) -> HostSymptom | None:
    """Return the fault of the machine that broke the build, or None."""
    return next((s for line in lines for s in _HOST_SYMPTOMS if s.pattern.search(line)), None)


class WarningCollector:
    """Reads make's output and collects all warnings of the build folder ``out``, by object.

    When an object is recompiled, its warnings are replaced.
    """

    def __init__(self, out: Path, source: Path) -> None:
        self.out, self.source = out, str(source)
        self.by_object: dict[str, list[CompilerWarning]] = {}
        self._object = ""
        with contextlib.suppress(OSError, serial.DamagedError):
            self.by_object = serial.read(out / _WARNINGS_RECORD, dict[str, list[CompilerWarning]])

    def line(self, line: str) -> None:
        """Process one line of make's output."""
        if made := step(line):
            self._object = made[1]
            self.by_object.pop(self._object, None)
        elif new := warning(line, self.source):
            warnings = self.by_object.setdefault(self._object, [])
            if new not in warnings:
                warnings.append(new)

    def save(self) -> None:
        """Store the warnings for the next build in this folder."""
        kept = {
            name: warnings
            for name, warnings in self.by_object.items()
            if not name.endswith(".o") or (self.out / name).exists()
        }
        serial.write(self.out / _WARNINGS_RECORD, kept)

    def all(self) -> list[CompilerWarning]:
        """Return each warning once (a header's may be in several objects), by file and line."""
        unique = {warning for warnings in self.by_object.values() for warning in warnings}
        return sorted(unique, key=lambda warning: (warning.file, warning.line, warning.text))


def with_patches(
    warnings: Iterable[CompilerWarning], checkout: Checkout
) -> tuple[CompilerWarning, ...]:
    """Add the patch that last touched each warning's line, for files touched by the series."""
    subjects = dict(checkout.patches)
    touched: set[str] = set()
    if subjects:
        base = f"{checkout.patches[0][0]}^"
        arguments = ("diff", "--name-only", "-z", base, checkout.commit)
        listed = git.run(checkout.path, *arguments, check=False)
        touched = set(listed.stdout.split("\0")) if listed.ok else set()
    return tuple(
        dataclasses.replace(warning, patch=subjects.get(_blamed(warning, checkout.path), ""))
        if warning.file in touched and warning.line
        else warning
        for warning in warnings
    )


def _blamed(warning: CompilerWarning, worktree: Path) -> str:
    """Return the commit that git blames for a warning's line, "" if unknown."""
    where = f"-L{warning.line},{warning.line}"
    arguments = ("blame", "--porcelain", where, "HEAD", "--", warning.file)
    blamed = git.run(worktree, *arguments, check=False)
    return blamed.stdout.partition(" ")[0] if blamed.ok else ""
