# SPDX-License-Identifier: GPL-2.0-only
"""Find out why a patch does not apply: which file, which hunk, and what conflicts.

Runs in the temporary worktree right after git am stopped there, and may leave it in any state.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from unidiff.patch import Hunk

from harness import diff, git, process
from harness.diff import DiffError
from harness.errors import HarnessError, HostFault, NotApplied
from harness.model import Series, Source
from harness.tree import base

_LINES = 120  # lines of a conflict to show; it may have thousands
_RELEASE = re.compile(r"v?(\d+\.\d+(?:\.\d+)?(?:-rc\d+)?)")
_TELLING = 8  # minimum length of a distinctive line, in characters


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Where a patch does not apply: the file, the hunk (from 1; 0: the whole file), and why."""

    file: str
    hunk: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}, {self.why}"


def not_applied(
    place: Path, source: Source, series: Series, number: int, result: process.Result
) -> HarnessError:
    """Return the error for mail ``number`` (from 1), where ``git am`` stopped with ``result``."""
    patch = place.parent / "current.patch"
    decoded = am_state(place) / "patch"
    patch.write_bytes(decoded.read_bytes() if decoded.exists() else b"")
    conflict = _conflict(place)
    git.run(place, "read-tree", "HEAD")
    if applied := _already_applied(place, source, series, number, patch):
        return already(source, series, applied)
    if fuzzy := _with_fuzz(place, patch):
        return NotApplied(
            f"{label(series, number)} would only apply to {source.name} with fuzz: {fuzzy[0]}",
            hint=_base_hint(source, series)
            or "check that hunk, then regenerate the patch on this base (git am allows no fuzz)",
            details="\n".join(map(str, fuzzy)),
        )
    refusals, rejected = _rejects(place, patch)
    because = changed_by(source, patch.read_bytes(), refusals[0]) if refusals else ""
    first = f": {refusals[0]}" if refusals else ""
    more = f" and {len(refusals) - 1} more places" if len(refusals) > 1 else ""
    evidence = ["\n".join(map(str, refusals)), because, conflict or rejected]
    error = NotApplied(
        f"{label(series, number)} does not apply to {source.name}{first}{more}",
        hint=_base_hint(source, series)
        or _fitting_hint(place, source, series)
        or f"rebase the series onto {source.name}, or specify its base with --base",
        details="\n".join(filter(None, evidence)) or f"{result.stdout}\n{result.stderr}".strip(),
    )
    error.because = because
    return error


def am_state(place: Path) -> Path:
    """Return the folder with the state of git am."""
    words = ("rev-parse", "--path-format=absolute", "--git-path", "rebase-apply")
    return Path(git.line(place, *words))


def already(source: Source, series: Series, numbers: Sequence[int]) -> NotApplied:
    """Return the error for patches whose changes the source already has."""
    if len(numbers) == len(series.patches):
        what = f"the series {series.name} is already applied in {source.name}"
    else:
        what = f"{label(series, numbers[0])} is already applied in {source.name}"
    return NotApplied(
        what,
        hint=_base_hint(source, series)
        or "specify an earlier commit with --base, or remove the patch from the series",
        details="\n".join(label(series, number) for number in numbers),
    )


def lacking(source: Source) -> HostFault:
    """Return the error for a repository that lacks the content of its files."""
    return HostFault(
        f"{source.repo} lacks objects of {source.name}",
        hint=f"if it is a partial clone: git -C {source.repo} fetch --refetch --no-filter",
    )


def label(series: Series, number: int) -> str:
    """Return the name that messages use for patch ``number``, counted from 1."""
    return f"patch {number}/{len(series.patches)} '{series.patches[number - 1].subject}'"


def mail_files(place: Path, series: Series) -> list[Path]:
    """Return the paths next to the worktree where the unmodified mails are stored."""
    return [place.parent / f"{number:04}.patch" for number in range(1, len(series.patches) + 1)]


def _already_applied(
    place: Path, source: Source, series: Series, number: int, patch: Path
) -> Sequence[int]:
    """Return the numbers of patches whose changes the source already has.

    These are all patches if the whole series can be reverted, starting with the last: reverting
    only the first may conflict with later changes to the same lines.
    """
    words = ("apply", "--cached", "--reverse")
    git.run(place, "read-tree", source.commit)
    mails = mail_files(place, series)
    if all(git.run(place, *words, mail, check=False).ok for mail in reversed(mails)):
        return range(1, len(mails) + 1)
    git.run(place, "read-tree", "HEAD")
    return [number] if git.run(place, *words, "--check", patch, check=False).ok else []


def _base_hint(source: Source, series: Series) -> str:
    """Return a hint that the series is based on another commit, if it names one."""
    if not series.base:
        return ""
    commit = git.commit_of(source.repo, series.base)
    if commit == source.commit:
        return ""
    based_on = f"the series is based on {series.base}"
    if commit:
        return f"{based_on}, not on {source.name}: try --base {series.base}"
    if release := _RELEASE.fullmatch(series.base):
        return f"{based_on}: try --kernel {release[1]}"
    return f"{based_on}, which is not in {source.repo}: fetch it"


def _fitting_hint(place: Path, source: Source, series: Series) -> str:
    """Return a hint about the nearest commit at which the whole series applies, if any."""
    names = [file for patch in series.patches for file in patch.files]
    commit = base.fitting(place, source, mail_files(place, series), names)
    return f"it applies to {commit.name}: try --base {commit.name}" if commit else ""


def changed_by(source: Source, patch: bytes, refusal: Refusal) -> str:
    """Return which commit removed a line that the refused hunk needs.

    Empty if the history does not show it, as in a tree with a single commit.
    """
    hunks = _hunks(patch, refusal.file)
    if not 0 < refusal.hunk <= len(hunks):
        return ""
    content = git.content(source.repo, source.commit, refusal.file) or ""
    present = set(content.splitlines())
    needed = [line.value.rstrip("\r\n") for line in hunks[refusal.hunk - 1].source_lines()]
    lost = [line for line in needed if line not in present and len(line.strip()) >= _TELLING]
    for line in sorted(dict.fromkeys(lost), key=lambda text: len(text.strip()), reverse=True)[:3]:
        words = ("log", "-1", "--no-textconv", "--format=%h (%an, %as) %s", f"-S{line}")
        log = git.run(source.repo, *words, source.commit, "--", refusal.file, check=False)
        if commit := log.stdout.strip():
            return f"the line\n  {line}\nof {refusal.file} was removed by {commit}"
    return ""


def _conflict(place: Path) -> str:
    """Return the conflicts that a three-way merge left in files, if there was one."""
    # git diff without names would search for all the files that this worktree lacks.
    entries = git.run(place, "ls-files", "--unmerged", "-z", check=False).stdout.split("\0")
    names = sorted({entry.split("\t", 1)[1] for entry in entries if entry})
    if not names:
        return ""
    return _shortened(git.run(place, "diff", "--diff-filter=U", "--", *names, check=False).stdout)


def _check_out_touched(place: Path, patch: Path) -> None:
    """Check out the files that ``patch`` touches, as they are in HEAD."""
    stat = git.run(place, "apply", "--numstat", "-z", patch, check=False).stdout
    names = [entry.split("\t", 2)[-1] for entry in stat.split("\0") if entry]
    if names:
        tracked = git.run(place, "ls-files", "-z", "--", *names, check=False).stdout
        git.run(place, "checkout-index", "--force", "-z", "--stdin", stdin=tracked, check=False)


def _rejects(place: Path, patch: Path) -> tuple[list[Refusal], str]:
    """Try to apply each hunk; return the rejected hunks, and their text."""
    _check_out_touched(place, patch)
    output = git.run(place, "apply", "--reject", "--verbose", patch, check=False).stderr
    refusals: list[Refusal] = []
    file, count = "", 0
    for line in output.splitlines():
        if match := re.match(r"Applying patch (.+) with \d+ rejects?\.\.\.", line):
            file, count = match[1], len(_hunks(patch.read_bytes(), match[1]))
        elif match := re.match(r"Rejected hunk #(\d+)\.", line):
            refusals.append(Refusal(file, int(match[1]), f"hunk {match[1]} of {count}"))
        elif match := re.match(r"error: (.+): (No such file or directory|already exists .*)", line):
            refusals.append(Refusal(match[1], 0, match[2].lower()))
        elif match := re.match(r"error: (.+): does not (exist|match) in(dex| index)", line):
            refusals.append(Refusal(match[1], 0, "no such file"))
    texts = (path.read_text(errors="backslashreplace") for path in sorted(place.rglob("*.rej")))
    return list(dict.fromkeys(refusals)), _shortened("\n".join(texts) or output)


def _hunks(patch: bytes, file: str) -> list[Hunk]:
    """Return the hunks of ``patch`` for ``file``."""
    try:
        files = diff.parse(patch)
    except DiffError:
        return []
    return [hunk for change in files if file in change.names for hunk in change.hunks]


def _with_fuzz(place: Path, patch: Path) -> list[Refusal]:
    """Return where patch(1) needs fuzz; nothing if the patch does not apply even with fuzz."""
    _check_out_touched(place, patch)
    words = ("patch", "-p1", "--dry-run", "--force", "--fuzz=2", "--input", patch)
    try:
        result = process.run(words, cwd=place, check=False)
    except HostFault:  # patch(1) is not installed
        return []
    if not result.ok:
        return []
    refusals, file = [], ""
    for line in result.stdout.splitlines():
        if match := re.match(r"(?:checking|patching) file '?(.+?)'?$", line):
            file = match[1]
        elif match := re.match(r"Hunk #(\d+) succeeded at (\d+) with fuzz \d+", line):
            why = f"hunk {match[1]} of {len(_hunks(patch.read_bytes(), file))}, line {match[2]}"
            refusals.append(Refusal(file, int(match[1]), why))
    return refusals


def _shortened(text: str) -> str:
    lines = text.strip("\n").splitlines()
    if len(lines) <= _LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:_LINES], f"... {len(lines) - _LINES} more lines"])
