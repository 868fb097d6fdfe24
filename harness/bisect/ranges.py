# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of commits, from a series or from history; and reverts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from harness import git
from harness.bisect.search import CommitGraph, chain
from harness.errors import UsageError
from harness.model import Checkout, Commit

_FORMAT = "%H%x00%P%x00%an <%ae>%x00%as%x00%s"
# A fixed author and date, so that the same revert always has the same commit id.
_AUTHOR = {"GIT_AUTHOR_NAME": "harness", "GIT_AUTHOR_EMAIL": "harness@localhost"}
_DATES = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}


@dataclasses.dataclass(frozen=True)
class CommitRange:
    """A range: the good ends, the bad end, and the graph of the commits between them.

    The bad end is the last commit of the graph.  ``bases`` are the merge bases of the bad end and
    good ends on other branches: they must be good too.  ``files`` and ``first_parent`` limit the
    range.
    """

    goods: tuple[str, ...]
    bad: str
    graph: CommitGraph
    bases: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    first_parent: bool = False


def resolve(repo: Path, ref: str) -> str:
    """Return the commit that ``ref`` names.  Raises UsageError."""
    commit = git.commit_of(repo, ref)
    if not commit:
        raise UsageError(
            f"{repo} has no commit '{ref}'", hint=f"git -C {repo} log (or tag -l) lists commits"
        )
    return commit


def read_commit(repo: Path, name: str) -> Commit:
    """Read a commit, with the files it touches (a merge: against its first parent)."""
    text = git.run(repo, "show", "--no-patch", f"--format={_FORMAT}", name).stdout.rstrip("\n")
    commit, parents, author, date, subject = text.split("\0")
    argv = ("diff-tree", "--root", "-m", "--first-parent", "-r", "-z", "--no-commit-id")
    changed = git.run(repo, *argv, "--name-only", commit).stdout.split("\0")
    files = tuple(dict.fromkeys(file for file in changed if file))
    return Commit(commit, tuple(parents.split()), author, date, subject, files)


def of_series(base: str, patched: Checkout) -> CommitRange:
    """Return the range of a series as it was applied."""
    commits = [commit for commit, _ in patched.patches]
    return CommitRange((base,), commits[-1], chain(commits))


def of_history(
    repo: Path,
    goods: Sequence[str],
    bad: str,
    *,
    first_parent: bool = False,
    files: Sequence[str] = (),
) -> CommitRange:
    """Return the commits between good ends and the bad end; ``files``: only those touching them.

    Raises UsageError if there are none.
    """
    argv = ["rev-list", "--topo-order", "--reverse", "--parents"]
    argv += ["--first-parent"] if first_parent else []
    limits = ["--", *files] if files else []
    lines = git.run(repo, *argv, bad, *(f"^{good}" for good in goods), *limits).stdout.splitlines()
    parents = {commit: tuple(above) for commit, *above in map(str.split, lines)}
    if bad in goods or (not parents and not files):
        raise UsageError(
            f"{bad[:12]} is not newer than {goods[0][:12]}: there are no commits between them",
            hint="--good is the working commit, --bad the newer one that fails; use --find-fix to"
            " search for a fix",
        )
    if not parents:
        raise UsageError(
            f"no commit between {goods[0][:12]} and {bad[:12]} touches {' '.join(files)}",
            hint="leave out the paths",
        )
    if bad not in parents:  # it does not touch the files; the last commits that do are its parents
        inner = {parent for above in parents.values() for parent in above}
        parents[bad] = tuple(commit for commit in parents if commit not in inner)
    bases = _bases(repo, goods, bad)
    return CommitRange(tuple(goods), bad, CommitGraph(parents), bases, tuple(files), first_parent)


def _bases(repo: Path, goods: Sequence[str], bad: str) -> tuple[str, ...]:
    """Return the merge bases of the bad end and good ends on other branches."""
    bases: dict[str, None] = {}
    for good in goods:
        if git.is_ancestor(repo, good, bad):
            continue
        common = git.run(repo, "merge-base", "--all", good, bad, check=False).stdout.split()
        if not common:
            raise UsageError(
                f"{good[:12]} and {bad[:12]} have no common history",
                hint="choose related commits; in a shallow clone, run git fetch --unshallow",
            )
        bases |= dict.fromkeys(common)
    return tuple(base for base in bases if base not in goods)


def subjects(repo: Path, commits: Sequence[str]) -> dict[str, str]:
    if not commits:
        return {}
    argv = ("log", "--no-walk=unsorted", "--format=%H %s", "--stdin")
    lines = git.run(repo, *argv, stdin="\n".join(commits) + "\n").stdout.splitlines()
    return {line[:40].strip(): line.partition(" ")[2] for line in lines}


def files(repo: Path, commits: Collection[str]) -> dict[str, list[str]]:
    """Return the files that each commit touches; none for merges."""
    argv = ("diff-tree", "--stdin", "--root", "-r", "--name-only", "--no-renames")
    text = git.run(repo, *argv, stdin="".join(f"{commit}\n" for commit in commits)).stdout
    touched: dict[str, list[str]] = {commit: [] for commit in commits}
    current: list[str] = []
    for line in text.splitlines():
        if line in touched:
            current = touched[line]
        else:
            current.append(line)
    return touched


def revert(repo: Path, tip: str, culprit: Commit) -> str | None:
    """Revert ``culprit`` on top of ``tip`` and return the new commit; None if that conflicts.

    It is a three-way merge with the culprit as the common base, and needs no worktree.
    """

    def commit(tree: str, *parents: str, message: str) -> str:
        options = [word for parent in parents for word in ("-p", parent)]
        argv = ("commit-tree", tree, *options, "-m", message)
        return git.run(repo, *argv, env=_AUTHOR | _DATES).stdout.strip()

    def tree(name: str) -> str:
        return git.object_of(repo, f"{name}^{{tree}}")

    base = commit(tree(culprit.id), message="from here")
    ours = commit(tree(tip), base, message="ours")
    theirs = commit(tree(culprit.parents[0]), base, message="theirs")
    merged = git.run(repo, "merge-tree", "--write-tree", ours, theirs, check=False)
    if not merged.ok:
        return None
    return commit(merged.stdout.split()[0], tip, message=f'Revert "{culprit.subject}"')
