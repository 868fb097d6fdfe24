# SPDX-License-Identifier: GPL-2.0-only
"""Guessing which commits are likely culprits, from the words of the failure."""

from __future__ import annotations

import pytest

from harness.bisect.search import idle, likely

FILES = {
    "item": ["fs/configfs/item.c"],
    "target": ["drivers/nvme/target/configfs.c", "drivers/nvme/target/nvmet.h"],
    "tcp": ["drivers/nvme/host/tcp.c"],
    "merge": [],
    **{f"other{n}": [f"mm/file{n}.c"] for n in range(12)},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tests/guest/configfs/test_tree.py::TestMoves::test_none[a] is bad", {"item", "target"}),
        ("splat 'KASAN: slab-use-after-free in nvmet_release'", {"target"}),
        ("build error 'drivers/nvme/host/tcp.c'", {"target", "tcp"}),
        ("does not boot", set()),
        ("", set()),
    ],
)
def test_commits_with_a_word_of_the_failure_in_their_paths(text: str, found: set[str]) -> None:
    assert likely(text, FILES) == found


def test_a_word_of_many_commits_is_ignored() -> None:
    files = {str(n): ["fs/configfs/dir.c"] for n in range(8)}
    assert likely("configfs", files) == frozenset()
    assert likely("configfs", {**files, "tcp": ["net/tcp.c"]}) == frozenset()


@pytest.mark.parametrize(
    ("paths", "silent"),
    [
        (["Documentation/filesystems/configfs.rst"], True),
        (["MAINTAINERS", ".mailmap", "fs/README", "tools/testing/selftests/x.c"], False),
        (["MAINTAINERS", ".mailmap", "tools/testing/selftests/x.c"], True),
        (["Documentation/Makefile", "fs/stat.c"], False),
        (["Kconfig"], False),
        (["fs/Makefile"], False),
        ([], False),  # a merge
    ],
)
def test_commits_of_documentation_are_idle(paths: list[str], silent: bool) -> None:
    assert idle({"one": paths, "other": ["fs/stat.c"]}) == (
        frozenset({"one"}) if silent else frozenset()
    )


def test_commits_of_files_that_are_not_compiled_are_idle() -> None:
    files = {"gpu": ["drivers/gpu/drm/x.c"], "both": ["drivers/gpu/drm/x.c", "fs/stat.c"]}
    assert idle(files, lambda path: path.startswith("fs/")) == {"gpu"}
