# SPDX-License-Identifier: GPL-2.0-only
"""Export commits of the user's tree as mails: a range, a branch, or a b4 prep branch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

from harness import git, paths
from harness.errors import SeriesError, UsageError
from harness.text import quantity

_FORMAT_PATCH = (
    *("format-patch", "--quiet", "--no-cover-letter", "--no-attach", "--no-thread", "--binary"),
    *("--full-index", "--no-base", "--subject-prefix=PATCH", "--numbered", "--no-signoff"),
    *("--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--encode-email-headers"),
    *("--no-from", "--no-to", "--no-cc", "--no-add-header", "--no-notes", "--no-signature"),
)
_MOST = 300  # commits; a branch with more than that has the wrong base
# Where git am takes the diff to begin, even in the middle of a message.
_DIFF_IN_MESSAGE = re.compile(r"^(?:diff -|Index: |--- \S)", re.MULTILINE)
_TRACKING = "--- b4-submit-tracking ---"
_SENDER = "harness <harness@localhost>"


@dataclasses.dataclass(frozen=True)
class ExportedCommits:
    """Commits as mails in ``folder``; ``base`` is the commit in ``repo`` before them."""

    folder: Path
    base: str
    name: str
    repo: Path
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Span:
    """Commits after ``base`` up to ``tip``, with the cover letter and revision from b4."""

    base: str
    tip: str
    notes: tuple[str, ...] = ()
    letter: str = ""
    revision: int = 1


def export(word: str, home: Path, tree: Path | None, base: str = "") -> ExportedCommits | None:
    """Export ``A..B``, a branch since its base, or a commit as mails below ``home``.

    Returns None if ``word`` is none of these.

    A branch starts at ``base``, or at the base known from b4 or its upstream branch, or at its
    newest tag.  Raises UsageError for a range that is invalid, empty or contains a merge,
    SeriesError for a merge commit.
    """
    repo = paths.expanded(tree or Path.cwd()).absolute()
    if not word or word.startswith("-") or not git.run(repo, "rev-parse", check=False).ok:
        if ".." in word and "/" not in word and not word.startswith("."):
            if tree:
                what = f"{repo} is not a git tree"
                raise UsageError(what, hint="specify a git tree with --tree DIR")
            raise UsageError(
                f"{word} is a range of commits, but {repo} is not a git tree",
                hint="specify the tree with --tree DIR",
            )
        return None
    span = _range(repo, word) if ".." in word else _named(repo, word, base)
    if span is None:
        return None
    count = _count_patches(repo, span, word)
    key = hashlib.sha256(f"{repo} {span} {word} {_FORMAT_PATCH}".encode()).hexdigest()[:20]
    folder = home / f"commits-{key}" / "mails"
    if not folder.is_dir():
        with paths.writing(folder), paths.scratch(folder) as scratch:
            _write_mails(repo, span, scratch / "mails")
            if not folder.exists():
                (scratch / "mails").rename(folder)
    name = re.sub(r"[^\w.-]+", "-", word).strip("-.") or "commits"
    empty = count - len(list(folder.glob("*.patch"))) + bool(span.letter)
    notes = (f"skipped {quantity(empty, 'empty commit')}",) if empty else ()
    top = git.top_of(repo) or repo
    return ExportedCommits(folder, span.base, name, top, (*span.notes, *notes))


def _write_mails(repo: Path, span: _Span, folder: Path) -> None:
    """Write the mails with git, without the empty files for commits that change nothing."""
    options = (f"--reroll-count={span.revision}", "--output-directory", folder)
    span_words = f"{span.base}..{span.tip}"
    git.run(repo, *_FORMAT_PATCH, *options, span_words)
    if not all(file.stat().st_size for file in folder.glob("*.patch")):
        for file in folder.glob("*.patch"):
            file.unlink()
        git.run(repo, *_FORMAT_PATCH, "--no-numbered", *options, span_words)
        for file in folder.glob("*.patch"):
            if not file.stat().st_size:
                file.unlink()
    for file in folder.glob("*.patch"):
        _indent_diff_in_message(repo, file)
    if span.letter:
        title, _, rest = span.letter.partition("\n")
        total = len(list(folder.glob("*.patch")))
        version = f" v{span.revision}" if span.revision > 1 else ""
        head = f"From {span.tip} Mon Sep 17 00:00:00 2001\nFrom: {_SENDER}\n"
        head += f"Subject: [PATCH{version} 0/{total}] {title}\n"
        head += "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
        letter = f"{head}\n{rest.strip()}\n\n-- \nharness\n"
        (folder / "0000-cover-letter.patch").write_text(letter)


def _indent_diff_in_message(repo: Path, file: Path) -> None:
    """Indent a diff in the commit's message, which git am would take for the change itself."""
    mail = file.read_bytes()
    commit = mail[:80].split()[1].decode()
    body = git.run(repo, "show", "--no-patch", "--encoding=UTF-8", "--format=%b", commit).stdout
    if not (match := _DIFF_IN_MESSAGE.search(body)):
        return
    shown = body[match.start() :].rstrip("\n")
    indented = "\n".join(f" {line}" if line else line for line in shown.split("\n"))
    head, blank, rest = mail.partition(b"\n\n")
    file.write_bytes(head + blank + rest.replace(shown.encode(), indented.encode(), 1))


def _range(repo: Path, word: str) -> _Span | None:
    begin, _, end = word.partition("..")
    names = [begin or "HEAD", end.lstrip(".") or "HEAD"]
    first, tip = (git.commit_of(repo, name) for name in names)
    if first and tip:
        if base := git.merge_base(repo, first, tip):
            return _Span(base, tip)
        what = f"the two ends of {word} have no common ancestor"
        raise UsageError(what, hint="use a range BASE..TIP")
    if "/" in word and not first and not tip:  # a mistyped path
        return None
    missing = names[1] if first else names[0]
    raise UsageError(
        f"{repo} has no commit '{missing}'",
        hint=f"run git -C {repo} fetch, or specify another tree with --tree DIR",
    )


def _named(repo: Path, word: str, base: str) -> _Span | None:
    tip = git.commit_of(repo, word)
    if not tip:
        return None
    symbolic = git.run(repo, "rev-parse", "--symbolic-full-name", word, check=False)
    full_name = symbolic.stdout.strip()
    if not full_name.startswith(("refs/heads/", "refs/remotes/")) or word == "HEAD":
        return _single(repo, word, tip)
    prepared = _prepared_by_b4(repo, full_name, tip)
    if prepared and not base:
        return prepared
    start, origin = _start_of_branch(repo, word, tip, base)
    notes = (f"{word} starts at {origin}",)
    return dataclasses.replace(prepared or _Span(start, tip), base=start, notes=notes)


def _single(repo: Path, word: str, commit: str) -> _Span:
    """Return the span of one commit.

    A merge counts as untestable, not as a usage error, because git bisect and rebase reach merges.
    """
    if git.commit_of(repo, f"{commit}^2"):
        raise SeriesError(
            f"{word} is a merge and has no patch of its own",
            hint="to test the merged tree: harness run --no-series --tree .",
        )
    if parent := git.commit_of(repo, f"{commit}^"):
        return _Span(parent, commit)
    raise UsageError(
        f"{word} is the root commit and has no patch",
        hint="use a later commit, or a range BASE..TIP",
    )


def _start_of_branch(repo: Path, word: str, tip: str, base: str) -> tuple[str, str]:
    """Return the commit where a branch starts, and how it was determined."""
    if base:
        commit = git.commit_of(repo, base)
        if not commit:
            what = f"{repo} has no commit '{base}'"
            raise UsageError(what, hint="specify another base with --base")
        return git.line(repo, "merge-base", commit, tip), base
    if upstream := git.commit_of(repo, f"{word}@{{upstream}}"):
        return git.line(repo, "merge-base", upstream, tip), f"its upstream branch ({upstream[:12]})"
    tag = git.run(repo, "describe", "--tags", "--abbrev=0", tip, check=False).stdout.strip()
    if tag:
        return git.commit_of(repo, tag), f"{tag}, its newest tag"
    raise UsageError(
        f"cannot determine where {word} begins",
        hint=f"specify its base: BASE..{word}, or --base BASE",
    )


def _prepared_by_b4(repo: Path, full_name: str, tip: str) -> _Span | None:
    """Read b4 prep's data about a branch, from an empty commit or the branch's description."""
    log = git.run(repo, "log", f"-{_MOST}", "--format=%H %T %P%n%B%x1e", tip, check=False).stdout
    for entry in log.split("\x1e\n"):
        head, _, message = entry.partition("\n")
        if _TRACKING in message:
            commit, _, *parents = head.split()
            letter, revision, branch = _b4_tracking(message)
            if commit == tip:
                start = git.line(repo, "merge-base", branch or f"{tip}^", f"{tip}^")
                return _Span(start, f"{tip}^", (), letter, revision)
            return _Span(commit if parents else "", tip, (), letter, revision)
    branch_name = full_name.removeprefix("refs/heads/")
    words = ("config", f"branch.{branch_name}.description")
    description = git.run(repo, *words, check=False).stdout
    if _TRACKING in description:
        letter, revision, branch = _b4_tracking(description)
        if start := git.merge_base(repo, branch, tip):
            return _Span(start, tip, (), letter, revision)
    return None


def _b4_tracking(message: str) -> tuple[str, int, str]:
    """Return cover letter, revision and base branch; b4 stores the latter two as JSON."""
    letter, _, rest = message.partition(_TRACKING)
    text = "\n".join(line for line in rest.splitlines() if not line.startswith("#"))
    try:
        series = json.loads(text)["series"]
        return letter.strip(), int(series.get("revision", 1)), str(series.get("base-branch", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return letter.strip(), 1, ""


def _count_patches(repo: Path, span: _Span, word: str) -> int:
    """Count the commits.  Raises UsageError for none, too many, or merges among them."""
    log = git.run(repo, "log", f"-{_MOST + 1}", "--format=%H %P", f"{span.base}..{span.tip}").stdout
    commits = [line.split() for line in log.splitlines()]
    if not commits:
        what = f"there are no commits in {word} of {repo}"
        raise UsageError(what, hint="use a range BASE..TIP")
    if len(commits) > _MOST:
        raise UsageError(
            f"{word} of {repo} has more than {_MOST} commits", hint="specify its base: BASE..TIP"
        )
    for commit, *parents in commits:
        if len(parents) > 1:
            raise UsageError(
                f"{commit[:12]} in {word} is a merge and has no patch",
                hint="use only the commits after the merge, or rebase the branch",
            )
    return len(commits)
