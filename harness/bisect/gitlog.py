# SPDX-License-Identifier: GPL-2.0-only
"""Reads and writes logs of `git bisect`: git and harness can continue each other's bisections."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness import git
from harness.errors import UsageError
from harness.model import Call

NAME = "bisect.log"
_HINT = "--replay expects the output of `git bisect log`"


@dataclasses.dataclass(frozen=True)
class GitLog:
    """The calls (good, bad, skip) that a git bisect log records, in order.

    ``files`` limit the range.  ``reverse``: its terms show that it searches for a fix.
    """

    calls: tuple[tuple[str, Call], ...]
    files: tuple[str, ...] = ()
    first_parent: bool = False
    reverse: bool = False

    def of(self, call: Call) -> tuple[str, ...]:
        return tuple(commit for commit, known in self.calls if known is call)


def read(path: Path, repo: Path) -> GitLog:
    """Read a file with the output of `git bisect log`; ``repo`` has its commits.

    Raises UsageError with the line that cannot be parsed.
    """
    try:
        log = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    return parse(log, repo, str(path))


def parse(log: str, repo: Path, where: str = "the log") -> GitLog:
    """Read the text of a log; ``where`` names it in errors."""
    terms = {"good": Call.GOOD, "bad": Call.BAD, "old": Call.GOOD, "new": Call.BAD}
    calls: list[tuple[str, Call]] = []
    files: tuple[str, ...] = ()
    first_parent = reverse = False
    for number, line in enumerate(log.splitlines(), 1):
        try:
            argv = shlex.split(line, comments=True)
        except ValueError:  # an unterminated quote
            argv = [line]
        if argv[:2] == ["git", "bisect"] or argv[:1] == ["git-bisect"]:
            argv = argv[2:] if argv[0] == "git" else argv[1:]
        if not argv:
            continue
        verb, args = argv[0], argv[1:]
        if verb == "start":
            first_parent, ends, files, own_terms = _start(args)
            terms |= own_terms
            reverse = own_terms.get("fixed") is Call.BAD
            calls += [(_commit(repo, end, where, number), call) for end, call in ends]
        elif verb in terms or verb == "skip":
            call = terms.get(verb, Call.SKIP)
            names = [name for arg in args for name in _range(repo, arg)]
            calls += [(_commit(repo, name, where, number), call) for name in names]
        else:
            raise UsageError(f"{where}, line {number}: cannot parse {line!r}", hint=_HINT)
    return GitLog(tuple(calls), files, first_parent, reverse)


def _start(
    args: list[str],
) -> tuple[bool, list[tuple[str, Call]], tuple[str, ...], dict[str, Call]]:
    """Parse the arguments of "git bisect start": --first-parent, the ends, files and terms."""
    cut = args.index("--") if "--" in args else len(args)
    ends: list[str] = []
    terms: dict[str, Call] = {}
    first_parent, rest = False, iter(args[:cut])
    for arg in rest:
        name, equals, value = arg.partition("=")
        if arg == "--first-parent":
            first_parent = True
        elif name.startswith("--term-"):
            value = value if equals else next(rest, "")
            terms[value] = Call.GOOD if name in ("--term-good", "--term-old") else Call.BAD
        elif not arg.startswith("--"):
            ends.append(arg)
    calls = [Call.BAD, *[Call.GOOD] * (len(ends) - 1)] if ends else []
    return first_parent, list(zip(ends, calls, strict=True)), tuple(args[cut + 1 :]), terms


def _range(repo: Path, name: str) -> list[str]:
    """Return the commits of A..B; anything else is one commit."""
    if ".." not in name:
        return [name]
    return git.run(repo, "rev-list", name, check=False).stdout.split()


def _commit(repo: Path, name: str, where: str, number: int) -> str:
    commit = git.commit_of(repo, name)
    if not commit:
        raise UsageError(
            f"{where}, line {number}: {repo} has no commit '{name}'",
            hint="--tree must be the repository that the log is from",
        )
    return commit


def text(
    calls: Iterable[tuple[str, Call]],
    subjects: Mapping[str, str],
    *,
    files: Iterable[str] = (),
    first_parent: bool = False,
    reverse: bool = False,
    culprit: str = "",
) -> str:
    """Return the text of a log for `git bisect replay`; ``calls`` are those of the search."""
    terms = {Call.BAD: "bad", Call.GOOD: "good", Call.SKIP: "skip"}
    args = ["--first-parent"] if first_parent else []
    if reverse:
        terms |= {Call.BAD: "fixed", Call.GOOD: "broken"}
        args += ["--term-new=fixed", "--term-old=broken"]
    args += ["--", *files] if files else []
    # git requires quotes around each of these.
    quoted = [" '" + arg.replace("'", "'\\''") + "'" for arg in args]
    lines = ["git bisect start" + "".join(quoted)]
    for commit, call in calls:
        if term := terms.get(call):
            lines.append(f"# {term}: [{commit}] {subjects.get(commit, '')}".rstrip())
            lines.append(f"git bisect {term} {commit}")
    if culprit:
        lines.append(f"# first {terms[Call.BAD]} commit: [{culprit}] {subjects.get(culprit, '')}")
    return "\n".join(lines) + "\n"
