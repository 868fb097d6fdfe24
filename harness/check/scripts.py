# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own scripts: taken from the base, run on the worktree.

A series may change these programs, so those of the base are run, or with ``trust``
those of the series.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import git, process
from harness.check.mail import Letter, PatchMail
from harness.errors import HostFault
from harness.model import Finding, Severity

CHECKPATCH = "scripts/checkpatch.pl"
GET_MAINTAINER = "scripts/get_maintainer.pl"
KERNEL_DOC = "scripts/kernel-doc"
BLOAT_O_METER = "scripts/bloat-o-meter"
# The scripts, and the files that they read.
NAMES = (
    CHECKPATCH,
    "scripts/spelling.txt",
    "scripts/const_structs.checkpatch",
    GET_MAINTAINER,
    KERNEL_DOC,
    "scripts/kernel-doc.py",
    "scripts/lib",
    BLOAT_O_METER,
    "scripts/coccinelle",
    "tools/docs",
    "tools/lib/python",
)
LIMIT = 300.0  # seconds for one run of a script

_CHECKPATCH = re.compile(r"^(.*?):(-?\d*):? ?(ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)$")
_KERNEL_DOC = re.compile(r"^(?:Warning|Error|WARNING|ERROR): ([^\s:]+)(?::|,|\s)(\d+):? (.*)$")
_PERSON = re.compile(r"(?:.*<)?([^\s<>]+@[^\s<>]+)>?\s*(?:\((.*)\))?$")
_SEVERITY = {"ERROR": Severity.ERROR, "WARNING": Severity.WARNING, "CHECK": Severity.NOTE}
# The check ``maintainers`` reports new files without an entry in MAINTAINERS more precisely.
_IGNORED = "FILE_PATH_CHANGES"
_SHOWN = 6  # maximum number of addresses shown


class Scripts:
    """The scripts of one commit, checked out into a separate folder."""

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
        """Run a script in the worktree, without the user's configuration files."""
        script = self.folder / name
        first_line = script.read_text(errors="replace").partition("\n")[0]
        program = "perl" if "perl" in first_line else "python3"
        if shutil.which(program) is None:
            what = f"{script.name} needs {program}, which is not installed"
            raise HostFault(what, hint="harness setup")
        env = {**git.environment(), "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = [program, script, *words]
        return process.run(argv, cwd=self.worktree, env=env, timeout=LIMIT, check=False)


def changed_by(files: Iterable[str], *, trusted: bool) -> list[Finding]:
    """Report which ``files`` of a series are scripts that a check runs, or parts of them."""
    ours = "running the base version (--trust runs the new one)"
    which = "running the version of the series" if trusted else ours
    text = f"the series changes a script that a check runs: {which}"
    return [
        Finding(Severity.NOTE, text, file, rule="script")
        for file in sorted(set(files))
        if any(file == name or file.startswith(f"{name}/") for name in NAMES)
    ]


def checkpatch(scripts: Scripts, mail: PatchMail) -> Sequence[Finding] | str:
    """Run checkpatch --strict on one patch, with its spelling check."""
    if not scripts.has(CHECKPATCH):
        return f"this tree has no {CHECKPATCH}"
    path = mail.readable(scripts.folder)
    words = ("--strict", "--terse", "--show-types", "--showfile", "--no-summary", "--mailback")
    result = scripts.run(CHECKPATCH, *words, "--color=never", "--ignore", _IGNORED, path)
    findings = []
    for match in filter(None, map(_CHECKPATCH.match, result.stdout.splitlines())):
        file, line, level, rule, text = match.groups()
        if file == str(path):  # about the mail itself
            file, line = "", ""
        findings.append(Finding(_SEVERITY[level], text, file, max(0, int(line or 0)), rule))
    if not findings and result.status:
        raise HostFault(
            f"checkpatch.pl failed with status {result.status} and no message",
            hint=result.words,
            details=(result.stderr or result.stdout).strip()[-2000:],
        )
    return findings


def kernel_doc(scripts: Scripts, files: Sequence[str]) -> Sequence[Finding] | str:
    """Run kernel-doc on C files of the worktree; return all warnings, old and new."""
    if not scripts.has(KERNEL_DOC):
        return f"this tree has no {KERNEL_DOC}"
    files = [
        file
        for file in files
        if file.endswith((".c", ".h")) and (scripts.worktree / file).is_file()
    ]
    if not files:
        return ()
    result = scripts.run(KERNEL_DOC, "-none", *files)
    lines = result.stderr.splitlines() + result.stdout.splitlines()
    findings = dict.fromkeys(
        Finding(Severity.WARNING, match[3], match[1], int(match[2]), "kernel-doc")
        for match in filter(None, map(_KERNEL_DOC.match, lines))
    )
    if not findings and result.status not in (0, 3):
        raise HostFault(
            f"kernel-doc failed with status {result.status}",
            hint=f"cd {scripts.worktree} && scripts/kernel-doc -none FILE; --skip kernel-doc",
            details=result.stderr.strip()[-2000:],
        )
    return list(findings)


def maintainers(scripts: Scripts, mail: PatchMail, cover: Letter | None) -> Sequence[Finding] | str:
    """Check that a sent mail went to all maintainers and lists of MAINTAINERS.

    Also report new files without an entry in MAINTAINERS.  A mail without recipients was not sent.
    """
    if not scripts.has(GET_MAINTAINER):
        return f"this tree has no {GET_MAINTAINER}"
    findings = _unmaintained(scripts, [file.new for file in mail.letter.diffs if not file.old])
    recipients = mail.letter.recipients
    if not recipients:
        return findings
    recipients |= cover.recipients if cover else frozenset()
    missing = [
        (address, role)
        for address, role in _people(scripts, mail.readable(scripts.folder))
        if address not in recipients
    ]
    for is_list, word in ((False, "maintainer"), (True, "list")):
        names = [address for address, role in missing if ("list" in role) is is_list]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            text = f"not sent to the {word}: {', '.join(names[:_SHOWN])}{more}"
            findings.append(Finding(Severity.WARNING, text, rule=word))
    return findings


def unsent(mail: PatchMail) -> str:
    """Return the note of ``maintainers`` for a mail that was not sent."""
    return (
        "" if mail.letter.recipients else "the mail has no To or Cc, so only new files were checked"
    )


def _people(scripts: Scripts, mail: Path) -> list[tuple[str, str]]:
    """Return (address, role) of each recipient that MAINTAINERS lists for a patch."""
    words = ("--no-git", "--no-git-fallback", "--no-git-blame", "--rolestats", "--no-n")
    result = scripts.run(GET_MAINTAINER, *words, mail)
    if result.status:
        raise HostFault(
            f"get_maintainer.pl failed with status {result.status}",
            hint=f"cd {scripts.worktree} && scripts/get_maintainer.pl FILE; --skip maintainers",
            details=result.stderr.strip(),
        )
    matches = (_PERSON.match(line.strip()) for line in result.stdout.splitlines())
    roles = {match[1].lower(): match[2] or "" for match in matches if match}
    return list(roles.items())


def _unmaintained(scripts: Scripts, new_files: Iterable[str]) -> list[Finding]:
    """Report new files that no entry in MAINTAINERS covers except THE REST."""
    findings = []
    for file in new_files:
        words = ("--no-git", "--no-git-fallback", "--no-email", "--no-l", "--no-rolestats")
        result = scripts.run(GET_MAINTAINER, *words, "--sections", "-f", file)
        titles = [
            line.strip()
            for line in result.stdout.splitlines()
            if re.match(r"[A-Z0-9]", line) and not re.match(r"[A-Z]:\s", line)
        ]
        if result.ok and not [title for title in titles if title != "THE REST"]:
            text = "no entry in MAINTAINERS covers this new file"
            findings.append(Finding(Severity.WARNING, text, file, rule="unmaintained"))
    return findings
