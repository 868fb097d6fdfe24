# SPDX-License-Identifier: GPL-2.0-only
"""Run git so that it behaves the same on every machine and changes nothing in users' trees.

The user's and the system's configuration are not read; settings of a tree that change git's output
are overridden with git's defaults.  No hook or file-system monitor runs, nothing is fetched, and
git's own variables (we may run inside ``git rebase --exec`` or a hook) are removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import process
from harness.errors import HostFault

_SETTINGS = {
    "safe.directory": "*",  # the tree may belong to another user: we only read it
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.autocrlf": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.quotePath": "false",
    "commit.gpgsign": "false",
    "tag.gpgsign": "false",
    "submodule.recurse": "false",
    "rerere.enabled": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "init.defaultBranch": "main",
    "core.logAllRefUpdates": "false",
    "checkout.workers": "0",  # as many as there are cores
    # git's defaults, because a user's tree may set something else.
    "color.diff": "false",
    "core.abbrev": "auto",
    "diff.algorithm": "default",
    "diff.context": "3",
    "diff.dstPrefix": "b/",
    "diff.indentHeuristic": "true",
    "diff.interHunkContext": "0",
    "diff.noprefix": "false",
    "diff.orderFile": os.devnull,
    "diff.relative": "false",
    "diff.renameLimit": "1000",
    "diff.renames": "true",
    "diff.srcPrefix": "a/",
    "diff.suppressBlankEmpty": "false",
    "format.mboxrd": "false",
    "format.noprefix": "false",
    "format.suffix": ".patch",
    "i18n.logOutputEncoding": "UTF-8",
    "log.follow": "false",
    "log.showSignature": "false",
}

# git's variables that stay: where git is, and how far it looks for a repository.
_KEPT = ("GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")

_FULL = 65536  # with fewer bytes free than this, a disk is full

IDENTITY = {"GIT_COMMITTER_NAME": "harness", "GIT_COMMITTER_EMAIL": "harness@localhost"}


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
    """The variables for a git that depends on nothing outside; None means to remove one."""
    foreign = (name for name in os.environ if name.startswith("GIT_") and name not in _KEPT)
    variables: dict[str, str | None] = dict.fromkeys(foreign)
    variables |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",  # the same for a git too old for the line above
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "true",
        "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    }
    for number, (name, value) in enumerate(_SETTINGS.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables | IDENTITY | dict(extra or {})


def run(
    repo: Path,
    *words: str | os.PathLike[str],
    env: Mapping[str, str | None] | None = None,
    stdin: str | bytes | None = None,
    check: bool = True,
) -> process.Result:
    """Run git in ``repo`` (a worktree or a bare repository) and return what it printed.

    Raises HostFault when git is not installed, when the disk is full, and (with ``check``) when
    git fails.
    """
    result = process.run(_argv(repo, words), env=environment(env), stdin=stdin, check=False)
    if result.ok:
        return result
    if _is_full(repo, result.stderr):
        raise HostFault(
            f"the disk of {repo} is full",
            hint="free some space (harness clean), or set HARNESS_CACHE elsewhere",
            details=result.stderr.strip(),
        )
    if check:
        raise HostFault(
            f"git {' '.join(os.fspath(w) for w in words[:2])} failed in {repo}",
            hint=f"git -C {repo} fsck --connectivity-only",
            details=f"{result.words}\n{result.stderr or result.stdout}".strip(),
        )
    return result


def line(repo: Path, *words: str | os.PathLike[str]) -> str:
    """Run git and return its output without white space around it.  Raises as ``run`` does."""
    return run(repo, *words).stdout.strip()


def start(repo: Path, *words: str | os.PathLike[str]) -> process.Group:
    """Start git in ``repo``; its standard input and standard error are pipes.

    Raises HostFault when git is not installed.
    """
    pipe = subprocess.PIPE
    return process.Group(_argv(repo, words), env=environment(), stdin=pipe, stderr=pipe)


def _argv(repo: Path, words: Sequence[str | os.PathLike[str]]) -> process.Argv:
    return ("git", "-C", repo, *words)


def _is_full(repo: Path, stderr: str) -> bool:
    """Whether git failed for lack of space; it does not always say so."""
    if "No space left on device" in stderr:
        return True
    failed = "write" in stderr and repo.is_dir()
    return failed and shutil.disk_usage(repo).free < _FULL


def _answer(repo: Path, *words: str) -> str:
    """What git prints, or nothing when it fails."""
    result = run(repo, *words, check=False)
    return result.stdout.strip() if result.ok else ""


def commit_of(repo: Path, ref: str) -> str:
    """The id of the commit that ``ref`` names; empty if there is none."""
    return object_of(repo, f"{ref}^{{commit}}") if ref else ""


def object_of(repo: Path, name: str) -> str:
    """The id of the object that ``name`` names, such as HEAD^{tree}; empty if there is none."""
    return _answer(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", name)


def top_of(folder: Path) -> Path | None:
    """The top of the worktree that ``folder`` is in; None outside of any, or in a bare one."""
    top = _answer(folder, "rev-parse", "--show-toplevel")
    return Path(top) if top else None


def merge_base(repo: Path, one: str, two: str) -> str:
    """The commit at which two histories part; empty if they have nothing in common."""
    return _answer(repo, "merge-base", one, two)


def is_ancestor(repo: Path, ancestor: str, commit: str) -> bool:
    """Whether ``commit`` is ``ancestor`` or has it in its history."""
    return run(repo, "merge-base", "--is-ancestor", ancestor, commit, check=False).ok


def content(repo: Path, commit: str, file: str) -> str | None:
    """The text of a file at a commit; None if it is not there, or its object is missing."""
    result = run(repo, "cat-file", "blob", f"{commit}:{file}", check=False)
    return result.stdout if result.ok else None
