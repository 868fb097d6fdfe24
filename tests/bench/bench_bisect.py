# SPDX-License-Identifier: GPL-2.0-only
"""A bisection: `harness bisect` against `git bisect run` with `vng --build && vng --exec`.

    bench_bisect.py [--length N] [--vng-tree DIR] [--jobs N] [--unseen] [--record]

Both search the same commits for the same wrong errno, one after the other, on the same machine:
the patches of a series, then a history.  Both begin where the failure was seen: the good end
was built and tested, then the bad end, ours in the cache, vng's in its tree.  With ``--unseen``
somebody else saw it, and only the good end was built.  Making that takes longest, and
``--vng-tree`` keeps it for the next time.  No commit between was ever built before.
``--length 8`` is the short form.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import figures

from harness import paths, source
from harness.model import Source
from harness.progress import Progress

sys.path.append(str(figures.TOP / "tests" / "data" / "bisect"))
import plant

PROMISE = 0.25
FRAGMENT = figures.TOP / "kconfigs" / "nvmet.config"
SERIES = figures.TOP / "patches" / "nvmet-fixes"
KCONFIG = ("--kconfig", "base", "--kconfig", "nvmet", "--kconfig", "modules")
BUG = plant.BUGS["errno"]

# What a person would write: quicker than starting Python in vng's guest.
GUEST = """\
mount -t configfs none /sys/kernel/config 2>/dev/null
cd /sys/kernel/config/nvmet/subsystems && mkdir bisect bisect/namespaces/1
LC_ALL=C cat bisect/namespaces/1/revalidate_size 2>&1 |
grep -q 'Invalid argument' && echo RESULT-bad || echo RESULT-good
"""
BUILD = "vng --build --jobs {jobs} --config {fragment}"
STEP = """\
{build} || exit 125
said=$(vng --run . --force-9p --disable-kvm --exec 'sh {guest}' </dev/null 2>&1)
case $said in *RESULT-good*) exit 0;; *RESULT-bad*) exit 1;; esac
echo "$said"
exit 125
"""


def ours(words: list[str]) -> tuple[figures.Cost, str]:
    """Bisect with the harness: what it took, and the culprit's subject."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/bisect"
        argv = [sys.executable, "-m", "harness", "bisect", "--test", BUG.test, "--out", out]
        taken = figures.cost([*argv, *words], figures.TOP)
        found = json.loads(Path(out, "bisect.json").read_text())
    print(f"{found['built']} kernels built, {found['booted']} boots")
    return taken, found["culprit"]["subject"]


def seen(*words: str) -> None:
    """Run the failing test with the harness."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "harness", "run", *words, "--out", f"{folder}/run"]
        if figures.cost([*argv, "--suite", BUG.test], figures.TOP).status not in (0, 1):
            sys.exit("the harness could not run the failing test")


def at(start: Source, commit: str) -> tuple[str, ...]:
    """Say to the harness that a commit is to be tested."""
    return ("--no-series", "--tree", str(start.repo), "--base", commit, *KCONFIG)


def theirs(place: Path, good: str, bad: str, step: Path) -> tuple[figures.Cost, str]:
    """Bisect with git and vng: what it took, and the culprit."""
    git(place, "bisect", "start", bad, good)
    taken = figures.cost(["git", "bisect", "run", "sh", str(step)], place, path())
    culprit = git(place, "rev-parse", "refs/bisect/bad").strip()
    git(place, "bisect", "reset")
    return taken, culprit


def path() -> dict[str, str]:
    """Let vng find its own other programs; nothing but make remembers what was compiled."""
    programs = Path(sys.executable).parent
    return {"PATH": f"{programs}:{os.environ['PATH']}", "CCACHE_DISABLE": "1"}


def git(repo: Path, *words: str) -> str:
    argv = ["git", "-c", "safe.directory=*", *words]
    done = subprocess.run(argv, cwd=repo, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def vng_tree(start: Source, given: Path | None) -> Iterator[Path]:
    """Give a tree for vng, which builds in its sources: the one that is kept, or a new one."""
    with contextlib.ExitStack() as stack:
        near = paths.cache()
        place = given or Path(stack.enter_context(tempfile.TemporaryDirectory(dir=near)), "linux")
        if not place.exists():
            git(near, "clone", "--quiet", "--shared", "--no-checkout", str(start.repo), str(place))
        check_out(place, start.commit)
        yield place


def check_out(place: Path, commit: str) -> None:
    git(place, "checkout", "--quiet", "--force", "--detach", commit)


def built_at(place: Path, commit: str, jobs: int) -> None:
    """Have vng's tree built at an end, where a search leaves it somewhere else."""
    check_out(place, commit)
    built = figures.cost(["sh", "-c", BUILD.format(jobs=jobs, fragment=FRAGMENT)], place, path())
    if built.status:
        sys.exit(f"vng cannot build {commit}")


@dataclasses.dataclass(frozen=True)
class Span:
    """What is searched: the bad end for git, the culprit, how the harness is told, and the run in
    which it saw the failure."""

    name: str
    bad: str
    culprit: str
    words: tuple[str, ...]
    failed: tuple[str, ...]


def planted(start: Source, place: Path, folder: Path, mark: str) -> Span:
    """Plant the bug in the series' sixth patch."""
    copy = plant.series(SERIES, BUG, 6, folder / "series", mark)
    mails = sorted(str(one) for one in copy.glob("000[1-9]-*"))
    git(place, "-c", "user.name=x", "-c", "user.email=x@example.com", "am", "--quiet", *mails)
    listed = git(place, "rev-list", "--reverse", f"{start.commit}..HEAD").split()
    git(place, "checkout", "--quiet", "--detach", start.commit)
    words = ("--kernel", "7.2", "--series", str(copy))
    seen_with = ("--kernel", "7.2", str(copy))
    return Span(f"{len(listed)} patches", listed[-1], listed[5], words, seen_with)


def many(start: Source, length: int, mark: str) -> Span:
    """Plant the bug in a history."""
    number = length * 5 // 8
    made = plant.history(start.repo, start.commit, BUG, number, length=length, mark=mark)
    words = ("--tree", str(start.repo), "--good", start.commit, "--bad", made[-1], *KCONFIG)
    return Span(f"{length} commits", made[-1], made[number - 1], words, at(start, made[-1]))


def measure(span: Span, start: Source, place: Path, step: Path, *, record: bool) -> bool:
    """Bisect twice, print and record it; gives whether the promise is kept."""
    subject = git(place, "log", "-1", "--format=%s", span.culprit).strip()
    one, found = ours(list(span.words))
    two, commit = theirs(place, start.commit, span.bad, step)
    if (found, commit) != (subject, span.culprit):
        sys.exit(f"{span.name}: the culprit is {subject}, not {found} (ours), {commit} (git's)")
    wall, cpu = one.wall / two.wall, one.cpu / two.cpu
    words = (
        f"{one.wall:.0f} s, {one.cpu:.0f} s CPU; git and vng {two.wall:.0f} s, {two.cpu:.0f} s CPU"
    )
    print(f"{span.name}: ours {words}: {wall:.0%}, {cpu:.0%}")
    if record:
        cells = (f"{one.wall:.0f} ({one.cpu:.0f})", f"{two.wall:.0f} ({two.cpu:.0f})")
        ratio = f"{wall:.0%} ({cpu:.0%})"
        figures.row("Bisection", span.name, *cells, ratio, f"≤ {PROMISE:.0%}")
    return max(wall, cpu) <= PROMISE


def main() -> int:
    """Measure the series and the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=plant.LENGTH)
    parser.add_argument("--vng-tree", type=Path)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--unseen", action="store_true", help="only the good end was built before")
    parser.add_argument("--record", action="store_true", help="into docs/measurements.md")
    options = parser.parse_args()
    start, mark = source.release("7.2", Progress()), f"bench{uuid.uuid4().hex[:8]}"
    given = options.vng_tree.absolute() if options.vng_tree else None
    with tempfile.TemporaryDirectory() as folder, vng_tree(start, given) as place:
        seen(*at(start, start.commit))
        guest, step = Path(folder, "guest.sh"), Path(folder, "step.sh")
        guest.write_text(GUEST)
        build = BUILD.format(jobs=options.jobs, fragment=FRAGMENT)
        step.write_text(STEP.format(build=build, guest=guest))
        spans = [planted(start, place, Path(folder), mark), many(start, options.length, mark)]
        kept = []
        for one in spans:
            built_at(place, start.commit, options.jobs)
            if options.unseen:
                one = dataclasses.replace(one, name=f"{one.name}, only the good end built")
            else:
                seen(*one.failed)
                built_at(place, one.bad, options.jobs)
            kept.append(measure(one, start, place, step, record=options.record))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
