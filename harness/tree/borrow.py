# SPDX-License-Identifier: GPL-2.0-only
"""Our own repository in the cache: it borrows the objects of a user's and writes none there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from harness import git, paths
from harness.errors import HostFault

# Locks that only a running git holds; we hold the slot's lock, so whoever made them is dead.
_STALE = ("index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock")


@dataclasses.dataclass(frozen=True)
class Lender:
    """What we need to know of the repository whose objects we borrow."""

    objects: tuple[Path, ...]
    object_format: str
    shallow: str


def lender(repo: Path) -> Lender:
    """Look at ``repo`` (worktree, linked worktree or bare).  Raises HostFault when it is gone."""
    words = ("--path-format=absolute", "--show-object-format")
    folders = ("--git-path", "objects", "--git-path", "shallow")
    result = git.run(repo, "rev-parse", *words, *folders, check=False)
    if not result.ok:
        raise HostFault(
            f"{repo} is no longer a git tree",
            hint="give another one with --tree, or a release with --kernel",
            details=result.stderr.strip(),
        )
    object_format, objects, shallow = result.stdout.splitlines()
    commits = ""
    with contextlib.suppress(FileNotFoundError):
        commits = Path(shallow).read_text()
    return Lender(tuple(_object_folders(Path(objects), {})), object_format, commits)


def _object_folders(folder: Path, seen: dict[Path, None]) -> list[Path]:
    """The object folder and, resolved, all those it borrows from itself.

    git follows chains of borrowing only a few levels deep, and no relative paths in them; a flat
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


def prepare(home: Path, repo: Path) -> Path:
    """Make our repository in ``home`` if it is not there, and have it borrow from ``repo``.

    Returns the worktree (nothing is checked out here).  What a killed run left is removed.
    """
    lent = lender(repo)
    own = home / "linux"
    if not _is_usable(own, lent.object_format):
        shutil.rmtree(own, ignore_errors=True)
        with paths.scratch(own) as scratch:
            git.run(scratch, "init", "--quiet", f"--object-format={lent.object_format}", "linux")
            (scratch / "linux").rename(own)
    folder = own / ".git"
    for name in _STALE:
        (folder / name).unlink(missing_ok=True)
    for leftover in home.glob(".*.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(folder / "worktrees", ignore_errors=True)
    alternates = "".join(f"{path}\n" for path in lent.objects)
    _write_if_changed(folder / "objects" / "info" / "alternates", alternates)
    _write_if_changed(folder / "shallow", lent.shallow)
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
