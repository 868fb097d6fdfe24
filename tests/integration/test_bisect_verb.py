# SPDX-License-Identifier: GPL-2.0-only
"""`harness bisect` on a fake tree: series, history, configs, and what can go wrong."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Any

import faketree
import pytest
import warm
from fakeproject import Project
from patience import PATIENCE

SUITE = """
import os, pathlib

IMAGE = pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()
KMSG = os.environ["FAKE_KMSG"]

def test_whole():
    assert b"other bug" not in IMAGE
    assert b"planted bug" not in IMAGE, "the planted bug"

def test_other():
    assert b"other bug" not in IMAGE, "another one"

def test_splat():
    if b"planted bug" in IMAGE:
        with open(KMSG, "a") as log:
            log.write("[    5.0] WARNING: fs/configfs/dir.c:1 at configfs_rmdir+0x1/0x2\\n")

def test_number():
    print("took", 90 if b"planted bug" in IMAGE else 10, "ms")

def test_flaky():
    if b"planted bug" in IMAGE:
        seen = pathlib.Path(os.environ["FAKE_COUNT"])
        count = len(seen.read_text()) if seen.exists() else 0
        seen.write_text("x" * (count + 1))
        assert count % 3, "one time of three"
"""

BUG = 'const char *bug = "planted bug";'


class Bisect(Project):
    """A project with a history in its tree; ``commits`` are those after the tag."""

    def __init__(self, path: Path, texts: list[str]) -> None:
        super().__init__(path)
        (self.path / "suite" / "test_it.py").write_text(SUITE)
        self.before = (self.tree / "init/main.c").read_text()
        self.commits = [
            faketree.commit(self.tree, f"commit {number}", {"init/main.c": self.text(text)})
            for number, text in enumerate(texts, 1)
        ]

    def text(self, more: str) -> str:
        return f"{self.before}\n{more}\n"

    @property
    def argv(self) -> list[str]:
        argv = [sys.executable, "-m", "harness", "bisect", "--json", "--kconfig", "base"]
        argv += ["--accel", "tcg", "--guests", "2", "--out", str(self.out)]
        return argv

    def history(self, *words: str, good: str = faketree.TAG, bad: str = "HEAD") -> list[str]:
        return ["--tree", str(self.tree), "--good", good, "--bad", bad, *words]

    def environment(self, mode: str = "up", **more: str) -> dict[str, str]:
        return super().environment(mode, FAKE_COUNT=str(self.path / "count"), **more)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.out / "state.json").read_text())
        return state


def plain(count: int, bug: int, **odd: str) -> list[str]:
    """Return the texts of commits; those from number ``bug`` on are bad.  ``odd``: added text."""
    texts = [f"int n{n};" + (f"\n{BUG}" if n >= bug else "") for n in range(1, count + 1)]
    for name, text in odd.items():
        texts[int(name[1:]) - 1] += f"\n{text}"
    return texts


ID = "suite/test_it.py::test_whole"
# A command that looks at the sources alone: it takes no time, so it is what most tests use.
LOOK = ("--no-build", "--", "sh", "-c")
GREP = "! grep -q 'planted bug' init/main.c"


def proven(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in found["steps"] if one["phase"] == "verify"]


def image(found: dict[str, Any]) -> Path:
    """Return the culprit's kernel, as the commands name it."""
    (command,) = (one for one in found["commands"] if "--kernel" in one)
    words = shlex.split(command)
    return Path(words[words.index("--kernel") + 1])


def kernels(project: Bisect) -> set[tuple[str, bool]]:
    """Return the kernels in the cache: their commit, and whether they are lean."""
    records = (project.cache / "kernels").glob("*/kernel.json")
    return {
        (json.loads(record.read_text())["commit"], record.with_name("image").is_symlink())
        for record in records
    }


def test_history_with_guests(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(9, 6, c3="int broken = no_such_word;"))
    code, found, err = project.run(*project.history("--test", ID))
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[5]
    assert found["culprit"]["files"] == ["init/main.c"]
    assert {one["what"]: one["found"] for one in found["proofs"]} == {
        "the culprit": "bad",
        "its parent": "good",
        "reverted": None,  # the commits after it touch the same line
    }
    assert f'Fixes: {project.commits[5][:12]} ("commit 6")' in found["mail"]
    assert "Reported-by:" in found["mail"]
    assert found["confidence"] > 0.99
    assert "the planted bug" in str(found["differences"])
    for name in ("bisect.json", "bisect.txt", "bisect.log", "mail.txt", "state.json"):
        assert (project.out / name).is_file()
    assert not any(one["commit"] == project.commits[5] for one in proven(found)), "failed once"
    assert any(one["commit"] == project.commits[4] for one in proven(found)), "passes again"
    assert image(found).is_symlink(), "nobody needs its debug info"
    before = kernels(project)
    assert len(before) == found["built"]
    project.out = project.path / "again"
    # Nobody says what to look for: it is what the suites say.
    span = {"good": project.commits[3], "bad": project.commits[6]}
    code, second, err = project.run(*project.history("-k", "splat", **span))
    assert code == 0, err
    assert second["signature"] == "suite/test_it.py::test_splat is error"
    assert second["culprit"]["id"] == project.commits[5]
    # How much is built ahead depends on the machine; nothing is built that was there.
    assert len(kernels(project) - before) == second["built"], "kernels are kept"
    assert before <= kernels(project)
    bad = next(one for one in second["steps"] if one["call"] == "bad")
    assert "configfs_rmdir" in Path(bad["folder"], "splats.txt").read_text()
    assert any(one["commit"] == project.commits[5] for one in proven(second))
    assert not image(second).is_symlink(), "what it reports has files and lines"


def test_a_series(tmp_path: Path) -> None:
    project = Bisect(tmp_path, [])
    names = ("init/main.c", "fs/namespace.c", "fs/configfs/dir.c", "fs/configfs/mount.c")
    for number, name in enumerate(names, 1):
        more = BUG if number == 3 else f"int n{number};"
        text = (project.tree / name).read_text()
        faketree.commit(project.tree, f"patch {number}", {name: f"{text}\n{more}\n"})
    out = ("--output-directory", str(project.series))
    faketree.git(project.tree, "format-patch", "--quiet", "-4", *out)
    faketree.git(project.tree, "reset", "--quiet", "--hard", faketree.TAG)
    words = ("--series", "patches/demo", "--tree", str(project.tree), "--base", faketree.TAG)
    grep = "! grep -qr 'planted bug' fs"
    code, found, err = project.run(*words, *LOOK, grep)
    assert code == 0, err
    assert (found["patch"], found["culprit"]["subject"]) == (3, "patch 3")
    proofs = {one["what"]: one["found"] for one in found["proofs"]}
    assert proofs == {"the culprit": "bad", "its parent": "good", "reverted": "good"}
    project.out = project.path / "again"
    code, found, err = project.run(*words, "--interaction", *LOOK, grep)
    assert code == 0, err
    assert found["together"]["decisive"] == [3]
    assert found["together"]["together"] == [3]


def look(
    project: Bisect, *words: str, script: str = GREP, **span: str
) -> tuple[int, dict[str, Any], str]:
    return project.run(*project.history(*words, **span), *LOOK, script)


def test_a_command_that_only_needs_the_sources(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(40, 23))
    code, found, err = look(project)
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[22]
    assert (found["built"], found["booted"]) == (0, 0)
    search = [one for one in found["steps"] if one["phase"] == "search"]
    assert len(search) <= 2 + 6


def test_commits_that_cannot_be_tested_are_listed(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(20, 10, c8="skip", c9="skip", c11="skip"))
    script = f"grep -q skip init/main.c && exit 125; {GREP}"
    code, found, err = look(project, script=script)
    assert code == 125, err
    assert found["culprit"] is None
    assert [one["id"] for one in found["remaining"]] == project.commits[7:10]


def test_merges_and_a_series_on_top_of_every_step(tmp_path: Path) -> None:
    project = Bisect(tmp_path, [])
    tree, mount, main = project.tree, "fs/configfs/mount.c", "init/main.c"

    def add(subject: str, name: str, more: str) -> str:
        return faketree.commit(tree, subject, {name: (tree / name).read_text() + f"\n{more}\n"})

    add("before", "fs/namespace.c", "int before;")
    faketree.git(tree, "checkout", "--quiet", "-b", "side")
    side = [add(f"side {n}", mount, BUG if n == 2 else f"int s{n};") for n in range(5)]
    faketree.git(tree, "checkout", "--quiet", "master")
    row = [add(f"main {n}", main, f"int m{n};") for n in range(3)]
    faketree.git(tree, "merge", "--quiet", "--no-ff", "--message", "merge side", "side")
    merge = faketree.git(tree, "rev-parse", "HEAD")
    row += [add(f"main {n}", main, f"int m{n};") for n in range(3, 6)]
    grep = "! grep -rq 'planted bug' fs"
    code, found, err = look(project, "--first-parent", script=grep)
    assert code == 0, err
    assert found["culprit"]["id"] == merge
    assert f"--good {row[2][:12]} --bad {side[4][:12]}" in found["notes"][0]
    assert {one["what"]: one["found"] for one in found["proofs"]}["reverted"] == "good"
    faketree.git(tree, "checkout", "--quiet", "-b", "topic", faketree.TAG)
    add("topic", "fs/configfs/dir.c", "int topic;")
    out = ("--output-directory", str(project.series))
    faketree.git(tree, "format-patch", "--quiet", "-1", *out)
    project.out = project.path / "with"
    words = ("--with-series", "--series", "patches/demo")
    grep = f"! {{ grep -q topic fs/configfs/dir.c && {grep[2:]}; }}"
    code, found, err = look(project, *words, script=grep, bad="master", good=side[0])
    assert code == 0, err
    assert found["culprit"]["id"] == side[2]


def test_a_flaky_failure(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(9, 6))
    count = project.path / "count"
    script = (
        "grep -q 'planted bug' init/main.c || exit 0; "
        f"echo >>'{count}'; [ $(( $(wc -l <'{count}') % 3 )) != 2 ]"
    )
    code, found, err = look(project, script=script)
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[5]
    assert 0.2 < found["rate"] < 0.5
    assert found["interval"][0] < 1 / 3 < found["interval"][1]
    assert found["confidence"] > 0.99
    assert all(one["runs"] >= 8 for one in found["steps"] if one["call"] == "good")


def test_each_run_in_a_guest_is_a_trial(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(4, 2))
    words = ("--test", "suite/test_it.py::test_flaky", "--repeat", "10")
    code, found, err = project.run(*project.history(*words))
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[1]
    assert found["interval"][0] < 1 / 3 < found["interval"][1]
    good = [one for one in found["steps"] if one["call"] == "good"]
    assert good
    assert all(one["runs"] >= 8 for one in good)
    assert found["booted"] <= 20  # two guests at once, some for nothing; about 80 runs
    assert "runs must pass" in err


def test_options(tmp_path: Path) -> None:
    project = Bisect(tmp_path, [])
    names = "CONFIGFS_FS NVME_TARGET"
    makefile = (project.tree / "Makefile").read_text()
    makefile = makefile.replace(f"{names},", f"{names} FAKE_DRIVER,")
    main = f"{project.before}\n#ifdef CONFIG_FAKE_DRIVER\n{BUG}\n#endif\n"
    faketree.commit(project.tree, "a config", {"Makefile": makefile, "init/main.c": main})
    asked = ("FAKE_FEATURE=y", "FAKE_DRIVER=y", "FAKE_SELECTOR=y", "FAKE_NUMBER=7")
    (project.path / "bad.config").write_text("".join(f"CONFIG_{one}\n" for one in asked))
    words = ("--tree", str(project.tree), "--base", "HEAD", "--config-bad", "bad.config")
    grep = "! grep -q 'planted bug' $HARNESS_KERNEL"
    code, found, err = project.run(*words, "--", "sh", "-c", grep)
    assert code == 0, err
    # The driver needs the feature; nothing else is in the answer.
    assert {one["name"] for one in found["options"]} == {"FAKE_DRIVER", "FAKE_FEATURE"}


def test_what_fixed_it(tmp_path: Path) -> None:
    texts = [f"int n{n};" + (f"\n{BUG}" if n < 12 else "") for n in range(1, 21)]
    project = Bisect(tmp_path, texts)
    span = {"good": "HEAD", "bad": project.commits[0]}
    code, found, err = look(project, "--find-fix", **span)
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[11]
    assert "Tested-by:" in found["mail"]
    code, _, err = project.run(
        *project.history("--out", str(project.path / "b"), **span), *LOOK, GREP
    )
    assert code == 129, err
    assert "--find-fix" in err


def test_ends_that_are_not_good_or_bad_as_they_should_be(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(5, 2))
    code, _, err = look(project, good=project.commits[2])
    assert code == 129
    assert "commit 3" in err
    assert "shows the failure as well" in err
    project.out = project.path / "b"
    code, _, err = look(project, "--trials", "2", script="true")
    assert code == 129
    assert "in 2 runs" in err
    project.out = project.path / "c"
    code, _, err = look(project, script="exit 125")
    assert code == 125
    assert "cannot be tested" in err
    project.out = project.path / "d"
    code, _, err = look(project, script="exit 130")
    assert code == 128
    assert "--resume" in err


@pytest.mark.parametrize("point", [1, 4, 8])
def test_a_killed_bisection_is_resumed(tmp_path: Path, point: int) -> None:
    project = Bisect(tmp_path, plain(16, 11))
    count, stop = project.path / "count", project.path / "stop"
    stop.write_text(str(point))
    script = (
        f"echo $HARNESS_COMMIT >>'{count}'; "
        f"[ $(wc -l <'{count}') = $(cat '{stop}') ] && kill -9 $PPID; {GREP}"
    )
    code, _, _ = look(project, script=script)
    assert code == -signal.SIGKILL
    assert len(project.state["trials"]) == point - 1
    assert (project.out / "plan.json").exists()
    if point == 4:  # an older harness kept only the command line
        (project.out / "plan.json").unlink()
    stop.write_text("none")
    argv = [sys.executable, "-m", "harness", "bisect", "--json", "--resume", str(project.out)]
    done = warm.run(
        argv, cwd=tmp_path, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["culprit"]["id"] == project.commits[10]
    tried = count.read_text().split()
    # Nothing is tried twice but what was under way, the bad end, and what is proven.
    assert len(tried) == len(project.state["trials"]) + 1


def test_ctrl_c_keeps_the_trials(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(8, 5))
    process = project.start(*project.history("--test", ID), WAIT="1")
    while not (project.out / "state.json").exists() or len(project.state["trials"]) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "--resume" in json.loads(out)["error"]["hint"]
    # What was interrupted looks like a failure, and is none.
    for trial in project.state["trials"]:
        number = int(trial["candidate"].split('"')[1].split()[1]) if "commit" in str(trial) else 0
        assert trial["observation"]["call"] == ("bad" if number >= 5 else "good"), trial


def test_faults_of_the_host_are_no_verdict(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(3, 2))
    code, _, err = project.run(*project.history("--test", ID), mode="broken")
    assert code == 128, err
    assert "host fault, retrying" in err
    assert "--resume" in err
    assert project.state["trials"] == []


def test_a_log_of_git_bisect_saves_steps(tmp_path: Path) -> None:
    project = Bisect(tmp_path, plain(40, 23))
    log = project.path / "log"
    good, bad = project.commits[20], project.commits[23]
    log.write_text(
        f"git bisect start\n# a comment\ngit bisect good {faketree.TAG}\n"
        f"git bisect bad HEAD\ngit bisect good {good}\ngit bisect bad {bad}\n"
    )
    words = ("--tree", str(project.tree), "--replay", str(log))
    code, found, err = project.run(*words, *LOOK, GREP)
    assert code == 0, err
    assert found["culprit"]["id"] == project.commits[22]
    assert len([one for one in found["steps"] if one["phase"] == "search"]) <= 4
    written = (project.out / "bisect.log").read_text()
    assert f"# first bad commit: [{project.commits[22]}] commit 23" in written


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--interaction", "--series", "x"), "must count as bad"),
        (("--boot", "--warning", "x"), "boot and warning"),
        (("--boot", "--bad", "HEAD"), "--good"),
        (("--boot", "--good", faketree.TAG, "--series", "x"), "--with-series"),
        (("--boot", "--good", "no-such-ref"), "no-such-ref"),
        (("--boot", "--good", "HEAD"), "no commits between"),
        (("--measure", "x", "--good", faketree.TAG), "threshold"),
        (("--boot", "--resume", "nowhere"), "nowhere"),
        (("--boot", "--good", "HEAD", "--interaction"), "one search at a time"),
    ],
)
def test_usage_errors(usage: Bisect, words: tuple[str, ...], said: str) -> None:
    out = usage.path / f"out-{len(list(usage.path.iterdir()))}"
    code, _, err = usage.run("--tree", str(usage.tree), "--out", str(out), *words)
    assert code == 129, err
    assert said in err
    assert "Traceback" not in err


def test_without_a_range_or_a_signature_nothing_is_searched(tmp_path: Path) -> None:
    # A word that was forgotten would cost an hour of building the project's own series.
    project = Bisect(tmp_path, plain(2, 1))
    project.patch("fs/configfs/dir.c", "\nint more;\n")
    settings = f'[tool.harness]\nsuites = ["suite"]\ntree = "{project.tree}"\n'
    toml = project.path / "pyproject.toml"
    toml.write_text(settings)
    for words in ((), ("--tree", str(project.tree)), ("--find-fix", "--kernel", "7.2")):
        code, _, err = project.run(*words)
        assert code == 129, err
        assert "no range and no failure given" in err
        assert "try: harness bisect --series SERIES" in err
    toml.write_text(f'{settings}series = "patches/demo"\n')
    assert "try: harness bisect --series patches/demo" in project.run()[2]
    assert not project.out.exists()
    _, _, err = project.run("--boot")
    assert "searching the 1 patch of A demo: does not boot" in err
    assert "no range and no failure given" not in err


@pytest.fixture(scope="module")
def usage(tmp_path_factory: pytest.TempPathFactory) -> Bisect:
    return Bisect(tmp_path_factory.mktemp("usage"), plain(2, 1))
