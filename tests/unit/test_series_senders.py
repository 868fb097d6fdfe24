# SPDX-License-Identifier: GPL-2.0-only
"""Threads as the tools and habits of many senders make them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from test_series_threads import HOUR, Case, load, mail

from harness import series
from harness.series import SeriesRequest

DAY = 24 * HOUR
HEAD = "0 ann c [PATCH 0/2] tidy\n1 ann a<c [PATCH 1/2] one\n2 ann b<c [PATCH 2/2] two\n"
NOT_PART = "not used, since they are not part of the series"

CASES = [
    Case(
        "a version behind the title, in reply to the first",
        f"""
        {HEAD}
        {DAY} ann c2<c [PATCH 0/2] tidy [ver #2]
        {DAY + 1} ann a2<c2 [PATCH 1/2] one [ver #2]
        {DAY + 2} ann b2<c2 [PATCH 2/2] two [ver #2]
        """,
        "a2 b2",
        2,
        "tidy [ver #2]",
        "using v2, the newest",
    ),
    Case(
        "numbers behind the title, and no links",
        """
        1 ann a [PATCH] one (1/3)
        2 ann b [PATCH] two (2/3)
        3 ann d [PATCH] three (3/3)
        """,
        "a b d",
        note="its mails are not linked",
    ),
    Case(
        "numbers after the tag",
        """
        0 ann c [PATCH] 0/2: tidy
        1 ann a<c [PATCH] (1/2) one
        2 ann b<c [PATCH] 2/2 two
        """,
        "a b",
        cover="tidy",
    ),
    Case(
        "a bomb of patches below a mail without a tag",
        "0 ann c incoming\n"
        + "\n".join(f"{n} ann p{n}<c [patch {n:03}/123] n{n}" for n in range(1, 124)),
        " ".join(f"p{n}" for n in range(1, 124)),
        cover="incoming",
    ),
    Case(
        "patches for several stable trees each",
        """
        0 sasha a [PATCH AUTOSEL 6.17-6.12] one
        1 sasha b<a [PATCH AUTOSEL 6.17-5.4] two
        2 sasha d<a [PATCH AUTOSEL 6.17] three
        """,
        "a b d",
        note="using the order of the thread",
    ),
    Case(
        "a backport in reply to the mail that asks for it",
        """
        0 greg f+diff FAILED: patch "[PATCH] one" failed to apply to 6.1-stable tree
        9000 ann a<f [PATCH 6.1.y] one
        """,
        "a",
        note="not used, since it is a reply with a diff: f@x",
    ),
    Case(
        "a bot forwards a patch to be tested",
        """
        0 bot s-diff [syzbot] KASAN: use-after-free in foo
        9 bot t+diff<s Forwarded: [PATCH] try this
        9000 ann a<s [PATCH net] foo: fix it
        """,
        "a",
        note="not used, since it is a reply with a diff: t@x",
    ),
    Case(
        "a new version under most of the old title, in reply to the patch",
        f"""
        0 ann a [PATCH 1/2] foo: one
        1 ann b<a [PATCH 2/2] foo: fix the leak in bar
        {DAY} ann x<b [PATCH v2] foo: fix leak of baz in bar
        """,
        "a x",
        2,
        note="patches missing in v2 are from earlier revisions",
    ),
    Case(
        "another attempt half an hour after a review",
        """
        0 ann a [PATCH] foo: one
        500 bob r<a Re: [PATCH] foo: one
        1500 ann x<r [PATCH] foo: one, better
        """,
        "x",
        note="v1 was sent again",
    ),
    Case(
        "patches for a tool, with a version of their own",
        """
        0 ann c [PATCH net-next v2 0/2] tidy
        1 ann a<c [PATCH net-next v2 1/2] one
        2 ann b<c [PATCH net-next v2 2/2] two
        60 ann x<c [PATCH iproute2-next v3 0/2] show it
        61 ann y<x [PATCH iproute2-next v3 1/2] first
        62 ann z<x [PATCH iproute2-next v3 2/2] second
        """,
        "a b",
        2,
        "tidy",
        f"{NOT_PART}: 'show it'",
    ),
    Case(
        "a single patch for a tool, with a version of its own",
        f"{HEAD}60 ann x<c [PATCH iproute2-next v3] show it\n",
        "a b",
        cover="tidy",
        note=f"{NOT_PART}: 'show it'",
    ),
    Case(
        "patches for the kernel and for a tool below one mail",
        """
        0 ann u-diff [RFC] a big thing
        1 ann a<u [RFC PATCH 1/2] one
        2 ann b<u [RFC PATCH 2/2] two
        60 ann y<u [RFC PATCH qemu 1/2] first
        61 ann z<u [RFC PATCH qemu 2/2] second
        """,
        "a b",
        cover="a big thing",
        note=NOT_PART,
    ),
    Case(
        "a new version under other titles for another tree",
        f"""
        0 ann c [PATCH net 0/2] tidy
        1 ann a<c [PATCH net 1/2] one
        2 ann b<c [PATCH net 2/2] two
        {DAY} ann c2<c [PATCH net-next v2 0/2] clean
        {DAY + 1} ann a2<c2 [PATCH net-next v2 1/2] eins
        {DAY + 2} ann b2<c2 [PATCH net-next v2 2/2] zwei
        """,
        "a2 b2",
        2,
        "clean",
        "using v2, the newest",
    ),
    Case(
        "one number twice and one not at all",
        """
        0 ann c [PATCH 0/4] tidy
        1 ann a<c [PATCH 1/4] one
        2 ann b<c [PATCH 2/4] two
        3 ann d<c [PATCH 2/4] three
        4 ann e<c [PATCH 4/4] four
        """,
        "a b d e",
        cover="tidy",
        note="'three' has patch 2/4; using it as patch 3",
    ),
    Case(
        "one patch made by itself",
        """
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        2 ann b<c [PATCH 2/3] two
        3 ann d<c [PATCH 1/1] three
        """,
        "a b d",
        cover="tidy",
        note="'three' has patch 1/1; using it as patch 3",
    ),
    Case(
        "resent with a word before the tag",
        f"""
        0 ann a [PATCH v2] one
        {9 * DAY} ann b+diff<a RESEND: [PATCH v2] one
        """,
        "b",
        2,
        note="v2 was sent again",
    ),
    *(
        Case(
            f"a reply with a diff, {word}",
            f"{HEAD}900 {who} x+diff<b {word} [PATCH 2/2] two\n",
            "a b",
            cover="tidy",
            note="not used, since it is a reply with a diff: x@x",
        )
        for who in ("bob", "ann")
        for word in ("(EXT) Re:", "EXTERNAL: RE:", "{Spam?} Re:", "Re", "FW:")
    ),
    Case(
        "a filter's word in front of a patch",
        """
        0 ann c {Spam?} [PATCH 0/2] tidy
        1 ann a+diff<c {Spam?} [PATCH 1/2] one
        2 ann b+diff<c SPAM: [PATCH 2/2] two
        """,
        "a b",
        cover="tidy",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_threads(tmp_path: Path, case: Case) -> None:
    lines = (line for line in case.thread.splitlines() if line.strip())
    got = load(tmp_path, "\n".join(lines))
    ids = " ".join(patch.message_id.removesuffix("@x") for patch in got.patches)
    assert (ids, got.version, got.cover_subject) == (case.patches, case.version, case.cover)
    assert case.note in " | ".join(got.notes) if case.note else not got.notes


@pytest.mark.parametrize(
    ("thread", "fault"),
    [
        # One patch in answer to a series that lacks one is not the series.
        ("0 ann c [PATCH 0/3] tidy\n1 ann a<c [PATCH 1/3] one\n3 ann d<c [PATCH 3/3] three\n"
         "900 bob x<a [PATCH] better\n", "patch 2 of 3 is missing"),
        # All numbers are there, so nobody knows what the other one is.
        ("0 ann c [PATCH 0/2] tidy\n1 ann a<c [PATCH 1/2] one\n2 ann x<c [PATCH 1/2] uno\n"
         "3 ann b<c [PATCH 2/2] two\n", "patch 1/2 appears twice"),
    ],
)  # fmt: skip
def test_threads_that_are_not_whole(tmp_path: Path, thread: str, fault: str) -> None:
    got = load(tmp_path, thread, SeriesRequest(whole=False))
    assert fault in got.fault


def test_a_damaged_patch_alone_is_shown(tmp_path: Path) -> None:
    box = tmp_path / "in.mbox"
    box.write_text(mail("0 ann a [PATCH v2] one").replace("@@ -1 +1 @@", "@@ -1,9 +1,9 @@"))
    got = series.load(box, SeriesRequest(whole=False))
    assert "is damaged" in got.fault
    assert ([patch.message_id for patch in got.patches], got.version) == (["a@x"], 2)


FOOTER = "_______________________________________________\na-list mailing list\n\n"


@pytest.mark.parametrize("linked", [True, False], ids=["one cover letter", "two cover letters"])
def test_a_copy_over_another_list_with_another_id(tmp_path: Path, linked: bool) -> None:
    first = "".join(mail(line) for line in HEAD.splitlines())
    copies = [mail(line).replace("\n-- \n", f"\n{FOOTER}-- \n") for line in HEAD.splitlines()]
    second = "".join(copies[1:] if linked else copies)
    for one in "ab" if linked else "abc":
        second = second.replace(f"Message-ID: <{one}@x>", f"Message-ID: <{one}@list>")
    if not linked:
        second = second.replace("To: <c@x>", "To: <c@list>").replace("s: <c@x>", "s: <c@list>")
    (tmp_path / "in.mbox").write_text(first + second)
    got = series.load(tmp_path / "in.mbox")
    assert [patch.subject for patch in got.patches] == ["one", "two"]
    assert "sent again" in " | ".join(got.notes)


def attached(line: str, *subjects: str, encoded: bool) -> str:
    """Return the mail with files of git format-patch attached; mboxes quote From lines in them."""
    head, _, _ = mail(line).partition("\n\n")
    parts = ["\nPlease apply.\n"]
    for subject in subjects:
        inner = mail(f"0 ann  {subject}").replace(
            "From mboxrd@z Thu Jan  1 00", "From 0 Mon Sep 17 00"
        )
        inner = inner.replace("From 0 ", f"From {'1' * 40} ").replace("00:00 1970", "00:00 2001")
        kind = "Content-Type: text/x-patch\n"
        if encoded:
            kind += "Content-Transfer-Encoding: base64\n"
            inner = base64.encodebytes(inner.encode()).decode()
        parts.append(kind + "\n" + (inner if encoded else f">{inner}"))
    kind = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=-="\n'
    return f"{head}\n{kind}\n" + "".join(f"--=-=\n{part}\n" for part in parts) + "--=-=--\n\n"


@pytest.mark.parametrize("encoded", [True, False], ids=["base64", "quoted"])
def test_files_of_format_patch_have_the_number_of_their_mail(tmp_path: Path, encoded: bool) -> None:
    box = tmp_path / "in.mbox"
    box.write_text(
        mail("0 ann c [PATCH v2 0/2] tidy")
        + attached("1 ann a<c [PATCH v2 1/2] one", "[PATCH] one", encoded=encoded)
        + attached("2 ann b<c [PATCH v2 2/2] two", "[PATCH] two", encoded=encoded)
    )
    got = series.load(box)
    assert [patch.message_id for patch in got.patches] == ["a@x", "b@x"]
    assert (got.version, got.total, got.notes) == (2, 2, ())
    box.write_text(
        attached("0 ann a [PATCH v3] tidy", "[PATCH 1/2] one", "[PATCH 2/2] two", encoded=encoded)
    )
    got = series.load(box)
    assert [patch.message_id for patch in got.patches] == ["a@x", "a@x"]
    assert (got.version, [patch.subject for patch in got.patches]) == (3, ["one", "two"])


def test_dashes_that_pgp_escaped(tmp_path: Path) -> None:
    head, _, body = mail("0 ann a [PATCH] one").partition("\n\n")
    lines = (f"- {line}" if line.startswith("-") else line for line in body.splitlines())
    signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\n" + "\n".join(lines)
    signed += "\n-----BEGIN PGP SIGNATURE-----\n\niD8DBQ\n-----END PGP SIGNATURE-----\n"
    (tmp_path / "in.mbox").write_text(f"{head}\n\n{signed}\n")
    (patch,) = series.load(tmp_path / "in.mbox").patches
    assert patch.files == ("fs/one.c",)
    assert "\n-one\n+a\n" in patch.path.read_text()
