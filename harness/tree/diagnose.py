# SPDX-License-Identifier: GPL-2.0-only
"""Say why a patch does not apply: which file, which hunk, and what kind of trouble it is.

Works in the throwaway worktree right after git am stopped there, and may leave it in any state.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from harness import git, process
from harness.errors import HarnessError, HostFault, NotApplied
from harness.model import Series, Source
from harness.tree import elsewhere

_LINES = 120  # as much of a conflict as helps; the whole may be thousands of lines
_RELEASE = re.compile(r"v?(\d+\.\d+(?:\.\d+)?(?:-rc\d+)?)")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a patch does not fit: file, hunk n of m, and the line it expects to be at."""

    file: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}, {self.why}"


def not_applied(
    place: Path, source: Source, series: Series, number: int, result: process.Result
) -> HarnessError:
    """Make the error for mail ``number`` (from 1), at which ``git am`` stopped."""
    patch = place.parent / "current.patch"
    state = git.line(place, "rev-parse", "--path-format=absolute", "--git-path", "rebase-apply")
    decoded = Path(state) / "patch"
    patch.write_bytes(decoded.read_bytes() if decoded.exists() else b"")
    conflict = _conflict(place)
    git.run(place, "read-tree", "HEAD")
    there = _there(place, source, series, number, patch)
    if there:
        return already(source, series, there)
    fuzz = _with_fuzz(place, patch)
    if fuzz:
        return NotApplied(
            f"{label(series, number)} would apply only with fuzz to {source.name}: {fuzz[0]}",
            hint=_base_hint(source, series)
            or "look at that place, and make the patch again on this base (git am takes no fuzz)",
            details="\n".join(map(str, fuzz)),
        )
    places, rejected = _rejects(place, patch)
    told = _told(source, patch, places)
    where = f": {places[0]}" if places else ""
    more = f" and {len(places) - 1} more places" if len(places) > 1 else ""
    found = NotApplied(
        f"{label(series, number)} does not apply to {source.name}{where}{more}",
        hint=_base_hint(source, series)
        or _fitting_hint(place, source, series)
        or f"rebase the series onto {source.name}, or name the commit it is made for with --base",
        details="\n".join(
            part for part in ("\n".join(map(str, places)), told, conflict or rejected) if part
        )
        or f"{result.stdout}\n{result.stderr}".strip(),
    )
    found.because = told
    return found


def already(source: Source, series: Series, numbers: Sequence[int]) -> NotApplied:
    """Make the error for patches whose changes the source has already."""
    subjects = "\n".join(label(series, number) for number in numbers)
    if len(numbers) == len(series.patches):
        what = f"the series {series.name} is already applied in {source.name}"
    else:
        what = f"{label(series, numbers[0])} is already applied in {source.name}"
    return NotApplied(
        what,
        hint=_base_hint(source, series)
        or "name a commit from before it with --base, or take it out of the series",
        details=subjects,
    )


def lacking(source: Source) -> HostFault:
    """Make the error for a repository without the content of its own files."""
    return HostFault(
        f"{source.repo} lacks objects of {source.name}",
        hint=f"if it is a partial clone: git -C {source.repo} fetch --refetch --no-filter",
    )


def _there(place: Path, source: Source, series: Series, number: int, patch: Path) -> Sequence[int]:
    """Give the numbers of patches whose change is there already.

    All of them, if taking the whole series back, last patch first, works: the first alone may
    then conflict with what later ones did to the same lines.
    """
    words = ("apply", "--cached", "--reverse")
    mails = [place.parent / f"{mail:04}.patch" for mail in range(len(series.patches), 0, -1)]
    git.run(place, "read-tree", source.commit)
    if all(git.run(place, *words, mail, check=False).ok for mail in mails):
        return range(1, len(series.patches) + 1)
    git.run(place, "read-tree", "HEAD")
    return [number] if git.run(place, *words, "--check", patch, check=False).ok else []


def label(series: Series, number: int) -> str:
    """Name a patch, counted from 1, as people do."""
    patch = series.patches[number - 1]
    return f"patch {number}/{len(series.patches)} '{patch.subject}'"


def _base_hint(source: Source, series: Series) -> str:
    """Say that the series is made for another commit, if it says so itself."""
    if not series.base:
        return ""
    found = git.run(
        source.repo, "rev-parse", "--verify", "-q", f"{series.base}^{{commit}}", check=False
    )
    release = _RELEASE.fullmatch(series.base)
    if not found.ok and release:
        return f"the series is made for {series.base}: try --kernel {release[1]}"
    if not found.ok:
        return f"the series is made for {series.base}, which {source.repo} does not have: fetch it"
    if found.stdout.strip() == source.commit:
        return ""
    return f"the series is made for {series.base}, not for {source.name}: try --base {series.base}"


def _fitting_hint(place: Path, source: Source, series: Series) -> str:
    """Name the nearest commit at which the whole series applies, if the tree has one."""
    mails = [place.parent / f"{mail:04}.patch" for mail in range(1, len(series.patches) + 1)]
    names = [file for patch in series.patches for file in patch.files]
    found = elsewhere.fitting(place, source, mails, names)
    return f"it applies to {found.name}: try --base {found.name}" if found else ""


def _told(source: Source, patch: Path, places: Sequence[Place]) -> str:
    """Say which commit changed what the first refused hunk needs."""
    match = re.match(r"hunk (\d+) of", places[0].why) if places else None
    text = patch.read_text(errors="replace")
    return elsewhere.changed_by(source, text, places[0].file, int(match[1])) if match else ""


def _conflict(place: Path) -> str:
    """Show the conflicts a three-way merge left in files, if it came to one."""
    # git diff alone would look for all the files that this worktree does not have.
    entries = git.run(place, "ls-files", "--unmerged", "-z", check=False).stdout.split("\0")
    names = sorted({entry.split("\t", 1)[1] for entry in entries if entry})
    if not names:
        return ""
    return _cut(git.run(place, "diff", "--diff-filter=U", "--", *names, check=False).stdout)


def _touched(place: Path, patch: Path) -> None:
    """Put the files that ``patch`` touches into the worktree as they are in HEAD."""
    words = ("apply", "--numstat", "-z", patch)
    stat = git.run(place, *words, check=False).stdout
    names = [entry.split("\t", 2)[-1] for entry in stat.split("\0") if entry]
    if names:
        inside = git.run(place, "ls-files", "-z", "--", *names, check=False).stdout
        git.run(place, "checkout-index", "--force", "-z", "--stdin", stdin=inside, check=False)


def _rejects(place: Path, patch: Path) -> tuple[list[Place], str]:
    """Try hunk by hunk: which are refused, and their text."""
    _touched(place, patch)
    said = git.run(place, "apply", "--reject", "--verbose", patch, check=False).stderr
    places: list[Place] = []
    file, hunks = "", 0
    for line in said.splitlines():
        if match := re.match(r"Applying patch (.+) with \d+ rejects?\.\.\.", line):
            file, hunks = match[1], _hunks(patch, match[1])
        elif match := re.match(r"Rejected hunk #(\d+)\.", line):
            places.append(Place(file, f"hunk {match[1]} of {hunks}"))
        elif match := re.match(r"error: (.+): (No such file or directory|already exists .*)", line):
            places.append(Place(match[1], match[2].lower()))
        elif match := re.match(r"error: (.+): does not (exist|match) in(dex| index)", line):
            places.append(Place(match[1], "no such file"))
    texts = (path.read_text(errors="backslashreplace") for path in sorted(place.rglob("*.rej")))
    return list(dict.fromkeys(places)), _cut("\n".join(texts) or said)


def _hunks(patch: Path, file: str) -> int:
    """Count the hunks that ``patch`` has for ``file``."""
    inside, count = False, 0
    for line in patch.read_text(errors="replace").splitlines():
        if line.startswith(("--- ", "+++ ")):
            named = line.partition("\t")[0].endswith(f"/{file}")
            inside = named or (inside and line.endswith("/dev/null"))
        count += inside and line.startswith("@@ ")
    return count


def _with_fuzz(place: Path, patch: Path) -> list[Place]:
    """Give the places where patch(1) would take it with fuzz; none if it would not take it all."""
    _touched(place, patch)
    words = ("patch", "-p1", "--dry-run", "--force", "--fuzz=2", "--input", patch)
    try:
        result = process.run(words, cwd=place, check=False)
    except HostFault:  # patch(1) is not installed: then nothing is known about fuzz
        return []
    if not result.ok:
        return []
    places, file = [], ""
    for line in result.stdout.splitlines():
        if match := re.match(r"(?:checking|patching) file '?(.+?)'?$", line):
            file = match[1]
        elif match := re.match(r"Hunk #(\d+) succeeded at (\d+) with fuzz \d+", line):
            places.append(Place(file, f"hunk {match[1]} of {_hunks(patch, file)}, line {match[2]}"))
    return places


def _cut(text: str) -> str:
    lines = text.strip("\n").splitlines()
    if len(lines) <= _LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:_LINES], f"... {len(lines) - _LINES} more lines"])
