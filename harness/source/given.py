# SPDX-License-Identifier: GPL-2.0-only
"""A person's own git tree at any commit, which is only ever read."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from harness import git, paths
from harness.errors import UsageError
from harness.model import Source
from harness.source import version


def from_tree(path: Path, ref: str) -> Source:
    """Give the commit that ``ref`` names in the git tree at ``path``.

    The tree may be a clone, bare, shallow, or a linked worktree.  Raises UsageError when there is
    no git tree, no such ref (with those close in name), or no kernel at that commit.
    """
    top = paths.expanded(path).absolute()
    _see_that_it_is_one(top)
    commit = _commit(top, ref)
    number = _release(top, commit, ref)
    name = commit[:12] if commit.startswith(ref) else f"{ref} ({commit[:12]})"
    return Source(top, commit, name, f"{top}, Linux {number}")


def _see_that_it_is_one(top: Path) -> None:
    if not top.is_dir():
        raise UsageError(f"there is no folder {top}", hint="give the path of a git tree to --tree")
    # A folder inside some other repository is not what was meant: do not look further up.
    env = {"GIT_CEILING_DIRECTORIES": os.fspath(top.parent)}
    if git.run(top, "rev-parse", "--git-dir", env=env, check=False).ok:
        return
    above = git.run(top, "rev-parse", "--show-toplevel", check=False)
    hint = "a release by number needs no tree: --kernel 7.2"
    if above.ok:
        hint = f"the tree it belongs to is {above.stdout.strip()}"
    raise UsageError(f"{top} is not a git tree", hint=hint, details=above.stderr.strip())


def _commit(top: Path, ref: str) -> str:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = git.run(top, *words, check=False)
    if found.ok and ref:
        return found.stdout.strip()
    listed = git.run(top, "for-each-ref", "--format=%(refname:short)", check=False).stdout.split()
    near = difflib.get_close_matches(ref, [*listed, "HEAD"], 3, 0.5)
    raise UsageError(
        f"{top} has no commit '{ref}'",
        hint=f"did you mean {' or '.join(near)}?" if near else f"git -C {top} fetch, or tag -l",
    )


def _release(top: Path, commit: str, ref: str) -> str:
    """Give the release the Makefile there names; the names come from the tree object alone.

    In a partial clone the Makefile's content may be missing: then the number is not known.
    """
    listed = git.line(top, "ls-tree", "--name-only", commit, "Makefile", "Kbuild", "Kconfig")
    missing = {"Makefile", "Kbuild", "Kconfig"} - set(listed.split())
    number = ""
    if not missing:
        shown = git.run(top, "cat-file", "blob", f"{commit}:Makefile", check=False)
        number = version.of_makefile(shown.stdout) if shown.ok else "of unknown release"
    if number:
        return number
    lacks = ", ".join(sorted(missing)) or "VERSION in its Makefile"
    raise UsageError(
        f"{top} at '{ref}' is not a kernel tree: it has no {lacks}",
        hint="give a clone of the kernel to --tree, or a release to --kernel",
    )
