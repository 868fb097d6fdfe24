# SPDX-License-Identifier: GPL-2.0-only
"""What is checked: mails, or commits of a tree, which are made into mails first."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

from harness import git, paths, series
from harness.errors import UsageError
from harness.model import Series

_EXPORT = (
    *("format-patch", "--quiet", "--no-cover-letter", "--no-attach", "--no-thread", "--binary"),
    *("--full-index", "--no-base", "--subject-prefix=PATCH", "--numbered", "--no-signoff"),
    *("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--encode-email-headers"),
)


@dataclasses.dataclass(frozen=True)
class Commits:
    """Commits of a person's tree as a series on ``base``; ``committers`` in their order."""

    tree: Path
    base: str
    series: Series
    committers: tuple[str, ...]


def known(tree: Path, words: str) -> bool:
    """Whether the git tree at ``tree`` has this commit, or both ends of this range."""
    ends = [end.lstrip(".") or "HEAD" for end in words.split("..", 1)]
    form = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    return tree.is_dir() and all(
        git.run(tree, *form, f"{end}^{{commit}}", check=False).ok for end in ends
    )


def commits(tree: Path, words: str) -> Commits:
    """Read a commit or a range (``A..B``) of the git tree at ``tree``.

    Raises UsageError when git does not know them, when there are none, or when one is a merge.
    """
    begin, dots, end = words.partition("..")
    span = f"{begin or 'HEAD'}..{end.lstrip('.') or 'HEAD'}" if dots else f"{words}^!"
    form = ("--reverse", "--topo-order", "--format=%H %P%x09%cn <%ce>")
    said = git.run(tree, "log", *form, "--end-of-options", span, "--", check=False)
    if not said.ok:
        raise UsageError(
            f"{words} is neither a series nor commits of {tree}",
            hint="a folder, an mbox, a name below patches/, a commit, or BASE..TIP",
            details=said.stderr.strip(),
        )
    found = [line.split("\t", 1) for line in said.stdout.splitlines()]
    if not found:
        raise UsageError(f"there are no commits in {words} of {tree}", hint="give BASE..TIP")
    for ids, _ in found:
        if len(ids.split()) != 2:
            kind = "a merge" if len(ids.split()) > 2 else "the first commit there is"
            raise UsageError(
                f"{ids[:12]} is {kind}: it has no patch", hint="name the commits behind it"
            )
    base = git.line(tree, "rev-parse", "--short=12", found[0][0].split()[1])
    tip = found[-1][0].split()[0]
    who = tuple(name for _, name in found)
    return Commits(tree, base, _exported(tree, base, tip, words), who)


def _exported(tree: Path, base: str, tip: str, words: str) -> Series:
    """Make mails of the commits, kept in the cache by the tip and base they are."""
    name = hashlib.sha256(f"{tree} {base} {tip}".encode()).hexdigest()[:20]
    folder = paths.cache("series") / f"commits-{name}"
    if not folder.is_dir():
        with paths.writing(folder), paths.scratch(folder) as scratch:
            git.run(tree, *_EXPORT, "--output-directory", scratch / "mails", f"{base}..{tip}")
            if not folder.exists():
                (scratch / "mails").rename(folder)
    return dataclasses.replace(series.load(folder), name=words.replace("/", "-"), title="")


def stdin(raw: bytes) -> Series:
    """Read mails that came through a pipe."""
    folder = paths.cache("series") / f"stdin-{hashlib.sha256(raw).hexdigest()[:20]}"
    if not folder.is_dir():
        with paths.writing(folder), paths.scratch(folder) as scratch:
            (scratch / "in").mkdir()
            (scratch / "in" / "stdin.mbox").write_bytes(raw)
            shutil.move(scratch / "in", folder)
    return series.load(folder / "stdin.mbox")
