# SPDX-License-Identifier: GPL-2.0-only
"""Find the commit that a series is based on, by the blob ids of the files it changes.

A diff has the id of each file's old content (``index OLD..NEW``).  A commit with all these blobs is
the base, or equivalent to it: no file that the series touches differs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness import diff, git, paths
from harness.diff import DiffError
from harness.model import Series, Source

_TIPS = 400  # newest branches and tags to search
_COMMITS = 3000  # commits to search that change files of the series
_DAYS = 500  # before the newest commit; older commits are not searched
_FILES = 32  # files to compare at each commit; more would not improve the result
_BEFORE = 2000  # commits to search for prerequisite patches
_NEAR = 5  # nearest commits at which to try the whole series
_TOUCHING = 20  # the same if the nearest commits are unknown


@dataclasses.dataclass(frozen=True)
class Base:
    """A commit, its ``name``, and how many of the files are as the series expects them."""

    commit: str
    name: str
    same: int
    files: int
    why: str = ""

    @property
    def whole(self) -> bool:
        """Whether all files are as the series expects them."""
        return self.same == self.files

    def __str__(self) -> str:
        if self.why and not self.same:
            return f"base {self.name}: {self.why}"
        sure = "certain" if self.whole else "likely" if self.same * 2 > self.files else "a guess"
        why = f"; {self.why}" if self.why else ""
        return (
            f"base {self.name} ({sure}): {self.same} of the {self.files} files that the series"
            f" changes are as it expects{why}"
        )


def expected(mails: Iterable[bytes]) -> dict[str, str]:
    """Map each file to its (maybe abbreviated) blob id before the series; empty for a new file."""
    blobs: dict[str, str] = {}
    seen: set[str] = set()
    for mail in mails:
        try:
            files = diff.parse(diff.split(mail)[1])
        except DiffError:  # git am will report it
            continue
        for file in files:
            before = file.old or file.new
            if file.blob and before not in seen:
                blobs[before] = file.blob if file.blob.strip("0") else ""
            seen |= {file.old, file.new}
    return blobs


def choose(repo: Path, series: Series, fallback: str = "HEAD") -> Base:
    """Choose the commit of ``repo`` to apply the series to, if the user did not specify one.

    That is the base named by the series, with its prerequisite patches; or ``fallback`` if all
    files match there; or the newest commit where most files match.
    """
    if named := git.commit_of(repo, series.base):
        return _with_prerequisites(repo, series, named)
    lost = f"its base-commit {series.base} is not in this tree" if series.base else ""
    files = expected(patch.path.read_bytes() for patch in series.patches)
    here = git.commit_of(repo, fallback)
    same = _count_same(repo, [here], files).get(here, 0) if here and files else 0
    unknown = "" if files else "the patches have no blob ids (index lines)"
    best = Base(here, fallback, same, len(files), "; ".join(filter(None, [lost, unknown])))
    if not here or best.whole:
        return best
    candidates = nearest(repo, files)
    if candidates and candidates[0].same > same:
        return dataclasses.replace(candidates[0], why=lost)
    return best


def nearest(repo: Path, files: Mapping[str, str], most: int = 1) -> list[Base]:
    """Return the commits where most files are as expected, the newest first among equals."""
    if not files:
        return []
    times = _tips(repo)
    counts = _count_same(repo, times, files)
    if max(counts.values(), default=0) < len(files):
        times |= _changes(repo, files, max(times.values(), default=0))
        counts |= _count_same(repo, [commit for commit in times if commit not in counts], files)
    # Of commits with the same time the first is the newest, as git lists them in that order.
    ranked = sorted(counts, key=lambda commit: (-counts[commit], -times[commit]))
    return [
        Base(commit, _name(repo, commit), counts[commit], len(files))
        for commit in ranked[:most]
        if counts[commit]
    ]


def fitting(
    place: Path, source: Source, mails: Sequence[Path], names: Sequence[str]
) -> Base | None:
    """Return the nearest commit of the source's tree where all ``mails`` apply, or None.

    ``names`` are the files that they change.  ``place`` is our worktree, which borrows the tree's
    objects; only a separate index is written.
    """
    files = expected(mail.read_bytes() for mail in mails)
    env = {"GIT_INDEX_FILE": str(place.parent / "try-index")}
    near = nearest(source.repo, files, _NEAR)
    for candidate in near or touching(source.repo, names, _TOUCHING):
        if candidate.commit == source.commit:
            continue
        read = git.run(place, "read-tree", candidate.commit, env=env, check=False)
        if read.ok and all(
            git.run(place, "apply", "--cached", mail, env=env, check=False).ok for mail in mails
        ):
            return candidate
    return None


def touching(repo: Path, names: Iterable[str], most: int) -> list[Base]:
    """Return the commits that changed these files, the newest first.

    This is for mails without blob ids of their files.
    """
    times = _changes(repo, names, max(_tips(repo).values(), default=0))
    newest = sorted(times, key=lambda commit: -times[commit])[:most]
    return [Base(commit, _name(repo, commit), 0, 0) for commit in newest]


def _name(repo: Path, commit: str) -> str:
    words = ("describe", "--tags", "--always", "--abbrev=12", commit)
    return git.run(repo, *words, check=False).stdout.strip() or commit[:12]


def _tips(repo: Path) -> dict[str, int]:
    """Return HEAD and the newest branches and tags, with the times of their commits."""
    form = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
    words = ("for-each-ref", "--sort=-creatordate", f"--count={_TIPS}", form)
    refs = git.run(repo, *words, "refs/heads", "refs/remotes", "refs/tags", check=False).stdout
    return _times(repo, f"{git.commit_of(repo, 'HEAD')}\n{refs}")


def _times(repo: Path, names: str) -> dict[str, int]:
    """Return the commits' times in seconds; other objects are left out."""
    words = ("log", "--no-walk=unsorted", "--ignore-missing", "--stdin", "--format=%H %ct")
    log = git.run(repo, *words, stdin=names, check=False).stdout
    return {commit: int(time) for commit, time in (line.split() for line in log.splitlines())}


def _changes(repo: Path, files: Iterable[str], newest: int) -> dict[str, int]:
    """Return the commits that changed the files, and their parents, with their times."""
    since = f"--since={newest - _DAYS * 86400} +0000"
    ends = ("HEAD", "--branches", "--remotes", "--tags")
    words = ("log", f"--max-count={_COMMITS}", since, "--format=%P %H", *ends, "--")
    names = git.run(repo, *words, *files, check=False).stdout.split()
    return _times(repo, "".join(f"{name}\n" for name in dict.fromkeys(names)))


def _count_same(repo: Path, commits: Iterable[str], files: Mapping[str, str]) -> dict[str, int]:
    """Count the files that are as expected at each commit, with a single git process."""
    names = list(commits)
    sample = list(files.items())[:_FILES]
    objects = "".join(f"{commit}:{file}\n" for commit in names for file, _ in sample)
    words = ("cat-file", "--batch-check=%(objectname)", "--buffer")
    lines = git.run(repo, *words, stdin=objects, check=False).stdout.splitlines()
    if len(lines) != len(names) * len(sample):
        return {}
    blobs = iter("" if line.endswith((" missing", " ambiguous")) else line for line in lines)
    beyond = len(files) - len(sample)  # assumed the same if all of the sample are
    counts = {}
    for commit in names:
        same = sum(_same(next(blobs), blob) for _, blob in sample)
        counts[commit] = same + (beyond if same == len(sample) else 0)
    return counts


def _same(actual: str, blob: str) -> bool:
    return actual.startswith(blob) if blob else not actual


def _with_prerequisites(repo: Path, series: Series, base: str) -> Base:
    """Return the named base, or the commit on top of it that has the prerequisite patches."""
    prerequisites = () if series.after else series.prerequisites  # then they come with us
    if not prerequisites:
        name = _name(repo, base) if base == series.base else series.base
        return Base(base, name, 0, 0, "named by the series")
    patch_ids = _patch_ids(repo, base)
    commits = [patch_ids[patch_id] for patch_id in prerequisites if patch_id in patch_ids]
    for last in reversed(commits):
        if all(git.is_ancestor(repo, commit, last) for commit in commits):
            break
    else:
        last = base
    missing = len(prerequisites) - (len(commits) if last != base else 0)
    count = f"{len(prerequisites)} prerequisite patch{'es' if len(prerequisites) > 1 else ''}"
    why = f"the series names {series.base[:40]} and {count}"
    why += f"; {missing} of them are not in this tree" if missing else ""
    return Base(last, _name(repo, last), 0, 0, why)


def _patch_ids(repo: Path, base: str) -> dict[str, str]:
    """Map patch ids to commits on top of ``base``."""
    words = ("log", f"--max-count={_BEFORE}", "--no-merges", "-p", "--no-textconv")
    ends = ("HEAD", "--branches", "--remotes", "--tags", "--not", base)
    # Use a file, because decoding a log that is not UTF-8 would change the patch ids.
    with paths.scratch(paths.cache() / "ids") as scratch:
        log = scratch / "log"
        git.run(repo, *words, "--format=commit %H", f"--output={log}", *ends, check=False)
        text = log.read_bytes() if log.exists() else b""
    output = git.run(repo, "patch-id", "--stable", stdin=text, check=False).stdout
    pairs = (line.split() for line in output.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
