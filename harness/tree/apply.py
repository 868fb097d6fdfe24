# SPDX-License-Identifier: GPL-2.0-only
"""Apply a series with ``git am -3`` in a throwaway worktree that has only the files it touches.

Nothing of the 90 000 others is ever written, no build sees a file change and change back; and
whatever happens, what is left to clean up is one small folder.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import git, paths, process
from harness.errors import NotApplied
from harness.model import Series, Source
from harness.progress import Stage
from harness.tree import bounds, diagnose

_AM = ("am", "-3", "--quoted-cr=nowarn", "--no-signoff", "--patch-format=mbox")
_MERGED = "Falling back to patching base and 3-way merge"
_ALREADY = "No changes -- Patch already applied."


def apply(repo: Path, source: Source, series: Series, mails: Sequence[bytes], stage: Stage) -> str:
    """Make commits of ``mails`` on top of the source's commit; gives the last one.

    The same mails on the same base give the same commits everywhere: the committer is fixed and
    the commit's date is the base's.  Raises NotApplied.
    """
    with _bare_worktree(repo, source.commit) as place:
        _touched(place, source, series)
        date = git.line(place, "show", "-s", "--format=%ct +0000", source.commit)
        env = {"GIT_COMMITTER_DATE": f"@{date}"}
        done = 0
        for crlf, names in itertools.groupby(_written(place, mails), key=_is_crlf):
            group = list(names)
            stage.update(done, len(mails), series.patches[done].subject)
            keep = () if crlf else ("--keep-cr",)
            result = git.run(place, *_AM, *keep, "--", *group, env=env, check=False)
            if not result.ok:
                number = done + _stopped_at(place)
                raise diagnose.not_applied(place, source, series, number, result)
            if _ALREADY in result.stdout:
                raise _already(source, series, done, result)
            for number in _numbers(result, lambda line: line.startswith(_MERGED)):
                label = diagnose.label(series, done + number)
                stage.progress.say(f"{label} fits {source.name} only by a three-way merge")
            done += len(group)
        made = git.line(place, "rev-parse", "HEAD")
        for line in bounds.see(place, source, series, made):
            stage.progress.say(line)
        return made


def _touched(place: Path, source: Source, series: Series) -> None:
    """Put the files that the series touches into the worktree, with their state in the index.

    git apply would fetch them itself, but the merge after it would take them for local changes.
    Raises HostFault when the source does not hold their content.
    """
    files = {file for patch in series.patches for file in patch.files}
    # Names that lead out of the tree are left for git am to refuse.
    names = sorted(file for file in files if not {"", "..", ".git"} & set(file.split("/")))
    entries = git.run(place, "ls-files", "-s", "-z", "--", *names).stdout if names else ""
    blobs = "".join(f"{entry.split()[1]}\n" for entry in entries.split("\0") if entry)
    if " missing\n" in git.run(place, "cat-file", "--batch-check", stdin=blobs).stdout:
        raise diagnose.lacking(source)
    there = "".join(f"{entry.split(chr(9), 1)[1]}\0" for entry in entries.split("\0") if entry)
    git.run(place, "checkout-index", "--force", "--index", "-z", "--stdin", stdin=there)


def _written(place: Path, mails: Sequence[bytes]) -> list[Path]:
    """Write the mails beside the worktree, byte for byte, under names git keeps in order."""
    names = [place.parent / f"{number:04}.patch" for number, _ in enumerate(mails, 1)]
    for name, mail in zip(names, mails, strict=True):
        name.write_bytes(mail)
    return names


def _is_crlf(mail: Path) -> bool:
    """Whether the mail's own lines end in CR LF, as some mailers save them.

    Only then may git strip the CRs; elsewhere a CR belongs to the file that is patched.
    """
    return mail.read_bytes().partition(b"\n")[0].endswith(b"\r")


@contextlib.contextmanager
def _bare_worktree(repo: Path, commit: str) -> Iterator[Path]:
    """Give a linked worktree with ``commit`` in its index and no files."""
    try:
        with paths.scratch(repo.parent / "am") as scratch:
            place = scratch / "linux"
            words = ("worktree", "add", "--quiet", "--no-checkout", "--detach")
            git.run(repo, *words, place, commit)
            git.run(place, "read-tree", commit)
            yield place
    finally:
        shutil.rmtree(repo / ".git" / "worktrees", ignore_errors=True)


def _stopped_at(place: Path) -> int:
    """Give the number of the mail git am is at, counted from 1."""
    state = Path(
        git.line(place, "rev-parse", "--path-format=absolute", "--git-path", "rebase-apply")
    )
    with contextlib.suppress(OSError, ValueError):
        return int((state / "next").read_text())
    return 1


def _already(source: Source, series: Series, done: int, result: process.Result) -> NotApplied:
    """Say which patches changed nothing; git am passes over those without an error."""
    there = _numbers(result, lambda line: line == _ALREADY)
    return diagnose.already(source, series, [done + number for number in there])


def _numbers(result: process.Result, wanted: Callable[[str], bool]) -> list[int]:
    """Give the patches, counted from 1, of which git am said a wanted line."""
    number, found = 0, []
    for line in result.stdout.splitlines():
        number += line.startswith("Applying: ")
        if wanted(line):
            found.append(number)
    return found
