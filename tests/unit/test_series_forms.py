# SPDX-License-Identifier: GPL-2.0-only
"""Unusual mails: forwarded ones, other languages, other tags, threads without numbers."""

from __future__ import annotations

import email
import gzip
import os
import subprocess
import threading
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest

from harness import series
from harness.errors import SeriesError, UsageError
from harness.model import Series
from harness.series import SeriesRequest, header

GIT = "From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001\n"
BOX = "From mboxrd@z Thu Jan  1 00:00:00 1970\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def mail(title: str, name: str = "x", own: str = "", *above: str, sender: str = "a@x.org") -> str:
    """Write a mail that changes fs/``name``.c, without a From line of an mbox."""
    head = f"From: {sender[0].upper()} <{sender}>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n"
    head += f"Subject: {title}\n"
    head += f"Message-ID: <{own}>\n" if own else ""
    head += f"In-Reply-To: <{above[-1]}>\n" if above else ""
    head += f"References: {' '.join(f'<{one}>' for one in above)}\n" if above else ""
    diff = f"diff --git a/fs/{name}.c b/fs/{name}.c\n--- a/fs/{name}.c\n+++ b/fs/{name}.c\n"
    return f"{head}\nWhy.\n---\n\n{diff}@@ -1 +1 @@\n-one\n+two\n-- \n2.43.0\n\n"


def load(path: Path, *mails: str, data: bytes = b"") -> Series:
    path.write_bytes(data or "".join(BOX + one for one in mails).encode())
    return series.load(path)


def subjects(got: Series) -> list[str]:
    return [patch.subject for patch in got.patches]


def forwarded(*parts: email.message.Message) -> bytes:
    """Make a mail by somebody else with the series attached."""
    outer = MIMEMultipart()
    outer["From"], outer["Subject"] = "B <b@x.org>", "please test"
    outer.attach(MIMEText("See attached."))
    for part in parts:
        outer.attach(part)
    return outer.as_bytes()


def test_mails_forwarded_as_attachments(tmp_path: Path) -> None:
    some = [email.message_from_string(mail(f"[PATCH {n}/2] fs: {n}", f"f{n}")) for n in (2, 1)]
    some.append(email.message_from_string("From: C <c@x.org>\nSubject: Re: [PATCH 1/2]\n\nFine.\n"))
    got = load(tmp_path / "a.eml", data=forwarded(*map(MIMEMessage, some)))
    assert [(one.subject, one.author) for one in got.patches] == [
        ("fs: 1", "A <a@x.org>"),
        ("fs: 2", "A <a@x.org>"),
    ]
    assert [one.files for one in got.patches] == [("fs/f1.c",), ("fs/f2.c",)]
    assert b"please test" not in b"".join(one.path.read_bytes() for one in got.patches)


def test_a_mail_beside_a_diff_is_not_the_patch(tmp_path: Path) -> None:
    talk = email.message_from_string("From: C <c@x.org>\nSubject: crash\n\nIt breaks.\n")
    inner = MIMEText(mail("x").partition("\n\n")[2], "x-patch")
    got = load(tmp_path / "a.eml", data=forwarded(inner, MIMEMessage(talk)))
    assert subjects(got) == ["please test"]
    assert b"It breaks" not in got.patches[0].path.read_bytes()


@pytest.mark.parametrize("kind", ["plain", "mbox"])
def test_several_mails_in_one_attachment(tmp_path: Path, kind: str) -> None:
    text = "".join(GIT + mail(f"[PATCH {n}/2] fs: {n}", f"f{n}") for n in (1, 2))
    part = MIMEText(text, "plain" if kind == "plain" else "x-unknown")
    part.add_header("Content-Disposition", "attachment", filename="all.mbox")
    assert subjects(load(tmp_path / "a.eml", data=forwarded(part))) == ["fs: 1", "fs: 2"]


def test_a_message_in_another_encoding_becomes_utf8(tmp_path: Path) -> None:
    head = "MIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\n\nЖдём ёлку.\n"
    text = mail("[PATCH] fs: x").replace("\nWhy.\n", head, 1)
    got = load(tmp_path / "a.eml", data=text.encode("koi8-r"))
    folder = series.keep(got, tmp_path / "kept")
    assert "Ждём ёлку." in next(folder.glob("0001-*")).read_text()


def test_a_subject_has_no_control_characters(tmp_path: Path) -> None:
    got = load(tmp_path / "a.eml", data=mail("[PATCH] fs: \x1b[31m\x00\x07x").encode())
    assert subjects(got) == ["fs: [31mx"]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("[PATCH v.2 1/2] a", ("a", 2, 0, False)),
        ("【PATCH v2 1/2】a", ("a", 2, 0, False)),
        ("[PATCHv2 1/2] a", ("a", 2, 0, False)),
        ("[RFCv3 1/2] a", ("a", 3, 0, False)),
        ("[PATCH -v3 1/2] a", ("a", 3, 0, False)),
        ("[PATCH v2.1 1/2] a", ("a", 2, 1, False)),
        ("[PATCH v6.12 1/2] a", ("a", 0, 0, False)),
        ("[PATCH drm-v6 1/2] a", ("a", 0, 0, False)),
        ("[a-list] Re: [PATCH v2 1/2] a", ("a", 2, 0, True)),
        ("[a-list] [PATCH v2 1/2] a", ("a", 2, 0, False)),
        ("RÉP: [PATCH 1/2] a", ("a", 0, 0, True)),
        ("回复\uff1a[PATCH 1/2] a", ("a", 0, 0, True)),
        ("tr: fix a", ("tr: fix a", 0, 0, False)),
    ],
)
def test_tags(text: str, got: tuple[object, ...]) -> None:
    said = header.parse_subject(text)
    assert (said.title, said.version, said.minor, said.reply) == got


def test_a_thread_without_numbers_keeps_its_order(tmp_path: Path) -> None:
    got = load(
        tmp_path / "a.mbox",
        mail("[PATCH] fs: three", "c", "3@x", "1@x", "2@x"),
        mail("[PATCH] fs: one", "a", "1@x"),
        mail("[PATCH] fs: two", "b", "2@x", "1@x"),
    )
    assert subjects(got) == ["fs: one", "fs: two", "fs: three"]
    assert "using the order of the thread" in got.notes[-1]


def test_another_senders_answer_is_another_series(tmp_path: Path) -> None:
    other = mail("[PATCH] fs: better", "b", "2@x", "1@x", sender="b@x.org")
    got = load(tmp_path / "a.mbox", mail("[PATCH] fs: one", "a", "1@x"), other)
    assert subjects(got) == ["fs: one"]
    assert "'fs: better' by b@x.org" in got.notes[-1]


def test_part_of_a_revision_sent_again(tmp_path: Path) -> None:
    got = load(
        tmp_path / "a.mbox",
        mail("[PATCH v2 1/2] fs: one", "a", "1@x"),
        mail("[PATCH v2 2/2] fs: two", "b", "2@x", "1@x"),
        mail("[PATCH v2.1 2/2] fs: two", "c", "3@x", "1@x", "2@x"),
    )
    assert [one.files for one in got.patches] == [("fs/a.c",), ("fs/c.c",)]
    assert got.version == 2
    assert "using v2.1, the newest" in got.notes[0]


def test_a_series_sent_twice_in_the_same_second_is_named_by_its_id(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="contains 2 series") as caught:
        load(
            tmp_path / "a.mbox",
            *(mail(f"[PATCH {n}/2] fs: {n}", f"f{n}", f"a{n}@x", "a0@x") for n in (1, 2)),
            *(mail(f"[PATCH {n}/2] fs: {n}", f"g{n}", f"b{n}@x", "b0@x") for n in (1, 2)),
        )
    assert "'b1@x'" in caught.value.hint


def test_a_maildir_with_other_files(tmp_path: Path) -> None:
    for part in ("cur", "new"):
        (tmp_path / "box" / part / "sub").mkdir(parents=True)
    (tmp_path / "box" / "new" / "17.M1.host").write_text(mail("[PATCH] fs: x"))
    (tmp_path / "box" / "cur" / ".lock").write_text("")
    assert subjects(series.load(tmp_path / "box")) == ["fs: x"]


@pytest.mark.parametrize("form", ["{n}", "{n:04}-x.txt", "{n}-x.patch"])
def test_a_folder_is_sorted_by_numbers_in_names(tmp_path: Path, form: str) -> None:
    for n in (1, 2, 10):
        (tmp_path / form.format(n=n)).write_text(mail(f"[PATCH] fs: {n}", f"f{n}"))
    assert subjects(series.load(tmp_path)) == ["fs: 1", "fs: 2", "fs: 10"]


def test_one_missing_patch_is_one_complaint(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    texts = (
        mail("[PATCH 0/2] fs", own="0@x").partition("Why.")[0],
        mail("[PATCH 2/2] x", "x", "2@x", "0@x"),
    )
    path.write_text("".join(f"{BOX}{one}\n" for one in texts))
    got = series.load(path, SeriesRequest(whole=False))
    assert "patch 1 of 2 is missing" in got.fault
    assert not [note for note in got.notes if "only patch" in note]


@pytest.mark.parametrize(
    ("title", "head", "said"),
    [
        ("[PATCH] =?x-none?Q?fs=3A_x?=", "", "fs: x"),
        ("[PATCH] fs: x =?utf-8?B?x?=", "", "fs: x =?utf-8?B?x?="),
        ("[PATCH] fs: x", "Content-Type: text/plain; charset=x-none\n", "fs: x"),
    ],
)
def test_what_git_cannot_decode_is_rewritten(
    tmp_path: Path, title: str, head: str, said: str
) -> None:
    """git am stops at an encoding that it does not know."""
    text = mail(title).replace("Subject:", f"{head}Subject:", 1)
    (patch,) = load(tmp_path / "a.eml", data=text.encode()).patches
    assert patch.subject == said
    assert b"x-none" not in patch.path.read_bytes()
    told = subprocess.run(
        ["git", "mailinfo", "-u", tmp_path / "words", tmp_path / "diff"],
        input=patch.path.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert f"Subject: {said}" in told.stdout.decode()


def test_a_null_byte_in_a_message_is_removed(tmp_path: Path) -> None:
    (patch,) = load(
        tmp_path / "a.eml", data=mail("[PATCH] x").replace("Why", "W\0hy").encode()
    ).patches
    assert b"\nWhy.\n" in patch.path.read_bytes()


def test_messages_name_a_compressed_or_piped_mbox_as_the_user_did(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox.gz"
    path.write_bytes(gzip.compress(b"garbage"))
    with pytest.raises(SeriesError, match=r"^\S*/a\.mbox\.gz is not a patch"):
        series.load(path)


def test_a_whole_subject_does_not_match_longer_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    mails = [mail(f"[PATCH] fs: patch {n}", "x", f"{n}@x") for n in (1, 11, 111)]
    path.write_text("".join(BOX + one for one in mails))
    assert subjects(series.load(path, SeriesRequest(pick="fs: Patch 11"))) == ["fs: patch 11"]


def test_a_named_pipe(tmp_path: Path) -> None:
    """A shell's <(...) is one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "".join(BOX + mail(f"[PATCH {n}/2] fs: {n}", f"f{n}") for n in (1, 2))
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert subjects(series.load(pipe)) == ["fs: 1", "fs: 2"]
    writer.join()


@pytest.mark.parametrize("word", ["x" * 5000, "~nobody-here/x", "a\0b"])
def test_an_impossible_file_name(
    tmp_path: Path, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no series"):
        series.load(word)


def test_an_invalid_link() -> None:
    with pytest.raises(UsageError, match="is not a valid link"):
        series.load("http://[::1/x")


def test_a_range_without_a_git_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a git tree"):
        series.load("a..b", SeriesRequest(tree=tmp_path))


@pytest.mark.parametrize(
    ("listed", "what"), [("a.patch\na.patch\n", "a.patch is listed twice"), ("a\0b\n", "no patch")]
)
def test_invalid_quilt_series_files(tmp_path: Path, listed: str, what: str) -> None:
    (tmp_path / "a.patch").write_text(mail("[PATCH] fs: a"))
    (tmp_path / "series").write_text(listed)
    with pytest.raises(SeriesError, match=what) as caught:
        series.load(tmp_path)
    assert caught.value.hint
