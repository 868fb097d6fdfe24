# SPDX-License-Identifier: GPL-2.0-only
"""A slot: one worktree in the cache per source repository, held by one run at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import git, paths
from harness.errors import HostFault, SeriesError
from harness.model import Checkout, Series, Source
from harness.progress import Progress
from harness.tree import apply, diagnose, own


class Slot:
    """A locked worktree.  ``path`` holds whatever was last checked out with ``check_out``.

    ``base`` and ``patched`` make commits and say what they are; neither moves the worktree, so
    a kernel that is already built costs no checkout and no file gets a new time stamp.
    """

    def __init__(self, path: Path, source: Source, progress: Progress) -> None:
        self.path = path
        self.source = source
        self._progress = progress
        self._times: dict[str, int] | None = None

    def on(self, commit: str, name: str) -> Slot:
        """Give the same worktree, for what starts from another commit of the same repository."""
        source = dataclasses.replace(self.source, commit=commit, name=name)
        return Slot(self.path, source, self._progress)

    def base(self) -> Checkout:
        """Name the commit to start from.  Raises HostFault when the source has lost it."""
        result = git.run(
            self.path, "rev-parse", "--verify", f"{self.source.commit}^{{tree}}", check=False
        )
        if not result.ok:
            raise HostFault(
                f"{self.source.repo} has no commit {self.source.commit[:12]} any more",
                hint="name the base again with --base; git -C TREE fsck tells what is damaged",
                details=result.stderr.strip(),
            )
        return Checkout(self.path, self.source.commit, result.stdout.strip())

    def patched(self, series: Series) -> Checkout:
        """Give the base with ``series`` on it, applied now or by an earlier run.

        Raises NotApplied with patch, file, hunk and conflict; then nothing is left behind.
        """
        mails = [_read(patch.path) for patch in series.patches]
        found = self._applied(series, mails)
        if found is not None:
            return found
        base = self.base().commit
        what = f"{len(mails)} patches onto {self.source.name}"
        with self._progress.stage("apply", what) as stage, paths.writing(self.path):
            commit = apply.apply(self.path, self.source, series, mails, stage)
        git.run(self.path, "update-ref", _ref(base, series, mails), commit)
        return self._describe(base, commit)

    def applied(self, series: Series) -> Checkout | None:
        """Give the base with ``series`` on it if an earlier run applied it; the slot need not be
        held."""
        return self._applied(series, [_read(patch.path) for patch in series.patches])

    def _applied(self, series: Series, mails: list[bytes]) -> Checkout | None:
        base = self.base().commit
        words = ("rev-parse", "--verify", "-q", f"{_ref(base, series, mails)}^{{commit}}")
        found = git.run(self.path, *words, check=False)
        commit = found.stdout.strip()
        return (
            self._describe(base, commit) if found.ok and _whole(self.path, base, commit) else None
        )

    def _describe(self, base: str, commit: str) -> Checkout:
        log = git.line(self.path, "log", "--reverse", "--format=%H %T %s", f"{base}..{commit}")
        lines = [line.split(" ", 2) for line in log.splitlines()]
        patches = tuple((line[0], line[2] if len(line) > 2 else "") for line in lines)
        return Checkout(self.path, commit, lines[-1][1], patches)

    def check_out(self, checkout: Checkout) -> None:
        """Move the worktree to a commit; only files that differ are written.

        Everything that is not in the commit is removed.  Raises HostFault when the disk is full.
        """
        more = f" with {len(checkout.patches)} patches" if checkout.patches else ""
        what = f"{self.source.name}{more}"
        self._remember(checkout.commit)
        with self._progress.stage("checkout", what), paths.writing(self.path):
            if not (self.path / ".git" / "index").exists():
                self._need_space(checkout.commit)
            else:
                # Files that were only touched count as unchanged, or they would be written again.
                git.run(self.path, "update-index", "-q", "--refresh", check=False)
            words = ("checkout", "--quiet", "--force", "--detach", checkout.commit)
            moved = git.run(self.path, *words, check=False)
            if not moved.ok:
                if re.search(r"unable to read|missing blob|not able to", moved.stderr):
                    raise diagnose.lacking(self.source)
                # A damaged index: without one, every file is written anew.
                (self.path / ".git" / "index").unlink(missing_ok=True)
                git.run(self.path, *words)
            git.run(self.path, "clean", "-ffdxq")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Check out commits only to read them: afterwards make sees no file as changed.

        Nothing may be built meanwhile, or make would take what was built for up to date.
        """
        found = git.run(self.path, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
        if not found.ok or not (self.path / ".git" / "index").exists():
            yield
            return
        commit, self._times = found.stdout.strip(), {}
        try:
            yield
        finally:
            times, self._times = self._times, None
            tree = git.line(self.path, "rev-parse", f"{commit}^{{tree}}")
            self.check_out(Checkout(self.path, commit, tree))
            for name, time in times.items():
                with contextlib.suppress(OSError):
                    os.utime(self.path / name, ns=(time, time), follow_symlinks=False)

    def _remember(self, commit: str) -> None:
        """Note the times of files that are about to be written."""
        if self._times is None:
            return
        words = ("diff", "--name-only", "--no-renames", "-z", "HEAD", commit)
        for name in filter(None, git.run(self.path, *words).stdout.split("\0")):
            with contextlib.suppress(OSError):
                self._times.setdefault(name, (self.path / name).lstat().st_mtime_ns)

    def _need_space(self, commit: str) -> None:
        lines = git.run(self.path, "ls-tree", "-r", "-l", "--full-tree", commit).stdout.splitlines()
        sizes = [line.split(None, 4)[3] for line in lines]
        if "BAD" in sizes:
            raise diagnose.lacking(self.source)
        blocks = sum((int(size) + 4095) // 4096 for size in sizes if size != "-")
        paths.need_space(self.path, blocks * 4096 + 50_000_000, f"a worktree of {self.source.name}")


def peek(source: Source, progress: Progress) -> Slot | None:
    """Give the worktree that belongs to ``source.repo`` without holding it, or None when it does
    not know the source.

    Only to ask what earlier runs made: somebody may be building in it.
    """
    found = Slot(_home(source) / "linux", source, progress)
    with contextlib.suppress(HostFault):
        if (found.path / ".git").is_dir() and found.base():
            return found
    return None


@contextlib.contextmanager
def slot(source: Source, progress: Progress, stop: Callable[[], bool] = bool) -> Iterator[Slot]:
    """Hold the worktree that belongs to ``source.repo``; a second run waits, and says so.

    In a thread it waits until ``stop`` says so (see paths.lock).

    What a killed run left there is cleaned up first.  Nothing is written outside our cache.
    Raises HostFault when the repository is gone or the cache cannot be written to.
    """
    home = _home(source)
    with paths.lock(home / "lock", f"the worktree of {source.repo}", progress, stop):
        with paths.writing(home):
            path = own.prepare(home, source.repo)
        yield Slot(path, source, progress)


def _home(source: Source) -> Path:
    real = os.path.realpath(source.repo)
    return paths.cache("trees", hashlib.sha256(os.fsencode(real)).hexdigest()[:16])


def _ref(base: str, series: Series, mails: list[bytes]) -> str:
    """Name what the series made of ``base``."""
    digest = hashlib.sha256(series.digest.encode())
    for mail in mails:  # what is applied decides, should a file have changed since it was read
        digest.update(hashlib.sha256(mail).digest())
    return f"refs/harness/{base}/{digest.hexdigest()[:40]}"


def _whole(repo: Path, base: str, commit: str) -> bool:
    """Whether every object the series made or met is still there.

    Some may be borrowed (the person has the same series on a branch) and gone since.
    """
    changed = git.run(repo, "diff-tree", "-r", "-t", "--no-renames", base, commit, check=False)
    if not changed.ok:
        return False
    fields = [line.split() for line in changed.stdout.splitlines()]
    wanted = "\n".join(field[3] for field in fields if not field[4].startswith("D"))
    known = git.run(repo, "cat-file", "--batch-check", stdin=wanted + "\n", check=False)
    return known.ok and " missing" not in known.stdout


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SeriesError(
            f"cannot read the patch {path}: {error.strerror}",
            hint="was the series moved or changed meanwhile? start again",
        ) from error
