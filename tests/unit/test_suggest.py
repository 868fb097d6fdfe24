# SPDX-License-Identifier: GPL-2.0-only
"""Which of the tree's own tests are suggested for a series."""

from __future__ import annotations

from pathlib import Path

import pytest
import sourcetree

from harness.adaptors import Sources
from harness.lab import suites
from harness.model import Patch, Series
from harness.progress import Progress

MAINTAINERS = """\
List of maintainers
-------------------

A FILE SYSTEM
M:	A Maintainer <a@example.org>
F:	fs/a/
F:	tools/testing/selftests/filesystems/a/
F:	tools/testing/selftests/bpf/

ANOTHER
M:	Another <b@example.org>
F:	fs/*
F:	include/linux/b*.h
F:	tools/testing/selftests/b/b_test.c
F:	tools/testing/selftests/gone/

NO TESTS
F:	fs/a/
F:	fs/c/
"""
TREE = {
    "MAINTAINERS": MAINTAINERS,
    "fs/a/inode.c": "",
    "fs/a/Makefile": "obj-$(CONFIG_A_KUNIT_TESTS) += inode-test.o\n",
    "fs/a/Kconfig": "config A_FS\n\tbool\n\n"
    "config A_KUNIT_TESTS\n\tbool\n\tdepends on A_FS && KUNIT\n\tdepends on X || Y\n\n"
    "config OTHER\n\tdepends on Z\n",
    "fs/a/inode-test.c": 'static struct kunit_suite s = {\n\t.name = "a_inode",\n};\n',
    "fs/a/sub/deep-test.c": 'static struct kunit_suite s = {\n\t.name = "a_deep",\n};\n',
    "fs/a/sub/Makefile": "obj-$(CONFIG_DEEP) += deep-test.o\n",
    "tools/testing/selftests/Makefile": "",
    "tools/testing/selftests/filesystems/a/Makefile": "",
    "tools/testing/selftests/b/Makefile": "",
    "tools/testing/selftests/bpf/Makefile": "",
}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return sourcetree.commit(tmp_path, TREE)


def names(sources: Sources, monkeypatch: pytest.MonkeyPatch, *files: str) -> dict[str, list[str]]:
    monkeypatch.setattr(suites, "_unbuildable", lambda *_: "")
    patch = Patch(1, "subject", "author", Path("1.patch"), files)
    series = Series("s", Path(), (patch,), "digest")
    found = suites.suggested(series, sources, Progress(quiet=True))
    return {suite.name: [option.name for option in suite.options] for suite in found}


def test_tests_beside_the_code_and_of_the_subsystem(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    always = ["KUNIT", "KUNIT_DEBUGFS", "KUNIT_DEFAULT_ENABLED", "KUNIT_AUTORUN_ENABLED"]
    assert names(sources, monkeypatch, "fs/a/inode.c", "fs/a/dir.c") == {
        "kunit:a_inode": [*always, "A_KUNIT_TESTS"],
        "kselftest:filesystems/a": [],
    }


def test_a_pattern_may_name_a_file_of_the_tests(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(names(sources, monkeypatch, "include/linux/b_x.h")) == ["kselftest:b"]
    assert list(names(sources, monkeypatch, "fs/namespace.c")) == ["kselftest:b"]


def test_a_subsystem_without_tests_gets_none(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names(sources, monkeypatch, "fs/c/x.c", "Documentation/x.rst") == {}


def test_of_many_suites_those_are_chosen_that_are_named_like_a_file(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "_FEW", 0)
    assert "kunit:a_inode" in names(sources, monkeypatch, "fs/a/inode.c")
    assert "kunit:a_inode" not in names(sources, monkeypatch, "fs/a/dir.c")


def test_what_cannot_be_built_is_not_suggested(
    sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    patch = Patch(1, "subject", "author", Path("1.patch"), ("fs/a/inode.c",))
    series = Series("s", Path(), (patch,), "digest")
    found = suites.suggested(series, sources, Progress())
    assert [suite.name for suite in found] == ["kunit:a_inode"]  # the other has no real Makefile
    assert "not suggested: kselftest:filesystems/a: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "file", "expected"),
    [
        ("fs/a/", "fs/a/b/c.c", True),
        ("fs/*", "fs/a.c", True),
        ("fs/*", "fs/a/b.c", False),
        ("fs/*/", "fs/a/b.c", True),
        ("fs/a", "fs/ab", False),
        ("include/linux/fs*.h", "include/linux/fs_types.h", True),
    ],
)
def test_patterns_of_maintainers(pattern: str, file: str, expected: bool) -> None:
    assert suites.matches(pattern, file) is expected
