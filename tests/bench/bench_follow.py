# SPDX-License-Identifier: GPL-2.0-only
"""How much of real changes the options that follow from them would compile, without building.

Run as a script with two git repositories of kernel releases, the older first, a worktree of the
newer one, and the number of changed files to take:

    python tests/bench/bench_follow.py OLD NEW WORKTREE 150

Each file that the newer release changes, and that x86-64 can compile, is taken as a series; a file
that depends on an option which x86-64 does not have is listed, and not counted.  The
tree's own tools make a .config with the options that follow; whether the changed lines are compiled
is read from it, with the conditions of the file and of the lines.
"""

from __future__ import annotations

import dataclasses
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import figures

from harness import build, diff, git, kbuild, kconfig
from harness.diff import FileDiff
from harness.kbuild.expression import level
from harness.kconfig import guards
from harness.kconfig.follow import SeriesSources, TreeOptions, read_tree
from harness.model import Followed, Request
from harness.progress import Progress

Attempt = Callable[[Request], dict[str, str]]

SEED = 16
GROUP = 20  # files that are verified in one configuration
ALONE = 12  # files without a miss that are verified in a configuration of their own
FRAGMENTS = ("base", "nvmet", "modules")


def both_releases(old: Path, new: Path, folder: Path) -> Path:
    """Return a repository that borrows the objects of two others."""
    git.run(folder, "init", "--quiet", "both")
    alternates = folder / "both/.git/objects/info/alternates"
    places = [git.line(repo, "rev-parse", "--absolute-git-dir") for repo in (old, new)]
    alternates.write_text("".join(f"{place}/objects\n" for place in places))
    return folder / "both"


def changes(repo: Path, old: str, new: str) -> Iterator[FileDiff]:
    """Yield the changed files of which x86-64 can compile lines that were added."""
    for file in diff.parse(git.run(repo, "diff", "--unified=0", old, new).stdout):
        source = file.path.endswith((".c", ".h", ".S"))
        if source and file.new and file.added and not kbuild.outside_image(file.path, "x86"):
            yield file


def lines_on(file: FileDiff, text: str, config: dict[str, str]) -> int:
    """Count the added lines whose surrounding conditions hold in a .config."""
    found = guards.conditions(text, set(file.added_numbers))
    values = [level(condition, config) for condition in found.values()]
    return sum(value is None or value > 0 for value in values)


@dataclasses.dataclass
class Measured:
    """What follow did for one file: lines that could be compiled, and those that are."""

    file: FileDiff
    followed: Followed
    seconds: float
    lines: int
    on: int = 0
    changed: int = 0  # options of the configuration that it was verified in


def elsewhere(file: FileDiff, followed: Followed) -> str:
    """Return why a file is for another architecture, which is not counted."""
    found = (line for line in followed.missed if "has no option" in line)
    return next((line for line in found if line.startswith(f"{file.path}: ")), "")


def verify(
    group: Sequence[Measured], tree: TreeOptions, request: Request, attempt: Attempt
) -> None:
    """Configure with the options of a group of files, and count the lines that are compiled."""
    options = {o.name: o for one in group for o in one.followed.options}
    config = attempt(Request((*request.options, *options.values())))
    base = attempt(request)
    for one in group:
        path = one.file.path
        text = (tree.folder / path).read_text(errors="replace")
        condition = tree.makefiles.condition(path)
        built = condition is None or bool(level(condition, config))
        reached = not any(line.startswith(f"{path}:") for line in one.followed.missed)
        one.on = lines_on(one.file, text, config) if built and (condition or reached) else 0
        one.changed = sum(config.get(n, "n") != base.get(n, "n") for n in {*config, *base})


def main(old: Path, new: Path, worktree: Path, most: int) -> int:
    """Measure, print each miss with its reason, and record the shares.

    Making a configuration takes longer than finding it, so files are verified in groups; files of
    a group in which a line is missing are verified alone, and so are some others, to see how much
    of the configuration one file changes.
    """
    toolchain = build.toolchain()
    request = kconfig.request(FRAGMENTS, (), (figures.TOP / "kconfigs",))
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[Request, dict[str, str]] = {}

        def attempt(wanted: Request) -> dict[str, str]:
            if wanted not in made:
                made[wanted] = kconfig.attempt(worktree, Path(scratch, "out"), wanted, toolchain)
            return made[wanted]

        repo = both_releases(old, new, Path(scratch))
        ends = [git.commit_of(source, "HEAD") for source in (old, new)]
        files = list(changes(repo, *ends))
        total = len(files)
        files = random.Random(SEED).sample(files, min(most, total))
        config = attempt(request)
        taken: list[Measured] = []
        with read_tree(SeriesSources(repo, ends[1], files), toolchain.arch) as tree:
            for file in files:
                begin = time.monotonic()
                followed = tree.follow(SeriesSources(repo, ends[1], [file]), config, request)
                seconds = time.monotonic() - begin
                if why := elsewhere(file, followed):
                    print(f"not counted: {why}", flush=True)
                    continue
                text = (tree.folder / file.path).read_text(errors="replace")
                kept = len(guards.conditions(text, set(file.added_numbers)))
                taken.append(Measured(file, followed, seconds, kept))
            for first in range(0, len(taken), GROUP):
                verify(taken[first : first + GROUP], tree, request, attempt)
            alone = [one for one in taken if one.on < one.lines]
            others = [one for one in taken if one.followed.options and one not in alone]
            alone += random.Random(SEED).sample(others, min(ALONE, len(others)))
            for one in alone:
                verify([one], tree, request, attempt)
                if one.on < one.lines:
                    why = "; ".join(one.followed.missed) or "its options did not stay"
                    print(f"{one.file.path}: {one.on} of {one.lines} lines: {why}", flush=True)
            entries = len(tree.options.entries)
    Progress().say(f"{total} changed files, {len(files)} taken, {len(alone)} verified alone")
    times = sorted(one.seconds for one in taken)
    lines = sum(one.lines for one in taken)
    figures.row(
        "The configuration follows the series",
        f"{len(taken)} of {total}",
        f"{100 * sum(one.on for one in taken) / lines:.1f} % of {lines}",
        f"{100 * max(one.changed for one in alone) / entries:.2f} %",
        f"{times[-1]:.1f} s, median {times[len(times) // 2]:.2f} s",
    )
    return 0


def arguments(words: Sequence[str]) -> tuple[Path, Path, Path, int]:
    """Return the repositories, the worktree and the number of files."""
    old, new, worktree, most = words
    return Path(old), Path(new), Path(worktree), int(most)


if __name__ == "__main__":
    sys.exit(main(*arguments(sys.argv[1:])))
