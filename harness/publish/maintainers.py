# SPDX-License-Identifier: GPL-2.0-only
"""Who is to be told of a series: asked of the tree's own scripts/get_maintainer.pl."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness import git, process
from harness.model import Patch, Source

_SCRIPT = "scripts/get_maintainer.pl"
_FILES = (_SCRIPT, "MAINTAINERS", ".get_maintainer.ignore", ".mailmap")
# What the script looks at to see that it stands in a kernel's tree.
_TREE = ("COPYING", "CREDITS", "Kbuild", "README", "Makefile")
_FOLDERS = ("Documentation", "arch", "include", "drivers", "fs", "init", "ipc", "kernel", "lib")
_TIMEOUT = 120.0  # seconds
Lines = tuple[str, ...]
_PLAIN = ("--no-git", "--no-git-fallback", "--no-rolestats", "--no-roles")


def ask(source: Source, patches: Sequence[Patch]) -> tuple[Lines, Lines]:
    """Give (To, Cc), a line each: maintainers, and reviewers and lists; none without a script.

    It is the base's script that runs, never one that the series brings.  Raises HostFault when it
    fails.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        top = Path(folder)
        if not patches or not _lay_out(source, top):
            return (), ()
        files = [str(patch.path.absolute()) for patch in patches]
        to = _run(top, ("--no-l", "--no-r"), files)
        cc = _run(top, ("--no-m",), files)
    return to, tuple(one for one in cc if one not in to)


def _lay_out(source: Source, top: Path) -> bool:
    """Put down what the script needs of the tree; whether there is such a script."""
    for name in _FILES:
        found = git.run(source.repo, "show", f"{source.commit}:{name}", check=False)
        if found.ok:
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).write_text(found.stdout, encoding="utf-8", errors="surrogateescape")
    for name in _TREE:
        (top / name).touch()
    for name in (*_FOLDERS, "scripts"):
        (top / name).mkdir(exist_ok=True)
    return (top / _SCRIPT).is_file() and (top / "MAINTAINERS").is_file()


def _run(top: Path, which: Sequence[str], files: Sequence[str]) -> Lines:
    result = process.run(["perl", _SCRIPT, *_PLAIN, *which, *files], cwd=top, timeout=_TIMEOUT)
    return tuple(result.stdout.splitlines())
