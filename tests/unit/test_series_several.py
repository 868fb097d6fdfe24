# SPDX-License-Identifier: GPL-2.0-only
"""Several series in one thread: below a [PATCHSET] each, or for a kernel each; untagged covers."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_series_threads import load

from harness.errors import SeriesError
from harness.series import SeriesRequest

BOMB = """
0 ann z-diff [PATCHBOMB v2] everything
1 ann x-diff<z [PATCHSET v2 1/2] kernel
2 ann a<x [PATCH 1/2] one
3 ann b<x [PATCH 2/2] two
4 ann y-diff<z [PATCHSET v2 2/2] tools
5 ann c<y [PATCH 1/{n}] three
6 ann d<y [PATCH 2/{n}] four
{more}
"""
THREADS = [BOMB.format(n=2, more=""), BOMB.format(n=3, more="7 ann e<y [PATCH 3/3] five")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("thread", THREADS)
def test_each_cover_letter_of_a_thread_begins_a_series(tmp_path: Path, thread: str) -> None:
    with pytest.raises(SeriesError, match="contains 2 series") as caught:
        load(tmp_path, thread)
    assert "patches] kernel" in caught.value.details
    assert "patches] tools" in caught.value.details


@pytest.mark.parametrize("thread", THREADS)
@pytest.mark.parametrize("pick", ["kernel", "x@x", "two"])
def test_one_of_several_is_picked(tmp_path: Path, thread: str, pick: str) -> None:
    got = load(tmp_path, thread, SeriesRequest(pick=pick))
    assert [patch.message_id for patch in got.patches] == ["a@x", "b@x"]
    assert (got.title, got.version) == ("kernel", 2)
    assert got.notes == ("not used, other series in the same thread: 'tools'",)


def test_one_alone_may_have_any_number(tmp_path: Path) -> None:
    thread = "\n".join(BOMB.splitlines()[2:5])
    for number in ("v2 1/2", "v2 3/7", "v2"):
        got = load(tmp_path, thread.replace("v2 1/2", number))
        assert [patch.message_id for patch in got.patches] == ["a@x", "b@x"]
        assert (got.title, got.version, got.notes) == ("kernel", 2, ())


def test_the_next_version_of_one_in_the_same_thread(tmp_path: Path) -> None:
    again = """
    90000 ann w-diff<x [PATCHSET v3] kernel
    90001 ann f<w [PATCH 1/2] one
    90002 ann g<w [PATCH 2/2] two
    """
    thread = "\n".join([*BOMB.splitlines()[2:5], again.strip()])
    got = load(tmp_path, thread)
    assert [patch.message_id for patch in got.patches] == ["f@x", "g@x"]
    assert got.version == 3
    assert "the newest" in got.notes[0]


COVER = """
0 ann c {}
1 ann a<c [PATCH 1/2] one
2 ann b<c [PATCH 2/2] two
"""


@pytest.mark.parametrize(
    ("subject", "version"),
    [
        ("convert frobs to folios v2", 2),
        ("convert frobs to folios v12", 12),
        ("convert frobs to folios", 1),
        ("convert frobs to cgroup v2", 1),
        ("convert frobs to NFSv4", 1),
    ],
)
def test_a_cover_letter_without_a_tag_ends_with_its_version(
    tmp_path: Path, subject: str, version: int
) -> None:
    got = load(tmp_path, COVER.format(subject))
    assert (len(got.patches), got.version, got.notes) == (2, version, ())


def test_versions_without_tags_in_two_threads(tmp_path: Path) -> None:
    newer = """
    90000 ann f convert frobs to folios v3
    90001 ann d<f [PATCH 1/2] one
    90002 ann e<f [PATCH 2/2] three
    """
    got = load(tmp_path, COVER.format("convert frobs to folios v2") + newer.strip())
    assert [patch.message_id for patch in got.patches] == ["d@x", "e@x"]
    assert got.version == 3
    assert len(got.notes) == 1
    assert "also has v2" in got.notes[0]


def test_the_next_version_without_a_tag_in_the_same_thread(tmp_path: Path) -> None:
    newer = """
    90000 ann f<c convert frobs to folios v2
    90001 ann d<f [PATCH 1/2] one
    90002 ann e<f [PATCH 2/2] two
    """
    got = load(tmp_path, COVER.format("convert frobs to folios") + newer.strip())
    assert [patch.message_id for patch in got.patches] == ["d@x", "e@x"]
    assert got.version == 2


BACKPORT = """
0 ann a [PATCH] one
900 ann b<a [PATCH 6.1.y] one
"""
BRANCHES = """
0 ann a [PATCH 6.12.y 1/2] one
1 ann b<a [PATCH 6.12.y 2/2] two
20 ann c{} [PATCH 6.6.y 1/2] one
21 ann d<c [PATCH 6.6.y 2/2] two
"""


@pytest.mark.parametrize(("pick", "patch"), [("", "a@x"), ("b@x", "b@x")])
def test_a_backport_is_no_newer_version(tmp_path: Path, pick: str, patch: str) -> None:
    got = load(tmp_path, BACKPORT, SeriesRequest(pick=pick))
    assert [one.message_id for one in got.patches] == [patch]
    other = "" if pick else " for 6.1.y"
    assert got.notes == (f"not used, other series in the same thread: 'one'{other}",)


@pytest.mark.parametrize("thread", [BRANCHES.format(""), BRANCHES.format("<a")])
def test_each_branch_has_a_series(tmp_path: Path, thread: str) -> None:
    with pytest.raises(SeriesError, match="contains 2 series") as caught:
        load(tmp_path, thread)
    assert "[PATCH 6.6.y 2 patches] one" in caught.value.details
    got = load(tmp_path, thread, SeriesRequest(pick="d@x"))
    assert [patch.message_id for patch in got.patches] == ["c@x", "d@x"]


def test_a_kernel_that_is_named_later_is_no_other_series(tmp_path: Path) -> None:
    newer = "9000 ann c<a [PATCH v2 6.13] one"
    got = load(tmp_path, f"0 ann a [PATCH] one\n{newer}")
    assert ([patch.message_id for patch in got.patches], got.version) == (["c@x"], 2)


def test_a_refused_patch_is_sent_again_the_next_day(tmp_path: Path) -> None:
    got = load(
        tmp_path,
        COVER.format("[PATCH 0/3] tidy").replace("/2", "/3")
        + ("100000 ann d [PATCH 3/3 RESEND] three"),
    )
    assert [patch.message_id for patch in got.patches] == ["a@x", "b@x", "d@x"]
    assert got.notes == ("its mails are not linked; they have one sender and one total",)
