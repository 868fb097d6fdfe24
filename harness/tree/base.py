# SPDX-License-Identifier: GPL-2.0-only
"""The commit a series is made on, found by the ids of the files it changes.

A diff names what each file was before (``index OLD..NEW``).  The commit that has all these files
is the base, or as good as it: nothing the series touches differs.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness import git, paths
from harness.model import Series

_TIPS = 400  # branches and tags, the newest
_COMMITS = 3000  # that change the files of the series
_DAYS = 500  # before the newest commit there is; what is older is no recent history
_FILES = 32  # compared at each commit; more tell no better
_BEFORE = 2000  # commits looked through for patches that come before the series

# A name may have spaces, if it is the same before and after.
_DIFF = re.compile(rb"^diff --git a/(?:(.+) b/\1|(\S+) b/(\S+))\r?$", re.MULTILINE)
_INDEX = re.compile(rb"^index ([0-9a-f]{7,64})\.\.([0-9a-f]{7,64})", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Base:
    """A commit, a ``name`` for it, and how many of the files are there as the series has them."""

    commit: str
    name: str
    same: int
    files: int
    why: str = ""

    @property
    def whole(self) -> bool:
        """Whether every file is as the series expects it."""
        return self.same == self.files

    def __str__(self) -> str:
        if self.why and not self.same:
            return f"base {self.name}: {self.why}"
        sure = "sure" if self.whole else "likely" if self.same * 2 > self.files else "a guess"
        count = f"{self.same} of the {self.files} files"
        more = f"; {self.why}" if self.why else ""
        return (
            f"base {self.name} ({sure}): {count} the series changes are there as it expects{more}"
        )


def expected(mails: Iterable[bytes]) -> dict[str, str]:
    """Give each file's id before the series, perhaps shortened; empty for one it adds."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for mail in mails:
        starts = [*_DIFF.finditer(mail)]
        for match, after in itertools.zip_longest(starts, starts[1:]):
            same, *two = (name.decode(errors="replace") for name in match.groups(b""))
            old, new = (same, same) if same else two
            end = after.start() if after else len(mail)
            index = _INDEX.search(mail, match.end(), end)
            if index and old not in seen:
                blob = index[1].decode()
                found[old] = "" if not blob.strip("0") else blob
            seen |= {old, new}
    return found


def choose(repo: Path, series: Series, fallback: str = "HEAD") -> Base:
    """Choose the commit of ``repo`` to put the series on, when nobody named one.

    What the series itself names wins, with the patches it says come before it; then ``fallback``
    if all files fit there; then the commit where most do, the newest of those.
    """
    named = _commit(repo, series.base) if series.base else ""
    if named:
        return _with_prerequisites(repo, series, named)
    lost = f"it names {series.base}, which is not in this tree" if series.base else ""
    files = expected(patch.path.read_bytes() for patch in series.patches)
    here = _commit(repo, fallback)
    at_hand = _compared(repo, [here], files).get(here, 0) if here and files else 0
    unknown = "" if files else "the mails do not say what its files were before"
    best = Base(here, fallback, at_hand, len(files), "; ".join(filter(None, [lost, unknown])))
    if not here or best.whole:
        return best
    found = nearest(repo, files)
    return dataclasses.replace(found[0], why=lost) if found and found[0].same > at_hand else best


def nearest(repo: Path, files: Mapping[str, str], most: int = 1) -> list[Base]:
    """Give the commits where most files are as expected, the newest first among equals."""
    if not files:
        return []
    times = _tips(repo)
    counts = _compared(repo, times, files)
    if max(counts.values(), default=0) < len(files):
        times |= _changes(repo, files, max(times.values(), default=0))
        counts |= _compared(repo, [one for one in times if one not in counts], files)
    # Of one second the first is the newest: git gave them in that order.
    ranked = sorted(counts, key=lambda one: (-counts[one], -times[one]))[:most]
    return [Base(one, _name(repo, one), counts[one], len(files)) for one in ranked if counts[one]]


def touching(repo: Path, names: Iterable[str], most: int) -> list[Base]:
    """Give the commits at which these files changed, the newest first.

    For mails that do not say what their files were before.
    """
    times = _changes(repo, names, max(_tips(repo).values(), default=0))
    return [
        Base(one, _name(repo, one), 0, 0)
        for one in sorted(times, key=lambda one: -times[one])[:most]
    ]


def _commit(repo: Path, ref: str) -> str:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = git.run(repo, *words, check=False)
    return found.stdout.strip() if found.ok and ref else ""


def _name(repo: Path, commit: str) -> str:
    words = ("describe", "--tags", "--always", "--abbrev=12", commit)
    return git.run(repo, *words, check=False).stdout.strip() or commit[:12]


def _tips(repo: Path) -> dict[str, int]:
    """Give HEAD and the newest branches and tags, each with its commit's time."""
    form = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
    words = ("for-each-ref", "--sort=-creatordate", f"--count={_TIPS}", form)
    refs = git.run(repo, *words, "refs/heads", "refs/remotes", "refs/tags", check=False).stdout
    return _times(repo, f"{_commit(repo, 'HEAD')}\n{refs}")


def _times(repo: Path, names: str) -> dict[str, int]:
    """Give the commits' times, in seconds; what is no commit is left out."""
    log = ("log", "--no-walk=unsorted", "--ignore-missing", "--stdin", "--format=%H %ct")
    said = git.run(repo, *log, stdin=names, check=False).stdout
    return {commit: int(time) for commit, time in (line.split() for line in said.splitlines())}


def _changes(repo: Path, files: Iterable[str], newest: int) -> dict[str, int]:
    """Give the commits that changed the files, and those right before them."""
    since = f"--since={newest - _DAYS * 86400} +0000"
    ends = ("HEAD", "--branches", "--remotes", "--tags")
    words = ("log", f"--max-count={_COMMITS}", since, "--format=%P %H", *ends, "--")
    names = git.run(repo, *words, *files, check=False).stdout.split()
    return _times(repo, "".join(f"{name}\n" for name in dict.fromkeys(names)))


def _compared(repo: Path, commits: Iterable[str], files: Mapping[str, str]) -> dict[str, int]:
    """Count for each commit the files that are as expected, all with one git."""
    names = list(commits)
    some = list(files.items())[:_FILES]
    wanted = "".join(f"{commit}:{file}\n" for commit in names for file, _ in some)
    words = ("cat-file", "--batch-check=%(objectname)", "--buffer")
    lines = git.run(repo, *words, stdin=wanted, check=False).stdout.splitlines()
    if len(lines) != len(names) * len(some):
        return {}
    there = iter("" if line.endswith((" missing", " ambiguous")) else line for line in lines)
    more = len(files) - len(some)  # taken for the same, so that whole means whole
    counts = {}
    for commit in names:
        same = sum(_same(next(there), blob) for _, blob in some)
        counts[commit] = same + (more if same == len(some) else 0)
    return counts


def _same(there: str, blob: str) -> bool:
    return there.startswith(blob) if blob else not there


def _with_prerequisites(repo: Path, series: Series, base: str) -> Base:
    """Give the named base, or the commit on it that has the patches which come before."""
    wanted = list(series.prerequisites)
    if not wanted:
        name = _name(repo, base) if base == series.base else series.base
        return Base(base, name, 0, 0, "the series names it")
    found = _patch_ids(repo, base)
    commits = [found[one] for one in wanted if one in found]
    for last in reversed(commits):
        if all(_contains(repo, last, one) for one in commits):
            break
    else:
        last = base
    missing = len(wanted) - (len(commits) if last != base else 0)
    count = f"{len(wanted)} patch{'es' if len(wanted) > 1 else ''}"
    why = f"the series names {series.base[:40]} and {count} before it"
    why += f"; {missing} of them are not in this tree" if missing else ""
    return Base(last, _name(repo, last), 0, 0, why)


def _patch_ids(repo: Path, base: str) -> dict[str, str]:
    """Give the patch ids of commits on top of ``base``, byte for byte as git has them."""
    words = (
        "log",
        f"--max-count={_BEFORE}",
        "--no-merges",
        "-p",
        "--no-textconv",
        "--format=commit %H",
    )
    ends = ("HEAD", "--branches", "--remotes", "--tags", "--not", base)
    with paths.scratch(paths.cache() / "ids") as scratch:  # as text, no UTF-8 has another id
        log = scratch / "log"
        git.run(repo, *words, f"--output={log}", *ends, check=False)
        text = log.read_bytes() if log.exists() else b""
    said = git.run(repo, "patch-id", "--stable", stdin=text, check=False).stdout
    pairs: Sequence[list[str]] = [line.split() for line in said.splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _contains(repo: Path, commit: str, older: str) -> bool:
    return git.run(repo, "merge-base", "--is-ancestor", older, commit, check=False).ok
