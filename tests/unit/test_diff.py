# SPDX-License-Identifier: GPL-2.0-only
"""Which files a diff changes: the names that git takes, not those the diff seems to have."""

from __future__ import annotations

import pytest

from harness import diff
from harness.errors import SeriesError
from harness.series import body

HUNK = "@@ -1,2 +1,3 @@\n one\n+one and a half\n two\n"
END = "-- \n2.43.0\n"
MOVE = "diff --git a/fs/x b/fs/x\nsimilarity index 100%\n"
NEW = "diff --git a/fs/l b/fs/l\nnew file mode {mode}\n--- /dev/null\n+++ b/fs/l\n@@ -0,0 +1 @@\n"


def files(text: str) -> tuple[str, ...]:
    diffs = body.file_diffs((text + END).encode(), b"", "a mail")
    return tuple(dict.fromkeys(name for file in diffs for name in file.names))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"diff --git a/fs/x.c b/fs/x.c\n--- a/fs/x.c\n+++ b/fs/x.c\n{HUNK}", ["fs/x.c"]),
        (f"--- linux.orig/fs/x.c\t2026-01-01\n+++ linux/fs/x.c\t2026-01-02\n{HUNK}", ["fs/x.c"]),
        (f"diff --git old/fs/x new/fs/x\n--- old/fs/x\n+++ new/fs/x\n{HUNK}", ["fs/x"]),
        (f"Index: linux/fs/x\n===\n--- linux/fs/x\n+++ linux/fs/x\n{HUNK}", ["fs/x"]),
        ("diff --git a/a b.c b/a b.c\nold mode 100644\nnew mode 100755\n", ["a b.c"]),
        (f"{MOVE}rename from fs/x\nrename to scripts/y\n", ["fs/x", "scripts/y"]),
        (f"{MOVE}rename old fs/x\nrename new scripts/y\n", ["fs/x", "scripts/y"]),
        (f'{MOVE}copy from fs/x\ncopy to "scripts/\\171"\n', ["fs/x", "scripts/y"]),
        (f"{MOVE}rename from fs/x\nrename to scripts/y\n".replace("\n", "\r\n"),
         ["fs/x", "scripts/y"]),
        (f"diff --git a/fs/x b/fs/x\n--- a/fs/x\n+++ b/scripts/y\n{HUNK}", ["fs/x", "scripts/y"]),
        (f"--- a/fs/x\n+++ b/fs/x\n{HUNK}".replace("+one", "++++ b/scripts/y"), ["fs/x"]),
        ("diff --git a/fs/x b/fs/x\nBinary files a/fs/x and b/fs/x differ\n", ["fs/x"]),
    ],
)  # fmt: skip
def test_names_are_those_that_git_takes(text: str, names: list[str]) -> None:
    assert list(files(text)) == names


def test_added_lines_count_for_every_name() -> None:
    """Of two names git takes one, by rules of its own."""
    (file,) = diff.parse(f"--- a/fs/Makefile\n+++ b/fs/Makefile.txt\n{HUNK}")
    assert (file.names, file.added) == (("fs/Makefile", "fs/Makefile.txt"), ("one and a half",))


def test_a_renamed_file() -> None:
    (file,) = diff.parse(f"{MOVE}rename from fs/x\nrename to fs/Makefile\n")
    assert (file.moved, file.old, file.new) == (True, "fs/x", "fs/Makefile")


def test_a_binary_patch() -> None:
    text = "diff --git a/fs/Makefile b/fs/Makefile\nindex 1111111..2222222 100644\n"
    text += "GIT binary patch\nliteral 3\nKcmZ\n\nliteral 3\nKcmZ\n\n"
    (file,) = diff.parse(text)
    assert (file.binary, file.names, file.blob) == (True, ("fs/Makefile",), "1111111")


@pytest.mark.parametrize(
    ("header", "old", "new"),
    [("new", "", "fs/x"), ("deleted", "fs/x", ""), ("old", "fs/x", "fs/x")],
)
def test_an_empty_file_added_or_removed(header: str, old: str, new: str) -> None:
    (file,) = diff.parse(f"diff --git a/fs/x b/fs/x\n{header} file mode 100644\n")
    assert (file.old, file.new, file.path) == (old, new, "fs/x")


def test_a_form_feed_does_not_end_a_line() -> None:
    (file,) = diff.parse(f"--- a/fs/x\n+++ b/fs/x\n{HUNK}".replace(" two", " two\f"))
    assert [line.value for line in file.hunks[0]][-1] == "two\f\n"


def test_bytes_that_are_not_utf8_become_escapes() -> None:
    (file,) = diff.parse(f"--- a/fs/x\n+++ b/fs/x\n{HUNK}".encode().replace(b"half", b"h\xe4lf"))
    assert file.added == ("one and a h\\xe4lf",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n", "shorter than expected"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n+3\n", "longer than its header"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n -- 3\n", "longer than its header"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2", "middle of a line"),
        ("@@ -1 +1 @@\n-1\n+2\n", "without a file"),
        ("--- a/x\n+++ b/x\n\n@@ -1 +1 @@\n-1\n+2\n", "without a file"),
        ("--- a/x\n+++ b/x\n\\ No newline at end of file\n", "no line before"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n--- a/y\n@@ -1 +1 @@\n-1\n+2\n", "without a file"),
        ("diff --git a/x b/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n", "without ---"),
    ],
)
def test_damaged_diffs(text: str, what: str) -> None:
    with pytest.raises(diff.DiffError, match=what):
        diff.parse(text)


AE = r'"fs/\303\244"'
BARE = [
    (f"diff --git fs/x.c fs/x.c\n--- fs/x.c\n+++ fs/x.c\n{HUNK}", ["fs/x.c"]),
    (f"diff --git Makefile Makefile\n--- Makefile\n+++ Makefile\n{HUNK}", ["Makefile"]),
    (f"diff --git {AE} {AE}\n--- {AE}\n+++ {AE}\n{HUNK}", ["fs/ä"]),
    ("diff --git fs/a b.c fs/a b.c\nold mode 100644\nnew mode 100755\n", ["fs/a b.c"]),
    ("diff --git fs/x fs/y\nsimilarity index 100%\nrename from fs/x\nrename to fs/y\n",
     ["fs/x", "fs/y"]),
    ("diff --git fs/n fs/n\nnew file mode 100644\n--- /dev/null\n+++ fs/n\n"
     "@@ -0,0 +1,2 @@\n+--- fs/z\n++++ fs/z\n", ["fs/n"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names"), BARE)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_without_a_and_b(text: str, names: list[str], end: str) -> None:
    """As git makes them if diff.noprefix is set."""
    bare = (text + END).replace("\n", end).encode()
    patch = diff.with_prefixes(bare)
    assert list(dict.fromkeys(n for file in diff.parse(patch) for n in file.names)) == names
    assert diff.with_prefixes(patch) is patch
    assert [len(file.hunks) for file in diff.parse(patch)] == [text.count("\n@@ ")]


@pytest.mark.parametrize("mode", ["120000", "120777", "0120000"])
@pytest.mark.parametrize("goal", ["/etc/passwd", "x/x/..", "../../x"])
def test_unusual_modes_of_symbolic_links(mode: str, goal: str) -> None:
    with pytest.raises(SeriesError, match="outside the tree"):
        files(f"{NEW.format(mode=mode)}+{goal}\n\\ No newline at end of file\n")


def test_a_symbolic_link_in_a_binary_patch() -> None:
    with pytest.raises(SeriesError, match="outside the tree"):
        files("diff --git a/fs/l b/fs/l\nnew file mode 120000\nGIT binary patch\nliteral 3\nK1\n\n")


def test_messages_about_damage_are_readable() -> None:
    with pytest.raises(SeriesError) as caught:
        files(f"--- a/fs/x\n+++ b/fs/x\n{HUNK.replace(' two', 'größer')}")
    assert "größer" in caught.value.what
    assert "größer" in caught.value.details


def test_hunks_are_counted_as_git_counts_them() -> None:
    """A removed line that begins with two dashes is no header."""
    text = "--- a/x\n+++ b/x\n@@ -1 +1,0 @@\n--- a/y\n@@ -2,0 +2 @@\n+++ b/y\n"
    (file,) = diff.parse(text)
    assert file.names == ("x",)
    assert [line.value for hunk in file.hunks for line in hunk] == ["-- a/y\n", "++ b/y\n"]
