# SPDX-License-Identifier: GPL-2.0-only
"""Apply a series with ``git am -3`` in a temporary worktree with only the files it touches.

The other 90 000 files are never written, no build sees a file change and change back, and only a
small folder must be cleaned up after an error.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from harness import diff, git, kbuild, paths, process
from harness.errors import NotApplied, SeriesError
from harness.model import Series, Source
from harness.progress import Stage
from harness.tree import diagnose

_AM = ("am", "-3", "--quoted-cr=nowarn", "--no-signoff", "--patch-format=mbox")
_MERGED = "Falling back to patching base and 3-way merge"
_ALREADY = "No changes -- Patch already applied."
_LINK = "120000"
_SOURCE_SUFFIXES = (".c", ".h", ".S", ".rst")


def apply(repo: Path, source: Source, series: Series, mails: Sequence[bytes], stage: Stage) -> str:
    """Commit ``mails`` on top of the source's commit; return the last commit.

    The same mails on the same base give the same commits everywhere, because the committer is fixed
    and the committer date is that of the base.  Raises NotApplied.
    """
    with _empty_worktree(repo, source.commit) as place:
        _check_out_touched(place, source, series)
        date = git.line(place, "show", "-s", "--format=%ct +0000", source.commit)
        env = {"GIT_COMMITTER_DATE": f"@{date}"}
        files = diagnose.mail_files(place, series)
        for file, mail in zip(files, mails, strict=True):
            file.write_bytes(mail)
        done = 0
        for crlf, same in itertools.groupby(files, key=_is_crlf):
            group = list(same)
            stage.update(done, len(mails), series.patches[done].subject)
            keep = () if crlf else ("--keep-cr",)
            result = git.run(place, *_AM, *keep, "--", *group, env=env, check=False)
            if not result.ok:
                number = done + _stopped_at(place)
                raise diagnose.not_applied(place, source, series, number, result)
            if already := _patches_with(result, _ALREADY):  # git am skips these without an error
                raise diagnose.already(source, series, [done + number for number in already])
            for number in _patches_with(result, _MERGED):
                label = diagnose.label(series, done + number)
                stage.progress.say(f"{label} only applies to {source.name} by a three-way merge")
            done += len(group)
        commit = git.line(place, "rev-parse", "HEAD")
        for note in check_changes(place, source, series, commit):
            stage.progress.say(note)
        return commit


def _check_out_touched(place: Path, source: Source, series: Series) -> None:
    """Check out the files that the series touches, and update their state in the index.

    git apply would check them out itself, but a later merge would treat them as local changes.
    Raises HostFault if the source lacks their content.
    """
    files = {file for patch in series.patches for file in patch.files}
    # git am refuses names outside the tree.
    names = sorted(file for file in files if not {"", "..", ".git"} & set(file.split("/")))
    listing = git.run(place, "ls-files", "-s", "-z", "--", *names).stdout if names else ""
    entries = [entry.partition("\t") for entry in listing.split("\0") if entry]
    blobs = "".join(f"{head.split()[1]}\n" for head, _, _ in entries)
    if " missing\n" in git.run(place, "cat-file", "--batch-check", stdin=blobs).stdout:
        raise diagnose.lacking(source)
    tracked = "".join(f"{name}\0" for _, _, name in entries)
    git.run(place, "checkout-index", "--force", "--index", "-z", "--stdin", stdin=tracked)


def _is_crlf(mail: Path) -> bool:
    """Return whether the mail's lines end in CR LF, as some mailers save them.

    Only then may git strip the CRs; otherwise a CR belongs to the patched file.
    """
    return mail.read_bytes().partition(b"\n")[0].endswith(b"\r")


@contextlib.contextmanager
def _empty_worktree(repo: Path, commit: str) -> Iterator[Path]:
    """Create a linked worktree with ``commit`` in its index and no files."""
    try:
        with paths.scratch(repo.parent / "am") as scratch:
            place = scratch / "linux"
            git.run(repo, "worktree", "add", "--quiet", "--no-checkout", "--detach", place, commit)
            git.run(place, "read-tree", commit)
            yield place
    finally:
        shutil.rmtree(repo / ".git" / "worktrees", ignore_errors=True)


def _stopped_at(place: Path) -> int:
    """Return the number of the mail at which git am stopped, counted from 1."""
    with contextlib.suppress(OSError, ValueError):
        return int((diagnose.am_state(place) / "next").read_text())
    return 1


def _patches_with(result: process.Result, wanted: str) -> list[int]:
    """Return the numbers (from 1) of patches whose line from git am starts with ``wanted``."""
    number, numbers = 0, []
    for line in result.stdout.splitlines():
        number += line.startswith("Applying: ")
        if line.startswith(wanted):
            numbers.append(number)
    return numbers


def check_changes(repo: Path, source: Source, series: Series, commit: str) -> tuple[str, ...]:
    """Check that ``commit`` only changed files named in the patches; return notes for the user.

    Raises NotApplied or SeriesError.  git may change other files: a three-way merge follows a
    renamed file, possibly to a file that is only similar or to a script; and the diff of a link may
    not declare it as a link.  A source file may be followed if only its folder changed; a note is
    returned for each.
    """
    words = ("diff-tree", "-r", "-z", "--no-renames", source.commit, commit)
    fields = git.run(repo, *words).stdout.split("\0")
    named = {file for patch in series.patches for file in patch.files}
    notes = []
    for entry, file in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, _, blob, _ = entry.split()
        if file not in named:
            old = _followed(repo, (source.commit, commit), named, file)
            if not old or old_mode[1:] != new_mode:
                raise NotApplied(
                    f"no patch of the series {series.name} names {file}, but applying it to"
                    f" {source.name} would change {file}: git takes it for a renamed file",
                    hint=f"rebase the series onto {source.name}, or specify its base with --base",
                )
            notes.append(f"{old} is now {file} in {source.name}, and is patched there")
        if new_mode == _LINK and diff.leads_out(
            file, git.run(repo, "cat-file", "blob", blob).stdout
        ):
            raise SeriesError(
                f"the series {series.name} makes '{file}' a symlink that points outside the tree",
                hint="do not use this series, or ask its sender what it is for",
            )
    return tuple(notes)


def _followed(repo: Path, commits: tuple[str, str], named: Collection[str], file: str) -> str:
    """Return the path that the patch uses for what is now ``file``; empty if there is none.

    That path has the same file name in another folder, and is in neither of ``commits``: it did
    not exist before, and the series did not create it.
    """
    path = PurePosixPath(file)
    if path.suffix not in _SOURCE_SUFFIXES or kbuild.runs(file):
        return ""
    same = sorted(name for name in named if PurePosixPath(name).name == path.name)
    for commit in commits if same else ():
        listing = git.run(repo, "ls-tree", "-z", "--name-only", commit, "--", *same).stdout
        same = sorted(set(same) - set(listing.split("\0")))
    return same[0] if len(same) == 1 else ""
