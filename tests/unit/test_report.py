# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a page: colours, excerpts, consoles, time line, patches, checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import harness.publish.html
from harness.model import (
    Cell,
    CheckMatrix,
    Finding,
    GuestRecord,
    Outcome,
    PatchRow,
    Severity,
    Span,
    Splat,
    Test,
    change_kind,
)
from harness.publish.html import check_page, diffs, excerpts, failures, test_table, timeline
from harness.publish.html.diffs import Remark, ShownPatch
from harness.publish.html.page import MatrixSection, visible
from harness.publish.html.test_table import KernelColumn

STYLE = (Path(harness.publish.html.__file__).parent / "templates" / "style.css").read_text()
PAIRS = ("good", "bad", "warn", "pass", "fail", "skip", "crash", "flaky", "quiet", "note", "log")


def scheme(name: str) -> dict[str, tuple[float, ...]]:
    """Return the colours of a scheme; the dark one changes some of the light one's."""
    light, _, rest = STYLE.partition("@media (prefers-color-scheme: dark)")
    text = light + (rest.partition("}\n}")[0] if name == "dark" else "")
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6});", text)
    return {key: tuple(int(v[n : n + 2], 16) / 255 for n in (0, 2, 4)) for key, v in found}


def luminance(colour: tuple[float, ...]) -> float:
    """Return the relative luminance as WCAG 2 defines it."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast((0x77 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("pair", PAIRS)
def test_coloured_labels_have_enough_contrast(name: str, pair: str) -> None:
    colours = scheme(name)
    assert contrast(colours[f"{pair}-fg"], colours[f"{pair}-bg"]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("ground", ["bg", "card-bg", "log-bg"])
@pytest.mark.parametrize("words", ["fg", "muted-fg", "link-fg"])
def test_plain_text_has_enough_contrast(name: str, ground: str, words: str) -> None:
    colours = scheme(name)
    assert contrast(colours[words], colours[ground]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("words", ["pass-fg", "fail-fg", "crash-fg", "note-fg"])
def test_coloured_text_has_enough_contrast_on_the_page(name: str, words: str) -> None:
    assert contrast(scheme(name)[words], scheme(name)["card-bg"]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("bar", ["pass", "fail", "skip", "crash", "flaky", "note"])
@pytest.mark.parametrize("ground", ["bg", "card-bg"])
def test_bars_and_borders_are_visible(name: str, bar: str, ground: str) -> None:
    assert contrast(scheme(name)[f"{bar}-bar"], scheme(name)[ground]) >= 3.0


def test_every_outcome_has_a_colour() -> None:
    for outcome in Outcome:
        quiet = outcome is Outcome.NOTRUN  # looks as what has no colour of its own
        assert quiet or re.search(rf"\.{outcome}\b", STYLE), outcome


def test_a_long_text_keeps_its_start_and_end() -> None:
    cut = excerpts.excerpt("\n".join(map(str, range(1000))), 3, 2)
    assert (cut.head, cut.left_out, cut.tail) == ("0\n1\n2", 995, "998\n999")


def test_a_long_line_loses_its_end() -> None:
    assert len(excerpts.excerpt("x" * 100_000).head) < 3000


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x00b\x1b[1m", "a␀b␛[1m"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("if (a \u202e) {", "if (a <U+202E>) {"),
        ("a\u200bb\ufeff", "a<U+200B>b<U+FEFF>"),
        ("\ud800", "�"),
        ("ünïcode 漢", "ünïcode 漢"),
    ],
)
def test_invisible_characters_are_shown(text: str, seen: str) -> None:
    assert visible(text) == seen


def write_console(file: Path, *lines: str) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_the_console_around_a_test_is_found(tmp_path: Path) -> None:
    lines = [f"early {n}" for n in range(50)]
    lines += ["[ 1.0] harness: start a::b", "own", "[ 2.0] harness: end a::b"]
    lines += [f"late {n}" for n in range(50)]
    cut = excerpts.around_tests(write_console(tmp_path / "c", *lines), {"a::b"})["a::b"]
    assert "early 44" not in cut.head
    assert "early 45" in cut.head
    assert "own" in cut.head
    assert f"late {excerpts.AFTER - 1}" in cut.head + cut.tail
    assert f"late {excerpts.AFTER}" not in cut.head + cut.tail


def test_a_test_is_not_confused_with_one_whose_name_begins_the_same(tmp_path: Path) -> None:
    file = write_console(tmp_path / "c", "harness: start a::bb", "other", "harness: end a::bb")
    assert excerpts.around_tests(file, {"a::b"}) == {}


def test_a_flood_is_left_out_and_the_last_lines_are_kept(tmp_path: Path) -> None:
    lines = ["harness: start t", *(f"flood {n}" for n in range(100_000)), "Kernel panic"]
    cut = excerpts.around_tests(write_console(tmp_path / "c", *lines), {"t"})["t"]
    assert cut.tail.endswith("Kernel panic")
    assert cut.left_out > 99_000
    assert len(cut.head.splitlines()) + len(cut.tail.splitlines()) + cut.left_out == 100_002


def test_a_missing_console_gives_no_excerpts(tmp_path: Path) -> None:
    assert excerpts.around_tests(tmp_path / "none", {"t"}) == {}


def column(
    tests: list[Test], guests: list[GuestRecord] | None = None, **more: bool
) -> KernelColumn:
    return KernelColumn("patched", "", Path(), tuple(tests), tuple(guests or ()), **more)


def test_bars_stay_within_the_time_line() -> None:
    guests = [GuestRecord(f"guest{n}", "done", "tcg", 5, "", began=100.0) for n in range(2)]
    kinds = (Outcome.PASS, Outcome.SKIP, Outcome.FAIL)
    tests = [
        Test(f"t{n}", kinds[n % 3], 0.01, guest=f"guest{n % 2}", began=105 + n / 100)
        for n in range(20_000)
    ]
    laid = timeline.lay_out([Span("build", "x", 50.0, 40.0)], [column(tests, guests)], {})
    assert laid is not None
    assert [lane.name for lane in laid.lanes] == ["host", "patched, guest 1", "patched, guest 2"]
    for lane in laid.lanes:
        assert len(lane.bars) < 2500
        assert all(bar.left >= 0 and bar.left + bar.width <= 1000.01 for bar in lane.bars)
        assert all(bar.width > 0 for bar in lane.bars)


def test_a_replacement_guest_shares_the_lane() -> None:
    first = GuestRecord("guest0", "panic", "tcg", 5, "", began=100.0, seconds=20.0)
    second = GuestRecord("guest1", "done", "tcg", 5, "", began=121.0, seconds=20.0)
    laid = timeline.lay_out([], [column([], [first, second])], {})
    assert laid is not None
    assert [[bar.kind for bar in lane.bars] for lane in laid.lanes] == [["guest", "boot"] * 2]


def test_results_of_an_earlier_run_are_not_on_the_time_line() -> None:
    guest = GuestRecord("guest0", "done", "tcg", 5, "", began=1.0)
    laid = timeline.lay_out([Span("build", "", 100.0, 1.0)], [column([], [guest], cached=True)], {})
    assert laid is not None
    assert laid.note.startswith("patched")
    assert len(laid.lanes) == 1


def test_no_times_give_no_time_line() -> None:
    assert timeline.lay_out([], [column([Test("t", Outcome.PASS, 1.0)])], {}) is None


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("pass", "fail", "broken"),
        ("fail", "pass", "fixed"),
        ("fail", "crash", "other"),
        ("pass", "flaky", "flaky"),
        ("pass", "pass", ""),
        ("skip", "pass", "other"),
        ("pass", "notrun", "gone"),
    ],
)
def test_a_change_has_a_word(before: str, after: str, word: str) -> None:
    assert test_table.change_word(change_kind(Outcome(before), Outcome(after))) == word


def test_many_tests_of_a_file_are_split_into_parts() -> None:
    tests = [Test(f"a.py::t{n}", Outcome.PASS) for n in range(600)]
    groups = test_table.groups(test_table.rows([column(tests)]))
    assert [group.part for group in groups] == ["1 to 250", "251 to 500", "501 to 600"]


DIFF = """\
Subject: [PATCH] x

Why.
---
diff --git a/f.c b/f.c
--- a/f.c
+++ b/f.c
@@ -1,3 +1,4 @@
 one
-two
+zwei
+drei
 four
"""


def view(tmp_path: Path, *remarks: Remark) -> ShownPatch:
    file = tmp_path / "p"
    file.write_text(DIFF)
    return diffs.show(1, "x", "me", file, remarks)


def test_a_remark_stands_at_its_line(tmp_path: Path) -> None:
    patch = view(tmp_path, Remark("warning", "bad", "f.c", 3))
    assert [line.text for line in patch.files[0].lines if line.remarks] == ["drei"]


def test_a_remark_finds_a_moved_line_by_its_text(tmp_path: Path) -> None:
    patch = view(tmp_path, Remark("error", "here", "f.c", 900, "  zwei"))
    assert [line.text for line in patch.files[0].lines if line.remarks] == ["zwei"]


def test_a_remark_that_fits_no_line_is_not_lost(tmp_path: Path) -> None:
    patch = view(tmp_path, Remark("note", "A", "f.c", 99), Remark("error", "B", "g.c", 1))
    assert [remark.text for remark in patch.files[0].loose] == ["line 99: A"]
    assert [remark.text for remark in patch.loose] == ["g.c:1: B"]
    assert (len(patch.remarks), patch.worst) == (2, "error")


def test_a_patch_that_cannot_be_parsed_is_shown_raw(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text(DIFF.replace("@@ -1,3 +1,4 @@", "@@ -1,9 +1,9 @@"))
    patch = diffs.show(1, "x", "me", file, [Remark("note", "A", "f.c", 1)])
    assert "zwei" in patch.raw.head or "zwei" in str(patch.files)
    assert len(patch.remarks) == 1


def test_a_remark_on_an_omitted_line_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text(DIFF)
    remark = Remark("note", "A", "f.c", 3)
    patch = diffs.show(1, "x", "me", file, [remark], excerpts.Budget(2))
    assert (len(patch.files[0].lines), patch.files[0].left_out) == (2, 4)
    assert [one.text for one in patch.remarks] == ["line 3: A"]


def test_a_form_feed_in_a_patch_does_not_end_a_line(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text(DIFF.replace("+drei", "+dr\x0cüei"))
    patch = diffs.show(1, "x", "me", file)
    assert "dr\x0cüei" in [line.text for line in patch.files[0].lines]


def test_a_missing_patch_is_reported(tmp_path: Path) -> None:
    assert "gone" in diffs.show(1, "x", "me", tmp_path / "none").message.head


def finding(enters: int, level: Severity = Severity.ERROR) -> Finding:
    return Finding(level, "boom", "f.c", 3, enters=enters)


MATRIX = CheckMatrix(
    "x",
    "v7.2",
    tuple(PatchRow(number, "", f"s{number}") for number in (1, 2, 3)),
    ("apply", "build"),
    (
        Cell.of(1, "build", ()),
        Cell.of(2, "build", (finding(2),)),
        Cell.of(3, "build", (finding(2), finding(3, Severity.WARNING))),
    ),
)


def test_a_matrix_distinguishes_new_from_old_findings() -> None:
    section = MatrixSection(MATRIX)
    assert MATRIX.made == ("build",)
    cells = [MATRIX.cell(number, "build") for number, _ in section.rows]
    assert [section.text(cell) for cell in cells] == ["ok", "1", "1 new, 1 old", ""]
    assert [number for number, _, _ in section.findings] == [2, 3]


def test_findings_stand_at_the_patch_they_enter_with() -> None:
    assert {n: len(some) for n, some in check_page.remarks(MATRIX).items()} == {2: 1, 3: 1}


def test_a_splat_is_shown_without_decoding(tmp_path: Path) -> None:
    splat = Splat("oops", "Oops in f", lines=("Oops",), function="f")
    test = Test("t", Outcome.CRASH, splats=(splat,))
    kernel = KernelColumn("patched", "", tmp_path, (test,))
    (failure,) = failures.show([test], kernel, excerpts.Budget(failures.ROOM))
    (shown,) = failure.splats
    assert (shown.decoded, shown.raw.head, shown.facts) == (None, "Oops", ("in f",))
