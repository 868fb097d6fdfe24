# SPDX-License-Identifier: GPL-2.0-only
"""How a command ends when something happens that nobody foresaw: never with a verdict."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from harness import __main__, cli, errors
from harness.cli import ending
from harness.progress import Progress

ROOT = Path(__file__).parents[2]

#: A command of each verb that gets as far as its body.
COMMANDS = {
    "compare": "a b",
    "completion": "bash",
    "fetch": "a.mbox",
    "history": "x",
    "report": "last",
    "show": "last",
    "splats": "a.log",
}
#: What one line would not show, and what Python has for ends of all kinds.
FAULTS = [
    KeyError("-q"),
    AssertionError(),
    RuntimeError("two\nlines"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range"),
    ExceptionGroup("some", [ValueError(1)]),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    SystemExit("words"),
    SystemExit(1),
    SystemExit(0),
    GeneratorExit(),
]


class Unspeakable(Exception):
    """Raises again when it is told."""

    def __str__(self) -> str:
        raise ValueError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path))
    return tmp_path / "tracebacks"


def words(verb: str) -> list[str]:
    return [verb, *shlex.split(COMMANDS.get(verb, ""))]


def broken(monkeypatch: pytest.MonkeyPatch, verb: str, fault: BaseException) -> None:
    """Have the body of a verb raise."""
    module, _, body = cli.VERBS[verb].body.partition(":")

    def raises(*_: object) -> NoReturn:
        raise fault

    monkeypatch.setattr(importlib.import_module(f"harness.cli.{module}"), body, raises)


@pytest.mark.parametrize("fault", [*FAULTS, Unspeakable()], ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("verb", cli.VERBS)
def test_an_unforeseen_exception_is_no_verdict(
    verb: str,
    fault: BaseException,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(monkeypatch, verb, fault)
    monkeypatch.setattr(sys, "argv", ["harness", *words(verb)])
    assert __main__.main() == errors.HOST_FAULT
    said = capsys.readouterr()
    assert said.out == ""
    what, hint = said.err.splitlines()
    assert what.startswith("harness: internal error: ")
    assert type(fault).__name__ in what
    (file,) = state.iterdir()
    assert hint == f"  try: please report it and attach {file}"
    text = file.read_text()
    assert type(fault).__name__ in text
    assert "in raises" in text


@pytest.mark.parametrize("verb", cli.VERBS)
def test_an_interruption_has_its_own_exit_code(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    broken(monkeypatch, verb, KeyboardInterrupt())
    assert cli.main(words(verb)) == errors.INTERRUPTED
    assert capsys.readouterr().err.splitlines()[1] == f"  try: harness {shlex.join(words(verb))}"
    assert not state.exists()


def test_a_refusal_of_the_system_is_not_reported_as_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/x")
    broken(monkeypatch, "doctor", full)
    assert cli.main(["doctor"]) == errors.HOST_FAULT
    assert capsys.readouterr().err.splitlines()[0] == "harness: No space left on device: /x"
    assert not state.exists()


def test_a_script_gets_the_error_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    broken(monkeypatch, "doctor", KeyError("x"))
    assert cli.main(["doctor", "--json"]) == errors.HOST_FAULT
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == errors.HOST_FAULT
    assert said["error"]["what"] == "internal error: KeyError: 'x'"


def test_a_traceback_that_cannot_be_kept_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / "file"))
    broken(monkeypatch, "doctor", KeyError("x"))
    assert cli.main(["doctor"]) == errors.HOST_FAULT
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("  try: please report it, with the lines above\n")


def test_an_exception_in_the_parser_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "parser", lambda verb: dict[str, str]()["x"])
    assert cli.main(["run"]) == errors.HOST_FAULT
    assert "KeyError: 'x'" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [KeyError("x"), SystemExit(1), Unspeakable()])
def test_an_error_while_an_error_is_shown_is_no_verdict(
    fault: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises(*_: object, **__: object) -> NoReturn:
        raise fault

    monkeypatch.setattr(ending, "ended", raises)
    monkeypatch.setattr(sys, "argv", ["harness", "xyzzy"])
    assert __main__.main() == errors.HOST_FAULT
    assert "harness: internal error: " in capsys.readouterr().err
    monkeypatch.setattr(__main__, "_show", raises)
    if isinstance(fault, Exception):
        assert __main__.main() == errors.HOST_FAULT


def test_the_exit_codes_of_the_last_resort_are_the_same() -> None:
    assert (__main__.HOST_FAULT, __main__.INTERRUPTED) == (errors.HOST_FAULT, errors.INTERRUPTED)


def test_a_thread_that_dies_leaves_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Path
) -> None:
    def run(*_: object) -> int:
        for fault in (SystemExit(0), KeyError("of a thread")):

            def dies(fault: BaseException = fault) -> NoReturn:
                raise fault

            thread = threading.Thread(target=dies)
            thread.start()
            thread.join()
        return errors.GOOD

    before = threading.excepthook
    monkeypatch.setattr("harness.cli.doctor.run", run)
    assert cli.main(["doctor"]) == errors.HOST_FAULT
    assert threading.excepthook is before
    assert "KeyError: 'of a thread'" in capsys.readouterr().err
    (file,) = state.iterdir()
    assert "in dies" in file.read_text()


def start(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *argv]
    return subprocess.run(
        words, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("raise ImportError('half installed')", 128),
        ("x = (", 128),
        ("raise SystemExit('no')", 128),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_a_broken_installation_is_no_verdict(module: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text(module)
    done = start("-m", "harness", "doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == code
    assert done.stdout == ""
    assert ("  try: ./setup.sh" in done.stderr) is (code == errors.HOST_FAULT)


@pytest.mark.parametrize("fault", ["KeyError('x')", "SystemError()", "ImportError('half')"])
def test_an_exception_in_our_plugin_is_an_internal_error_of_pytest(
    fault: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(
        "from harness.plugin import guest_options\n"
        f"def fleet(config):\n    raise {fault}\n"
        "guest_options.fleet = fleet\n"
    )
    words = ("-m", "pytest", "-p", "broken", "--kernel", "bzImage", str(tmp_path))
    done = start(*words, PYTHONPATH=str(tmp_path))
    assert done.returncode == pytest.ExitCode.INTERNAL_ERROR
    assert f"in fleet\n    raise {fault}" in done.stderr


def test_the_installed_program_has_the_same_entry_point() -> None:
    assert '\nharness = "harness.__main__:main"\n' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "line", ["--help", "run --help", "--version", "", "completion bash", "runs", "doctor --json"]
)
def test_a_result_that_cannot_be_written_is_no_verdict(line: str, unbuffered: str) -> None:
    script = f'"$1" -m harness {line} >/dev/full 2>/dev/null'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        check=False,
    )
    assert done.returncode == errors.HOST_FAULT


def test_a_closed_pipe_is_no_error_message() -> None:
    script = '{ "$1" -m harness completion bash; echo "ended with $?" >&2; } | true'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; sleep 0; {script}", "sh", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.fullmatch(r"ended with (128|0)\n", done.stderr)  # 0: it was faster than its reader


def test_rich_is_quiet_about_a_closed_pipe(tmp_path: Path) -> None:
    (tmp_path / "rich_prints.py").write_text(
        "import rich.console, sys\n"
        "from harness import cli\n"
        "from harness.cli import doctor\n"
        "def run(options, progress):\n"
        "    for _ in range(1000):\n"
        "        rich.console.Console().print('x' * 1000)\n"
        "doctor.run = run\n"
        "sys.exit(cli.main(['doctor']))\n"
    )
    script = '{ "$1" -m rich_prints; echo "ended with $?" >&2; } | head -3 > /dev/null'
    done = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "ended with 128\n"


def test_a_broken_pipe_to_another_program_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    code = ending.ended(BrokenPipeError(errno.EPIPE, "Broken pipe"), ["run"], Progress())
    assert code == errors.HOST_FAULT
    assert "internal error: BrokenPipeError" in capsys.readouterr().err
