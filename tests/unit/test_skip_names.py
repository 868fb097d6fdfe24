# SPDX-License-Identifier: GPL-2.0-only
"""Which names a header gained or lost, and which texts mention them."""

from __future__ import annotations

import pytest

from harness.build.skip import c_header, names
from harness.build.skip.names import ChangedNames

HEAD = """\
/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mounts {
 */
#ifndef _LINUX_MOUNT_H
#define _LINUX_MOUNT_H

#include <linux/types.h>
#include <asm/barrier.h>

struct dentry;
struct path;
enum mount_flags {
	MNT_NOSUID = 0x01,
	MNT_ALL = MNT_NOSUID
};

struct vfsmount {
	struct dentry *root;	/* its root */
#ifdef CONFIG_MORE
	int more;
#endif
} __randomize_layout;

static inline int flags(const struct vfsmount *mnt)
{
	return WARN_ON(mnt) ? '"' : 0;
}

"""
TAIL = """\
@extern int mnt_want_write(struct vfsmount *mnt);
extern struct vfsmount *vfs_kern_mount(const char *type,
	int flags);
extern bool kern_ok;
typedef int (*filler_t)(struct dentry *);
struct unknown { int a; } __packed;
#if IS_ENABLED(CONFIG_MORE)
void mnt_more(void);
#else
#define mnt_more() do { } while (0)
#endif

#endif /* _LINUX_MOUNT_H */
"""
BEFORE = HEAD + TAIL.replace("@", "")


def gained(piece: str, tail: str = TAIL, head: str = HEAD) -> ChangedNames | None:
    """Put a piece where the @ is, between the functions and the prototypes."""
    after = head + tail.replace("@", piece)
    back = names.changed(after, head + tail.replace("@", ""))
    found = names.changed(head + tail.replace("@", ""), after)
    assert (found is None) == (back is None)  # the way back is as certain
    return found


ALLOWED = {
    "struct vfsmount *mnt_clone(struct dentry *root);": ({"mnt_clone"}, "mnt_clone()"),
    "extern int mnt_a(void);": ({"mnt_a"}, "mnt_a()"),
    "int mnt_a(int, unsigned long len, const char *const name,\n\t  ...);": ({"mnt_a"}, "mnt_a()"),
    "void mnt_a(char __user *buf, size_t n, u64 *p, bool b);": ({"mnt_a"}, "mnt_a()"),
    "const struct path *\nmnt_a(struct path path, enum mount_flags f);": ({"mnt_a"}, "mnt_a()"),
    "unsigned long long int mnt_a(struct dentry **all); /* { */": ({"mnt_a"}, "mnt_a()"),
    '/**\n * mnt_a() - says "it\n */\nint mnt_a(void);\n': ({"mnt_a"}, "mnt_a()"),
    "struct later;\nint mnt_a(struct later *l);": ({"later", "mnt_a"}, "struct later, mnt_a()"),
    "union later;": ({"later"}, "union later"),
    "#define MNT_A 1": ({"MNT_A"}, "MNT_A"),
    "# define MNT_A": ({"MNT_A"}, "MNT_A"),
    '#define MNT_A\t"a { /* b"': ({"MNT_A"}, "MNT_A"),
    "#define MNT_A (1 + \\\n\t2)": ({"MNT_A"}, "MNT_A"),
    "#define MNT_A(x, ...) do { f(x, ##) } while (0)".replace("##", "__VA_ARGS__"): (
        {"MNT_A"},
        "MNT_A()",
    ),
    "#define MNT_A() (1)": ({"MNT_A"}, "MNT_A()"),
    "#define MNT_A(x)(x)": ({"MNT_A"}, "MNT_A()"),
    "int mnt_a(void);\nint mnt_b(void);\n#define C 3": ({"mnt_a", "mnt_b", "C"}, "and 1 more"),
}


@pytest.mark.parametrize("piece", ALLOWED)
def test_what_only_users_of_the_name_can_see(piece: str) -> None:
    found = gained(f"{piece}\n")
    assert found is not None
    expected, summary = ALLOWED[piece]
    assert found.names == expected
    assert summary in found.summary


def test_parameters_must_not_be_macros() -> None:
    found = gained("int mnt_a(struct dentry *root, const u8 *, int n);\n")
    assert found is not None
    assert found.parameters == {"root", "n"}
    assert found.gone == set()
    assert found.summary == "only gained mnt_a()"


REFUSED = [
    "int mnt_a();",  # old style
    "int mnt_a(a, b);",
    "mnt_a(int x);",
    "int mnt_a(int x)",  # no end
    "int mnt_a(void) __attribute__((pure));",
    "__printf(1, 2) int mnt_a(const char *, ...);",
    "__must_check int mnt_a(void);",
    "int mnt_a(void), mnt_b(void);",
    "int mnt_a(void); int mnt_b(void);",
    "int mnt_a(int (*f)(int));",  # parameters that are functions, or arrays
    "int (*mnt_a)(void);",
    "int mnt_a(int x[3]);",
    "static int mnt_a(void);",
    "inline int mnt_a(void);",
    "asmlinkage int mnt_a(void);",
    "int mnt_a(struct file *f);",  # types that not everybody knows
    "int mnt_a(union dentry *f);",
    "int mnt_a(enum dentry f);",
    "int mnt_a(struct list_head l);",
    "int mnt_a(struct unknown *u);",  # declared, but below
    "int mnt_a(spinlock_t *l);",
    "int mnt_a(mnt_b_t x);",
    "double mnt_a(void);",
    "int mnt_a(unsigned struct dentry *d);",
    "long char mnt_a(void);",
    "int mnt_a(void x);",  # what compilers warn of
    "int mnt_a(void, int);",
    "int mnt_a(...);",
    "int mnt_a(int x, ..., int y);",
    "int mnt_a(int x, int x);",
    "int mnt_a(int x,);",
    "const int mnt_a(void);",
    "char * const mnt_a(void);",
    "const const char *mnt_a(void);",
    "int mnt_a(int if);",
    "int mnt_a(int linux);",
    "int mnt_a(int size_t);",
    "int __user mnt_a(void);",
    "void memcpy(int x);",  # known to the compiler, or perhaps
    "int mnta(void);",
    "int __mnt_a(void);",
    "int fputs_unlocked(const char *s);",
    "int posix_memalign(void **p, size_t a, size_t n);",
    "int mnt_a;",  # no such declarations
    "extern int mnt_a;",
    "extern struct dentry mnt_a;",
    "typedef int mnt_a;",
    "struct mnt_a { int x; };",
    "enum mnt_a;",
    "enum { MNT_A };",
    "static inline int mnt_a(void) { return 0; }",
    "static inline int mnt_a(void)\n{\n\treturn 0;\n}",
    "DEFINE_FREE(mnt_a, struct vfsmount *, mntput(_T))",
    "DECLARE_MNT(mnt_a);",
    "static_assert(1);",
    ";",
    "mnt_a",
    'extern "C" {\nint mnt_a(void);\n}',
    "#include <linux/mnt_a.h>",
    "#undef MNT_A",
    "#pragma pack(1)",
    "#error mnt_a",
    "#line 7",
    "#if 1\nint mnt_a(void);\n#endif",
    "#ifndef MNT_A\n#define MNT_A 1\n#endif",
    "#define MNT_A(x) #x",
    "#define MNT_A(x, y) x ## y",
    "#define MNT_A(x...) f(x)",
    "#define MNT_A(x, x) f(x)",
    "#define MNT_A(x, 1) f(x)",
    "#define MNT_A+1",
    "#define MNT_A __VA_ARGS__",
    "#define MNT_A(x) f(__VA_ARGS__)",
    "#define MNT_A 'x",
    "#define CONFIG_MNT_A 1",
    "#define _MNT_A 1",
    "#define defined(x) 1",
    "#define if(x) if (x)",
    "#define unix 1",
    "#define IS_ENABLED(x) 1",  # names that are in use below, above, or twice
    "#define kern_ok 1",
    "#define MNT_NOSUID 1",
    "#define CONFIG_MORE 1",
    "int mnt_want_write(int x);",
    "struct vfsmount;",
    "struct dentry;",
    "#define MNT_A 1\n#define MNT_A 1",
    "#define mnt_a(x) f(x)\nint mnt_a(int x);",
    "#define root 1\nint mnt_a(int root);",
    "#define later 1\nstruct later;",
    "int mnt_a(void); /* /* */",  # comments that compilers warn of, or that hide code
    "// all \\\nint mnt_a(void);",
    "/* \n */ int mnt_a(void);",
    "#define MNT_A 1 /*\n */ + 2",
    "int mnt_a(void)\f;",
    "int mnt_a(int \\\nx);",
    "#define MNT_A 1 \\ \n + 2",
    "int mnt_\u00e4(void);",
    "#define MNT_A \u00e4",
    "%:define MNT_A 1",
    "/*",
    "}",
    "{",
    "#else",
    "#endif",
]


@pytest.mark.parametrize("piece", REFUSED)
def test_uncertain_changes_are_refused(piece: str) -> None:
    assert gained(f"{piece}\n") is None


PLACES = [
    ("struct dentry *root;", "int mnt_a(void);\n\tstruct dentry *root;"),  # in a struct
    ("MNT_NOSUID = 0x01,", "MNT_NOSUID = 0x01,\n#define MNT_A 1"),  # in an enum
    ("MNT_NOSUID = 0x01,", "MNT_NOSUID = 0x01,\n\tMNT_A = 2,"),
    ("\tint more;", "\tint more;\n\tint less;"),
    ("\tint more;", "#define MNT_A 1\n\tint more;"),
    ("\treturn WARN_ON", "#define MNT_A 1\n\treturn WARN_ON"),  # in a function
    ("\tint flags", "#define MNT_A 1\n\tint flags"),  # in a prototype
    ("\tint flags", "int mnt_a(void);\n\tint flags"),
    ("} __randomize_layout;", "}\nint mnt_a(void);\n__randomize_layout;"),
    ("#ifndef _LINUX_MOUNT_H", "#define MNT_A 1\n#ifndef _LINUX_MOUNT_H"),  # outside the guard
    ("#ifndef _LINUX_MOUNT_H\n", "#ifndef _LINUX_MOUNT_H\n#define MNT_A 1\n"),
    ("#endif /* _LINUX_MOUNT_H */", "#endif /* _LINUX_MOUNT_H */\n#define MNT_A 1"),
    ("void mnt_more(void);", "void mnt_more(void);\nint mnt_a(void);"),  # under a condition
    ("#define mnt_more()", "#define MNT_A 1\n#define mnt_more()"),
    ("struct dentry;\n", "struct dentry;\nint mnt_a(void);\n"),  # a function below moves
    ("struct dentry;\n", "/* the\n   dentry */\nstruct dentry;\n"),
    ("struct dentry;\n", "\nstruct dentry;\n"),
    ("\treturn WARN_ON", "\n\treturn WARN_ON"),
    ("#include <linux/types.h>", "int mnt_a(size_t n);\n#include <linux/types.h>"),
    ("0x01", "0x02"),  # changed
    ("'\"'", "'`'"),
    ("IS_ENABLED(CONFIG_MORE)", "IS_ENABLED(CONFIG_LESS)"),
    ("extern bool kern_ok;", "bool kern_ok;"),
    ("#include <asm/barrier.h>\n", ""),
    ("struct dentry;\n", ""),  # lost, and in use
    ("extern bool kern_ok;\n", ""),
    ("\n", "\r\n"),
]


@pytest.mark.parametrize(("old", "new"), PLACES)
def test_a_change_in_this_place_is_refused(old: str, new: str) -> None:
    assert old in BEFORE
    after = BEFORE.replace(old, new)
    assert after != BEFORE
    assert names.changed(BEFORE, after) is None
    assert names.changed(after, BEFORE) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/* its root */", ""),
        ("/* its root */", '/* the \u00e4 root { */ // of "it'),
        (" * Mounts {", " * Mounts, { not }"),
        ("\tint more;", "  int  more ;".replace(" ;", ";")),
        ("#include <asm", "# include <asm"),
        ("extern bool", "\n/* whether\n   it is */\n\nextern bool"),  # no function is below
        ("#endif /* _LINUX_MOUNT_H */\n", "#endif"),
        ("\n#endif /* _LINUX_MOUNT_H */\n", "#endif\n\n"),
    ],
)
def test_comments_and_space_change_no_names(old: str, new: str) -> None:
    assert old in BEFORE
    after = BEFORE.replace(old, new)
    found = names.changed(BEFORE, after)
    assert found == ChangedNames(summary="differs only in comments")
    assert names.changed(after, BEFORE) == found


def test_a_prototype_that_replaces_an_empty_line_moves_nothing() -> None:
    before = BEFORE.replace("struct dentry;\n", "struct dentry;\n\n")
    after = BEFORE.replace("struct dentry;\n", "struct dentry;\nint mnt_a(struct dentry *d);\n")
    found = names.changed(before, after)
    assert found is not None
    assert found.names == {"mnt_a"}


def test_a_changed_declaration_is_lost_and_gained() -> None:
    before, after = (
        HEAD + TAIL.replace("@", piece)
        for piece in ("int mnt_a(int x);\nint mnt_b(void);\n", "int mnt_a(long y);\n#define C 1\n")
    )
    found = names.changed(before, after)
    assert found is not None
    assert found.names == {"mnt_a", "mnt_b", "C"}
    assert found.gone == {"mnt_a", "mnt_b"}
    assert found.parameters == {"x", "y"}
    assert found.summary == "only gained C and lost mnt_b() and changed mnt_a()"


@pytest.mark.parametrize("macro", ["EPOLL##X", "X ## ERR", "X##_ERR"])
def test_the_header_must_not_paste_a_lost_name_together(macro: str) -> None:
    """<linux/poll.h> does that with EPOLLERR, <asm/text-patching.h> with INT3_INSN_OPCODE."""
    tail = f"@#define CASE(X) {macro}\n#endif\n"
    full = HEAD + tail.replace("@", "#define EPOLL_ERR 1\n#define EPOLLERR 1\n")
    assert names.changed(full, HEAD + tail.replace("@", "\n\n")) is None
    assert names.changed(HEAD + tail.replace("@", "\n\n"), full) is not None


@pytest.mark.parametrize(
    "below",
    [
        "static inline int f(void) { return 0; }",
        "int f(void)\n{\n\treturn __LINE__;\n}",
        "struct dentry *f(void)\n{\n\treturn WARN_ON(1);\n}",
        "DEFINE_FREE(f, struct path *, put(_T))",
        "DEFINE_FREE (f, struct path *, put(_T));",
        "extern DEFINE_GUARD(f);",
        "static DEFINE_MUTEX(f);",
        "static int f = __LINE__;",
        "extern int f = __LINE__;",
        "_Static_assert(1);",
        "struct a { int x; } b = { __LINE__ };",
        "struct dentry *f(struct path *p) { return (struct dentry *){ WARN_ON(1) }; };",
    ],
)
def test_code_that_may_use_its_line_number_must_not_move(below: str) -> None:
    assert gained("int mnt_a(void);\n", f"@{below}\n#endif\n") is None
    # It stays where it is.
    assert gained("#define MNT_A 1\n", f"{below}\nextern int z(void);\n@#endif\n") is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("struct a;\n", "struct a;\nint mnt_a(struct a *);\n"),  # no guard: it may be a list
        ("#pragma once\n", "#pragma once\nint mnt_a(int);\n"),
        ("LSM_HOOK(int, a)\n", "LSM_HOOK(int, a)\n#define B 1\n"),
        ("#if !defined(H)\n#define H\n#endif\n", "#if !defined(H)\n#define H\n#define B\n#endif\n"),
        ("#ifndef H\n#define G\n#endif\n", "#ifndef H\n#define G\n#define B\n#endif\n"),
        (
            "#ifndef H\n#define H\n#else\n#define X\n#endif\n",
            "#ifndef H\n#define H\n#define B\n#else\n#define X\n#endif\n",
        ),
    ],
)
def test_without_an_include_guard_nothing_is_certain(before: str, after: str) -> None:
    assert names.changed(before, after) is None


def test_the_smallest_header() -> None:
    found = names.changed("#ifndef H\n#define H\n#endif", "#ifndef H\n#define H\n#define B\n#endif")
    assert found is not None
    assert found.summary == "only gained B"


@pytest.mark.parametrize(
    "text",
    [
        "#ifdef A\nstruct a {\n#else\nstruct b {\n#endif\n\tint x;\n};\n",
        "#ifdef A\nstatic inline\n#endif\nint f(void);\n",
        "int f(\n#ifdef A\nint x);\n#else\nint y);\n#endif\n",
        "#if 1\nint x;\n",
        "int x;\n#endif\n",
        "struct a {\n",
        "};\n",
        "int f(int x));\n",
        '"',
        "#error isn't\n",
        "/* \\\n*\\\n/ int x; /* */\n",
    ],
)
def test_ambiguous_text_is_unclear(text: str) -> None:
    with pytest.raises(c_header.Unclear):
        c_header.pieces(text)
    assert names.changed(text, text + "/* more */\n") is None


def test_pieces_know_their_lines_and_conditions() -> None:
    found = {piece.text: (piece.places, piece.conditions) for piece in c_header.pieces(BEFORE)}
    guard = "#ifndef _LINUX_MOUNT_H"
    assert found["#include <linux/types.h>"] == ((8,), (guard,))
    body = "struct vfsmount {\nstruct dentry *root;\n#ifdef CONFIG_MORE\nint more;\n#endif\n"
    assert found[body + "} __randomize_layout;"] == (tuple(range(18, 24)), (guard,))
    inside = (guard, "#if IS_ENABLED(CONFIG_MORE)")
    assert found["void mnt_more(void);"][1] == inside
    other = (guard, "#if IS_ENABLED(CONFIG_MORE) #else")
    assert found["#define mnt_more() do { } while (0)"][1] == other


CHANGED = ChangedNames(
    frozenset({"mnt_a", "foo_show"}), frozenset({"root", "n"}), frozenset({"foo_show"})
)


@pytest.mark.parametrize(
    "text",
    [
        b"mnt_a",
        b"x = mnt_a(1);",
        b"\xff /* mnt_a */",
        b"#define X foo_show",
        b"#define root",
        b"# define  n(x) x",
        b"#define \\\n\troot 1",
        b"#define /* the\n one */ root",
        b"#define A(x) x##_show",
        b"#define A(x) x ## show",
        b"#define A(x) foo_##x",
        b"#define A(x) foo ## x",
        b"#define A(x) fo\\\n\t##x",
        b"#define A(x) x##\\\n\tow",
    ],
)
def test_mentioned(text: bytes) -> None:
    assert CHANGED.finder()(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"mnt_ab xmnt_a MNT_A mnt a root n",
        b"#define roots\n#undef root\n#define x root",
        b"#define A(x) mnt_ ## x x##_a",  # only new, not gone
        b"#define A(x) x##_showing xfoo_##x f##x x##w",
        b"foo _show",
    ],
)
def test_not_mentioned(text: bytes) -> None:
    assert not CHANGED.finder()(text)


def test_no_names_are_mentioned_nowhere() -> None:
    assert not ChangedNames().finder()(b"#define a b\nc ## d")
