# SPDX-License-Identifier: GPL-2.0-only
"""``harness check`` on a fake kernel tree: the whole way, with real git and a real compiler."""

from __future__ import annotations

import base64
import contextlib
import email
import json
import os
import quopri
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import fakescripts
import faketree
import pytest
import warm
from fakeproject import Project
from patience import PATIENCE

SIGNED = "Because.\n\nSigned-off-by: A Developer <dev@example.com>"


class Check(Project):
    """A project whose series has several patches, made from commits."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        fakescripts.add(self.tree)

    def commits(self, *steps: tuple[str, dict[str, str]]) -> None:
        """Commit files one step after another; texts that begin with + are added at the end."""
        for subject, files in steps:
            whole = {
                name: (self.tree / name).read_text() + text[1:] if text[:1] == "+" else text
                for name, text in files.items()
            }
            faketree.commit(self.tree, f"{subject}\n\n{SIGNED}", whole)

    def mails(self) -> None:
        """Make the commits the series, and go back."""
        words = ("format-patch", "--quiet", "--output-directory", str(self.series))
        faketree.git(self.tree, *words, f"{faketree.TAG}..")
        faketree.git(self.tree, "reset", "--quiet", "--hard", faketree.TAG)

    def check(
        self, *words: str, cwd: Path | None = None, stdin: str = "", mode: str = "up", **more: str
    ) -> tuple[int, dict[str, Any], str]:
        """Check to the end: exit code, what --json printed, and what was said."""
        argv = [sys.executable, "-m", "harness", "check", "--json", "--accel", "tcg"]
        done = warm.run(
            [*argv, "--guests", "1", "--out", str(self.out), *words],
            cwd=cwd or self.path,
            env=self.environment(mode, **more),
            text=True,
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def series_check(
        self, *words: str, mode: str = "up", **more: str
    ) -> tuple[int, dict[str, Any], str]:
        """Check the series on the tree's release."""
        argv = ("--tree", str(self.tree), "--base", faketree.TAG, *words)
        return self.check(*argv, cwd=None, stdin="", mode=mode, **more)


@pytest.fixture
def project(tmp_path: Path) -> Check:
    return Check(tmp_path)


def states(table: dict[str, Any], check: str) -> dict[int, str]:
    return {one["patch"]: one["state"] for one in table["cells"] if one["check"] == check}


def findings(table: dict[str, Any], check: str, patch: int | None = None) -> list[dict[str, Any]]:
    cells = [one for one in table["cells"] if one["check"] == check]
    return [f for one in cells if patch in (None, one["patch"]) for f in one["findings"]]


DIR = "fs/configfs/dir.c"
MOUNT = "fs/configfs/mount.c"
HOLE = (
    ("fs/configfs: one", {DIR: "+\nint one(void);\nint one(void) { int unused; return 1; }\n"}),
    ("fs/configfs: two", {MOUNT: "+\nint two = no_such_word;\n"}),
    ("fs/configfs: three", {MOUNT: "int three;\n"}),
)


def test_where_warnings_and_errors_enter_and_go_away(project: Check) -> None:
    project.commits(*HOLE)
    project.mails()
    code, table, err = project.series_check("--only", "build,size")
    assert code == 1, err
    assert states(table, "apply") == {1: "good", 2: "good", 3: "good"}
    assert states(table, "build") == {1: "bad", 2: "bad", 3: "bad", 0: "bad"}
    (unused,) = findings(table, "build", 0)
    assert "unused" in unused["text"]
    assert (unused["enters"], unused["leaves"]) == (1, 0)
    assert unused["file"] == DIR
    (hole,) = [one for one in findings(table, "build", 2) if "no_such_word" in one["text"]]
    assert (hole["enters"], hole["leaves"], hole["file"]) == (2, 3, MOUNT)
    assert states(table, "size")[2] == "unknown"
    assert (project.out / "check.json").is_file()
    assert (project.out / "junit.xml").is_file()


def test_the_plain_table_names_the_hole(project: Check) -> None:
    project.commits(*HOLE)
    project.mails()
    words = ["--tree", str(project.tree), "--base", faketree.TAG, "--only", "build"]
    done = warm.run(
        [sys.executable, "-m", "harness", "check", *words, "--out", str(project.out)],
        cwd=project.path,
        env=project.environment(),
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "fixed in patch 3: breaks bisection, but not the tip" in done.stdout
    assert "BAD" in done.stdout
    assert "\x1b" not in done.stdout


def test_warnings_of_the_base_do_not_count(project: Check) -> None:
    text = "\nint zero(void);\nint zero(void) { int unused; return 1; }\n"
    project.commits(("fs/configfs: zero", {DIR: f"+{text}"}))
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)
    before = (project.tree / DIR).read_text()
    project.commits(("fs/configfs: shift", {DIR: "/* more */\n\n" + before}))
    project.mails()
    code, table, err = project.series_check("--only", "build")
    assert code == 0, err
    assert findings(table, "build") == []


def test_extra_warnings_in_what_a_patch_affects_are_its_own(project: Check) -> None:
    header = "include/linux/extra.h"
    old = "#include <linux/extra.h>\n#define OF_THE_BASE 1\n"
    project.commits(("fs/configfs: old", {DIR: f"+{old}", header: "#define EXTRA(x) (x)\n"}))
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)
    before = (project.tree / DIR).read_text()
    project.commits(
        ("fs/configfs: shift", {DIR: f"/* more */\n\n{before}"}),
        ("fs/configfs: a macro", {DIR: f"/* more */\n\n{before}\n#define OF_TWO 2\n"}),
        ("extra: only the header", {header: "#define EXTRA(x) (x)\n#define EXTRA_TWO 1\n"}),
        ("fs/configfs: it is used", {DIR: f"{before}\n#define OF_TWO 2\nint a = OF_TWO;\n"}),
    )
    project.mails()
    for number in range(3):
        out = project.out / str(number)
        code, table, err = project.series_check("--only", "build", "--out", str(out))
        assert code == 1, err  # though it is gone at the tip
        assert states(table, "build")[0] == "good"
        assert [one["text"] for one in findings(table, "build", 1)] == []
        (one,) = findings(table, "build", 2)
        assert "OF_TWO" in one["text"]
        assert (one["file"], one["enters"], one["leaves"]) == (DIR, 2, 4)
        notes = {one["patch"]: one["note"] for one in table["cells"] if one["check"] == "build"}
        assert "the base has 1 warning" in notes[0]
        if number == 0:  # now all kernels and their warnings are in the cache
            shutil.rmtree(project.cache / "builds")
        if number == 1:  # and now only the kernels: a run does not compile with W=1
            for file in project.cache.glob("kernels/*/extra-warnings-*"):
                file.unlink()


def test_tests_run_at_each_patch_and_an_equal_kernel_is_not_booted_again(project: Check) -> None:
    word = '+\nconst char *harness_word = "fixed by the series";\n'
    project.commits(
        ("fs/configfs: say it", {DIR: word}),
        ("README: words alone", {"README": "A fake tree with words.\n"}),
    )
    project.mails()
    code, table, err = project.series_check("--only", "tests")
    assert code == 0, err
    assert states(table, "tests") == {1: "good", 2: "same", 0: "good"}
    assert [one["text"] for one in findings(table, "tests", 1)] == ["fixed: test_fixed"]
    assert (project.out / "1" / "tests.jsonl").is_file()
    assert not (project.out / "2").exists()


def test_a_kernel_tested_before_is_not_booted_again_but_the_tip_is(project: Check) -> None:
    for number in range(3):
        project.commits((f"fs/configfs: {number}", {MOUNT: f"+\nint more{number};\n"}))
    project.mails()
    assert project.series_check("--only", "tests")[0] == 0
    again = project.out / "again"
    code, table, err = project.series_check("--only", "tests", "--out", str(again))
    assert code == 0, err
    notes = {one["patch"]: one["note"] for one in table["cells"] if one["check"] == "tests"}
    assert ["from an earlier check" in notes[n] for n in (1, 2, 3)] == [True, True, False]
    assert "in the previous revision" in notes[0]
    (first,) = (again / "first").glob("tests.jsonl")
    assert "test_fixed" in first.read_text()
    assert (again / "1" / "tests.jsonl").is_file()


def test_a_test_that_breaks_in_one_patch(project: Check) -> None:
    word = '+\nconst char *harness_word = "fixed by the series";\n'
    project.commits(
        ("fs/configfs: nothing", {MOUNT: "+\nint more;\n"}), ("fs/configfs: break", {DIR: word})
    )
    project.mails()
    code, table, err = project.series_check("--only", "tests", BREAK="1")
    assert code == 1, err
    assert states(table, "tests") == {1: "good", 2: "bad", 0: "bad"}
    (broken,) = [one for one in findings(table, "tests", 2) if one["level"] == "error"]
    assert broken["rule"].endswith("test_broken")
    assert broken["enters"] == 2


ONCE = """
import os, pathlib

PATCHED = b"fixed by the series" in pathlib.Path(os.environ["FAKE_IMAGE"]).read_bytes()

def test_once():
    first = pathlib.Path(os.environ["FAKE_STATE"]) / "first"
    if PATCHED and not first.exists():
        first.touch()
        assert False

def test_broken():
    assert not PATCHED or "BREAK" not in os.environ
"""


def test_a_test_that_fails_only_once_is_flaky(project: Check) -> None:
    (project.path / "suite" / "test_it.py").write_text(ONCE)
    project.commits(("fs/configfs: word", {DIR: '+\nconst char *word = "fixed by the series";\n'}))
    project.mails()
    state = {"FAKE_STATE": str(project.path)}
    code, table, err = project.series_check("--only", "tests", **state)
    assert (code, table["verdict"]) == (0, "good"), err
    assert states(table, "tests") == {1: "warn", 0: "warn"}
    (flaky,) = findings(table, "tests", 1)
    assert flaky["text"].startswith("test_once flaky")
    project.out = project.path / "again"
    code, table, err = project.series_check("--only", "tests", BREAK="1", **state)
    assert (code, table["verdict"]) == (1, "bad"), err
    assert list((project.out / "rerun" / "1" / "base").rglob("pytest.log"))


def test_ctrl_c_stops_everything_and_keeps_the_findings(project: Check) -> None:
    project.commits(("fs/configfs: one", {MOUNT: "+\nint one;\n"}))
    project.mails()
    words = ["--tree", str(project.tree), "--base", faketree.TAG, "--only", "form,tests"]
    argv = [sys.executable, "-m", "harness", "check", "--accel", "tcg", "--guests", "1"]
    with warm.Popen(
        [*argv, "--out", str(project.out), *words],
        cwd=project.path,
        env=project.environment(WAIT="600"),
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as running:
        journal = project.out / "base" / "tests.jsonl"
        end = time.monotonic() + PATIENCE
        while '"started", "id": "suite/test_it.py::test_waits"' not in (
            journal.read_text() if journal.exists() else ""
        ):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < end
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    table = json.loads((project.out / "check.json").read_text())
    assert states(table, "form")[1] == "good"
    assert not children_of(project.path)
    kept = project.cache / "baselines"
    assert not kept.exists() or not list(kept.iterdir())  # half a result is nobody's baseline


def children_of(path: Path) -> list[str]:
    """Give the command lines of processes that know of a folder."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = one.read_bytes()
            if bytes(path) in words and int(one.parent.name) != os.getpid():
                found.append(words.decode(errors="replace"))
    return found


def test_a_kernel_that_does_not_boot(project: Check) -> None:
    project.commits(("fs/configfs: nothing", {MOUNT: "+\nint more;\n"}))
    project.mails()
    code, table, err = project.series_check("--only", "tests", mode="panic at boot")
    assert code == 0, err  # neither does the base
    note = [one["note"] for one in table["cells"] if one["check"] == "tests" and not one["patch"]]
    assert "already failing on the base" in note[0]


def test_guests_that_cannot_be_started_are_no_verdict(project: Check) -> None:
    project.commits(("fs/configfs: nothing", {MOUNT: "+\nint more;\n"}))
    project.mails()
    code, table, err = project.series_check("--only", "tests", mode="broken")
    assert code == 128, err
    assert states(table, "tests") == {1: "unknown", 0: "unknown"}
    assert table["fault"]


def test_the_trees_own_scripts(project: Check) -> None:
    project.commits(
        (
            "fs/configfs: ugly",
            {DIR: "+\n/* UGLY */\n", MOUNT: "+\n/* UNDOCUMENTED */\n", "lib/new.c": "int x;\n"},
        ),
        ("fs/configfs: documented", {MOUNT: "int three;\n"}),
    )
    project.mails()
    code, table, err = project.series_check("--only", "mail,scripts")
    assert code == 1, err
    (ugly,) = findings(table, "checkpatch", 1)
    assert (ugly["file"], ugly["rule"], ugly["level"]) == (DIR, "UGLY", "error")
    (words,) = findings(table, "kernel-doc", 1)
    assert (words["file"], words["leaves"]) == (MOUNT, 2)
    assert states(table, "kernel-doc")[0] == "good"
    assert [one["file"] for one in findings(table, "maintainers", 1)] == ["lib/new.c"]
    assert [one["file"] for one in findings(table, "spdx", 1)] == ["lib/new.c"]
    assert [one["rule"] for one in findings(table, "form", 0)] == ["no-cover"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_scripts_see_encoded_mails_as_text(project: Check, encoding: str) -> None:
    project.commits(("fs/configfs: ugly", {DIR: "+\n/* UGLY \u00fc = */\n"}))
    project.mails()
    (mail,) = project.series.glob("*.patch")
    message = email.message_from_bytes(mail.read_bytes())
    body = cast(bytes, message.get_payload(decode=True))
    del message["Content-Transfer-Encoding"]
    message["Content-Transfer-Encoding"] = encoding
    encode = base64.encodebytes if encoding == "base64" else quopri.encodestring
    message.set_payload(encode(body).decode())
    mail.write_bytes(message.as_bytes(unixfrom=True))
    assert encoding == "base64" or b"=C3=BC" in mail.read_bytes()
    code, table, err = project.series_check("--only", "signed,checkpatch")
    assert code == 1, err
    assert [one["file"] for one in findings(table, "checkpatch")] == [DIR]
    assert states(table, "signed") == {1: "good"}


def test_a_script_that_breaks_is_no_verdict(project: Check) -> None:
    broken = {"scripts/checkpatch.pl": "#!/usr/bin/env perl\ndie 'no spelling list';\n"}
    faketree.commit(project.tree, "scripts: break", broken)
    project.commits(("fs/configfs: one", {DIR: "+\nint one;\n"}))
    code, table, err = project.check("HEAD", "--only", "form,checkpatch", cwd=project.tree)
    assert code == 128, err
    assert states(table, "checkpatch") == {1: "unknown"}
    assert states(table, "form")[1] == "good"
    assert "checkpatch.pl" in table["fault"]


def test_recipients_are_compared_with_maintainers(project: Check) -> None:
    project.commits(("fs/configfs: one", {DIR: "+\nint one;\n"}))
    project.mails()
    (mail,) = project.series.glob("*.patch")
    mail.write_text(mail.read_text().replace("Subject:", "To: dev@example.com\nSubject:", 1))
    code, table, err = project.series_check("--only", "maintainers")
    assert code == 0, err
    assert [one["text"] for one in findings(table, "maintainers")] == [
        "not sent to the list: list@example.com"
    ]
    code, _, err = project.series_check(
        "--only", "maintainers", "--strict", "--out", str(project.out / "2")
    )
    assert code == 1, err


def test_a_script_that_the_series_changes_is_not_run(project: Check) -> None:
    evil = "#!/usr/bin/env perl\nopen(my $f, '>', $ENV{TRAP}); exit 0;\n"
    project.commits(("scripts: nicer", {"scripts/checkpatch.pl": evil, DIR: "+\n/* UGLY */\n"}))
    project.mails()
    trap = project.path / "trap"
    code, table, err = project.series_check("--only", "form,checkpatch", TRAP=str(trap))
    assert code == 1, err
    assert not trap.exists()
    assert "--trust" in findings(table, "form", 0)[-1]["text"]
    words = ("--trust", "--only", "checkpatch", "--out", str(project.out / "2"))
    code, _, err = project.series_check(*words, TRAP=str(trap))
    assert code == 0, err
    assert trap.exists()


def test_an_untrusted_series_that_changes_the_build_is_not_built(project: Check) -> None:
    trap = project.path / "trap"
    line = "\nX := $(shell touch $(TRAP))\n"
    project.commits(("kbuild: nicer", {"Makefile": f"+{line}"}))
    project.mails()
    code, table, err = project.series_check("--only", "build", TRAP=str(trap))
    assert code == 125, err
    assert "--trust" in table["refused"]
    assert states(table, "build") == {1: "unknown", 0: "unknown"}
    assert "shell touch" in findings(table, "apply", 0)[0]["text"]
    assert not trap.exists()


def test_a_patch_that_does_not_apply_is_named_and_the_rest_goes_on(project: Check) -> None:
    before = (project.tree / DIR).read_text()
    project.commits(
        ("fs/configfs: one", {MOUNT: "+\nint one;\n"}),
        ("fs/configfs: two", {DIR: before.replace("count++", "count += 2")}),
        ("fs/configfs: three UGLY", {MOUNT: "+\nint three; /* UGLY */\n"}),
    )
    project.mails()
    other = before.replace("count++", "count--")
    project.commits(("in the way", {DIR: other}))
    code, table, err = project.check(
        *("--tree", str(project.tree), "--base", "HEAD", "--only", "mail,checkpatch,build")
    )
    assert code == 125, err
    assert states(table, "apply") == {1: "good", 2: "bad", 3: "unknown"}
    assert "2/3" in table["untestable"]
    error, *notes = [one["text"] for one in findings(table, "apply", 2)]
    assert error == table["untestable"]
    assert any("was removed by" in text and "in the way" in text for text in notes)
    assert any("try --base" in text for text in notes)
    assert states(table, "build") == {1: "good", 0: "good"}
    assert [one["rule"] for one in findings(table, "checkpatch", 3)] == ["UGLY"]


def test_commits_are_checked_where_they_are(project: Check) -> None:
    project.commits(
        ("fs/configfs: one", {DIR: "+\nint one(void);\nint one(void) { int u; return 1; }\n"}),
        ("fs/configfs: two", {MOUNT: "+\nint two;\n"}),
    )
    before = faketree.git(project.tree, "status", "--porcelain", "--branch")
    code, table, err = project.check("HEAD", "--only", "form,signed,build", cwd=project.tree)
    assert code == 0, err
    assert [row["subject"] for row in table["rows"]] == ["fs/configfs: two"]
    words = ("HEAD~2..HEAD", "--only", "build", "--out", str(project.out / "2"))
    code, table, err = project.check(*words, cwd=project.tree)
    assert code == 1, err
    assert [one["enters"] for one in findings(table, "build", 0)] == [1]
    assert faketree.git(project.tree, "status", "--porcelain", "--branch") == before


def test_git_rebase_stops_at_the_bad_commit(project: Check) -> None:
    project.commits(
        ("fs/configfs: one", {MOUNT: "+\nint one;\n"}),
        ("fs/configfs: two", {DIR: "+\n/* UGLY */\n"}),
        ("fs/configfs: three", {MOUNT: "+\nint three;\n"}),
    )
    line = f"{sys.executable} -m harness check -q --only checkpatch HEAD"
    done = subprocess.run(
        ["git", "rebase", "--exec", line, faketree.TAG],
        cwd=project.tree,
        env={**project.environment(), **faketree._IDENTITY, "EDITOR": "true"},
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert faketree.git(project.tree, "log", "-1", "--format=%s") == "fs/configfs: two"


def test_a_revision_is_compared_with_the_previous_one(project: Check) -> None:
    project.commits(
        ("fs/configfs: one", {MOUNT: "+\nint one;\n"}), ("fs/configfs: two", {DIR: "+\nint two;\n"})
    )
    project.mails()
    before = project.series.rename(project.series.with_name("v1"))
    project.series.mkdir()
    project.commits(
        ("fs/configfs: one", {MOUNT: "+\nint one;\n"}),
        ("fs/configfs: two", {DIR: "+\nint two;\nint three;\n"}),
        ("fs/configfs: four", {DIR: "+\nint four;\n"}),
    )
    project.mails()
    words = ("patches/demo", "--previous", "patches/v1", "--only", "revision")
    code, table, err = project.series_check(*words)
    assert code == 0, err
    assert [one["rule"] for one in findings(table, "revision", 0)] == ["=", "!", ">"]
    assert "+int three;" in (project.out / "range-diff").read_text()
    assert before.is_dir()


def test_the_previous_revision_may_have_another_base(project: Check) -> None:
    before = (project.tree / DIR).read_text()
    project.commits(("fs/configfs: two", {DIR: before.replace("count++", "count += 2")}))
    project.mails()
    project.series.rename(project.series.with_name("v1"))
    project.commits(
        ("in the way", {DIR: before.replace("count++", "count--")}),
        ("fs/configfs: two", {DIR: before.replace("count++", "count -= 2")}),
    )
    words = ("HEAD", "--tree", str(project.tree), "--previous", "patches/v1", "--only", "revision")
    code, table, err = project.check(*words)
    assert code == 0, err
    assert [one["rule"] for one in findings(table, "revision", 0)] == ["!"]


def test_options_that_guard_the_files_are_varied(project: Check) -> None:
    text = "\n#ifndef CONFIG_NVME_TARGET\nint broken = no_such_word;\n#endif\n"
    project.commits(("fs/configfs: one", {DIR: f"+{text}"}))
    project.mails()
    code, table, err = project.series_check("--only", "variants", "--kconfig", "nvmet")
    assert code == 1, err
    cells = {one["patch"]: one for one in table["cells"] if one["check"] == "variants"}
    first, cell = cells[1], cells[0]
    assert {one["enters"] for one in first["findings"]} == {1}
    texts = [one["text"] for one in cell["findings"]]
    assert [one for one in texts if one.startswith("with NVME_TARGET=n: ")], texts
    assert not [one for one in texts if one.startswith("with NVME_TARGET=y: ")]
    assert "not possible: NVME_TARGET=m" in cell["note"]
    assert "32-bit" in cell["note"]


def test_only_new_complaints_of_sparse_count(project: Check) -> None:
    program = project.path / "bin" / "sparse"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        '#!/bin/sh\ngrep -n STRANGE "$1" | while IFS=: read -r line _; do\n'
        'echo "$1:$line:1: warning: this is strange"; done\n'
    )
    program.chmod(0o755)
    project.commits(("fs/configfs: old", {DIR: "+\n/* STRANGE */\n"}))
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)
    before = (project.tree / DIR).read_text()
    project.commits(
        ("fs/configfs: shift", {DIR: "/* more */\n\n" + before}),
        ("fs/configfs: strange", {MOUNT: "+\n/* STRANGE */\n"}),
        ("fs/configfs: straight", {MOUNT: "int straight;\n"}),
    )
    project.mails()
    path = f"{program.parent}:{project.environment()['PATH']}"
    for number in range(2):  # the second time all kernels are there, and nothing is in the folder
        place = str(project.out / str(number))
        code, table, err = project.series_check("--only", "sparse", "--out", place, PATH=path)
        assert code == 0, err
        (one,) = [one for one in findings(table, "sparse") if one["enters"]]
        assert (one["file"], one["text"]) == (MOUNT, "this is strange")
        assert (one["enters"], one["leaves"]) == (2, 3)
        shutil.rmtree(project.cache / "builds")


def test_headers_are_compared_where_a_patch_touches_uapi(project: Check) -> None:
    name = "include/uapi/linux/demo.h"
    project.commits(("uapi: demo", {name: "#define DEMO 1\n#define OLD 2\n"}))
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)
    project.commits(
        ("fs/configfs: one", {DIR: "+\nint one;\n"}),
        ("uapi: more", {name: "#define DEMO 1\n\n#define MORE 3\n"}),
    )
    project.mails()
    code, table, err = project.series_check("--only", "uapi,headers")
    assert code == 0, err
    assert states(table, "headers") == {2: "warn"}
    assert [(one["level"], one["text"]) for one in findings(table, "headers", 2)] == [
        ("warning", "removed: #define OLD 2"),
        ("note", "new: #define MORE 3"),
    ]
    assert "+#define MORE 3" in (project.out / "headers" / "2.diff").read_text()


def test_fixes_lines_are_compared_with_the_history(project: Check) -> None:
    for number in range(3):
        project.commits((f"fs/configfs: old {number}", {DIR: f"+\nint old{number};\n"}))
    old = faketree.git(project.tree, "rev-parse", "HEAD~1")
    later = faketree.git(project.tree, "commit-tree", "-m", "aside", "HEAD^{tree}")
    text = (
        f'fs/configfs: fix\n\nBecause.\n\nFixes: {old[:12]} ("fs/configfs: old 1")\n'
        f'Fixes: {old[:8]} ("fs/configfs: old one")\nFixes: {later[:12]} ("aside")\n'
        f'Fixes: {"12" * 6} ("gone")\nSigned-off-by: A Developer <dev@example.com>'
    )
    faketree.commit(project.tree, text, {MOUNT: "int fixed;\n"})
    code, table, err = project.check("HEAD", "--only", "fixes", cwd=project.tree)
    assert code == 1, err
    assert [one["rule"] for one in findings(table, "fixes", 1)] == [
        "digits",
        "subject",
        "not-before",
        "no-history",
    ]


def test_b4_pipes_a_patch_in_and_reads_the_answer(project: Check) -> None:
    project.commits(("fs/configfs: ugly", {DIR: "+\n/* UGLY */\n"}))
    project.mails()
    (mail,) = project.series.glob("*.patch")
    done = warm.run(
        [sys.executable, "-m", "harness", "check", "--b4", "--only", "signed,checkpatch"],
        cwd=project.tree,
        env=project.environment(),
        input=mail.read_bytes(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert {one["tool"]: one["status"] for one in answer} == {
        "harness apply": "pass",
        "harness signed": "pass",
        "harness checkpatch": "fail",
    }
    assert f"{DIR}:" in answer[2]["details"]
    assert done.stderr == b""
    assert not list((project.path / "state").rglob("check.json"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--only", "chekpatch"), 129, "checkpatch"),
        (("no-such-thing",), 129, "no-such-thing"),
        (("HEAD..HEAD",), 129, "no commits"),
        ((faketree.TAG + "~1",), 129, "root commit"),
        (("HEAD", "--suite", "no-suite"), 129, "no-suite"),
    ],
)
def test_usage_errors(project: Check, words: tuple[str, ...], code: int, said: str) -> None:
    found, table, err = project.check(*words, cwd=project.tree)
    assert found == code, err
    assert said in err
    assert table["error"]["what"]


# A rule is a word that it complains of; one that dies at a file says nothing more of any file.
SPATCH = """#!/usr/bin/env python3
import pathlib, sys

words = sys.argv[1:]
rule = pathlib.Path(words[words.index("--cocci-file") + 1])
word = rule.read_text().split("word: ")[1].split()[0]
for name in (one for one in words if one.endswith(".c")):
    for number, line in enumerate(open(name), 1):
        if rule.stem == "weak" and "DEADLY" in line:
            sys.exit("spatch: Fatal error: no compiler")
        if word in line:
            print(f"{name}:{number}:0-1: WARNING: {word} is not nice")
"""


def rules(project: Check, **texts: str) -> None:
    """Put semantic patches into the tree's release."""
    files = {f"scripts/coccinelle/{name}.cocci": text for name, text in texts.items()}
    faketree.commit(project.tree, "rules", files)
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)


def spatch(tmp_path: Path) -> str:
    """Give a PATH where spatch is ours."""
    program = tmp_path / "programs" / "spatch"
    program.parent.mkdir()
    program.write_text(SPATCH)
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def test_only_new_reports_of_semantic_patches_count(project: Check, tmp_path: Path) -> None:
    head = "// word: {}\nvirtual patch\nvirtual report\n"
    rules(project, ugly=head.format("UGLY"), other="// word: UGLY\nvirtual patch\n")
    faketree.commit(project.tree, "old", {MOUNT: "int UGLY_old;\n"})
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)
    project.commits(
        ("fs/configfs: one", {MOUNT: "+int one;\n"}),
        ("fs/configfs: two", {MOUNT: "+int UGLY_new;\n"}),
    )
    project.mails()
    code, table, err = project.series_check("--only", "coccinelle", PATH=spatch(tmp_path))
    assert code == 0, err  # a warning
    (found,) = [
        (cell["patch"], one["file"], one["line"], one["text"])
        for cell in table["cells"]
        for one in cell["findings"]
        if cell["check"] == "coccinelle" and cell["patch"]
    ]
    assert found == (2, MOUNT, 3, "UGLY is not nice (ugly)")


def test_a_semantic_patch_that_fails_once_is_left_out(project: Check, tmp_path: Path) -> None:
    """Else what the base has already would be new where the rule can be run."""
    rules(project, weak="// word: UGLY\nvirtual report\n", fine="// word: BAD\nvirtual report\n")
    faketree.commit(project.tree, "old", {MOUNT: "int DEADLY;\nint UGLY;\nint BAD;\n"})
    faketree.git(project.tree, "tag", "--force", "-a", "-m", "x", faketree.TAG)
    project.commits(("fs/configfs: one", {MOUNT: "int UGLY;\nint BAD;\nint BAD_too;\n"}))
    project.mails()
    code, table, err = project.series_check("--only", "coccinelle", PATH=spatch(tmp_path))
    assert code == 0, err
    cells = [one for one in table["cells"] if one["check"] == "coccinelle"]
    assert [one["rule"] for cell in cells if cell["patch"] for one in cell["findings"]] == ["fine"]
    assert "spatch cannot run weak (spatch: Fatal error: no compiler)" in str(cells)


REAL = """virtual report

@r@
identifier i =~ "^ugly";
position p;
@@
int i@p;

@script:python depends on report@
p << r.p;
@@
coccilib.report.print_report(p[0], "WARNING: not nice")
"""


@pytest.mark.skipif(shutil.which("spatch") is None, reason="coccinelle is not installed")
def test_semantic_patches_with_coccinelle_itself(project: Check) -> None:
    rules(project, real=REAL, broken="virtual report\n@r@\n@@\nthis is no rule\n")
    project.commits(("fs/configfs: one", {MOUNT: "+int ugly_one;\n"}))
    project.mails()
    _, table, err = project.series_check("--only", "coccinelle")
    cells = [one for one in table["cells"] if one["check"] == "coccinelle"]
    found = [one for cell in cells if cell["patch"] for one in cell["findings"]]
    assert [(one["file"], one["text"]) for one in found] == [(MOUNT, "not nice (real)")], err
    assert "spatch cannot run broken (" in str(cells)
