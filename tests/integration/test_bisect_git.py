# SPDX-License-Identifier: GPL-2.0-only
"""The search compared with git's own, on histories in git."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from harness import git
from harness.bisect import gitlog, ranges
from harness.bisect.search import GraphSearch
from harness.errors import UsageError
from harness.model import Call, Commit


def real(repo: Path, *words: str) -> str:
    """Run git as a user does; `git bisect` writes into the repository."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *words], cwd=repo, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def history(repo: Path, seed: int, size: int) -> list[str]:
    """Make a repository with branches and merges; returns its commits, the oldest first."""
    rand = random.Random(seed)
    repo.mkdir()
    real(repo, "init", "--quiet", "--initial-branch=main")
    heads, lines = [1], list[str]()
    for number in range(1, size + 1):
        above = rand.sample(heads, min(len(heads), 2 if len(heads) > 3 else 1)) if lines else []
        heads = [head for head in heads if head not in above] + [number]
        if lines and rand.random() < 0.25:
            heads.append(rand.randrange(1, number))
        heads = list(dict.fromkeys(heads))
        if number == size and len(heads) > 1:
            above = list(dict.fromkeys([*above, *(head for head in heads if head != number)]))
        parents = "".join(
            f"{'from' if not place else 'merge'} :{head}\n" for place, head in enumerate(above)
        )
        message = f"commit {number}"
        lines.append(
            f"commit refs/heads/main\nmark :{number}\n"
            f"committer A <a@example.com> {1767225600 + number} +0000\n"
            f"data {len(message)}\n{message}\n{parents}M 644 inline f{number % 5}\n"
            f"data {len(str(number))}\n{number}\n"
        )
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"], cwd=repo, input="".join(lines).encode(),
        check=True,
    )  # fmt: skip
    real(repo, "checkout", "--quiet", "--force", "main")
    return real(repo, "rev-list", "--reverse", "--topo-order", "main").split()


def contains(repo: Path, commit: str, culprit: str) -> bool:
    return git.run(repo, "merge-base", "--is-ancestor", culprit, commit, check=False).ok


def by_git(repo: Path, good: str, bad: str, culprit: str) -> tuple[str, int, str]:
    """Bisect with git; returns the culprit, the number of steps, and the log."""
    real(repo, "bisect", "start", "--no-checkout", bad, good)
    steps = 0
    while "is the first bad commit" not in (log := real(repo, "bisect", "log")):
        if "# first bad commit" in log:
            break
        now = real(repo, "rev-parse", "BISECT_HEAD")
        steps += 1
        real(repo, "bisect", "bad" if contains(repo, now, culprit) else "good", now)
    found = log.rpartition("# first bad commit: [")[2].partition("]")[0]
    real(repo, "bisect", "reset")
    return found, steps, log


@pytest.mark.parametrize("seed", range(2))
def test_the_search_takes_no_more_steps_than_git(tmp_path: Path, seed: int) -> None:
    repo = tmp_path / "repo"
    commits = history(repo, seed, 40)
    good, bad = commits[0], commits[-1]
    ours, theirs = 0, 0
    for culprit in random.Random(seed).sample(commits[1:], 3):
        found, steps, log = by_git(repo, good, bad, culprit)
        assert found == culprit
        theirs += steps
        search = GraphSearch(ranges.of_history(repo, [good], bad).graph)
        search.take(bad, Call.BAD)
        while (commit := search.next()) is not None:
            ours += 1
            search.take(commit, Call.BAD if contains(repo, commit, culprit) else Call.GOOD)
        assert search.culprit == culprit
        # What git has found out leads to the same end without a single step.
        known = gitlog.parse(log, repo)
        again = GraphSearch(ranges.of_history(repo, known.of(Call.GOOD)[:1], bad).graph)
        for commit, call in known.calls:
            again.take(commit, call)
        assert again.culprit == culprit
    assert ours <= theirs + 2  # equal ones may be taken in another order


def test_git_continues_our_log(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    commits = history(repo, 7, 30)
    culprit = commits[17]
    search = GraphSearch(ranges.of_history(repo, commits[:1], commits[-1]).graph)
    search.take(commits[-1], Call.BAD)
    while (commit := search.next()) is not None:
        search.take(commit, Call.BAD if contains(repo, commit, culprit) else Call.GOOD)
    assert search.culprit == culprit
    ends = [(commits[-1], Call.BAD), (commits[0], Call.GOOD)]
    calls = [*ends, *((one, call) for one, call in search.calls.items() if one != commits[-1])]
    for reverse in (False, True):
        text = gitlog.text(calls, {}, culprit=culprit, reverse=reverse)
        (tmp_path / "log").write_text(text)
        said = real(repo, "bisect", "replay", str(tmp_path / "log"))
        assert f"{culprit} is the first {'fixed' if reverse else 'bad'} commit" in said
        real(repo, "bisect", "reset")
        # And we read it as well.
        assert gitlog.parse(text, repo).reverse is reverse
        assert dict(gitlog.parse(text, repo).calls) == dict(calls)


@pytest.mark.parametrize(
    "line", ["git bisect good 'x", "pick 1234 a rebase's", "git bisect good 0"]
)
def test_the_error_for_a_wrong_log_names_the_line(tmp_path: Path, line: str) -> None:
    repo = tmp_path / "repo"
    git.run(tmp_path, "init", "-q", str(repo))
    with pytest.raises(UsageError, match="line 2") as caught:
        gitlog.parse(f"# a log\n{line}\n", repo)
    assert caught.value.hint


def test_files_and_first_parents_limit_the_range(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    commits = history(repo, 3, 40)
    good, bad = commits[0], commits[-1]
    every = ranges.of_history(repo, [good], bad).graph.commits
    assert set(every) == set(commits[1:])
    row = ranges.of_history(repo, [good], bad, first_parent=True).graph
    assert (
        list(row.commits)
        == real(repo, "rev-list", "--reverse", "--first-parent", f"{good}..{bad}").split()
    )
    some = ranges.of_history(repo, [good], bad, files=["f2"]).graph.commits
    assert set(some) - {bad} <= set(real(repo, "rev-list", "main", "--", "f2").split())
    assert 1 < len(some) < len(every)
    assert some[-1] == bad


def test_a_revert_is_made_without_a_worktree(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    real(repo, "init", "--quiet", "--initial-branch=main")
    made = []
    for name, text in (("a", "1\n"), ("b", "2\n"), ("a", "1\n3\n"), ("c", "4\n")):
        (repo / name).write_text(text)
        real(repo, "add", name)
        words = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        real(repo, *words, "commit", "--quiet", "-m", f"{name} {text}")
        made.append(real(repo, "rev-parse", "HEAD"))
    reverted = ranges.revert(repo, made[-1], ranges.read_commit(repo, made[2]))
    assert reverted is not None
    assert real(repo, "show", f"{reverted}:a") == "1"
    assert real(repo, "show", f"{reverted}:c") == "4"
    assert real(repo, "status", "--porcelain") == ""
    # The first line of a file whose second one came later does not go away alone.
    root = Commit(made[0], (made[1],), "", "", "")
    assert ranges.revert(repo, made[-1], root) is None or reverted != made[-1]
