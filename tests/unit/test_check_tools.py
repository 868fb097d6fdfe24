# SPDX-License-Identifier: GPL-2.0-only
"""Reading the output of pahole, sparse, smatch, spatch and make headers."""

from __future__ import annotations

from harness.check import checkers, findings, headers, layout
from harness.model import Severity

BEFORE = """\
struct list_head {
	struct list_head *         next;                 /*     0     8 */
	struct list_head *         prev;                 /*     8     8 */

	/* size: 16, cachelines: 1, members: 2 */
	/* last cacheline: 16 bytes */
};
struct demo {
	int                        a;                    /*     0     4 */

	/* --- cacheline 1 boundary (64 bytes) --- */

	void                       (*run)(struct demo *, int); /*     8     8 */
	unsigned int               flag:1;               /*    16: 0  4 */
	char                       name[8];              /*    24     8 */

	/* size: 32, cachelines: 1, members: 4 */
} __attribute__((__aligned__(8)));
struct old {
	int                        x;                    /*     0     4 */

	/* size: 4, cachelines: 1, members: 1 */
};
"""
AFTER = """\
struct list_head {
	struct list_head *         next;                 /*     0     8 */
	struct list_head *         prev;                 /*     8     8 */

	/* size: 16, cachelines: 1, members: 2 */
	/* last cacheline: 16 bytes */
};
struct demo {
	struct list_head           list;                 /*     0    16 */
	int                        a;                    /*    16     4 */
	unsigned int               flag:1;               /*    20: 0  4 */
	char                       name[8];              /*    24     8 */
	spinlock_t                 lock __attribute__((__aligned__(4))); /*    32     4 */

	/* size: 40, cachelines: 1, members: 5 */
} __attribute__((__aligned__(8)));
struct new {
	int                        x;                    /*     0     4 */

	/* size: 4, cachelines: 1, members: 1 */
};
"""


def test_structures_with_another_layout() -> None:
    before, after = layout.parse(BEFORE), layout.parse(AFTER)
    assert [one.text for one in layout.compare_layouts(before, after)] == [
        "struct demo: 32 to 40 bytes: added list, lock; removed run; moved a, flag",
        "struct new: new, 4 bytes",
        "struct old: removed",
    ]
    diff = findings.diff_of_texts(before, after, ("before/", "after/"), context=99)
    assert "+++ after/struct demo" in diff
    assert "list_head {" not in diff
    assert layout.compare_layouts(before, before) == ()


def test_only_some_of_many_structures_are_named() -> None:
    text = "".join(f"struct s{n} {{\n\t/* size: {n}, cachelines: 1 */\n}};\n" for n in range(40))
    found = layout.compare_layouts({}, layout.parse(text))
    assert len(found) == layout.STRUCTURES + 1
    assert found[-1].text == f"{40 - layout.STRUCTURES} more structures differ"


def test_lines_of_sparse_and_smatch() -> None:
    lines = [
        "  CHECK   fs/x.c",
        "/src/fs/x.c:12:5: warning: symbol 'x' was not declared. Should it be static?",
        "/src/fs/x.c:12:5: warning: symbol 'x' was not declared. Should it be static?",
        "/src/fs/x.c:14:9: error: too many errors",
        "/src/fs/x.c:13:9:    expected int",
    ]
    assert [
        (one.file, one.line, one.text) for one in checkers.read_complaints(lines, "/src", "sparse")
    ] == [
        ("fs/x.c", 12, "symbol 'x' was not declared. Should it be static?"),
        ("fs/x.c", 14, "too many errors"),
    ]
    said = ["fs/x.c:20 run() warn: inconsistent returns", "fs/x.c:9 f() error: uninitialized"]
    assert [(one.line, one.text) for one in checkers.read_complaints(said, "/src", "smatch")] == [
        (20, "run(): inconsistent returns"),
        (9, "f(): uninitialized"),
    ]


def test_lines_of_semantic_patches() -> None:
    lines = [
        "fs/x.c:199:13-32: WARNING: atomic_dec_and_test variation before object free.",
        "fs/y.c:12:8-12: ERROR: reference preceded by free on line 10",
        "warning: line 337: should nonseekable_open be a metavariable?",
    ]
    found = checkers.read_reports(lines, "demo")
    assert [(one.file, one.line, one.text) for one in found] == [
        ("fs/x.c", 199, "atomic_dec_and_test variation before object free. (demo)"),
        ("fs/y.c", 12, "reference preceded by free on line 10 (demo)"),
    ]


def test_options_of_a_semantic_patch() -> None:
    assert checkers.rule_options(
        "// Options: --no-includes --include-headers\nvirtual report\n"
    ) == [
        "--no-includes",
        "--include-headers",
    ]
    assert checkers.rule_options("/// x\n// Options:\n\nvirtual context\n//# Options: none\n") == []
    assert checkers.rule_options("// Options:\n//\nvirtual patch\n") == []


def test_lines_that_user_space_gains_and_loses() -> None:
    before = {"linux/a.h": "#define A 1\n#define B 2\n\n", "linux/b.h": "int b;\n"}
    after = {"linux/a.h": "#define A 1\n\n\n#define  C 3\n", "linux/b.h": "int b;\n"}
    found = headers.compare(before, after)
    assert [(one.level, one.where, one.text) for one in found] == [
        (Severity.WARNING, "usr/include/linux/a.h", "removed: #define B 2"),
        (Severity.NOTE, "usr/include/linux/a.h:4", "new: #define C 3"),
    ]
    assert headers.touched(["include/uapi/linux/mount.h"])
    assert headers.touched(["arch/x86/entry/syscalls/syscall_64.tbl"])
    assert not headers.touched(["include/linux/mount.h", "fs/configfs/dir.c"])
