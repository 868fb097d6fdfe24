# SPDX-License-Identifier: GPL-2.0-only
"""The commits a bisection is about: the patches of a series, or a range of history."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from harness import git
from harness.bisect.search import Graph, chain
from harness.errors import UsageError
from harness.model import Checkout, Commit

_FORM = "%H%x00%P%x00%an <%ae>%x00%as%x00%s"


@dataclasses.dataclass(frozen=True)
class CommitRange:
    """A range: the good ends, the bad end, and the graph of what lies between.

    The bad end is the last commit of the graph.  ``bases`` are where a good end that lies on
    another branch has left the bad end's: they must be good too.  ``files`` and ``first_parent``
    are what the range was limited to.
    """

    goods: tuple[str, ...]
    bad: str
    graph: Graph
    bases: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    first_parent: bool = False


def resolve(repo: Path, ref: str) -> str:
    """Give the commit that ``ref`` names.  Raises UsageError."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = git.run(repo, *words, check=False)
    if not found.ok or not ref:
        raise UsageError(f"{repo} has no commit '{ref}'", hint=f"git -C {repo} log, or tag -l")
    return found.stdout.strip()


def commit(repo: Path, name: str) -> Commit:
    """Read a commit, with the files it touches (a merge: against its first parent)."""
    text = git.run(repo, "show", "--no-patch", f"--format={_FORM}", name).stdout.rstrip("\n")
    ident, parents, author, date, subject = text.split("\0")
    changed = ("diff-tree", "--root", "-m", "--first-parent", "-r", "-z", "--no-commit-id")
    files = git.run(repo, *changed, "--name-only", ident).stdout.split("\0")
    names = tuple(dict.fromkeys(file for file in files if file))
    return Commit(ident, tuple(parents.split()), author, date, subject, names)


def series(base: str, patched: Checkout) -> CommitRange:
    """Give the span of a series as it was applied."""
    commits = [name for name, _ in patched.patches]
    return CommitRange((base,), commits[-1], chain(commits))


def history(
    repo: Path,
    goods: Sequence[str],
    bad: str,
    *,
    first_parent: bool = False,
    files: Sequence[str] = (),
) -> CommitRange:
    """Give what lies between good ends and the bad end; with ``files`` only what touches them.

    Raises UsageError when there is nothing between them.
    """
    words = ["rev-list", "--topo-order", "--reverse", "--parents"]
    words += ["--first-parent"] if first_parent else []
    limits = ["--", *files] if files else []
    listed = git.run(repo, *words, bad, *(f"^{good}" for good in goods), *limits).stdout
    parents = {one[0]: tuple(one[1:]) for one in map(str.split, listed.splitlines())}
    if bad in goods or (not parents and not files):
        raise UsageError(
            f"{bad[:12]} is not after {goods[0][:12]}: there is nothing between them",
            hint="--good names what worked, --bad what does not; --find-fix looks the other way",
        )
    if not parents:
        raise UsageError(
            f"no commit between them touches {' '.join(files)}", hint="leave the paths out"
        )
    if bad not in parents:  # it does not touch the files; what leads to it does
        within = {parent for some in parents.values() for parent in some}
        parents[bad] = tuple(one for one in parents if one not in within)
    bases = _bases(repo, goods, bad)
    return CommitRange(tuple(goods), bad, Graph(parents), bases, tuple(files), first_parent)


def _bases(repo: Path, goods: Sequence[str], bad: str) -> tuple[str, ...]:
    """Give the commits where good ends on other branches have left the bad one's."""
    found: dict[str, None] = {}
    for good in goods:
        if git.run(repo, "merge-base", "--is-ancestor", good, bad, check=False).ok:
            continue
        bases = git.run(repo, "merge-base", "--all", good, bad, check=False).stdout.split()
        if not bases:
            raise UsageError(
                f"{good[:12]} and {bad[:12]} have no common history",
                hint="name commits of one history with --good and --bad; git fetch --unshallow"
                " where it was cut off",
            )
        found |= dict.fromkeys(bases)
    return tuple(one for one in found if one not in goods)


def subjects(repo: Path, commits: Sequence[str]) -> dict[str, str]:
    """Give the subject of each commit."""
    if not commits:
        return {}
    text = "".join(f"{one}\n" for one in commits)
    words = ("log", "--no-walk=unsorted", "--format=%H %s", "--stdin")
    lines = git.run(repo, *words, stdin=text).stdout.splitlines()
    return {line[:40].strip(): line.partition(" ")[2] for line in lines}


def files(repo: Path, commits: Collection[str]) -> dict[str, list[str]]:
    """Give the files that each commit touches; none for merges."""
    words = ("diff-tree", "--stdin", "--root", "-r", "--name-only", "--no-renames")
    said = git.run(repo, *words, stdin="".join(f"{one}\n" for one in commits)).stdout
    found: dict[str, list[str]] = {one: [] for one in commits}
    now: list[str] = []
    for line in said.splitlines():
        if line in found:
            now = found[line]
        else:
            now.append(line)
    return found


def revert(repo: Path, tip: str, culprit: Commit) -> str | None:
    """Make a commit of ``tip`` without ``culprit``; None where that conflicts.

    Only objects are written: a three-way merge with the culprit as what both come from.
    """
    base, before = _alone(repo, culprit.id), _alone(repo, culprit.parents[0])
    one = _made(repo, _tree(repo, tip), base, of="ours")
    two = _made(repo, _tree(repo, before), base, of="theirs")
    merged = git.run(repo, "merge-tree", "--write-tree", one, two, check=False)
    if not merged.ok:
        return None
    tree = merged.stdout.split()[0]
    return _made(repo, tree, tip, of=f'Revert "{culprit.subject}"')


def _tree(repo: Path, name: str) -> str:
    return git.line(repo, "rev-parse", "--verify", f"{name}^{{tree}}")


def _alone(repo: Path, name: str) -> str:
    return _made(repo, _tree(repo, name), of="from here")


_WHEN = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (
    ("NAME", "harness"), ("EMAIL", "harness@localhost"), ("DATE", "@0 +0000")
)}  # fmt: skip


def _made(repo: Path, tree: str, *parents: str, of: str) -> str:
    """Make a commit object; the same words make the same one."""
    above = [word for parent in parents for word in ("-p", parent)]
    return git.run(repo, "commit-tree", tree, *above, "-m", of, env=_WHEN).stdout.strip()
