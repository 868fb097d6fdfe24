# SPDX-License-Identifier: GPL-2.0-only
"""Which lines have code, and how far the evidence about a series goes."""

from __future__ import annotations

import pytest

from harness import kbuild
from harness.build import line_kinds
from harness.model import ChangedFile, ChangedLine, LineState, SeriesLines
from harness.publish import sentences
from harness.publish.html import diffs
from harness.serial import from_json, to_json

SOURCE = """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#define TWO(x) \\
	((x) + 2)

struct item {
	int count;	/* how many */
	const char *name;
};
int f(int a,
      int b);
static const struct item first = {
	.count = TWO(1),
};
/*
 * More.
 */
static int g(struct item *item)
{
	int unset;
	int set = item->count;

	unset = set;	/* a comment */
	return unset;
}
EXPORT_SYMBOL(g);
"""
KINDS = {
    1: "a comment",
    2: "a directive",
    3: "a macro, compiled where it is used",
    4: "a macro, compiled where it is used",
    5: "blank",
    6: "a declaration",
    7: "a declaration",
    8: "a declaration",
    9: "only braces",
    10: "a declaration",
    11: "a declaration",
    14: "only braces",
    15: "a comment",
    16: "a comment",
    17: "a comment",
    19: "only braces",
    20: "a declaration",
    22: "blank",
    25: "only braces",
}


def test_which_lines_have_code() -> None:
    lines = range(1, SOURCE.count("\n") + 1)
    assert line_kinds.without_code(SOURCE, lines, is_c=True) == KINDS


@pytest.mark.parametrize("text", ["", "{{{{ #if (", "\0\0", "int ü = 1;\n" * 3, "}" * 5000])
def test_broken_sources_are_no_fault(text: str) -> None:
    line_kinds.without_code(text, {1, 2, 3}, is_c=True)
    line_kinds.without_code(text, {1, 2, 3}, is_c=False)


def test_assembly() -> None:
    text = "/* a comment */\n# one more\n\tmovl $1, %eax\n\n"
    found = line_kinds.without_code(text, {1, 2, 3, 4}, is_c=False)
    assert found == {1: "a comment", 2: "a comment", 4: "blank"}


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("fs/ext4/inode.c", ""),
        ("Kconfig", ""),
        ("arch/x86/mm/fault.c", ""),
        ("arch/Kconfig", ""),
        ("Documentation/x.rst", "a document"),
        ("tools/perf/perf.c", "tools is not part of the kernel image"),
        ("samples/configfs/x.c", ""),
        ("MAINTAINERS", "MAINTAINERS is not part of the kernel image"),
        ("arch/arm64/mm/fault.c", "for another architecture (arm64)"),
        ("drivers/x/y.dts", "a device tree"),
    ],
)
def test_what_no_kernel_image_contains(file: str, why: str) -> None:
    assert kbuild.outside_image(file, "x86") == why


def of(*states: LineState, in_kernel: bool = True) -> SeriesLines:
    why = {LineState.COMPILED: "", LineState.NOT_COMPILED: "not built"}
    lines = (ChangedLine(n, state, why.get(state, "blank")) for n, state in enumerate(states, 1))
    return SeriesLines((ChangedFile("fs/x.c", tuple(lines), in_kernel),))


YES, NO, NOTHING = LineState.COMPILED, LineState.NOT_COMPILED, LineState.NO_CODE


def test_how_far_the_evidence_goes() -> None:
    assert not of(YES, NOTHING).partly
    assert of(YES, NO).partly
    assert not of(YES, NO).untested
    assert of(NO, NOTHING).untested
    assert not of(NOTHING).untested, "such as a line removed, or another default"
    assert of(NOTHING, in_kernel=False).untested
    assert (of(YES, NO, NOTHING).compiled, of(YES, NO, NOTHING).code) == (1, 2)


def test_lines_are_joined_where_they_follow_each_other() -> None:
    lines = of(YES, NO, NO, NOTHING, NO)
    assert [part.where for part in lines.ranges(NO)] == ["fs/x.c:2-3", "fs/x.c:5"]
    assert list(sentences.not_compiled(lines, 1)) == [
        "not compiled: fs/x.c:2-3: not built",
        "not compiled: 1 more part",
    ]


def test_the_verdict_says_how_much_of_the_series_it_is_about() -> None:
    assert sentences.extent(of(YES, YES)) == ""
    assert sentences.extent(of(YES, NO)) == " as far as tested: 1 of 2 lines compiled,"
    assert sentences.extent(None) == ""


def test_lines_are_stored() -> None:
    lines = of(YES, NO, NOTHING)
    assert from_json(SeriesLines, to_json(lines)) == lines


def test_the_report_shows_what_was_not_compiled_at_the_last_patch_of_the_file() -> None:
    touching = {1: ("fs/x.c",), 2: ("fs/x.c", "fs/y.c"), 3: ("fs/y.c",)}
    remarks = diffs.remarks_of_lines(of(YES, NO, NO), touching)
    assert remarks == {2: [diffs.Remark("note", "2 lines not compiled: not built", "fs/x.c", 2)]}
    assert diffs.remarks_of_lines(of(NO), {1: ("fs/other.c",)}) == {}
    assert diffs.remarks_of_lines(None, touching) == {}
