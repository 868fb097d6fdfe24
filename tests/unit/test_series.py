# SPDX-License-Identifier: GPL-2.0-only
"""Reading a series: what is accepted, and what every kind of bad input is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness import series
from harness.errors import SeriesError, UsageError
from harness.series import trust

DIFF = """\
diff --git a/fs/x.c b/fs/x.c
index 1111111..2222222 100644
--- a/fs/x.c
+++ b/fs/x.c
@@ -1,3 +1,4 @@
 one
+and a half
 two
 three
"""
SECOND = DIFF.replace("x.c", "y.c")
SIGNATURE = "-- \n2.39.5\n\n"


def mail(
    subject: str = "[PATCH] fs: count finer",
    *,
    body: str = "Because.",
    diff: str = DIFF,
    sender: str = "A Hacker <a@example.org>",
    end: str = SIGNATURE,
    files: int = 1,
) -> str:
    return (
        "From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\n"
        f"From: {sender}\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: {subject}\n\n{body}\n"
        f"---\n fs/x.c | 1 +\n {files} file{'s'[: files != 1]} changed, 1 insertion(+)\n\n"
        f"{diff}{end}"
    )


def cover(total: int) -> str:
    return mail(f"[PATCH 0/{total}] fs: a title", diff="", body="All of it.")


def folder(path: Path, *mails: str, toml: str = "") -> Path:
    path.mkdir(exist_ok=True)
    for number, text in enumerate(mails):
        (path / f"{number:04}-x.patch").write_text(text)
    if toml:
        (path / "series.toml").write_text(toml)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def refused(path: Path, what: str, hint: str = "") -> SeriesError:
    with pytest.raises(SeriesError, match=what) as caught:
        series.load(path)
    assert caught.value.hint
    assert hint in caught.value.hint
    return caught.value


def test_one_patch(tmp_path: Path) -> None:
    path = tmp_path / "finer.patch"
    path.write_text(mail())
    got = series.load(path)
    assert got.name == "finer"
    assert got.title == "fs: count finer"
    assert got.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    (patch,) = got.patches
    assert patch.path == path
    assert (patch.number, patch.subject, patch.files) == (1, "fs: count finer", ("fs/x.c",))
    assert patch.author == "A Hacker <a@example.org>"


def test_one_patch_of_a_longer_series_may_stand_alone(tmp_path: Path) -> None:
    path = tmp_path / "two.patch"
    path.write_text(mail("[PATCH v4 2/3] fs: count finer"))
    assert [p.subject for p in series.load(path).patches] == ["fs: count finer"]


def test_a_folder_is_sorted_by_patch_numbers(tmp_path: Path) -> None:
    path = folder(
        tmp_path / "ordered",
        cover(2),
        mail("[RFC PATCH v2 2/2] second", diff=SECOND),
        mail("[RFC PATCH v2 1/2] first"),
    )
    got = series.load(path)
    assert [p.subject for p in got.patches] == ["first", "second"]
    assert [p.number for p in got.patches] == [1, 2]
    assert got.title == "fs: a title"
    assert got.cover == path / "0000-x.patch"
    assert got.patches[1].files == ("fs/y.c",)


def test_a_cover_letter_is_known_by_number_or_file_name(tmp_path: Path) -> None:
    path = folder(tmp_path / "s", mail("[PATCH] plain cover", diff=""), mail("a"))
    assert series.load(path).cover == path / "0000-x.patch"
    other = folder(tmp_path / "t", mail("[PATCH 1/1] a"), cover(1))
    assert series.load(other).cover == other / "0001-x.patch"
    refused(folder(tmp_path / "u", mail("a"), mail("b", diff="")), "has no diff", "replies")


def test_a_folder_without_numbers_is_sorted_by_file_name(tmp_path: Path) -> None:
    path = folder(tmp_path / "names", mail("[PATCH] b"), mail("a", diff=SECOND))
    assert [p.subject for p in series.load(path).patches] == ["b", "a"]


def test_the_digest_covers_only_the_patches(tmp_path: Path) -> None:
    before = series.load(folder(tmp_path / "s", cover(1), mail("[PATCH 1/1] x"))).digest
    toml = 'title = "other"'
    other = cover(1).replace("All", "None")
    assert series.load(folder(tmp_path / "s", other, mail("[PATCH 1/1] x"), toml=toml)).digest == (
        before
    )
    changed = mail("[PATCH 1/1] x", body="Why not.")
    assert series.load(folder(tmp_path / "s", cover(1), changed)).digest != before


def test_an_mbox_is_split_byte_for_byte(tmp_path: Path) -> None:
    mails = [cover(2), mail("[PATCH 2/2] second", diff=SECOND), mail("[PATCH 1/2] first")]
    path = tmp_path / "all.mbox"
    path.write_text("".join(mails))
    got = series.load(path)
    assert [p.subject for p in got.patches] == ["first", "second"]
    assert [p.path.read_text() for p in got.patches] == [mails[2], mails[1]]
    assert got.cover is not None
    assert got.cover.read_text() == mails[0]
    assert series.load(path) == got


def test_a_from_line_in_a_message_starts_no_mail(tmp_path: Path) -> None:
    path = tmp_path / "one.patch"
    path.write_text(mail(body="x\n\nFrom here on it is fast."))
    assert len(series.load(path).patches) == 1


@pytest.mark.parametrize("declared", ["iso-8859-1", "utf-8", ""])
def test_mail_that_is_not_utf8(tmp_path: Path, declared: str) -> None:
    text = mail("[PATCH] größer", body="Schön.", sender="Jörg <j@example.org>")
    if declared:
        text = text.replace("Subject:", f"Content-Type: text/plain; charset={declared}\nSubject:")
    raw = text.replace("+and a half", "+anderthalb für alle").encode("latin-1")
    path = tmp_path / "latin.patch"
    path.write_bytes(raw)
    (patch,) = series.load(path).patches
    assert patch.subject == "größer"
    assert patch.author == "Jörg <j@example.org>"
    assert patch.path.read_bytes() == raw


def test_encoded_headers_and_bodies(tmp_path: Path) -> None:
    text = mail("=?utf-8?q?=5BPATCH=5D_gr=C3=B6=C3=9Fer?=")
    head, body = text.split("\n\n", 1)
    head += "\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8"
    path = tmp_path / "qp.patch"
    path.write_text(head + "\n\n" + body.replace("=", "=3D").replace("half", "h=61lf"))
    (patch,) = series.load(path).patches
    assert (patch.subject, patch.files) == ("größer", ("fs/x.c",))


def test_the_author_may_be_in_the_body(tmp_path: Path) -> None:
    path = tmp_path / "x.patch"
    path.write_text(mail(body="From: Real Author <r@example.org>\n\nBecause."))
    assert series.load(path).patches[0].author == "Real Author <r@example.org>"


def test_files_of_every_kind_of_change(tmp_path: Path) -> None:
    diff = (
        DIFF
        + "diff --git a/old.c b/new.c\nsimilarity index 100%\nrename from old.c\nrename to new.c\n"
        + "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        + 'diff --git "a/\\303\\244.c" "b/\\303\\244.c"\nindex 1..2 100644\n'
        + '--- "a/\\303\\244.c"\n+++ "b/\\303\\244.c"\n@@ -1 +1 @@\n-x\n+y\n'
        + "\\ No newline at end of file\n"
        + "diff --git a/logo.bin b/logo.bin\nnew file mode 100644\nindex 0..1\nGIT binary patch\n"
        + "literal 1\nIcmZQz00IC2\n\nliteral 0\nHcmV?d00001\n\n"
    )
    path = tmp_path / "x.patch"
    path.write_text(mail(diff=diff))
    assert set(series.load(path).patches[0].files) == {
        "fs/x.c", "old.c", "new.c", "run.sh", "ä.c", "logo.bin",
    }  # fmt: skip


def test_mail_with_crlf(tmp_path: Path) -> None:
    path = tmp_path / "x.patch"
    path.write_bytes(mail().replace("\n", "\r\n").encode())
    (patch,) = series.load(path).patches
    assert (patch.subject, patch.files) == ("fs: count finer", ("fs/x.c",))


def test_base_commit_trailer(tmp_path: Path) -> None:
    path = tmp_path / "x.patch"
    path.write_text(mail(end=f"\nbase-commit: {'ab' * 20}\n{SIGNATURE}"))
    assert series.load(path).base == "ab" * 20


def test_series_toml(tmp_path: Path) -> None:
    toml = """
        title = "Finer"
        link = "https://example.org/1"
        kernel = "7.2"
        base = "v7.2.13"
        kconfig = ["nvmet", "own.config"]
        suites = ["tests/guest/configfs"]
        subsystems = ["fs/configfs"]
    """
    path = folder(tmp_path / "s", mail(), toml=toml)
    (path / "own.config").write_text("CONFIG_X=y\n")
    got = series.load(path)
    assert (got.title, got.link, got.kernel, got.base) == (
        "Finer", "https://example.org/1", "7.2", "v7.2.13",
    )  # fmt: skip
    assert got.kconfig == ("nvmet", str(path / "own.config"))
    assert got.suites == ("tests/guest/configfs",)
    assert got.subsystems == ("fs/configfs",)


@pytest.mark.parametrize(
    ("toml", "what", "hint"),
    [
        ('kernle = "7.2"', "unknown key 'kernle'", "'kernel'"),
        ("kernel = 7.2", "'kernel' is not a string", 'kernel = "..."'),
        ('suites = "x"', "'suites' is not a list", 'suites = ["..."]'),
        ("kernel = ", "not valid TOML", "line"),
    ],
)
def test_bad_series_toml(tmp_path: Path, toml: str, what: str, hint: str) -> None:
    refused(folder(tmp_path / "s", mail(), toml=toml), what, hint)


def test_a_series_after_another(tmp_path: Path) -> None:
    first = folder(tmp_path / "first", mail())
    got = series.load(folder(tmp_path / "s", mail(), toml='after = ["../first"]'))
    assert [earlier.folder for earlier in got.after] == [tmp_path / "s/../first"]
    assert got.after[0].digest == series.load(first).digest
    script = mail().replace("fs/x.c", "scripts/x.sh")
    risky = folder(tmp_path / "risky", script)
    later = series.load(folder(tmp_path / "v", mail(), toml=f'after = ["{risky}"]'))
    assert trust.commands(later) == ("risky: patch 1, scripts/x.sh",)
    refused(folder(tmp_path / "t", mail(), toml='after = ["../t"]'), "before itself", "remove it")
    with pytest.raises(UsageError, match="no series at"):
        series.load(folder(tmp_path / "u", mail(), toml='after = ["../nowhere"]'))


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no series at"):
        series.load(tmp_path / "nowhere")


def test_a_folder_without_patches(tmp_path: Path) -> None:
    refused(folder(tmp_path / "s"), "no patch", "git format-patch")
    refused(folder(tmp_path / "s", cover(0)), "no patch", "git format-patch")


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        ("", "is empty", "save"),
        ("\n \n", "is empty", "save"),
        ("<!DOCTYPE html>\n<html>" + mail(), r"web page \(HTML\)", "raw"),
        ("\n<html><body><pre>" + mail(), r"web page \(HTML\)", "raw"),
        ("Hello, here is my patch.\n", "not a patch", "git format-patch"),
        (DIFF, "plain diff", "git format-patch -1"),
        ("Subject: x\n\n" + DIFF, "no From line", "git format-patch -1"),
        (mail(diff=""), "has no diff", "replies"),
        (mail(diff=DIFF[:-7], end=""), "damaged", "save it again"),
        (mail(diff=DIFF[:-7]), "damaged", "save it again"),
        (mail(diff=DIFF[:-3], end=""), "in the middle of a line", "save it again"),
        (mail(diff=DIFF + "+more\n"), "longer than its header", "save it again"),
        (mail(files=2, end=""), "diffstat lists 2 files, the diff 1", "save it again"),
    ],
)
def test_bad_patch(tmp_path: Path, content: str, what: str, hint: str) -> None:
    path = tmp_path / "bad.patch"
    path.write_text(content)
    assert str(path) in refused(path, what, hint).what


def test_a_mail_with_only_html(tmp_path: Path) -> None:
    path = tmp_path / "x.patch"
    path.write_text(
        "From: a@example.org\nSubject: [PATCH] x\nContent-Type: text/html\n\n<html>x</html>\n"
    )
    refused(path, "only HTML", "raw")


def test_compressed(tmp_path: Path) -> None:
    path = tmp_path / "t.mbox.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00rest")
    refused(path, "is compressed", "gunzip")


def test_numbers(tmp_path: Path) -> None:
    two = mail("[PATCH 2/3] b", diff=SECOND)
    gap = folder(tmp_path / "gap", mail("[PATCH 1/3] a"), mail("[PATCH 3/3] c"))
    refused(gap, "patch 2 of 3 is missing in", "missing mails")
    twice = refused(folder(tmp_path / "twice", mail("[PATCH 2/3] a"), two), "2/3 appears twice")
    assert twice.details.count("2/3") == 2
    mixed = refused(folder(tmp_path / "mixed", mail("[PATCH] a"), two), "some do not", "number")
    assert "0000-x.patch" in mixed.details
    refused(folder(tmp_path / "two", mail("[PATCH 1/2] a"), two), "different series", "one series")


def test_a_reply_among_the_mails(tmp_path: Path) -> None:
    path = tmp_path / "all.mbox"
    path.write_text(mail("[PATCH 1/1] a") + mail("Re: [PATCH 1/1] a", diff=""))
    assert [patch.subject for patch in series.load(path).patches] == ["a"]


def test_two_mails_in_a_file_of_a_folder(tmp_path: Path) -> None:
    refused(folder(tmp_path / "s", mail() + mail()), "contains 2 mails", "its own file")


def test_unreadable(tmp_path: Path) -> None:
    (tmp_path / "s" / "0001-x.patch").mkdir(parents=True)
    refused(tmp_path / "s", "cannot read", "permissions")
