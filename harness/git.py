# SPDX-License-Identifier: GPL-2.0-only
"""Run git so that it behaves the same on every machine and changes nothing in users' trees.

User and system configuration are not read; a tree's settings that would change git's output are
overridden with git's defaults.  No hook or file system monitor runs, nothing is fetched, and git's
environment variables (we may run inside ``git rebase --exec`` or a hook) are removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness import process
from harness.errors import HostFault

_SETTINGS = {
    "safe.directory": "*",  # the tree may belong to another user, but we only read it
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
    # git's defaults, because a user's tree may have other settings.
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

# Variables of git that are kept: where git is, and where it searches for a repository.
_KEPT = ("GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")

_FULL = 65536  # bytes; a disk with less free space counts as full

LOGGED = ("-c", "core.logAllRefUpdates=true")  # before a command that moves HEAD

IDENTITY = {"GIT_COMMITTER_NAME": "harness", "GIT_COMMITTER_EMAIL": "harness@localhost"}


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
    """Return the environment changes for a git without outside influences; None removes one."""
    foreign = (name for name in os.environ if name.startswith("GIT_") and name not in _KEPT)
    variables: dict[str, str | None] = dict.fromkeys(foreign)
    variables |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",  # the same for git versions too old for GIT_NO_LAZY_FETCH
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
    """Run git in ``repo`` (a worktree or a bare repository) and return its output.

    Raises HostFault if git is not installed, if the disk is full, or (with ``check``) if git fails.
    """
    result = process.run(_argv(repo, words), env=environment(env), stdin=stdin, check=False)
    if result.ok:
        return result
    if _is_full(repo, result.stderr):
        raise HostFault(
            f"the disk that holds {repo} is full",
            hint="free some space (harness clean), or set HARNESS_CACHE to another disk",
            details=result.stderr.strip(),
        )
    if check:
        raise HostFault(
            f"git {' '.join(os.fspath(w) for w in words[:2])} failed in {repo}",
            hint=f"git -C {repo} fsck --connectivity-only",
            details=f"{result.words}\n{result.stderr or result.stdout}".strip(),
        )
    return result


def moves(worktree: Path) -> Iterator[tuple[str, str, int]]:
    """Yield each recorded move of HEAD: old commit, new commit, when in seconds.

    Only moves made with ``LOGGED`` are recorded.
    """
    try:
        log = (worktree / ".git" / "logs" / "HEAD").read_text("utf-8", "replace")
    except OSError:
        return
    for move in log.splitlines():
        head, _, _ = move.partition("\t")
        words = head.split()
        if len(words) >= 4 and words[-2].isdigit():
            yield words[0], words[1], int(words[-2])


def line(repo: Path, *words: str | os.PathLike[str]) -> str:
    """Run git and return its output, stripped.  Raises the errors of ``run``."""
    return run(repo, *words).stdout.strip()


def start(repo: Path, *words: str | os.PathLike[str], stdout: int | None = None) -> process.Group:
    """Start git in ``repo``; its standard input and standard error are pipes.

    Raises HostFault if git is not installed.
    """
    pipe = subprocess.PIPE
    argv, env = _argv(repo, words), environment()
    return process.Group(argv, env=env, stdin=pipe, stdout=stdout, stderr=pipe)


def data(repo: Path, *words: str | os.PathLike[str], stdin: str) -> bytes:
    """Run git and return its output as it is.  Raises HostFault if git fails."""
    with start(repo, *words, stdout=subprocess.PIPE) as group:
        output, complaints = group.popen.communicate(stdin.encode())
        if group.popen.returncode:
            raise HostFault(
                f"git {os.fspath(words[0])} failed in {repo}",
                hint=f"git -C {repo} fsck --connectivity-only",
                details=complaints.decode(errors="replace").strip(),
            )
    assert isinstance(output, bytes)
    return output


def _argv(repo: Path, words: Sequence[str | os.PathLike[str]]) -> process.Argv:
    return ("git", "-C", repo, *words)


def _is_full(repo: Path, stderr: str) -> bool:
    """Return whether git failed for lack of space, which it does not always report."""
    if "No space left on device" in stderr:
        return True
    failed = "write" in stderr and repo.is_dir()
    return failed and shutil.disk_usage(repo).free < _FULL


def _output(repo: Path, *words: str) -> str:
    """Return git's output; empty if it fails."""
    result = run(repo, *words, check=False)
    return result.stdout.strip() if result.ok else ""


def commit_of(repo: Path, ref: str) -> str:
    """Return the id of the commit at ``ref``; empty if there is none."""
    return object_of(repo, f"{ref}^{{commit}}") if ref else ""


def object_of(repo: Path, name: str) -> str:
    """Return the id of the object called ``name``, such as HEAD^{tree}; empty if there is none."""
    return _output(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", name)


def top_of(folder: Path) -> Path | None:
    """Return the top of the worktree that ``folder`` is in; None if it is in no worktree."""
    top = _output(folder, "rev-parse", "--show-toplevel")
    return Path(top) if top else None


def merge_base(repo: Path, one: str, two: str) -> str:
    """Return the newest common ancestor of two commits; empty if there is none."""
    return _output(repo, "merge-base", one, two)


def is_ancestor(repo: Path, ancestor: str, commit: str) -> bool:
    """Return whether ``commit`` is ``ancestor`` or has it in its history."""
    return run(repo, "merge-base", "--is-ancestor", ancestor, commit, check=False).ok


def content(repo: Path, commit: str, file: str) -> str | None:
    """Return the text of a file at a commit; None if the file or its object does not exist."""
    result = run(repo, "cat-file", "blob", f"{commit}:{file}", check=False)
    return result.stdout if result.ok else None


def export(repo: Path, tree: str, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Write the ``wanted`` files of a tree or commit below ``folder``, which must be empty."""
    listed = run(repo, "ls-tree", "-r", "--name-only", "-z", tree).stdout.split("\0")
    names = "".join(f"{name}\0" for name in listed if name and wanted(name))
    env: dict[str, str | None] = {"GIT_INDEX_FILE": os.fspath(folder / ".git-index")}
    run(repo, "read-tree", tree, env=env)
    argv = ("checkout-index", f"--prefix={folder}/", "--quiet", "--stdin", "-z")
    run(repo, *argv, env=env, stdin=names)
