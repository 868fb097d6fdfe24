# SPDX-License-Identifier: GPL-2.0-only
"""KUnit: results, what was left when a guest died, and which option builds a suite."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import sourcetree

from harness.adaptors import (
    InterruptedItem,
    ItemResult,
    Sources,
    adaptor,
    kunit_sources,
    kunit_symbols,
    nodes,
)
from harness.adaptors.ktap import KtapTest
from harness.adaptors.kunit import interrupted, judge
from harness.errors import UsageError
from harness.lab.kernels import Lab
from harness.model import Accel, Outcome, Plan, Request, Source
from harness.progress import Progress

RESULTS = """\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: things
    1..3
    ok 1 simple
        KTAP version 1
        # Subtest: many
        ok 1 one
        not ok 2 two
    # many: pass:1 fail:1 skip:0 total:2
    not ok 2 many
    ok 3 last # SKIP no clock
# things: pass:1 fail:1 skip:1 total:3
not ok 1 things
"""


def test_cases_and_parameters_are_subtests() -> None:
    result = judge(RESULTS)
    assert result.outcome is Outcome.FAIL
    assert result.explained
    assert {test.name: str(test.outcome) for test in result.subtests} == {
        "simple": "pass",
        "many::one": "pass",
        "many::two": "fail",
        "last": "skip",
    }


def test_a_suite_whose_setup_fails_is_bad_itself() -> None:
    text = RESULTS.replace("not ok 2", "ok 2")
    assert judge(text).outcome is Outcome.FAIL
    assert not judge(text).explained
    assert judge(text.replace("not ok 1 things", "ok 1 things")).outcome is Outcome.PASS
    assert judge("").outcome is Outcome.FAIL


CUT = """\
[   12.000000] harness: start kunit:things::things
[   12.100000]     KTAP version 1
[   12.100000]     # Subtest: things
[   12.100000]     # module: things
[   12.100000]     1..4
[   12.200000]     ok 1 simple
"""
CASES = ["simple", "many", "third", "last"]


def test_the_case_after_the_last_result_is_to_blame() -> None:
    text = CUT + "[   12.300000] BUG: kernel NULL pointer dereference, address: 0000000000000000\n"
    simple = KtapTest("simple", Outcome.PASS)
    assert interrupted(text, CASES) == InterruptedItem((simple,), "many", ("third", "last"))


def test_a_case_with_parameters_that_began_is_to_blame() -> None:
    begun = """\
[   12.300000]         KTAP version 1
[   12.300000]         # Subtest: many
[   12.300000]         ok 1 one
[   12.400000] Kernel panic - not syncing: on purpose
"""
    found = interrupted(CUT + begun, CASES)
    assert found is not None
    assert (found.current, found.left) == ("many", ("third", "last"))


def test_without_the_cases_the_suite_is_to_blame() -> None:
    assert interrupted(CUT, []) is None
    assert interrupted(CUT, ["simple"]) is None


def test_only_the_selected_case_is_left_in_its_guest() -> None:
    kunit = adaptor("kunit")
    assert kunit.boot_arguments("things", "many::two") == ("kunit.filter_glob=things.many",)
    assert kunit.boot_arguments("things", "") == ()


SUITE = """\
static struct kunit_case cases[] = {{ KUNIT_CASE(simple), {{}} }};
static struct kunit_suite things_suite = {{
	.name = "{name}",
	.test_cases = cases,
}};
kunit_test_suite(things_suite);
"""
TREE = {
    "fs/a/a-test.c": SUITE.format(name="a_direct"),
    "fs/a/Makefile": "obj-$(CONFIG_A_FS) += a.o\nobj-$(CONFIG_A_KUNIT_TEST) += \\\n\ta-test.o\n",
    "fs/b/one-test.c": SUITE.format(name="b_part"),
    "fs/b/Makefile": "b-tests-objs += one-test.o\nobj-$(CONFIG_B_KUNIT_TEST)\t+= b-tests.o\n",
    "lib/tests/c_kunit.c": SUITE.format(name="c_in_folder"),
    "lib/tests/Makefile": "obj-y += c_kunit.o\n",
    "lib/Makefile": "obj-$(CONFIG_C_KUNIT_TEST) += tests/\n",
    "lib/d_test.c": SUITE.format(name="d_included"),
}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return sourcetree.commit(tmp_path, TREE)


def test_a_case_is_selected_with_its_parameters() -> None:
    names = ("one::a=1", "one::a=2", "ones", "two")
    result = ItemResult(Outcome.PASS, "", "", tuple(KtapTest(n, Outcome.PASS) for n in names))
    assert [t.name for t in nodes._only(result, {"one"}).subtests] == ["one::a=1", "one::a=2"]
    assert [t.name for t in nodes._only(result, {"one::a=2"}).subtests] == ["one::a=2"]
    assert nodes._only(result, {"on"}).outcome is Outcome.SKIP


def test_the_option_of_a_suite_is_in_the_makefiles(sources: Sources) -> None:
    assert {suite.name: suite.option for suite in kunit_sources.suites(sources)} == {
        "a_direct": "A_KUNIT_TEST",
        "b_part": "B_KUNIT_TEST",
        "c_in_folder": "C_KUNIT_TEST",
        "d_included": "",
    }
    assert [suite.name for suite in kunit_sources.suites(sources, ("fs/b",))] == ["b_part"]


def test_a_glob_chooses_options(sources: Sources) -> None:
    always = dict.fromkeys(("KUNIT", "KUNIT_DEBUGFS", "KUNIT_DEFAULT_ENABLED"), "y")
    always["KUNIT_AUTORUN_ENABLED"] = "n"
    chosen = {o.name: o.value for o in kunit_sources.options(["a_*", "c_*"], sources)}
    assert chosen == always | {"A_KUNIT_TEST": "y", "C_KUNIT_TEST": "y"}
    every = {o.name: o.value for o in kunit_sources.options(["*"], sources)}
    assert every == always | {"KUNIT_ALL_TESTS": "y"}


def test_a_test_that_is_no_suite_of_the_plan_gets_its_options(sources: Sources) -> None:
    lab = Lab(
        Plan(suites=("tests",)), Request(()), sources.toolchain, Accel.TCG, Progress(quiet=True)
    )
    source = Source(sources.repo, sources.commit, "demo", "")
    found = lab.with_suites(source, test="kunit:a_direct::a_direct::case")
    assert {o.name for o in found.request.options} >= {"KUNIT", "A_KUNIT_TEST"}
    assert found.plan == lab.plan
    assert lab.with_suites(source).request == lab.request


@pytest.mark.parametrize(
    ("what", "message"), [("a_derict", "no KUnit suite"), ("d_*", "cannot tell which option")]
)
def test_what_cannot_be_found_is_refused(sources: Sources, what: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kunit_sources.options([what], sources)


KERNEL = """\
typedef void (*function)(void);
struct attributes { int speed; };
struct kunit_case { function run_case; const char *name; function params; struct attributes attr;
                    function init, exit; int status; char *module_name; void *log; };
struct kunit_suite { char name[256]; function suite_init, suite_exit, init, exit;
                     struct kunit_case *test_cases; struct attributes attr; };
static void run(void) {}
static struct kunit_case cases[] = {
    { run, "first" }, { run, "second", run, { 1 }, run, run }, { run, "third" }, { 0 } };
static struct kunit_suite one = { "one", 0, run, 0, 0, cases };
static struct kunit_case others[] = { { run, "only" }, { 0 } };
static struct kunit_suite two = { "two-of-them", 0, 0, 0, 0, others };
struct kunit_suite *suites[] = { &one, &two };
asm(".globl __kunit_suites_start, __kunit_suites_end\\n"
    ".set __kunit_suites_start, suites\\n.set __kunit_suites_end, suites + 16\\n");
int main(void) { return 0; }
"""


def test_the_cases_are_in_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "kernel.c").write_text(KERNEL)
    vmlinux = tmp_path / "vmlinux"
    words = ["gcc", "-w", "-no-pie", "-o", str(vmlinux), str(tmp_path / "kernel.c")]
    subprocess.run(words, check=True)
    assert kunit_symbols.suites(vmlinux) == {
        "one": ["first", "second", "third"],
        "two-of-them": ["only"],
    }


def test_a_file_that_is_no_kernel_has_no_suites(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_text("no kernel")
    assert kunit_symbols.suites(tmp_path / "vmlinux") == {}
    assert kunit_symbols.suites(tmp_path / "absent") == {}
