# SPDX-License-Identifier: GPL-2.0-only
"""Patches below a scissors line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import series
from harness.errors import SeriesError

DIFF = """\
 fs/x.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/fs/x.c b/fs/x.c
index 1111111..2222222 100644
--- a/fs/x.c
+++ b/fs/x.c
@@ -1,3 +1,3 @@
 one
-two
+2
 three
--
2.39.2
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def mail(path: Path, subject: str, body: str) -> Path:
    head = f"From: R Reviewer <r@example.org>\nSubject: {subject}\n"
    head += "Date: Mon, 1 Jun 2026 1:00 +0000\n"
    path.write_text(f"{head}Message-ID: <1@example.org>\n\n{body}---\n{DIFF}")
    return path


@pytest.mark.parametrize(
    "line", ["-- >8 --", "------ 8< ------", "  - - >8 - - -", "--- cut here 8< ----------- >8 ---"]
)
def test_a_reply_with_a_patch_below_scissors(tmp_path: Path, line: str) -> None:
    talk = "> what about this?\n\nLike this?\n\n"
    below = "From: A Author <a@example.org>\nSubject: [PATCH] fs: count\n better\n\nBecause.\n"
    got = series.load(mail(tmp_path / "re.eml", "Re: [PATCH 2/3] fs: x", f"{talk}{line}\n{below}"))
    (patch,) = got.patches
    assert (patch.subject, patch.author) == ("fs: count better", "A Author <a@example.org>")
    text = patch.path.read_text()
    assert "Because." in text
    assert "Like this?" not in text
    assert "Re:" not in text


def test_a_reply_whose_patch_has_no_headers_of_its_own(tmp_path: Path) -> None:
    got = series.load(mail(tmp_path / "re.eml", "Re: fs: x", "Talk.\n\n-- >8 --\nBecause.\n"))
    assert [(one.subject, one.author) for one in got.patches] == [
        ("fs: x", "R Reviewer <r@example.org>")
    ]
    assert "Talk." not in got.patches[0].path.read_text()


def test_scissors_without_headers_belong_to_the_message(tmp_path: Path) -> None:
    body = "What it prints:\n\n--- 8< ---\noops\n--- 8< ---\n"
    got = series.load(mail(tmp_path / "one.eml", "[PATCH] fs: x", body))
    assert "What it prints" in got.patches[0].path.read_text()
    assert got.patches[0].path == tmp_path / "one.eml"


def test_a_reply_without_scissors_is_not_a_patch(tmp_path: Path) -> None:
    with pytest.raises(SeriesError):
        series.load(mail(tmp_path / "re.eml", "Re: fs: x", "I applied this:\n"))
