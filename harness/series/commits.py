# SPDX-License-Identifier: GPL-2.0-only
"""Commits of a person's tree as mails: a range, a branch, or a branch that b4 prepared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

from harness import git, paths
from harness.errors import SeriesError, UsageError

_EXPORT = (
    *("format-patch", "--quiet", "--no-cover-letter", "--no-attach", "--no-thread", "--binary"),
    *("--full-index", "--no-base", "--subject-prefix=PATCH", "--numbered", "--no-signoff"),
    *("--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--encode-email-headers"),
    *("--no-from", "--no-to", "--no-cc", "--no-add-header", "--no-notes", "--no-signature"),
)
_MOST = 300  # commits; a branch with more was given a wrong base
_TRACKING = "--- b4-submit-tracking ---"
_WHO = "harness <harness@localhost>"


@dataclasses.dataclass(frozen=True)
class Made:
    """The mails, in the folder ``path``, and the commit of ``repo`` they start from."""

    path: Path
    base: str
    name: str
    repo: Path
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Span:
    """Commits after ``base`` up to ``tip``, and what b4 keeps beside them."""

    base: str
    tip: str
    notes: tuple[str, ...] = ()
    letter: str = ""
    revision: int = 1


def mails(word: str, tree: Path | None, base: str = "") -> Made | None:
    """Make mails of ``A..B``, of a branch since its base, or of one commit; None if it is none.

    A branch starts at ``base``; else where b4 or its upstream branch says, or at the newest tag
    in it.  Raises UsageError for a range that cannot be, or that holds no commit or a merge, and
    SeriesError for one commit that is a merge.
    """
    repo = paths.expanded(tree or Path.cwd()).absolute()
    if not word or word.startswith("-") or not git.run(repo, "rev-parse", check=False).ok:
        if ".." in word and "/" not in word and not word.startswith("."):
            if tree:
                raise UsageError(f"{repo} is no git tree", hint="name one that is with --tree DIR")
            raise UsageError(f"{word} is a range, of which tree?", hint="give it with --tree DIR")
        return None
    span = _range(repo, word) if ".." in word else _named(repo, word, base)
    if span is None:
        return None
    count = _see_patches(repo, span, word)
    key = hashlib.sha256(f"{repo} {span} {word} {_EXPORT}".encode()).hexdigest()[:20]
    folder = paths.cache("series", f"commits-{key}") / "mails"
    if not folder.is_dir():
        with paths.writing(folder), paths.scratch(folder) as scratch:
            _export(repo, span, scratch / "mails")
            if span.letter:
                _write_letter(scratch / "mails", span)
            if not folder.exists():
                (scratch / "mails").rename(folder)
    name = re.sub(r"[^\w.-]+", "-", word)
    top = git.run(repo, "rev-parse", "--show-toplevel", check=False).stdout.strip()
    name = name.strip("-.") or "commits"
    lost = count - len(list(folder.glob("*.patch"))) + bool(span.letter)
    notes = (f"{lost} of the commits change nothing and are left out",) if lost else ()
    return Made(folder, span.base, name, Path(top) if top else repo, (*span.notes, *notes))


def _export(repo: Path, span: _Span, folder: Path) -> None:
    """Have git make the mails; of a commit that changes nothing it makes an empty file."""
    words = (f"--reroll-count={span.revision}", "--output-directory", folder)
    git.run(repo, *_EXPORT, *words, f"{span.base}..{span.tip}")
    if all(file.stat().st_size for file in folder.glob("*.patch")):
        return
    for file in folder.glob("*.patch"):
        file.unlink()
    git.run(repo, *_EXPORT, "--no-numbered", *words, f"{span.base}..{span.tip}")
    for file in folder.glob("*.patch"):
        if not file.stat().st_size:
            file.unlink()


def _commit(repo: Path, ref: str) -> str:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = git.run(repo, *words, check=False)
    return found.stdout.strip() if found.ok else ""


def _range(repo: Path, word: str) -> _Span | None:
    begin, _, end = word.partition("..")
    ends = [_commit(repo, ref or "HEAD") for ref in (begin, end.lstrip("."))]
    if all(ends):
        base = git.run(repo, "merge-base", *ends, check=False).stdout.strip()
        if base:
            return _Span(base, ends[1])
        raise UsageError(f"{word}: the two have no commit in common", hint="give BASE..TIP")
    if "/" in word and not any(ends):  # a path, mistyped
        return None
    missing = (begin or "HEAD") if not ends[0] else end.lstrip(".") or "HEAD"
    raise UsageError(f"{repo} has no commit '{missing}'", hint=f"git -C {repo} fetch, or --tree")


def _named(repo: Path, word: str, base: str) -> _Span | None:
    tip = _commit(repo, word)
    if not tip:
        return None
    full = git.run(repo, "rev-parse", "--symbolic-full-name", word, check=False).stdout.strip()
    if not full.startswith(("refs/heads/", "refs/remotes/")) or word == "HEAD":
        if _commit(repo, f"{tip}^2"):  # untestable: a bisection or a rebase of git's came to it
            raise SeriesError(
                f"{word} is a merge: it has no patch of its own",
                hint="harness run --no-series --tree . tests what came of it",
            )
        if first := _commit(repo, f"{tip}^"):
            return _Span(first, tip)
        what = f"{word} is the first commit there is: it has no patch"
        raise UsageError(what, hint="give a later one, or BASE..TIP")
    prepared = _prepared(repo, full, tip)
    if prepared and not base:
        return prepared
    start, why = _start(repo, word, tip, base)
    span = _Span(start, tip, (f"{word} starts at {why}",))
    return dataclasses.replace(prepared, base=start, notes=span.notes) if prepared else span


def _start(repo: Path, word: str, tip: str, base: str) -> tuple[str, str]:
    """Find where a branch begins, and say how."""
    if base:
        commit = _commit(repo, base)
        if not commit:
            raise UsageError(f"{repo} has no commit '{base}'", hint="name another with --base")
        return git.line(repo, "merge-base", commit, tip), base
    upstream = _commit(repo, f"{word}@{{upstream}}")
    if upstream:
        return git.line(repo, "merge-base", upstream, tip), f"its upstream branch ({upstream[:12]})"
    tag = git.run(repo, "describe", "--tags", "--abbrev=0", tip, check=False).stdout.strip()
    if tag:
        return _commit(repo, tag), f"{tag}, the newest tag in it"
    raise UsageError(f"where does {word} begin?", hint=f"name its base: BASE..{word}, or --base")


def _prepared(repo: Path, full: str, tip: str) -> _Span | None:
    """Read what b4 prep keeps of a branch: in a commit without changes, or its description."""
    log = git.run(repo, "log", f"-{_MOST}", "--format=%H %T %P%n%B%x1e", tip, check=False).stdout
    for text in log.split("\x1e\n"):
        head, _, message = text.partition("\n")
        if _TRACKING in message:
            commit, _, *parents = head.split()
            letter, revision, branch = _tracked(message)
            if commit == tip:
                start = git.line(repo, "merge-base", branch or f"{tip}^", f"{tip}^")
                return _Span(start, f"{tip}^", (), letter, revision)
            return _Span(commit if parents else "", tip, (), letter, revision)
    short = full.removeprefix("refs/heads/")
    said = git.run(repo, "config", f"branch.{short}.description", check=False).stdout
    if _TRACKING in said:
        letter, revision, branch = _tracked(said)
        if start := git.run(repo, "merge-base", branch, tip, check=False).stdout.strip():
            return _Span(start, tip, (), letter, revision)
    return None


def _tracked(message: str) -> tuple[str, int, str]:
    letter, _, rest = message.partition(_TRACKING)
    text = "\n".join(line for line in rest.splitlines() if not line.startswith("#"))
    try:
        series = json.loads(text)["series"]
        return letter.strip(), int(series.get("revision", 1)), str(series.get("base-branch", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return letter.strip(), 1, ""


def _see_patches(repo: Path, span: _Span, word: str) -> int:
    """Count the commits; refuse none at all, too many, and merges among them."""
    words = ("log", f"-{_MOST + 1}", "--format=%H %P", f"{span.base}..{span.tip}")
    found = [line.split() for line in git.run(repo, *words).stdout.splitlines()]
    if not found:
        raise UsageError(f"there are no commits in {word} of {repo}", hint="give BASE..TIP")
    if len(found) > _MOST:
        raise UsageError(
            f"{word} of {repo} has more than {_MOST} commits", hint="name its base: BASE..TIP"
        )
    for commit, *parents in found:
        if len(parents) > 1:
            raise UsageError(
                f"{commit[:12]} in {word} is a merge: it has no patch",
                hint="name the commits behind it, or rebase the branch",
            )
    return len(found)


def _write_letter(folder: Path, span: _Span) -> None:
    """Make the cover letter a mail like git's own."""
    title, _, rest = span.letter.partition("\n")
    total = len(list(folder.glob("*.patch")))
    version = f" v{span.revision}" if span.revision > 1 else ""
    head = f"From {span.tip} Mon Sep 17 00:00:00 2001\nFrom: {_WHO}\n"
    head += f"Subject: [PATCH{version} 0/{total}] {title}\n"
    head += "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
    (folder / "0000-cover-letter.patch").write_text(f"{head}\n{rest.strip()}\n\n-- \nharness\n")
