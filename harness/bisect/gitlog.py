# SPDX-License-Identifier: GPL-2.0-only
"""The log of `git bisect`, read and written: what one has found out, the other goes on with."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness import git
from harness.errors import UsageError
from harness.model import Call

NAME = "bisect.log"
_LOG = "a file that `git bisect log` wrote, see --replay"


@dataclasses.dataclass(frozen=True)
class Log:
    """What a log says: the calls of commits in their order, with the words it has for them.

    The last commit that is bad is the bad end, as git has it.  ``files`` limit the range.
    ``reverse``: its terms say that it looks for what made something good again.
    """

    calls: tuple[tuple[str, Call], ...]
    files: tuple[str, ...] = ()
    first_parent: bool = False
    reverse: bool = False

    def of(self, call: Call) -> tuple[str, ...]:
        """Give the commits that were called so."""
        return tuple(commit for commit, one in self.calls if one is call)


def read(path: Path, repo: Path) -> Log:
    """Read a log of `git bisect log`, with the commits as ``repo`` knows them.

    Raises UsageError naming the line that cannot be understood.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=_LOG) from error
    return parse(text, repo, str(path))


def parse(text: str, repo: Path, where: str = "the log") -> Log:
    """Read the text of a log."""
    words = {"good": Call.GOOD, "bad": Call.BAD, "old": Call.GOOD, "new": Call.BAD}
    calls: list[tuple[str, Call]] = []
    files: tuple[str, ...] = ()
    first_parent = reverse = False
    for number, line in enumerate(text.splitlines(), 1):
        try:
            parts = shlex.split(line, comments=True)
        except ValueError:  # a quotation without its end
            parts = [line]
        if parts[:2] == ["git", "bisect"] or parts[:1] == ["git-bisect"]:
            parts = parts[2:] if parts[0] == "git" else parts[1:]
        if not parts:
            continue
        verb, rest = parts[0], parts[1:]
        if verb == "start":
            first_parent, ends, files, terms = _start(rest)
            words |= terms
            reverse = "fixed" in terms and terms["fixed"] is Call.BAD
            calls += [(_commit(repo, end, where, number), call) for end, call in ends]
        elif verb in words or verb == "skip":
            call = words.get(verb, Call.SKIP)
            named = [one for word in rest for one in _range(repo, word)]
            calls += [(_commit(repo, one, where, number), call) for one in named]
        else:
            raise UsageError(f"{where}, line {number}: cannot understand {line!r}", hint=_LOG)
    return Log(tuple(calls), files, first_parent, reverse)


def _start(
    words: list[str],
) -> tuple[bool, list[tuple[str, Call]], tuple[str, ...], dict[str, Call]]:
    """Read what stands behind "git bisect start": options, the bad end, good ends, files."""
    cut = words.index("--") if "--" in words else len(words)
    ends: list[str] = []
    terms: dict[str, Call] = {}
    first_parent, rest = False, iter(words[:cut])
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--first-parent":
            first_parent = True
        elif name.startswith("--term-"):
            value = value if equals else next(rest, "")
            terms[value] = Call.GOOD if name in ("--term-good", "--term-old") else Call.BAD
        elif not word.startswith("--"):
            ends.append(word)
    calls = [Call.BAD, *[Call.GOOD] * (len(ends) - 1)] if ends else []
    return first_parent, list(zip(ends, calls, strict=True)), tuple(words[cut + 1 :]), terms


def _range(repo: Path, word: str) -> list[str]:
    """Give the commits of A..B; anything else is one commit."""
    if ".." not in word:
        return [word]
    return git.run(repo, "rev-list", word, check=False).stdout.split()


def _commit(repo: Path, word: str, where: str, number: int) -> str:
    found = git.run(repo, "rev-parse", "--verify", "-q", f"{word}^{{commit}}", check=False)
    if not found.ok:
        raise UsageError(
            f"{where}, line {number}: {repo} has no commit '{word}'",
            hint="--tree names the repository that it was written in",
        )
    return found.stdout.strip()


def write(
    calls: Iterable[tuple[str, Call]],
    subjects: Mapping[str, str],
    *,
    files: Iterable[str] = (),
    first_parent: bool = False,
    reverse: bool = False,
    culprit: str = "",
) -> str:
    """Write a log that `git bisect replay` takes.  ``calls`` are those of the search."""
    names = {Call.BAD: "bad", Call.GOOD: "good", Call.SKIP: "skip"}
    words = ["--first-parent"] if first_parent else []
    if reverse:
        names |= {Call.BAD: "fixed", Call.GOOD: "broken"}
        words += ["--term-new=fixed", "--term-old=broken"]
    words += ["--", *files] if files else []
    # git reads these only when each is in quotes.
    quoted = [" '" + word.replace("'", "'\\''") + "'" for word in words]
    lines = ["git bisect start" + "".join(quoted)]
    for commit, call in calls:
        if word := names.get(call):
            lines.append(f"# {word}: [{commit}] {subjects.get(commit, '')}".rstrip())
            lines.append(f"git bisect {word} {commit}")
    if culprit:
        lines.append(f"# first {names[Call.BAD]} commit: [{culprit}] {subjects.get(culprit, '')}")
    return "\n".join(lines) + "\n"
