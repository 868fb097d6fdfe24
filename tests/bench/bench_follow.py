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

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import figures

from harness import build, diff, git, kbuild, kconfig
from harness.diff import FileDiff
from harness.kconfig import guards
from harness.kconfig.expression import level
from harness.kconfig.follow import SeriesSources, read_tree
from harness.model import Request
from harness.progress import Progress

SEED = 16
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


def main(old: Path, new: Path, worktree: Path, most: int) -> int:
    """Measure, print each miss with its reason, and record the shares."""
    toolchain = build.toolchain()
    request = kconfig.request(FRAGMENTS, (), (figures.TOP / "kconfigs",))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "out")
        repo = both_releases(old, new, Path(scratch))
        ends = [git.commit_of(source, "HEAD") for source in (old, new)]
        files = list(changes(repo, *ends))
        total = len(files)
        files = random.Random(SEED).sample(files, min(most, total))
        sources = SeriesSources(repo, ends[1], files)
        config = kconfig.attempt(worktree, out, request, toolchain)
        lines = on = 0
        shares, times = list[float](), list[float]()
        with read_tree(sources, toolchain.arch) as tree:
            for file in files:
                begin = time.monotonic()
                one = SeriesSources(repo, ends[1], [file])
                followed = tree.follow(one, config, request)
                times.append(time.monotonic() - begin)
                got = config
                if followed.options:
                    more = Request((*request.options, *followed.options))
                    got = kconfig.attempt(worktree, out, more, toolchain)
                elsewhere = [line for line in followed.missed if "has no option" in line]
                if elsewhere and elsewhere[0].startswith(f"{file.path}: "):
                    print(f"not counted: {elsewhere[0]}", flush=True)
                    continue
                text = (tree.folder / file.path).read_text(errors="replace")
                condition = tree.makefiles.condition(file.path)
                known = condition is None or bool(level(condition, got))
                whole = not any(line.startswith(f"{file.path}:") for line in followed.missed)
                kept = len(guards.conditions(text, set(file.added_numbers)))
                part = lines_on(file, text, got) if known and (condition or whole) else 0
                lines, on = lines + kept, on + part
                changed = sum(
                    got.get(name, "n") != config.get(name, "n") for name in {*got, *config}
                )
                shares.append(changed / len(tree.options.entries))
                if part < kept:
                    lost = [o.name for o in followed.options if got.get(o.name, "n") != o.value]
                    why = "; ".join([*followed.missed, *(f"{name} did not stay" for name in lost)])
                    print(f"{file.path}: {part} of {kept} lines: {why}", flush=True)
    Progress().say(f"{total} changed files, {len(files)} taken")
    figures.row(
        "The configuration follows the series",
        f"{len(files)} of {total}",
        f"{100 * on / lines:.1f} % of {lines}",
        f"{100 * max(shares):.2f} %",
        f"{max(times):.1f} s, median {sorted(times)[len(times) // 2]:.2f} s",
    )
    return 0


def arguments(words: Sequence[str]) -> tuple[Path, Path, Path, int]:
    """Return the repositories, the worktree and the number of files."""
    old, new, worktree, most = words
    return Path(old), Path(new), Path(worktree), int(most)


if __name__ == "__main__":
    sys.exit(main(*arguments(sys.argv[1:])))
