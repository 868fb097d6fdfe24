# SPDX-License-Identifier: GPL-2.0-only
"""A slot: the worktree in the cache for a source repository, locked by one run at a time.

Its repository borrows objects from the user's repository, and never writes to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import overload

from harness import git, paths
from harness.errors import HostFault, SeriesError
from harness.model import Checkout, Series, Source
from harness.progress import Progress
from harness.tree import apply, diagnose

# Locks that only a running git holds; we hold the slot's lock, so their owner is dead.
_STALE = ("index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock")


class Slot:
    """A locked worktree; ``path`` contains the files last checked out with ``check_out``.

    ``base`` and ``patched`` create and describe commits without changing the worktree, so a kernel
    that is already built needs no checkout, and no file gets a new timestamp.
    """

    def __init__(self, path: Path, source: Source, progress: Progress) -> None:
        self.path = path
        self.source = source
        self._progress = progress
        self._times: dict[str, int] | None = None

    def on(self, commit: str, name: str) -> Slot:
        """Return the same worktree with another commit of the same repository as base."""
        source = dataclasses.replace(self.source, commit=commit, name=name, after=())
        return Slot(self.path, source, self._progress)

    @overload
    def after(self, apply: Callable[[Slot, Series], Checkout]) -> Slot: ...

    @overload
    def after(self, apply: Callable[[Slot, Series], Checkout | None]) -> Slot | None: ...

    def after(self, apply: Callable[[Slot, Series], Checkout | None]) -> Slot | None:
        """Return the same worktree with the series that come first in its base.

        ``apply`` is a method of Slot; if it returns None for one of them, so does this.
        """
        slot = self
        for series in self.source.after:
            checkout = apply(slot, series)
            if checkout is None:
                return None
            slot = slot.on(checkout.commit, f"{slot.source.name} with {series.name}")
        return slot

    def base(self) -> Checkout:
        """Return the base commit.  Raises HostFault if the source no longer has it."""
        words = ("rev-parse", "--verify", f"{self.source.commit}^{{tree}}")
        result = git.run(self.path, *words, check=False)
        if not result.ok:
            raise HostFault(
                f"{self.source.repo} no longer has the commit {self.source.commit[:12]}",
                hint=f"specify another base with --base, or run git -C {self.source.repo} fsck",
                details=result.stderr.strip(),
            )
        return Checkout(self.path, self.source.commit, result.stdout.strip())

    def patched(self, series: Series) -> Checkout:
        """Return the base with ``series`` on top, applied now or by an earlier run.

        Raises NotApplied with patch, file, hunk and conflict, and leaves nothing behind.
        """
        mails = _mails(series)
        if earlier := self._applied(series, mails):
            return earlier
        base = self.base().commit
        what = f"{len(mails)} patches onto {self.source.name}"
        with self._progress.stage("apply", what) as stage, paths.writing(self.path):
            commit = apply.apply(self.path, self.source, series, mails, stage)
        git.run(self.path, "update-ref", _ref(base, series, mails), commit)
        return self._describe(base, commit)

    def applied(self, series: Series) -> Checkout | None:
        """Return the base with ``series`` on top if an earlier run applied it; needs no lock."""
        return self._applied(series, _mails(series))

    def _applied(self, series: Series, mails: list[bytes]) -> Checkout | None:
        base = self.base().commit
        commit = git.commit_of(self.path, _ref(base, series, mails))
        whole = commit and _is_whole(self.path, base, commit)
        return self._describe(base, commit) if whole else None

    def _describe(self, base: str, commit: str) -> Checkout:
        log = git.line(self.path, "log", "--reverse", "--format=%H %T %s", f"{base}..{commit}")
        lines = [line.split(" ", 2) for line in log.splitlines()]
        patches = tuple((line[0], line[2] if len(line) > 2 else "") for line in lines)
        return Checkout(self.path, commit, lines[-1][1], patches)

    def check_out(self, checkout: Checkout) -> None:
        """Check out a commit; only files that differ are written.

        Everything that is not in the commit is removed.  Raises HostFault if the disk is full.
        """
        patches = f" with {len(checkout.patches)} patches" if checkout.patches else ""
        self._remember_times(checkout.commit)
        index = self.path / ".git" / "index"
        what = f"{self.source.name}{patches}"
        with self._progress.stage("checkout", what), paths.writing(self.path):
            if not index.exists():
                self._need_space(checkout.commit)
            else:
                # Files that were only touched count as unchanged, or they would be rewritten.
                git.run(self.path, "update-index", "-q", "--refresh", check=False)
            words = (*git.LOGGED, "checkout", "--quiet", "--force", "--detach", checkout.commit)
            result = git.run(self.path, *words, check=False)
            if not result.ok:
                if re.search(r"unable to read|missing blob|not able to", result.stderr):
                    raise diagnose.lacking(self.source)
                # The index is damaged: without one, every file is written again.
                index.unlink(missing_ok=True)
                git.run(self.path, *words)
            git.run(self.path, "clean", "-ffdxq")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Check out commits only to read them: afterwards make considers no file changed.

        Nothing may be built inside this context, or make would consider it up to date.
        """
        commit = git.object_of(self.path, "HEAD")
        if not commit or not (self.path / ".git" / "index").exists():
            yield
            return
        self._times = {}
        try:
            yield
        finally:
            times, self._times = self._times, None
            tree = git.line(self.path, "rev-parse", f"{commit}^{{tree}}")
            self.check_out(Checkout(self.path, commit, tree))
            for name, time in times.items():
                with contextlib.suppress(OSError):
                    os.utime(self.path / name, ns=(time, time), follow_symlinks=False)

    def _remember_times(self, commit: str) -> None:
        """While ``reading``, record the times of files that will be written."""
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
    """Return the worktree for ``source.repo`` without locking it; None if it lacks the commit.

    Only for queries about earlier runs, because another run may be building in it.
    """
    worktree = Slot(_home(source) / "linux", source, progress)
    with contextlib.suppress(HostFault):
        if (worktree.path / ".git").is_dir() and worktree.base():
            return worktree.after(Slot.applied)
    return None


@contextlib.contextmanager
def slot(source: Source, progress: Progress, stop: Callable[[], bool] = bool) -> Iterator[Slot]:
    """Lock the worktree for ``source.repo``; a second run waits, with a message.

    In a thread, ``stop`` ends the wait (see paths.lock).  Leftovers of a killed run are removed
    first.  Nothing is written outside our cache.  Raises HostFault if the repository no longer
    exists or the cache cannot be written to.
    """
    home = _home(source)
    with paths.lock(home / "lock", f"the worktree of {source.repo}", progress, stop):
        with paths.writing(home):
            path = _prepare(home, source.repo)
        yield Slot(path, source, progress).after(Slot.patched)


def _prepare(home: Path, repo: Path) -> Path:
    """Create our repository in ``home`` if necessary, and make it borrow objects from ``repo``.

    Returns the worktree without checking out anything.  Leftovers of a killed run are removed.
    """
    words = ("--path-format=absolute", "--show-object-format")
    folders = ("--git-path", "objects", "--git-path", "shallow")
    result = git.run(repo, "rev-parse", *words, *folders, check=False)
    if not result.ok:
        raise HostFault(
            f"{repo} is no longer a git tree",
            hint="specify another tree with --tree, or a release with --kernel",
            details=result.stderr.strip(),
        )
    object_format, objects, shallow = result.stdout.splitlines()
    own = home / "linux"
    if not _is_usable(own, object_format):
        shutil.rmtree(own, ignore_errors=True)
        with paths.scratch(own) as scratch:
            git.run(scratch, "init", "--quiet", f"--object-format={object_format}", "linux")
            (scratch / "linux").rename(own)
    folder = own / ".git"
    for name in _STALE:
        (folder / name).unlink(missing_ok=True)
    for leftover in home.glob(".*.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(folder / "worktrees", ignore_errors=True)
    alternates = "".join(f"{path}\n" for path in _object_folders(Path(objects), {}))
    _write_if_changed(folder / "objects" / "info" / "alternates", alternates)
    commits = Path(shallow).read_text() if Path(shallow).exists() else ""
    _write_if_changed(folder / "shallow", commits)
    return own


def _is_usable(own: Path, object_format: str) -> bool:
    if not (own / ".git").is_dir():
        return False
    env = {"GIT_CEILING_DIRECTORIES": os.fspath(own.parent)}
    result = git.run(own, "rev-parse", "--show-object-format", env=env, check=False)
    return result.ok and result.stdout.strip() == object_format


def _write_if_changed(path: Path, text: str) -> None:
    """Replace a small file if its content differs; empty text removes it."""
    if not text:
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        if path.read_text("utf-8", "surrogateescape") == text:
            return
    draft = path.with_name(path.name + ".fresh")
    draft.write_text(text, "utf-8", "surrogateescape")
    draft.replace(path)


def _object_folders(folder: Path, seen: dict[Path, None]) -> list[Path]:
    """Return the object folder and all its alternates, recursively, as absolute paths.

    git follows alternates only a few levels deep, and ignores relative paths in nested ones; a flat
    list of absolute paths has neither limit.
    """
    real = folder.resolve()
    if real not in seen:
        seen[real] = None
        with contextlib.suppress(FileNotFoundError):
            text = (real / "info" / "alternates").read_text("utf-8", "surrogateescape")
            for line in text.split("\n"):
                if line and not line.startswith("#"):
                    _object_folders(real / _unquoted(line), seen)
    return list(seen)


def _unquoted(line: str) -> str:
    if not (line.startswith('"') and line.endswith('"')):
        return line
    raw = line[1:-1].encode(errors="surrogateescape")
    return os.fsdecode(raw.decode("unicode_escape").encode("latin-1"))


def _home(source: Source) -> Path:
    real = os.path.realpath(source.repo)
    return paths.cache("trees", hashlib.sha256(os.fsencode(real)).hexdigest()[:16])


def _ref(base: str, series: Series, mails: list[bytes]) -> str:
    """Return the ref that stores ``base`` with the series on top."""
    digest = hashlib.sha256(series.digest.encode())
    for mail in mails:  # in case a file has changed since the series was read
        digest.update(hashlib.sha256(mail).digest())
    return f"refs/harness/{base}/{digest.hexdigest()[:40]}"


def _is_whole(repo: Path, base: str, commit: str) -> bool:
    """Return whether every object that the series created or used still exists.

    Some may have been borrowed (the user has the same series on a branch) and deleted since.
    """
    changed = git.run(repo, "diff-tree", "-r", "-t", "--no-renames", base, commit, check=False)
    if not changed.ok:
        return False
    fields = [line.split() for line in changed.stdout.splitlines()]
    objects = "".join(f"{field[3]}\n" for field in fields if not field[4].startswith("D"))
    listed = git.run(repo, "cat-file", "--batch-check", stdin=objects, check=False)
    return listed.ok and " missing" not in listed.stdout


def _mails(series: Series) -> list[bytes]:
    mails = []
    for patch in series.patches:
        try:
            mails.append(patch.path.read_bytes())
        except OSError as error:
            raise SeriesError(
                f"cannot read the patch {patch.path}: {error.strerror}",
                hint="the series may have been moved or changed; run the same command again",
            ) from error
    return mails
