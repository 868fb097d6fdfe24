# SPDX-License-Identifier: GPL-2.0-only
"""Start git so that it does the same on every machine and nothing to other people's trees.

No configuration of the person or the system is read, and of a tree's own what would change what
git prints is set to git's default.  No hook or file-system monitor runs, nothing is fetched, and
git's variables (we may run inside ``git rebase --exec`` or a hook) are taken out.
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
    "safe.directory": "*",  # the tree may belong to another user; we only read it
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
    # What follows are git's defaults, for what we read or somebody else's tree sets.
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

# Of git's variables those that say where git is, and how far it looks for a repository.
_KEPT = ("GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")

_NOTHING = 65536  # bytes free on a disk that is full

IDENTITY = {"GIT_COMMITTER_NAME": "harness", "GIT_COMMITTER_EMAIL": "harness@localhost"}


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
    """Give the variables of a git that depends on nothing outside."""
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

    Raises HostFault when git is not there, when the disk is full, and (with ``check``) when git
    fails.
    """
    result = process.run(_argv(repo, words), env=environment(env), stdin=stdin, check=False)
    if result.ok:
        return result
    if _full(repo, result.stderr):
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


def start(repo: Path, *words: str | os.PathLike[str]) -> process.Group:
    """Start git in ``repo``; its input and what it complains of are pipes.

    Raises HostFault when git is not there.
    """
    pipe = subprocess.PIPE
    return process.Group(_argv(repo, words), env=environment(), stdin=pipe, stderr=pipe)


def _argv(repo: Path, words: Sequence[str | os.PathLike[str]]) -> process.Argv:
    return ("git", "-C", repo, *words)


def _full(repo: Path, said: str) -> bool:
    """Whether git failed for want of space; it does not always give the reason."""
    if "No space left on device" in said:
        return True
    failed = "write" in said and repo.is_dir()
    return failed and shutil.disk_usage(repo).free < _NOTHING


def line(repo: Path, *words: str | os.PathLike[str]) -> str:
    """Run git and return the one line it prints; errors as with ``run``."""
    return run(repo, *words).stdout.strip()
