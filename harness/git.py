# SPDX-License-Identifier: GPL-2.0-only
"""Start git so that it does the same on every machine and nothing to other people's trees.

No configuration of the person or the system is read, no hook or file-system monitor runs, nothing
is fetched, and variables that point git elsewhere (we may run inside ``git rebase --exec`` or a
hook) are taken out.
"""

from __future__ import annotations

import os
import shutil
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
}

# What the surroundings may have set to point git at another repository.
_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
)

_NOTHING = 65536  # bytes free on a disk that is full

IDENTITY = {"GIT_COMMITTER_NAME": "harness", "GIT_COMMITTER_EMAIL": "harness@localhost"}


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
    """Give the variables of a git that depends on nothing outside."""
    variables: dict[str, str | None] = dict.fromkeys(_ELSEWHERE)
    variables |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
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
    argv: Sequence[str | os.PathLike[str]] = ["git", "-C", repo, *words]
    result = process.run(argv, env=environment(env), stdin=stdin, check=False)
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


def _full(repo: Path, said: str) -> bool:
    """Whether git failed for want of space; it does not always give the reason."""
    if "No space left on device" in said:
        return True
    failed = "write" in said and repo.is_dir()
    return failed and shutil.disk_usage(repo).free < _NOTHING


def line(repo: Path, *words: str | os.PathLike[str]) -> str:
    """Run git and return the one line it prints; errors as with ``run``."""
    return run(repo, *words).stdout.strip()
