# SPDX-License-Identifier: GPL-2.0-only
"""Suites that are not pytest's: their names, programs, and what is refused before a build."""

from __future__ import annotations

from pathlib import Path

import pytest
import sourcetree

from harness import adaptors, options, paths
from harness.adaptors import KINDS, AdaptedSuite, Entry, kselftest_build
from harness.adaptors.execute import execute, judge
from harness.cli.parser import parse, typed_plan
from harness.errors import HostFault, NotBuilt, UsageError
from harness.lab.plan import BOOTS, complete, require_suites
from harness.model import Outcome, Plan
from harness.plugin import guest_options
from harness.progress import Progress
from harness.results.journal import locate
from harness.settings import Settings


def script(path: Path, text: str = "exit 0", mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def test_a_name_is_taken_apart() -> None:
    parsed = adaptors.parse("kselftest:filesystems/statmount::statmount_test::a::b")
    assert parsed == AdaptedSuite("kselftest", "filesystems/statmount", "statmount_test", "a::b")
    assert parsed.name == "kselftest:filesystems/statmount"
    assert adaptors.parse("program:./x -v") == AdaptedSuite("program", "./x -v")


@pytest.mark.parametrize("word", ["tests/guest", "a.py::test", "program", "other:x", "program::x"])
def test_other_names_are_pytests(word: str) -> None:
    assert adaptors.parse(word) is None


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_module_and_an_option(kind: str) -> None:
    assert adaptors.adaptor(kind)
    option = next(option for option in options.OPTIONS if option.flag == f"--{kind}")
    assert option.type is not None
    assert str(option.type("x")).startswith(f"{kind}:")


def test_the_options_are_short_for_suites() -> None:
    from harness import cli

    words = ["run", "--kselftest", "mount_setattr:it", "--program", "./x -v", "--suite", "y.py"]
    plan = typed_plan(parse(cli.parser(), "run", words))
    expected = ("kselftest:mount_setattr::it", "program:./x -v", "y.py")
    assert plan.suites == expected
    command = options.command(plan)
    assert command[2:] == [word for suite in expected for word in ("--suite", suite)]


def test_a_test_is_found_by_its_name_anywhere() -> None:
    assert locate("/project", "program:./x::x::sub") == "program:./x::x::sub"
    own = "harness/lab/suite/test_boots.py"  # this id is the same in all projects
    assert locate("/project", f"{own}::test_boots") == f"{BOOTS / 'test_boots.py'}::test_boots"
    assert Path(paths.own_suite(own)).is_file()


def test_a_programs_path_is_valid_in_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "here" / "x.sh")
    monkeypatch.chdir(tmp_path / "here")
    typed = Plan(no_series=True, kernel="7.2", suites=("program:./x.sh -v", "program:true"))
    plan = complete(typed, Settings(tmp_path))
    assert plan.suites == (f"program:{tmp_path}/here/x.sh -v", "program:true")


def test_a_folder_stands_for_its_programs(tmp_path: Path) -> None:
    script(tmp_path / "d" / "b.sh")
    script(tmp_path / "d" / "a.sh")
    (tmp_path / "d" / "README").write_text("no program")
    (tmp_path / "d" / "sub").mkdir()
    entries = list(adaptors.adaptor("program").collect("d -v", tmp_path))
    assert [entry.name for entry in entries] == ["a.sh", "b.sh"]
    assert {entry.argv[1:] for entry in entries} == {("-v",)}


@pytest.mark.parametrize(
    ("what", "message", "hint"),
    [
        ("./absent.sh", "there is no program ./absent.sh", "path of a program"),
        ("no-such-program-anywhere", "on this machine", "path of a program"),
        ("./plain.sh", "cannot be executed", "chmod +x"),
        ("./empty", "no file in", "chmod +x"),
        ("'open", "No closing quotation", "quote it"),
    ],
)
def test_what_cannot_run_is_refused(tmp_path: Path, what: str, message: str, hint: str) -> None:
    script(tmp_path / "plain.sh", mode=0o644)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message) as caught:
        require_suites(Plan(folder=tmp_path, suites=(f"program:{what}",)))
    assert hint in caught.value.hint


def test_a_suite_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="which tests"):
        adaptors.check(["program:"], Path())


def test_a_program_is_run_to_its_end(tmp_path: Path) -> None:
    file = script(tmp_path / "x.sh", "echo out; echo err >&2; echo $0 $NAME; sleep 600 & exit 7")
    entry = Entry("x", (str(file),), tmp_path, {"NAME": "value"})
    status, output = execute(entry)
    assert status == 7
    assert output.splitlines() == ["out", "err", f"{file} value"]


@pytest.mark.parametrize(
    ("status", "outcome", "kselftest"),
    [
        (0, Outcome.PASS, Outcome.PASS),
        (1, Outcome.FAIL, Outcome.FAIL),
        (2, Outcome.FAIL, Outcome.XFAIL),
        (3, Outcome.FAIL, Outcome.XPASS),
        (4, Outcome.SKIP, Outcome.SKIP),
        (-11, Outcome.FAIL, Outcome.FAIL),
    ],
)
def test_an_exit_status_is_an_outcome(status: int, outcome: Outcome, kselftest: Outcome) -> None:
    assert judge(status, "a line\n").outcome is outcome
    assert judge(status, "a line\n", kselftest=True).outcome is kselftest


def test_a_signal_and_the_output_are_in_the_message() -> None:
    assert judge(-11, "working\n").message == "working\nE   killed by SIGSEGV"
    assert judge(4, "TAP version 13\n1..0 # SKIP needs root\n").message == "needs root"
    assert judge(4, "checking\n# no such device\n").message == "no such device"


TAP = "TAP version 13\n1..2\nok 1 a\nnot ok 2 b\n"


def test_bad_subtests_explain_a_failure() -> None:
    result = judge(1, TAP)
    assert result.explained
    assert result.message == "1 of 2 subtests failed: b"
    assert judge(0, TAP).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("status", "output", "message"),
    [
        (-6, TAP, "killed by SIGABRT"),
        (1, "TAP version 13\n1..1\nok 1 a\n", "exit status 1, but no subtest failed"),
        (0, "TAP version 13\n1..2\nok 1 a\n", "1 of 2 planned tests have no result"),
    ],
)
def test_what_no_subtest_explains(status: int, output: str, message: str) -> None:
    result = judge(status, output)
    assert result.outcome is Outcome.FAIL
    assert not result.explained
    assert message in result.message


def test_a_missing_library_is_named_with_its_package() -> None:
    lines = ["ld: cannot find -lcap: No such file", "make: ***"]
    fault = kselftest_build.failure("x", lines)
    assert isinstance(fault, HostFault)
    assert fault.what == "--kselftest x cannot be built: libcap not installed"
    assert fault.hint == "on Debian: apt install libcap-dev"
    line = "a.c:3:10: fatal error: numa.h: No such file or directory"
    header = kselftest_build.failure("x", [line])
    assert header.hint == "on Debian: apt install libnuma-dev"


@pytest.mark.parametrize(
    "line", ["make[1]: clang: No such file or directory", "/bin/sh: 1: clang: not found"]
)
def test_a_missing_program_is_named_with_its_package(line: str) -> None:
    fault = kselftest_build.failure("net", [line, "make[1]: *** [bpf.mk:42: x.bpf.o] Error 127"])
    assert fault.what == "--kselftest net cannot be built: clang not installed"
    assert fault.hint == "on Debian: apt install clang"


def test_a_self_test_may_include_the_kernels_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    install = "mkdir -p $(INSTALL_PATH)\n\tcp ../../../mm/gup_test.h $(INSTALL_PATH)"
    tree = {
        "Makefile": "headers:\n",
        "mm/gup_test.h": "/* of the kernel itself */\n",
        "mm/gup.c": "",
        "tools/testing/selftests/Makefile": f"install:\n\t{install}\n",
        "tools/testing/selftests/mm/Makefile": "",
    }
    sources = sourcetree.commit(tmp_path / "linux", tree)
    (place,) = kselftest_build.build(["mm"], sources, Progress(quiet=True)).values()
    assert (place / "gup_test.h").read_text() == tree["mm/gup_test.h"]


def test_tests_that_do_not_compile_are_not_the_machines_fault() -> None:
    lines = ["cc x.c", "x.c:3: error: expected ;", "make: *** [x] Error 1"]
    fault = kselftest_build.failure("x", lines)
    assert isinstance(fault, NotBuilt)
    assert "x.c:3: error: expected ;" in fault.what


def test_a_suites_folder_is_named_by_an_option() -> None:
    assert adaptors.places(["kselftest:a/b=/c"]) == {"kselftest:a/b": Path("/c")}
    with pytest.raises(UsageError):
        adaptors.places(["a/b=/c"])


def test_a_self_tests_exit_status_outweighs_its_plan() -> None:
    text = "TAP version 13\n1..3\nPASS: 0 returned as expected\n"
    assert judge(0, text, kselftest=True).outcome is Outcome.PASS
    assert judge(0, text).outcome is Outcome.FAIL
    assert judge(1, text, kselftest=True).outcome is Outcome.FAIL
    assert judge(0, f"{text}Bail out! no memory\n", kselftest=True).outcome is Outcome.FAIL
    failed = judge(0, f"{text}not ok 1 a\n", kselftest=True)
    assert (failed.outcome, failed.explained) == (Outcome.FAIL, True)


def test_guests_boot_with_what_their_suites_need() -> None:
    loop = "bdev_allow_write_mounted=1"
    case = "kunit:ext4*::ext4_inode_test::a_case"
    assert guest_options.boot_arguments(["tests", "kselftest:futex", "kselftest:mqueue"]) == (loop,)
    assert guest_options.boot_arguments(["tests"]) == ()
    assert guest_options.boot_arguments([case]) == ("kunit.filter_glob=ext4_inode_test.a_case",)
    assert guest_options.boot_arguments([case, "kselftest:futex"]) == (loop,)


def test_a_self_test_can_have_a_network_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "net--tcp"
    script(tmp_path / "net--tcp" / "x")  # makes the folder
    (place / "kselftest-list.txt").write_text("net/tcp:a_test\n")
    (place / "net" / "tcp").mkdir(parents=True)
    script(place / "net" / "tcp" / "a_test")
    collect = adaptors.adaptor("kselftest").collect
    monkeypatch.delenv("RUN_IN_NETNS", raising=False)
    assert [entry.argv[0] for entry in collect("net/tcp", place)] != ["unshare"]
    monkeypatch.setenv("RUN_IN_NETNS", "1")
    assert [entry.argv[:2] for entry in collect("net/tcp", place)] == [("unshare", "--net")]
    assert [entry.argv[-1] for entry in collect("net/tcp", place)] == ["./a_test"]
