# SPDX-License-Identifier: GPL-2.0-only
"""The user's own git tree at any commit; it is only read."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from harness import git, paths
from harness.errors import UsageError
from harness.model import Source
from harness.source import releases


def from_tree(path: Path, ref: str) -> Source:
    """The commit that ``ref`` names in the git tree at ``path``.

    The tree may be a clone, bare, shallow, or a linked worktree.  Raises UsageError when there is
    no git tree, no such ref (with those of similar name), or no kernel at that commit.
    """
    top = paths.expanded(path).absolute()
    _refuse_other_folders(top)
    commit = git.commit_of(top, ref)
    if not commit:
        refs = git.run(top, "for-each-ref", "--format=%(refname:short)", check=False).stdout.split()
        near = difflib.get_close_matches(ref, [*refs, "HEAD"], 3, 0.5)
        raise UsageError(
            f"{top} has no commit '{ref}'",
            hint=f"did you mean {' or '.join(near)}?" if near else f"git -C {top} fetch, or tag -l",
        )
    name = commit[:12] if commit.startswith(ref) else f"{ref} ({commit[:12]})"
    return Source(top, commit, name, f"{top}, Linux {_release(top, commit, ref)}")


def _refuse_other_folders(top: Path) -> None:
    if not top.is_dir():
        raise UsageError(f"there is no folder {top}", hint="give the path of a git tree to --tree")
    # A folder inside some other repository is not what was meant: do not look further up.
    env = {"GIT_CEILING_DIRECTORIES": os.fspath(top.parent)}
    result = git.run(top, "rev-parse", "--git-dir", env=env, check=False)
    if result.ok:
        return
    outer = git.top_of(top)
    raise UsageError(
        f"{top} is not a git tree",
        hint=f"the tree it belongs to is {outer}"
        if outer
        else "a release by number needs no tree: --kernel 7.2",
        details=result.stderr.strip(),
    )


def _release(top: Path, commit: str, ref: str) -> str:
    """The release that the Makefile names; other files are looked up in the tree object alone.

    In a partial clone the Makefile's content may be missing: then the number is not known.
    """
    required = ("Makefile", "Kbuild", "Kconfig")
    present = git.line(top, "ls-tree", "--name-only", commit, *required).split()
    missing = [name for name in sorted(required) if name not in present]
    if not missing:
        makefile = git.content(top, commit, "Makefile")
        if makefile is None:
            return "of unknown release"
        if release := releases.of_makefile(makefile):
            return release
    lacks = ", ".join(missing) or "VERSION in its Makefile"
    raise UsageError(
        f"{top} at '{ref}' is not a kernel tree: it has no {lacks}",
        hint="give a clone of the kernel to --tree, or a release to --kernel",
    )
