# SPDX-License-Identifier: GPL-2.0-only
"""Which mutants are made of a source, and in which order they are tried."""

from __future__ import annotations

import collections
import re
import subprocess
from pathlib import Path

import pytest

from harness.model import Mutant
from harness.mutate.kinds import KINDS
from harness.mutate.mutants import applied, fair_order, in_file
from harness.mutate.switched import switched

SOURCE = """\
static struct thing *thing_initial;

static const struct ops thing_ops = {
	.open = thing_open,
	.owner	= THIS_MODULE,
};

static int thing_move(struct net *net, struct thing *from, struct thing *to, int much)
{
	struct thing *own = thing_get(from);
	int err = -ENOMEM;

	mutex_lock(&own->lock);
	if (!much)
		goto out_unlock;
	if (much < 3 && from)
		goto out_put;
	INIT_LIST_HEAD(&to->list);
	list_for_each_entry(own, &from->list, list)
		kfree(own);
	thing_copy(from, to, much);
	thing_tell(net, own);
	own->users++;
	err = 0;
out_unlock:
	mutex_unlock(&own->lock);
out_put:
	thing_put(own);
	return err ? -EINVAL :
		0;
}
"""
LINES = SOURCE.count("\n")


def made(kind: str, source: str = SOURCE) -> list[str]:
    """Give the changed lines that mutants of a kind make, as "before → after"."""
    lines = range(1, source.count("\n") + 1)
    return [m.change for m in in_file("a.c", source, lines, lines, {}) if m.kind == kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("condition", ["if (!much) → if (much)"]),
        ("condition", ["if (much < 3 && from) → if (!(much < 3 && from))"]),
        ("condition", ["return err ? -EINVAL : → return !err ? -EINVAL :"]),
        ("error-path", ["goto out_unlock; → goto out_put;", "goto out_put; → goto out_unlock;"]),
        ("no-error-path", ["goto out_unlock; → do { } while (0);"]),
        ("error-code", ["return err ? -EINVAL : → return err ? 0 :"]),
        ("release", ["kfree(own); → do { } while (0);", "thing_put(own); → do { } while (0);"]),
        ("release", ["mutex_unlock(&own->lock); → do { } while (0);"]),
        ("acquire", ["mutex_lock(&own->lock); → do { } while (0);"]),
        ("acquire", ["struct thing *own = thing_get(from); → struct thing *own = from;"]),
        ("acquire", ["own->users++; → do { } while (0);"]),
        ("constant", ["err = 0; → err = 1;", "0; → 1;"]),
        ("bound", ["if (much < 3 && from) → if (much <= 3 && from)"]),
        ("arguments", ["thing_copy(from, to, much); → thing_copy(to, from, much);"]),
        ("namespace", ["thing_tell(net, own); → thing_tell(&init_net, own);"]),
        ("namespace", ["thing_tell(net, own); → thing_tell(net, thing_initial);"]),
        ("initialiser", [".open = thing_open, → (nothing)"]),
        ("initialiser", ["INIT_LIST_HEAD(&to->list); → do { } while (0);"]),
    ],
)
def test_each_kind_breaks_what_it_says(kind: str, expected: list[str]) -> None:
    changes = [" ".join(change.split()) for change in made(kind)]
    assert set(expected) <= set(changes), changes


def test_every_kind_has_a_mutant_here() -> None:
    everything = {kind.name for kind in KINDS}
    assert {kind for kind in everything if made(kind)} == everything


@pytest.mark.parametrize(
    "line",
    [
        "while (1) {",
        "list_for_each_entry_safe(a, b, &list, member)",
        "mutex_trylock(&lock);",
        "lockdep_assert_held(&lock);",
        "do { } while (0);",
        "return -1;",
    ],
)
def test_what_would_mean_nothing_is_not_made(line: str) -> None:
    source = f"int f(int a, int b)\n{{\n\t{line}\n\t\tg();\n}}\n"
    kinds = {m.kind for m in in_file("a.c", source, {3}, {3}, {})}
    assert kinds <= {"constant"}, kinds


def test_arguments_of_different_or_unknown_types_stay() -> None:
    source = "void f(int a, char *b, struct x *c)\n{\n\tg(a, b);\n\tg(c, b);\n\tg(a, d);\n}\n"
    assert made("arguments", source) == []


def test_only_lines_that_the_series_adds_are_changed() -> None:
    found = list(in_file("a.c", SOURCE, {14, 15}, {14, 15}, {14: 2}))
    assert {mutant.line for mutant in found} == {14, 15}
    assert {mutant.patch for mutant in found if mutant.line == 14} == {2}


def test_a_statement_that_reaches_into_an_old_line_stays() -> None:
    source = "int f(int a)\n{\n\tg(1,\n\t  2);\n\tfoo_put(a,\n\t\tb);\n}\n"
    assert not [m for m in in_file("a.c", source, {5}, {5}, {}) if m.kind == "release"]
    assert [m for m in in_file("a.c", source, {5}, {5, 6}, {}) if m.kind == "release"]


def test_line_numbers_below_a_mutant_stay() -> None:
    """WARN_ON() compiles its line number into the code, which must not look different."""
    lines = range(1, LINES + 1)
    for mutant in in_file("a.c", SOURCE, lines, lines, {}):
        changed = applied(mutant, SOURCE.encode()).decode()
        assert changed != SOURCE
        assert changed.count("\n") == SOURCE.count("\n")


def test_a_diff_has_the_lines_of_the_file() -> None:
    (mutant,) = (m for m in in_file("fs/a.c", SOURCE, {14}, {14}, {}) if m.kind == "condition")
    assert mutant.diff.splitlines()[:3] == ["--- a/fs/a.c", "+++ b/fs/a.c", "@@ -11,7 +11,7 @@"]
    assert "-\tif (!much)" in mutant.diff
    assert "+\tif (much)" in mutant.diff
    assert mutant.function == "thing_move"


def test_other_bytes_than_ascii_do_not_move_a_mutant() -> None:
    source = "/* \u00fc\u00fc\u00fc */\nint f(int a)\n{\n\tif (a)\n\t\tg();\n}\n"
    (mutant,) = (m for m in in_file("a.c", source, {4}, {4}, {}) if m.kind == "condition")
    assert b"if (!a)" in applied(mutant, source.encode())


def _mutants() -> list[Mutant]:
    sizes = {(1, "condition"): 30, (1, "release"): 2, (2, "condition"): 3, (3, "bound"): 1}
    return [
        Mutant("a.c", n, n, kind, patch, "f", "", "", "", n, n, f"{patch}{kind}{n}")
        for (patch, kind), many in sizes.items()
        for n in range(many)
    ]


def test_each_beginning_is_a_fair_sample() -> None:
    order = fair_order(_mutants(), seed=1)
    assert len(order) == len(set(order)) == len(_mutants())
    assert {mutant.patch for mutant in order[:3]} == {1, 2, 3}
    first = [mutant for mutant in order if mutant.patch == 1][:4]
    assert collections.Counter(m.kind for m in first) == {"condition": 2, "release": 2}


def test_the_seed_decides_the_order() -> None:
    orders = [[m.name for m in fair_order(_mutants(), seed)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("source", ["", "\n", "garbage {{{ ;", "int f(", "#if 0\n#endif\n"])
def test_odd_sources_have_no_mutants_and_no_traceback(source: str) -> None:
    lines = range(1, source.count("\n") + 2)
    assert list(in_file("a.c", source, lines, lines, {})) == []


def compiles(content: bytes, tmp_path: Path) -> str:
    """Return what gcc says of a file, with the macros that these sources use."""
    source = tmp_path / "a.c"
    moduleparam = tmp_path / "linux" / "moduleparam.h"
    moduleparam.parent.mkdir(exist_ok=True)
    moduleparam.write_text("#define core_param(name, var, type, mode) type *name##_p = &var\n")
    source.write_bytes(content)
    argv = ["gcc", "-std=gnu11", "-fsyntax-only", f"-I{tmp_path}", str(source)]
    return subprocess.run(argv, text=True, capture_output=True, check=False).stderr


PROGRAM = """\
#define unlikely(x) __builtin_expect(!!(x), 0)
#define guard(x) int x##_guard
enum { ENOMEM = 12, EINVAL = 22 };
extern int next(int *), count;
extern void put_it(int *), unlock(int *), lock_it(int *);
static const int table[2] = { [1] = 3 };

static int move(int *from, int *to, int much)
{
	int *own = much > 2 ? from : to;
	int err = -ENOMEM;
	static int calls = 3;

	guard(lock);
	lock_it(own);
	if (!much ||
		much < calls)
		goto out;
	else if (from)
		put_it(from);
	else
		unlock(to);
	for (count = 0; count < much; count++)
		put_it(to);
	while ((err = next(own)) > 7)
		count++;
	put_it(
		to);
#ifdef HARNESS_NEVER
	put_it(from);
#endif
	return err ? -EINVAL :
		0;
out:
	unlock(own);
	return err + lock_guard * 0;
}

int main(void) { return move(&count, &count, table[1]); }
"""


def test_one_file_holds_all_mutants_that_a_parameter_can_choose(tmp_path: Path) -> None:
    lines = range(1, PROGRAM.count("\n") + 1)
    found = list(in_file("a.c", PROGRAM, lines, lines, {}))
    together = switched("a.c", PROGRAM.encode(), found, 3)
    assert compiles(together.content, tmp_path) == ""
    text = together.content.decode()
    assert len(set(together.numbers.values())) == len(together.numbers)
    left_out = {m.before.strip() for m in found if m.name not in together.numbers}
    assert left_out == {
        "enum { ENOMEM = 12, EINVAL = 22 };",
        "static const int table[2] = { [1] = 3 };",
        "static int calls = 3;",
        "guard(lock);",
    }
    assert all(f"harness_mutant_3 == {number})" in text for number in together.numbers.values())
    # Every line of the original is where it was.
    for old, new in zip(PROGRAM.split("\n"), text.split("\n")[2:], strict=False):
        assert set(re.findall(r"\w+", old)) <= set(re.findall(r"\w+", new))


def test_chosen_mutants_do_what_they_would_do_alone(tmp_path: Path) -> None:
    program = """\
#include <stdio.h>
#include <stdlib.h>
#define unlikely(x) __builtin_expect(!!(x), 0)
static void put_it(int *x) { *x -= 1; }
static int step(int x, int much)
{
	int err = -22, left = x + 5;

	if (x < 3 && much)
		goto out;
	put_it(&left);
	if (left > 7)
		left += much > 1 ? 2 : 9;
	if (!(left & 1))
		return -12;
	err = left ? left : 1;
out:
	return err;
}
"""
    main = "int main(int c, char **v) { for (int i = 0; i < 6; i++) "
    main += 'printf("%d ", step(i, i % 3)); return 0; }\n'
    choose = (
        "int main(int c, char **v) { harness_mutant_1 = atoi(v[1]); for (int i = 0; i < 6; i++) "
    )
    choose += 'printf("%d ", step(i, i % 3)); return 0; }\n'
    lines = range(4, program.count("\n") + 1)
    found = list(in_file("a.c", program, lines, lines, {}))
    together = switched("a.c", program.encode(), found, 1)

    def output(name: str, content: bytes, *words: str) -> str:
        source, binary = tmp_path / f"{name}.c", tmp_path / name
        source.write_bytes(content)
        if words[:1] != ("0",) or not binary.exists():
            subprocess.run(["gcc", "-w", "-o", binary, source], check=True)
        return subprocess.run(
            [binary, *words], text=True, capture_output=True, check=True, timeout=60
        ).stdout

    body = together.content.partition(b"\n#include <linux/moduleparam.h>")[0].decode()
    assert output("all", f"{body}\n{choose}".encode(), "0") == output(
        "plain", (program + main).encode()
    )
    assert len(together.numbers) >= 10
    for mutant in found:
        if number := together.numbers.get(mutant.name):
            alone = applied(mutant, program.encode()) + main.encode()
            assert output("all", f"{body}\n{choose}".encode(), str(number)) == output(
                "alone", alone
            ), mutant.change


def test_regions_that_the_compiler_refuses_are_left_out() -> None:
    lines = range(1, PROGRAM.count("\n") + 1)
    found = list(in_file("a.c", PROGRAM, lines, lines, {}))
    (line,) = [n for n, row in enumerate(PROGRAM.split("\n"), 1) if row == "\tlock_it(own);"]
    together = switched("a.c", PROGRAM.encode(), found, 3, {line})
    assert any(m.line == line for m in found)
    assert not any(m.line == line and m.name in together.numbers for m in found)
