# SPDX-License-Identifier: GPL-2.0-only
"""Bad input, or a bad machine: `run` says what is wrong, and what to do."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import faketree
import pytest
from fakeproject import Project, outcomes
from patience import PATIENCE

DIR = "fs/configfs/dir.c"
WORD = '\nconst char *harness_word = "fixed by the series";\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    one = Project(tmp_path)
    one.patch(DIR, WORD)
    return one


def in_namespace(script: str) -> list[str]:
    """A command that runs ``script`` and then its arguments, with its own mounts and network."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *user, "--mount", "--net", "sh", "-c"]
    if subprocess.run([*words, "mount -t tmpfs none /mnt"], capture_output=True).returncode:
        pytest.skip("this machine lets us make no namespaces")
    return [*words, f'{script} && exec "$@"', "sh"]


def refused(project: Project, code: int, said: str, hint: str, *words: str, **named: object) -> str:
    """Run; it must end with ``code``, say what is wrong, and what to do."""
    got, run, err = project.run(*words, **named)  # type: ignore[arg-type]
    assert (got, run.get("exit_code")) == (code, code), err
    assert said in err
    assert hint in run["error"]["hint"]
    assert "Traceback" not in err
    return err


def patch(project: Project) -> Path:
    (found,) = project.series.glob("*.patch")
    return found


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        (lambda _: b"", "is empty", "save the patch"),
        (lambda mail: mail[: mail.index(b"harness_word")], "in the middle", "save it again"),
        (lambda _: b"<!DOCTYPE html><pre>diff --git a/x b/x</pre>", "HTML", '"mbox"'),
        (lambda _: b"\x7fELF\x02\x01\x01" + bytes(100), "patch", "git format-patch"),
    ],
)
def test_files_that_are_not_patches(project: Project, change: object, said: str, hint: str) -> None:
    mail = patch(project)
    mail.write_bytes(change(mail.read_bytes()))  # type: ignore[operator]
    refused(project, 125, said, hint)


def test_mail_that_is_not_utf8(project: Project) -> None:
    mail = patch(project)
    mail.write_bytes(mail.read_bytes().replace(b"A Developer", b"J\xf6rg"))
    code, run, err = project.run("--patched-only")
    assert code == 0, err
    assert outcomes(run)["test_fixed"] == "pass"


def moved_on(project: Project) -> str:
    """Change a line of the patch's context; returns the commit."""
    text = (project.tree / DIR).read_text().replace("count++", "count += 1")
    return faketree.commit(project.tree, "elsewhere", {DIR: text})


def test_a_series_that_applies_only_by_a_three_way_merge(project: Project) -> None:
    code, run, err = project.run("--patched-only", "--base", moved_on(project))
    assert code == 0, err
    assert f"patch 1/1 '{DIR}: say more' only applies to" in err
    assert outcomes(run)["test_fixed"] == "pass"


def test_a_series_that_applies_with_fuzz(project: Project) -> None:
    mail = patch(project)
    # The file it was made from is not known, so that there is nothing to merge with.
    mail.write_text(re.sub(r"index \w+\.\.\w+", "index 1111111..2222222", mail.read_text()))
    commit = moved_on(project)
    err = refused(project, 125, "with fuzz", "on this base", "--base", commit)
    assert f"{DIR}, hunk 1 of 1" in err


def test_a_series_already_applied(project: Project) -> None:
    text = (project.tree / DIR).read_text() + WORD
    commit = faketree.commit(project.tree, "there", {DIR: text})
    refused(project, 125, "already applied", "--base", "--base", commit)


def test_a_wrong_base(project: Project) -> None:
    faketree.git(project.tree, "rm", "--quiet", DIR)
    faketree.git(project.tree, "commit", "--quiet", "--message", "gone")
    refused(project, 125, "does not apply", "--base", "--base", "HEAD")


def test_a_git_tree_that_is_not_a_kernel(project: Project) -> None:
    other = project.path / "an öther tree"
    other.mkdir()
    faketree.git(other, "init", "--quiet")
    faketree.commit(other, "a page", {"README": "no kernel\n"})
    words = ("--tree", str(other), "--base", "HEAD")
    refused(project, 129, "is not a kernel tree", "--kernel", *words)


def test_a_folder_that_is_not_a_git_tree(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "ünpacked tree"
    other.mkdir()
    refused(project, 129, f"{other} is not a git tree", "--kernel", "--tree", str(other))


@pytest.mark.parametrize("size", ["1m", "100k"])
def test_no_space_for_the_cache(project: Project, size: str) -> None:
    project.cache.mkdir()
    mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(project.cache))}"
    refused(project, 128, "", "harness clean", before=in_namespace(mount))
    assert project.run()[0] == 0  # with space it works at once


@pytest.mark.parametrize("size", ["4k", "48k", "100k"])
def test_no_space_for_the_evidence(project: Project, size: str) -> None:
    project.out.mkdir()
    mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(project.out))}"
    refused(project, 128, str(project.out), "--out", before=in_namespace(mount))


def test_a_cache_that_is_read_only(project: Project) -> None:
    project.cache.mkdir()
    place = shlex.quote(str(project.cache))
    mount = f"mount --bind {place} {place} && mount -o remount,bind,ro {place}"
    said = f"cannot write to {project.cache}"
    refused(project, 128, said, "HARNESS_CACHE", before=in_namespace(mount))


def test_an_unwritable_run_folder_is_reported_before_the_work(project: Project) -> None:
    project.out.mkdir()
    mount = f"mount -t tmpfs -o ro none {shlex.quote(str(project.out))}"
    err = refused(project, 128, str(project.out), "--out", before=in_namespace(mount))
    assert "build" not in err


def test_a_folder_that_already_holds_a_run(project: Project) -> None:
    assert project.run("--patched-only")[0] == 0
    before = (project.out / "run.json").read_bytes()
    err = refused(project, 128, "already holds a run", "--out")
    assert "build" not in err
    assert (project.out / "run.json").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_cache_of_another_user(project: Project) -> None:
    project.cache.mkdir(mode=0o755)
    # Everything may be read, nothing but what is one's own written: a user without a right.
    before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    before += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets us give no rights")
    refused(project, 128, f"cannot write to {project.cache}", "HARNESS_CACHE", before=before)


def path_without(folder: Path, name: str) -> str:
    """Make a PATH with all programs but one."""
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(":")):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name != name and not os.path.lexists(folder / program.name):
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.parametrize("name", ["git", "gcc", "make", "flex", "qemu-system-x86_64"])
def test_a_missing_program(project: Project, name: str, tmp_path: Path) -> None:
    path = path_without(tmp_path / "bin", name)
    err = refused(project, 128, "not installed", "harness ", PATH=path)
    assert re.search(rf"\b{name} (is )?not installed", err)


def test_a_qemu_that_is_too_old(project: Project, tmp_path: Path) -> None:
    qemu = tmp_path / "bin" / "qemu-system-x86_64"
    qemu.parent.mkdir()
    qemu.write_text("#!/bin/sh\necho QEMU emulator version 5.2.0\n")
    qemu.chmod(0o755)
    path = f"{qemu.parent}:{os.environ['PATH']}"
    refused(project, 128, "version 5.2.0", "harness setup", PATH=path)


def test_two_runs_on_one_cache(project: Project) -> None:
    first, project.out = project.start(), project.path / "second"
    second = project.start()
    for process in (first, second):
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert outcomes(json.loads(out))["test_fixed"] == "pass"


def test_two_runs_into_one_folder(project: Project) -> None:
    both = [project.start(), project.start()]
    ends = [(*process.communicate(timeout=PATIENCE), process.returncode) for process in both]
    assert sorted(code for _, _, code in ends) == [0, 128], ends
    assert len(outcomes(json.loads((project.out / "run.json").read_text()))) == 7


def test_two_runs_in_one_second_get_folders_of_their_own(project: Project) -> None:
    words = ("--patched-only", "--out", "")
    both = [project.start(*words), project.start(*words)]
    ends = [(*process.communicate(timeout=PATIENCE), process.returncode) for process in both]
    assert [code for _, _, code in ends] == [0, 0], ends
    assert len({json.loads(out)["folder"] for out, _, _ in ends}) == 2


def test_a_cache_with_a_space_is_reported_before_the_work(project: Project) -> None:
    project.cache = project.path / "my cache"
    err = refused(project, 128, "a space or colon", "HARNESS_CACHE")
    assert "apply" not in err


def test_no_network_and_nothing_cached(project: Project) -> None:
    words = ("--kernel", "7.2", "--no-series")
    err = refused(
        project, 128, "Linux 7.2 is not available", "--tree", *words, before=in_namespace("true")
    )
    assert "kernel.org" in err


def test_no_network_is_needed_for_a_tree(project: Project) -> None:
    code, _, err = project.run("--patched-only", before=in_namespace("true"))
    assert code == 0, err


@pytest.mark.parametrize("verb", ["doctor", "clean"])
def test_other_verbs_refuse_it_too(project: Project, verb: str) -> None:
    project.cache.mkdir()
    mount = f"mount -t tmpfs -o ro none {shlex.quote(str(project.cache))}"
    argv = [*in_namespace(mount), sys.executable, "-m", "harness", verb, "--json"]
    env = project.environment()
    done = subprocess.run(argv, env=env, cwd=project.path, text=True, capture_output=True)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 128)
    assert json.loads(done.stdout)
