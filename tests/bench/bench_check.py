# SPDX-License-Identifier: GPL-2.0-only
"""The check of a series against the same done by hand: build, boot and suite at each patch.

    bench_check.py [--patches N] [--suite PATH] [--jobs N] [--warm] [--record]

By hand is `git checkout`, `vng --build`, `vng --run . --exec pytest` for the base and each patch.
Both begin with nothing built and without ccache, on the first N patches of patches/configfs-ns
(all of them: --patches 8), with the same suite and the same number of jobs.

--warm is the second series of a day: the base's kernel is there on both sides, and by hand too it
is our small config that is built, in the folder where the base lies.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures

from harness import build, kbuild, kconfig, paths, series, source, tree
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
    with tree.slot(dataclasses.replace(start, after=given.after), progress) as slot:
        done = slot.patched(given)
        commits = [slot.base().commit, *(commit for commit, _ in done.patches)][: patches + 1]
        git(slot.path, "update-ref", "refs/heads/bench", commits[-1])
        words = [
            "git",
            "clone",
            "--quiet",
            "--no-checkout",
            "--branch",
            "bench",
            str(slot.path),
            str(repo),
        ]
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
    first = [vng, "--build", "--config", str(fragment), "--jobs", str(jobs), "W=1"]
    return in_turn(repo, commits, [first, _suite(repo, suite)], {"CCACHE_DISABLE": "1"})


def _suite(image: Path, suite: str) -> list[str]:
    pytest = f"{PROGRAMS / 'python'} -m pytest -p no:cacheprovider -q {suite}"
    vng = str(PROGRAMS / "vng")
    return [vng, "--run", str(image), "--force-9p", "--disable-kvm", "--exec", pytest]


def in_turn(
    repo: Path, commits: list[str], steps: list[list[str]], env: dict[str, str]
) -> figures.Cost:
    """Check each commit out, build it, run the suite; a suite that fails does not stop it."""
    build, run = (shlex.join(step) for step in steps)
    lines = ["set -e"]
    for commit in commits:
        lines += [
            f"cd {repo}",
            f"git checkout --quiet --detach {commit}",
            build,
            f"cd {figures.TOP}",
            f"{run} </dev/null | cat || true",
        ]
    path = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    return figures.cost(["sh", "-c", "\n".join(lines)], figures.TOP, {**env, **path})


def fresh(folder: Path, patches: int) -> Path:
    """Copy the first patches, each with a file more: no kernel of these was built before."""
    folder.mkdir()
    (folder / "series.toml").write_text(f'after = ["{figures.TOP}/patches/nvmet-fixes"]\n')
    mails = sorted((figures.TOP / "patches" / "configfs-ns").glob("*.patch"))[1 : patches + 1]
    for number, mail in enumerate(mails, 1):
        text = re.sub(r"(?m)^(Subject: \[PATCH[^]]*?)\d+/\d+", rf"\g<1>{number}/{patches}",
                      mail.read_text(), count=1)  # fmt: skip
        name = f"Documentation/bench-{time.time_ns()}.txt"
        more = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
        head, signature, tail = text.rpartition("\n-- \n")
        (folder / mail.name).write_text(f"{head}\n{more}@@ -0,0 +1 @@\n+x{signature}{tail}")
    return folder


def warm(folder: Path, patches: int, suite: str, jobs: int) -> tuple[figures.Cost, figures.Cost]:
    """Do both with the base's kernel there; first it is made, if need be."""
    check = [sys.executable, "-m", "harness", "check", "--kernel", "7.2", "--only", "build,tests"]
    check += ["--suite", suite, "--jobs", str(jobs), "--accel", "tcg"]
    clean = {"CCACHE_DISABLE": "1"}
    before = fresh(folder / "before", 1)
    figures.cost([*check, str(before), "--out", str(folder / "first")], figures.TOP)
    mails = fresh(folder / "series", patches)
    argv = [*check, str(mails), "--out", str(folder / "check")]
    own = figures.cost(argv, figures.TOP, clean)
    compiler = build.toolchain()
    compiler = dataclasses.replace(compiler, words=("W=1",))
    request = kconfig.request(["base", "nvmet"], [], [figures.TOP / "kconfigs"])
    start = source.release("7.2", Progress(quiet=True))
    with tree.slot(start, Progress(quiet=True)) as slot:
        done = slot.patched(series.load(fresh(folder / "again", patches)))
        commits = [start.commit, *(commit for commit, _ in done.patches)]
        slot.check_out(slot.base())  # where a person's tree is before the first command
        out = build.folder(slot.base(), request, compiler)
        make = [*kbuild.command(slot.path, out, compiler), f"-j{jobs}", "bzImage", "modules"]
        env = {name: value or "" for name, value in kbuild.environment().items()}
        subprocess.run(make, env={**os.environ, **env}, stdout=sys.stderr, check=True)
        image = out / "arch/x86/boot/bzImage"
        hand = in_turn(slot.path, commits, [make, _suite(image, suite)], {**clean, **env})
    return own, hand


def main() -> int:
    """Do both, print and record the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=2)
    parser.add_argument("--suite", default="tests/guest/configfs")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--warm", action="store_true", help="the base's kernel is there")
    parser.add_argument("--record", action="store_true", help="into docs/measurements.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=paths.cache()) as folder:
        if options.warm:
            own, hand = warm(Path(folder), options.patches, options.suite, options.jobs)
        else:
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
    what += ", warm" if options.warm else ""
    cells = [what, f"{own.wall:.0f} ({own.cpu:.0f})", f"{hand.wall:.0f} ({hand.cpu:.0f})"]
    if options.record:
        figures.row("Check of a series", *cells, f"{ratio:.0%}", f"≤ {PROMISE:.0%}")
    print(f"{what}: ratio {ratio:.0%}")
    return 0 if ratio <= PROMISE else 1


if __name__ == "__main__":
    sys.exit(main())
