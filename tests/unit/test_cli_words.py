# SPDX-License-Identifier: GPL-2.0-only
"""The words of the command line: help, hints for wrong ones, completion, what comes first."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli, errors
from harness.cli.parser import flags, verbs

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_help_with_examples_that_can_be_typed(verb: str) -> None:
    top = cli.parser(verb)
    words = verbs(top)[verb]
    assert words.description
    assert "examples:\n" in (words.epilog or "")
    examples = (words.epilog or "").partition("examples:\n")[2].splitlines()
    found = [line for line in examples if line.startswith(f"  harness {verb}")]
    assert found
    for line in found:
        typed = line.strip().split("  ")[0]  # behind it stands what it is for
        typed = typed.partition(" > ")[0].partition(" | ")[0].partition(" -- ")[0]
        _, unknown = top.parse_known_args(shlex.split(typed)[1:])
        assert not unknown, line


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_the_common_options(verb: str) -> None:
    assert {"--json", "-q", "--quiet", "-v", "--verbose", "--help"} <= set(
        flags(cli.parser(verb), verb)
    )


@pytest.mark.parametrize(
    ("typed", "what", "hint"),
    [
        ("rnu my.mbox", "there is no verb 'rnu'", "harness run my.mbox"),
        ("docter", "there is no verb 'docter'", "harness doctor"),
        ("xyzzy", "there is no verb 'xyzzy'", "harness --help"),
        ("patches", "there is no verb 'patches'", "harness run patches"),
        ("run --kernal 7.2", "harness run has no option --kernal", "harness run --kernel 7.2"),
        ("run --kernal=7.2", "harness run has no option --kernal", "harness run --kernel=7.2"),
        ("run --xyzzy", "harness run has no option --xyzzy", "harness run --help"),
        ("run --accel kvn", "--accel cannot be 'kvn'", "--accel kvm"),
        ("run --accel xyzzy", "--accel cannot be 'xyzzy'", "one of auto, kvm, tcg"),
        ("completion fisch", "shell cannot be 'fisch'", "harness completion fish"),
        ("report", "harness report needs RUN", "harness report --help"),
        ("-q", "no verb given", "harness --help"),
        ("--strict", "no verb given, only --strict", "harness --help"),
        ("-V", "harness has no option -V", "harness --help"),
        ("-V my.mbox", "harness has no option -V", "harness --help"),
        ("--help=1", "harness has no option --help=1", "harness --help"),
        ("--verison", "harness has no option --verison", "harness --version"),
        ("help", "there is no verb 'help'", "harness --help"),
        ("help run", "there is no verb 'help'", "harness run --help"),
        ("help docter", "there is no verb 'help'", "harness doctor --help"),
        ("help xyzzy", "there is no verb 'help'", "harness --help"),
        ("run my.mbox -x", "harness run has no option -x", "harness run my.mbox -- -x"),
        ("run -x -q my.mbox", "harness run has no option -x", "harness run -q my.mbox -- -x"),
        ("run -m slow", "harness run has no option -m", "harness run SERIES -- -m ..."),
        ("run a --kernel 7 b -x", "has no option -x", "harness run a --kernel 7 b -- -x"),
        ("check s -x -- -s", "harness check has no option -x", "harness check s -- -x -s"),
        ("run --kernal 7 -- -x", "harness run has no option", "harness run --kernel 7 -- -x"),
        ("splats -x a.log", "harness splats has no option -x", "harness splats --help"),
        ("shell -x", "harness shell has no option -x", "harness shell --help"),
        ("runs -n x", "--last: expected a whole number, got 'x'", "harness runs --help"),
        ("gc --keep-days x", "--keep-days: expected a number, got 'x'", "harness gc --help"),
        ("clean all", "harness clean: unexpected argument: all", "harness clean --help"),
        ("run --guests", "harness run: argument --guests: expected one", "harness run --help"),
        (
            "run --guests x",
            "--guests: expected a whole number (1 or more) or auto, got",
            "harness run --help",
        ),
        (
            "run --repeat many",
            "--repeat: expected a whole number (0 or more), got 'many'",
            "harness run --help",
        ),
        ("run -q -v", "not allowed with argument -q", "harness run --help"),
    ],
)
def test_a_wrong_word_comes_with_the_right_one(
    typed: str, what: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(shlex.split(typed)) == errors.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    assert what in first
    assert second == f"  try: {hint}"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("-q splats /dev/null", "harness splats -q /dev/null"),
        ("--kernel 7.2 run", "harness run --kernel 7.2"),
        ("--kernel=7.2 -v run my.mbox", "harness run --kernel=7.2 -v my.mbox"),
        ("--kern 7.2 run", "harness run --kern 7.2"),
        ("--kconfig 'a b' run -- -k 'x y'", "harness run --kconfig 'a b' -- -k 'x y'"),
        ("-- run", "harness run"),
        ("-q -- run -- -x", "harness run -q -- -x"),
        ("-q -- -x run", "harness --help"),
        ("--tree series run", "harness run --tree series"),
        ("--kernel run shell", "harness shell --kernel run"),
        ("-q splats run", "harness splats -q run"),
        ("-q rnu my.mbox", "harness run -q my.mbox"),
        ("--kernel 7.2 my.mbox", "harness run --kernel 7.2 my.mbox"),
        ("--xyzzy doctor", "harness doctor --help"),
        ("--patched-onyl run", "harness run --patched-only"),
        ("-qv run", "harness run --help"),
        ("--kernel=7.2", "harness --help"),
        ("--", "harness --help"),
        ("-", "harness --help"),
        (f"{'x' * 5000} run", "harness --help"),
        ("'' run", "harness --help"),
    ],
)
def test_an_option_before_the_verb_comes_with_the_right_command(
    typed: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(shlex.split(typed)) == errors.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[1:] == [f"  try: {hint}"]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("-h run", "usage: harness [-h]"),
        ("-q --help", "usage: harness [-h]"),
        ("-q run -h", "usage: harness run [-h]"),
        ("--version run", "harness 0."),
        ("--json --version", "harness 0."),
    ],
)
def test_help_and_version_are_answered_before_the_verb_too(
    typed: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(shlex.split(typed)) == errors.GOOD
    said = capsys.readouterr()
    assert said.out.startswith(first)
    assert said.err == ""


def test_each_verb_has_a_line_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == errors.GOOD
    lines = capsys.readouterr().out.splitlines()
    for verb in cli.VERBS:
        assert [line for line in lines if re.match(rf"    {verb} +\w", line)], verb
    assert "130 interrupted" in " ".join(lines)


def test_a_wrong_word_for_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--kernal", "7.2", "--json"]) == errors.USAGE
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["what"] == "harness run has no option --kernal"
    assert said["exit_code"] == errors.USAGE


def test_harness_alone_prints_the_first_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == errors.USAGE
    said = capsys.readouterr().out
    assert "harness run " in said
    assert "patches/configfs-ns" in said
    assert len(said.splitlines()) < 12


def test_in_a_kernel_tree_it_names_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("MAINTAINERS", "Kbuild"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    cli.main([])
    assert "harness run v7.2..HEAD --tree ." in capsys.readouterr().out


def test_where_programs_are_missing_setup_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    cli.main([])
    assert capsys.readouterr().out.splitlines()[2].startswith("  harness setup ")


def completions(line: str, folder: Path, **more: str) -> list[str]:
    """Ask as a shell does."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 8>&1 9>/dev/null', "sh", sys.executable, "-m", "harness"],
        cwd=folder,
        env={
            **os.environ,
            **more,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": "fish",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return [word.partition("\t")[0].strip() for word in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("harness che", "check"),
        ("harness run --patched", "--patched-only"),
        ("harness run --kconfig de", "debug"),
        ("harness run conf", "configfs-ns"),
        ("harness run --suite tests/guest/nv", "tests/guest/nvmet"),
        ("harness shell patches/conf", "patches/configfs-ns/"),
        ("harness run --accel k", "kvm"),
        ("harness completion z", "zsh"),
        ("harness setup cl", "clang"),
    ],
)
def test_a_shell_completes_what_is_known(line: str, wanted: str) -> None:
    assert wanted in completions(line, ROOT)


def test_a_shell_completes_the_folders_of_runs(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "20260101-000000-demo"
    run.mkdir(parents=True)
    assert str(run) in completions("harness compare ", ROOT, HARNESS_STATE=str(tmp_path))
    shown = completions("harness show ", ROOT, HARNESS_STATE=str(tmp_path))
    assert {"last", str(run)} <= set(shown)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_valid_shell_code(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == errors.GOOD
    code = capsys.readouterr().out
    assert "harness" in code
    program = shutil.which(shell)
    if program:  # CI's image has bash; the others are tried where they are
        subprocess.run([program, "-n"], input=code, text=True, check=True)


def test_bash_itself_completes(tmp_path: Path) -> None:
    script = (
        'eval "$("$1" -m harness completion bash)"\n'
        'harness() { "$python" -m harness "$@"; }; python=$1\n'
        "COMP_WORDS=(harness run --kcon) COMP_CWORD=2 COMP_TYPE=9 COMP_LINE='harness run --kcon'\n"
        "COMP_POINT=${#COMP_LINE}\n"
        '_python_argcomplete harness\necho "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["--kconfig"], done.stderr
