# SPDX-License-Identifier: GPL-2.0-only
"""Our own repository in the cache: it borrows the objects of somebody's and writes none there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from harness import git, paths
from harness.errors import HostFault

# Files that only a git under way holds; we hold the slot's lock, so whoever made them is dead.
_STALE = ("index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock")


@dataclasses.dataclass(frozen=True)
class Lender:
    """What we need to know of the repository whose objects we borrow."""

    objects: tuple[Path, ...]
    format: str
    shallow: str


def lender(repo: Path) -> Lender:
    """Look at ``repo`` (worktree, linked worktree or bare); raises HostFault when it is gone."""
    result = git.run(
        repo,
        "rev-parse",
        "--path-format=absolute",
        "--show-object-format",
        "--git-path",
        "objects",
        "--git-path",
        "shallow",
        check=False,
    )
    if not result.ok:
        raise HostFault(
            f"{repo} is not a git tree any more",
            hint="give another one with --tree, or a release with --kernel",
            details=result.stderr.strip(),
        )
    form, objects, shallow = result.stdout.splitlines()
    text = ""
    with contextlib.suppress(FileNotFoundError):
        text = Path(shallow).read_text()
    return Lender(tuple(_follow(Path(objects), {})), form, text)


def _follow(folder: Path, seen: dict[Path, None]) -> list[Path]:
    """Give the object folder and, resolved, all those it borrows from itself.

    git follows borrowed borrowing only a few levels and no relative paths there; a flat list of
    absolute ones has neither limit.
    """
    real = folder.resolve()
    if real in seen:
        return list(seen)
    seen[real] = None
    with contextlib.suppress(FileNotFoundError):
        for line in (
            (real / "info" / "alternates").read_text("utf-8", "surrogateescape").split("\n")
        ):
            if line and not line.startswith("#"):
                _follow(real / _unquoted(line), seen)
    return list(seen)


def _unquoted(line: str) -> str:
    if not (line.startswith('"') and line.endswith('"')):
        return line
    raw = line[1:-1].encode(errors="surrogateescape")
    return os.fsdecode(raw.decode("unicode_escape").encode("latin-1"))


def prepare(home: Path, repo: Path) -> Path:
    """Make our repository in ``home`` if it is not there, and have it borrow from ``repo``.

    Gives the worktree (nothing is checked out here).  What a killed run left is cleared away.
    """
    lent = lender(repo)
    own = home / "linux"
    if not _usable(own, lent.format):
        shutil.rmtree(own, ignore_errors=True)
        with paths.scratch(own) as scratch:
            git.run(scratch, "init", "--quiet", f"--object-format={lent.format}", "linux")
            (scratch / "linux").rename(own)
    folder = own / ".git"
    for name in _STALE:
        (folder / name).unlink(missing_ok=True)
    for left in home.glob(".*.*"):
        shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(folder / "worktrees", ignore_errors=True)
    alternates = "".join(f"{path}\n" for path in lent.objects)
    _write(folder / "objects" / "info" / "alternates", alternates)
    _write(folder / "shallow", lent.shallow)
    return own


def _usable(own: Path, form: str) -> bool:
    if not (own / ".git").is_dir():
        return False
    env = {"GIT_CEILING_DIRECTORIES": os.fspath(own.parent)}
    result = git.run(own, "rev-parse", "--show-object-format", env=env, check=False)
    return result.ok and result.stdout.strip() == form


def _write(path: Path, text: str) -> None:
    """Write a small file whole, only if its content differs; no text means no file."""
    if not text:
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        if path.read_text("utf-8", "surrogateescape") == text:
            return
    fresh = path.with_name(path.name + ".fresh")
    fresh.write_text(text, "utf-8", "surrogateescape")
    fresh.replace(path)
