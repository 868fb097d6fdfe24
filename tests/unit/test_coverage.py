# SPDX-License-Identifier: GPL-2.0-only
"""Which tests executed which lines: the stored value, and how counts become lines."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from harness import gcov
from harness.build import counters, line_kinds
from harness.errors import UsageError
from harness.lab import coverage
from harness.model import (
    ChangedFile,
    ChangedLine,
    Checkout,
    Coverage,
    FileCoverage,
    FunctionCount,
    Key,
    LineCount,
    LineState,
    Option,
    Plan,
    Request,
    SeriesLines,
)
from harness.results import store
from harness.results.counters import NAME, CounterLog, readings

COVERAGE = Coverage(
    commit="c0ffee",
    tests=("t.py::a", "t.py::b", "t.py::c"),
    files=(
        FileCoverage(
            "fs/a.c",
            lines=(
                LineCount(3, 4, tests=((0, 1), (2, 9))),
                LineCount(5, 5, branches=(0, 3), place="an error path of f()"),
                LineCount(6, 6, boot=2),
            ),
            functions=(FunctionCount("f", 1, 10, ((0, 4), (1, 2))), FunctionCount("g", 12, 20)),
        ),
    ),
)


def test_the_tests_of_lines_begin_with_those_that_executed_them_most() -> None:
    assert COVERAGE.tests_of("fs/a.c", 4, 6) == ("t.py::c", "t.py::a")
    assert COVERAGE.tests_of("fs/a.c", 5, 6) == ()
    # Lines without counters: whoever called the function.
    assert COVERAGE.tests_of("fs/a.c", 8, 9) == ("t.py::a", "t.py::b")
    assert COVERAGE.tests_of("fs/a.c", 11, 11) == ()
    assert COVERAGE.tests_of("fs/other.c", 1, 99) == ()


def test_coverage_is_stored_in_the_folder_of_a_trial(tmp_path: Path) -> None:
    assert store.load_coverage(tmp_path) is None
    store.save_coverage(tmp_path, COVERAGE)
    assert store.load_coverage(tmp_path) == COVERAGE
    (tmp_path / store.COVERAGE).write_text('{"schema": 1, "tests": 3}')
    with pytest.raises(UsageError, match="damaged"):
        store.load_coverage(tmp_path)


def test_lines_know_how_many_tests_executed_them() -> None:
    states = [LineState.COMPILED] * 4 + [LineState.NO_CODE]
    lines = tuple(ChangedLine(3 + at, state) for at, state in enumerate(states))
    series = SeriesLines((ChangedFile("fs/a.c", lines), ChangedFile("b.c", (lines[0],))))
    found = coverage.with_counts(series, COVERAGE, Checkout(Path(), "commit", "tree"))
    known = [(line.tests, line.boot, line.untaken) for line in found.files[0].lines]
    assert known == [
        *[(2, False, 0), (2, False, 0), (0, False, 1), (0, True, 0), (None, False, 0)],
    ]
    assert [line.executed for line in found.files[0].lines] == [True, True, False, True, None]
    assert (found.counted, found.executed, series.counted) == (4, 3, 0)
    assert [(part.where, part.why) for part in found.unexecuted()] == [
        ("fs/a.c:5", "an error path of f()")
    ]
    assert [line.why for line in found.files[1].lines] == [
        "its counters never appeared; it may be a module that was not loaded"
    ]


SOURCE = """\
static const struct item first = {
	.count = 1,
};

static int g(struct item *item,
		int more)
{
	int set = item->count +
			more;

	if (set &&
		more) {
		call(set,
			more);
	} else {
		set = 0;
	}
	for (int i = 0; i < 3;
		i++)
		set++;
out:
	return set;
}
"""


def test_a_statement_is_executed_as_a_whole() -> None:
    numbers = range(1, SOURCE.count("\n") + 1)
    found = line_kinds.statements(SOURCE, numbers)
    assert 2 not in found, "an initialiser is not executed"
    assert found[5] == found[6] == (5, 7)
    assert found[8] == found[9] == (8, 9)
    assert found[11] == (11, 12)
    assert found[13] == found[14] == (13, 14)
    assert found[15] == (15, 17)
    assert found[16] == (16, 16)
    assert (found[18], found[19]) == ((18, 18), (18, 20))
    assert found[22] == (22, 22)


ERRORS = """\
static int f(void)
{
	if (a)
		return -EINVAL;
	if (b) {
		undo();
		goto out;
	}
	if (c) {
		work();
	} else {
		return ERR_PTR(-EIO);
	}
	return done();
out:
	release();
	return ret;
}
"""


def test_error_paths_are_recognized() -> None:
    numbers = range(1, ERRORS.count("\n") + 1)
    found = line_kinds.error_paths(ERRORS, numbers)
    assert sorted(found) == [4, 5, 6, 7, 8, 11, 12, 13, *range(15, 19)]


def test_counters_are_part_of_a_kernels_key() -> None:
    plain, one = Key("t", "c", "gcc"), Key("t", "c", "gcc", counted=("fs/a.o",))
    two = Key("t", "c", "gcc", counted=("fs/a.o", "fs/b.o"))
    assert len({plain.digest, one.digest, two.digest}) == 3
    # Kernels that were built before there were counters keep their names.
    assert plain.digest == Key("t", "c", "gcc", counted=()).digest


def test_nothing_is_asked_of_make_without_counters() -> None:
    assert counters.make_words(()) == []


def test_coverage_asks_for_what_it_needs() -> None:
    plan = Plan(coverage=True)
    own = Request((Option("GCOV_KERNEL", "y", "base.config:3"),))
    assert coverage.with_counters(plan, own) == own
    added = coverage.with_counters(plan, Request(()))
    assert [(option.name, option.value) for option in added.options] == [("GCOV_KERNEL", "y")]
    with pytest.raises(UsageError, match=r"CONFIG_GCOV_KERNEL=y, but n was requested \(mine:1\)"):
        coverage.with_counters(plan, Request((Option("GCOV_KERNEL", "n", "mine:1"),)))


@pytest.mark.parametrize(
    ("plan", "words"),
    [(Plan(llvm=True), "clang"), (Plan(no_series=True), "there is no series")],
)
def test_what_coverage_cannot_do_is_said_at_once(plan: Plan, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        coverage.with_counters(plan, Request(()))


class TestWhatGuestsRead:
    def test_it_is_read_as_it_was_sent(self, tmp_path: Path) -> None:
        log = CounterLog(tmp_path, ["x/a.gcda", "x/b.gcda"])
        log.add("guest0", "", {"x/a.gcda": zlib.compress(b"abc")})
        log.add("guest0", "t.py::a", {})
        found = [(each.guest, each.test, dict(each.files)) for each in readings(tmp_path)]
        assert found == [("guest0", "", {"x/a.gcda": b"abc"}), ("guest0", "t.py::a", {})]

    @pytest.mark.parametrize(
        "sent", [None, 3, "x", ["x/a.gcda"], {"/etc/passwd": b"x"}, {"x/a.gcda": "text"}, {3: 4}]
    )
    def test_a_guest_may_send_anything(self, tmp_path: Path, sent: object) -> None:
        log = CounterLog(tmp_path, ["x/a.gcda"])
        log.add("guest0", "t.py::a", sent)
        assert [dict(each.files) for each in readings(tmp_path)] in ([], [{}])

    def test_damaged_lines_and_bombs_are_left_out(self, tmp_path: Path) -> None:
        log = CounterLog(tmp_path, ["x/a.gcda"])
        log.add("guest0", "t.py::a", {"x/a.gcda": b"not compressed"})
        log.add("guest0", "t.py::b", {"x/a.gcda": zlib.compress(bytes(1 << 27))})
        with (tmp_path / NAME).open("a") as file:
            file.write('{"guest": "guest0"}\n[]\nnonsense\n\xff\n{"guest": "guest0", "te')
        assert [len(each.files["x/a.gcda"]) for each in readings(tmp_path)] == [1 << 24]

    def test_without_counters_nothing_is_written(self, tmp_path: Path) -> None:
        CounterLog(tmp_path, []).add("guest0", "t.py::a", {"x": zlib.compress(b"")})
        assert not (tmp_path / NAME).exists()


LEAVING = """\
int f(int *a)
{
	if (!a)
		return -22;
	if (IS_ERR(a) || *a < 0) {
		return -12;
	}
	if (wait_for(a))
		return -4;
	if (*a > 3)
		goto out;
	/* more */
	*a = 4;
	if (*a)
		return 1;
out:
	return 0;
}
"""


def test_what_only_leaves_is_counted_by_what_stays() -> None:
    found = line_kinds.leaving(LEAVING, range(1, LEAVING.count("\n") + 1))
    assert found == {4: (3, 5), 6: (5, 8), 11: (10, 13)}


def test_a_return_without_a_counter_was_executed_as_often_as_the_next_statement_was_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tip = Checkout(Path(), "commit", "tree")
    tally = coverage._Tally(tip, {"a.c": (4, 9, 11)})
    monkeypatch.setattr(tally, "_text", lambda _: LEAVING)

    def add(test: str, **lines: int) -> None:
        counted = {int(name[1:]): count for name, count in lines.items()}
        counts = gcov.Counts({"/top/a.c": counted}, {"/top/a.c": {("f", 1, 18): 1}}, {})
        gained = tally.gained("guest0", "a.o", counts)
        assert gained is not None
        tally.add(test, "a.o", gained)

    add("", _3=1, _5=1, _8=1, _10=1, _13=1)
    add("t.py::a", _3=4, _5=2, _8=2, _10=2, _13=2)
    add("t.py::b", _3=5, _5=3, _8=3, _10=3, _13=2)
    found = tally.coverage()
    assert found.tests_of("a.c", 4, 4) == ("t.py::a",)
    assert found.tests_of("a.c", 11, 11) == ("t.py::b",)
    # A task may be asleep in this condition.
    assert [count.first for count in found.files[0].lines] == [4, 11]
