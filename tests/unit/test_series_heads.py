# SPDX-License-Identifier: GPL-2.0-only
"""Which files a diff is about: as git takes it, not as the diff would have it seen."""

from __future__ import annotations

import pytest

from harness.errors import SeriesError
from harness.series import diff, heads

HUNK = "@@ -1,2 +1,3 @@\n one\n+one and a half\n two\n"
END = "-- \n2.43.0\n"
MOVE = "diff --git a/fs/x b/fs/x\nsimilarity index 100%\n"
NEW = "diff --git a/fs/l b/fs/l\nnew file mode {mode}\n--- /dev/null\n+++ b/fs/l\n@@ -0,0 +1 @@\n"


def files(text: str) -> tuple[str, ...]:
    return diff.files((text + END).encode(), b"", "a mail")


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


def test_what_is_added_counts_for_every_name() -> None:
    """Of two names git takes one, by rules of its own."""
    text = f"--- a/fs/Makefile\n+++ b/fs/Makefile.txt\n{HUNK}"
    assert diff.added(text.encode())["fs/Makefile"] == ("one and a half",)


def test_a_file_that_gets_another_name_is_told() -> None:
    text = f"{MOVE}rename from fs/x\nrename to fs/Makefile\n"
    assert diff.moved(text.encode()) == {"fs/Makefile": "another file under this name"}


def test_a_makefile_that_only_git_can_read_is_told() -> None:
    text = "diff --git a/fs/Makefile b/fs/Makefile\nindex 111..222 100644\nGIT binary patch\n"
    text += "literal 3\nKcmZ\n\nliteral 3\nKcmZ\n\n"
    assert diff.moved(text.encode()) == {"fs/Makefile": "what only git can read"}


def test_names_without_a_and_b_are_not_guessed() -> None:
    with pytest.raises(SeriesError, match="have no a/ and b/") as caught:
        files(f"diff --git fs/x.c fs/x.c\n--- fs/x.c\n+++ fs/x.c\n{HUNK}")
    assert "--src-prefix=a/" in caught.value.hint


@pytest.mark.parametrize("mode", ["120000", "120777", "0120000"])
@pytest.mark.parametrize("goal", ["/etc/passwd", "x/x/..", "../../x"])
def test_a_link_is_one_whatever_its_mode_is_called(mode: str, goal: str) -> None:
    with pytest.raises(SeriesError, match="outside of the tree"):
        files(f"{NEW.format(mode=mode)}+{goal}\n\\ No newline at end of file\n")


def test_a_link_whose_content_cannot_be_read() -> None:
    with pytest.raises(SeriesError, match="outside of the tree"):
        files("diff --git a/fs/l b/fs/l\nnew file mode 120000\nGIT binary patch\nliteral 3\nK1\n\n")


def test_damage_is_told_in_letters_that_people_read() -> None:
    with pytest.raises(SeriesError) as caught:
        files(f"--- a/fs/x\n+++ b/fs/x\n{HUNK.replace(' two', 'größer')}")
    assert "größer" in caught.value.what
    assert "größer" in caught.value.details


def test_hunks_are_counted_as_git_counts_them() -> None:
    lines = ["--- a/x\n", "+++ b/x\n", "@@ -1 +1,0 @@\n", "--- a/y\n", "+++ b/y\n", "@@ -1 +1 @@\n"]
    found, shown = heads.read([*lines, "-1\n", "+2\n"])
    assert [head.new for head in found] == ["x"]
    assert len(shown) == 8
