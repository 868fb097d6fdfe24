# SPDX-License-Identifier: GPL-2.0-only
"""The check of a series against the same done by hand: build, boot and suite at each patch.

    bench_check.py [--patches N] [--suite PATH] [--jobs N] [--record]

By hand is `git checkout`, `vng --build`, `vng --run . --exec pytest` for the base and each patch.
Both begin with nothing built and without ccache, on the first N patches of patches/configfs-ns
(all of them: --patches 8), with the same suite and the same number of jobs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import figures

from harness import paths, series, source, tree
from harness.progress import Progress

PROMISE = 0.25
PROGRAMS = Path(sys.executable).parent


def git(repo: Path, *words: str) -> str:
    """Run git; gives what it prints."""
    done = subprocess.run(["git", "-C", repo, *words], text=True, capture_output=True, check=True)
    return done.stdout.strip()


def prepared(repo: Path, patches: int) -> list[str]:
    """Make a tree of one's own with the series on it; gives the base's and the patches' commits."""
    progress = Progress()
    start = source.release("7.2", progress)
    given = series.load(figures.TOP / "patches" / "configfs-ns")
    with tree.slot(start, progress) as slot:
        done = slot.patched(given)
        commits = [start.commit, *(commit for commit, _ in done.patches)][: patches + 1]
        git(slot.path, "update-ref", "refs/heads/bench", commits[-1])
        words = ["git", "clone", "--quiet", "--no-checkout", "--branch", "bench", slot.path, repo]
        subprocess.run(words, check=True)
        git(slot.path, "update-ref", "-d", "refs/heads/bench")
    return commits


def ours(repo: Path, commits: list[str], suite: str, jobs: int, home: Path) -> figures.Cost:
    """Check the commits with a cache of its own."""
    span = f"{commits[0]}..{commits[-1]}"
    argv = [sys.executable, "-m", "harness", "check", span, "--tree", str(repo)]
    argv += ["--only", "build,tests", "--suite", suite, "--jobs", str(jobs), "--accel", "tcg"]
    env = {"CCACHE_DISABLE": "1", "HARNESS_CACHE": str(home / "cache")}
    return figures.cost([*argv, "--out", str(home / "check")], figures.TOP, env)


def by_hand(repo: Path, commits: list[str], suite: str, jobs: int) -> figures.Cost:
    """Do the same with git and vng alone, each commit after the other in one tree."""
    vng = str(PROGRAMS / "vng")
    fragment = figures.TOP / "kconfigs" / "nvmet.config"
    pytest = f"{PROGRAMS / 'python'} -m pytest -p no:cacheprovider -q {suite}"
    run = [vng, "--run", str(repo), "--force-9p", "--disable-kvm", "--exec", pytest]
    lines = ["set -e"]
    for number, commit in enumerate(commits):
        config = ["--config", str(fragment)] if not number else []
        build = [vng, "--build", *config, "--jobs", str(jobs), "W=1"]
        lines += [
            f"git -C {repo} checkout --quiet {commit}",
            f"cd {repo}",
            shlex.join(build),
            f"cd {figures.TOP}",
            f"{shlex.join(run)} </dev/null | cat || true",
        ]
    env = {"CCACHE_DISABLE": "1", "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    return figures.cost(["sh", "-c", "\n".join(lines)], figures.TOP, env)


def main() -> int:
    """Do both, print and record the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=2)
    parser.add_argument("--suite", default="tests/guest/configfs")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--record", action="store_true", help="into docs/measurements.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=paths.cache()) as folder:
        repo = Path(folder) / "linux"
        commits = prepared(repo, options.patches)
        git(repo, "checkout", "--quiet", commits[0])
        own = ours(repo, commits, options.suite, options.jobs, Path(folder))
        hand = by_hand(repo, commits, options.suite, options.jobs)
    print(f"ours: {own}\nby hand: {hand}")
    if own.status not in (0, 1) or hand.status:
        print(f"one of them failed: ours {own.status}, by hand {hand.status}")
        return 1
    ratio = own.wall / hand.wall
    what = f"base + {options.patches} patches, {options.suite.removeprefix('tests/guest/')}"
    cells = [what, f"{own.wall:.0f} ({own.cpu:.0f})", f"{hand.wall:.0f} ({hand.cpu:.0f})"]
    if options.record:
        figures.row("Check of a series", *cells, f"{ratio:.0%}", f"≤ {PROMISE:.0%}")
    print(f"{what}: ratio {ratio:.0%}")
    return 0 if ratio <= PROMISE else 1


if __name__ == "__main__":
    sys.exit(main())
