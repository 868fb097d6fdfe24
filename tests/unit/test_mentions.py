# SPDX-License-Identifier: GPL-2.0-only
"""Names in files: as words, made macros, put together."""

from __future__ import annotations

import pytest

from harness.build.mentions import Wanted

WANTED = Wanted(frozenset({"mnt_a", "foo_show"}), frozenset({"root", "n"}), frozenset({"foo_show"}))


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
def test_found(text: bytes) -> None:
    assert WANTED.search()(text)


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
def test_not_found(text: bytes) -> None:
    assert not WANTED.search()(text)


def test_nothing_wanted_is_in_no_text() -> None:
    assert not Wanted().search()(b"#define a b\nc ## d")
