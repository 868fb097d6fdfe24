# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own scripts: taken from the base, run on the worktree, read line by line.

They are programs.  A series may change them, so it is the base's that are run; with ``trust``
those of the series.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import git, process
from harness.errors import HostFault
from harness.model import Finding, Severity

NAMES = (
    "scripts/checkpatch.pl",
    "scripts/spelling.txt",
    "scripts/const_structs.checkpatch",
    "scripts/get_maintainer.pl",
    "scripts/kernel-doc",
    "scripts/kernel-doc.py",
    "scripts/lib",
    "scripts/bloat-o-meter",
    "scripts/coccinelle",
    "tools/docs",
    "tools/lib/python",
)
LIMIT = 300.0  # seconds that one script may take

_CHECKPATCH = re.compile(r"^(.*?):(-?\d*):? ?(ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)$")
_KERNEL_DOC = re.compile(r"^(?:Warning|Error|WARNING|ERROR): ([^\s:]+)(?::|,|\s)(\d+):? (.*)$")
_LEVELS = {"ERROR": Severity.ERROR, "WARNING": Severity.WARNING, "CHECK": Severity.NOTE}
# Patches come as mails and are complete; what is left to the committer is not the series' fault,
# and this one is known better than by guessing (see ``maintained``).
_IGNORED = "FILE_PATH_CHANGES"


class Scripts:
    """The scripts of one commit, laid out in a folder of their own."""

    def __init__(self, repo: Path, commit: str, folder: Path) -> None:
        self.folder = folder
        self.worktree = repo
        env = {"GIT_INDEX_FILE": str(folder / "index")}
        git.run(repo, "read-tree", commit, env=env)
        names = git.run(repo, "ls-files", "-z", "--", *NAMES, env=env).stdout
        words = ("checkout-index", "-z", "--stdin", f"--prefix={folder}/")
        git.run(repo, *words, env=env, stdin=names)
        (folder / "index").unlink()

    def has(self, name: str) -> bool:
        """Whether this commit has a script."""
        return (self.folder / name).is_file()

    def run(self, name: str, *words: str | os.PathLike[str]) -> process.Result:
        """Run a script in the worktree; nobody's configuration files are read."""
        interpreter = _interpreter(self.folder / name)
        env = {**git.environment(), "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [interpreter, self.folder / name, *words]
        return process.run(argv, cwd=self.worktree, env=env, timeout=LIMIT, check=False)


def _interpreter(script: Path) -> str:
    first = script.read_text(errors="replace").partition("\n")[0]
    name = "perl" if "perl" in first else "python3"
    if shutil.which(name) is None:
        raise HostFault(f"{name} is not installed, which {script.name} needs", hint="harness setup")
    return name


def changed(files: Iterable[str]) -> list[str]:
    """Give those of ``files`` that are scripts which we would run, or their parts."""
    return sorted(
        file for file in files if any(file == name or file.startswith(f"{name}/") for name in NAMES)
    )


def checkpatch(scripts: Scripts, mail: Path) -> list[Finding]:
    """Run checkpatch --strict on one patch.  Spelling is part of it."""
    words = ("--strict", "--terse", "--show-types", "--showfile", "--no-summary", "--mailback")
    said = scripts.run("scripts/checkpatch.pl", *words, "--color=never", "--ignore", _IGNORED, mail)
    found = []
    for line in said.stdout.splitlines():
        if match := _CHECKPATCH.match(line):
            file, number, level, rule, text = match.groups()
            about = "" if file == str(mail) else file
            found.append(
                Finding(_LEVELS[level], text, about, max(0, int(number or 0)) if about else 0, rule)
            )
    if not found and said.status:
        raise HostFault(
            f"checkpatch.pl gave status {said.status} and no reason",
            hint=said.words,
            details=(said.stderr or said.stdout).strip()[-2000:],
        )
    return found


def kernel_doc(scripts: Scripts, files: Sequence[str]) -> list[Finding]:
    """Run kernel-doc on C files of the worktree; all it says, old and new."""
    there = [file for file in files if (scripts.worktree / file).is_file()]
    if not there:
        return []
    said = scripts.run("scripts/kernel-doc", "-none", *there)
    found: dict[Finding, None] = {}
    for line in said.stderr.splitlines() + said.stdout.splitlines():
        if match := _KERNEL_DOC.match(line):
            one = Finding(Severity.WARNING, match[3], match[1], int(match[2]), "kernel-doc")
            found[one] = None
    if not found and said.status not in (0, 3):
        raise HostFault(
            f"kernel-doc failed with status {said.status}",
            hint=f"cd {scripts.worktree} && scripts/kernel-doc -none FILE; --skip kernel-doc",
            details=said.stderr.strip()[-2000:],
        )
    return list(found)


def maintainers(scripts: Scripts, mail: Path) -> list[tuple[str, str]]:
    """Give (address, role) of who should get a patch, by MAINTAINERS."""
    words = ("--no-git", "--no-git-fallback", "--no-git-blame", "--rolestats", "--no-n")
    said = scripts.run("scripts/get_maintainer.pl", *words, mail)
    if said.status:
        raise HostFault(
            f"get_maintainer.pl failed with status {said.status}",
            hint=f"cd {scripts.worktree} && scripts/get_maintainer.pl FILE; --skip maintainers",
            details=said.stderr.strip(),
        )
    found = []
    for line in said.stdout.splitlines():
        match = re.match(r"(?:.*<)?([^\s<>]+@[^\s<>]+)>?\s*(?:\((.*)\))?$", line.strip())
        if match:
            found.append((match[1].lower(), match[2] or ""))
    return found


def maintained(scripts: Scripts, files: Iterable[str]) -> list[Finding]:
    """See that each new file has an entry of MAINTAINERS besides THE REST."""
    found = []
    for file in files:
        words = ("--no-git", "--no-git-fallback", "--no-email", "--no-l", "--no-rolestats")
        said = scripts.run("scripts/get_maintainer.pl", *words, "--sections", "-f", file)
        sections = [line for line in said.stdout.splitlines() if re.match(r"[A-Z0-9]", line)]
        named = [line for line in sections if not re.match(r"[A-Z]:\s", line)]
        if said.ok and not [line for line in named if line.strip() != "THE REST"]:
            text = "a new file that no entry of MAINTAINERS covers"
            found.append(Finding(Severity.WARNING, text, file, rule="unmaintained"))
    return found
