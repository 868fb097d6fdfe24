# SPDX-License-Identifier: GPL-2.0-only
"""Subjects in every spelling, and where b4 reads them otherwise."""

from __future__ import annotations

import b4
import pytest

from harness.series.header import Subject, parse_subject


def short(subject: Subject) -> str:
    """Return version, number and total, as in ``v2.1 3.5/7``; a reply begins with Re."""
    version = f"v{subject.version}" if subject.version else ""
    version += f".{subject.minor}" if subject.minor else ""
    between = f".{subject.between}" if subject.between.isdigit() else subject.between
    total = "n" if subject.unlimited else str(subject.total)
    number = f"{subject.number}{between}/{total}" if subject.total else ""
    reply = "Re" if subject.reply or subject.foreign else ""
    return " ".join(filter(None, (reply, version, number, "resent" if subject.resent else "")))


# Title is always "a".  b4 reads none of these.
OURS_ALONE = [
    ("[PATCH v3a 1/2] a", "v3.1 1/2"),
    ("[PATCH][v850] a", ""),
    ("[PATCH] (2/3) a", "2/3"),
    ("PATCH [2/3] a", "2/3"),
    ("[PATCH] a (2/3)", "2/3"),
    ("[PATCH] a [2/3]", "2/3"),
    ("[PATCH 1of3] a", "1/3"),
    ("[PATCH 1\\3] a", "1/3"),
    ("[PATCH_1/2] a", "1/2"),
    ("[PATCH net-nextV2 1/2] a", "v2 1/2"),
    ("RESEND: [PATCH v2 1/2] a", "v2 1/2 resent"),
    ("RFC: [PATCH 1/2] a", "1/2"),
    ("RFC 1/2: a", "1/2"),
    ("{Spam?} [PATCH 1/2] a", "1/2"),
    ("(EXT) Re: [PATCH 1/2] a", "Re 1/2"),
    ("EXTERNAL: [PATCH 1/2] a", "1/2"),
    ("Forwarded: [PATCH] a", "Re"),
    ("Re [PATCH] a", "Re"),
]
SUBJECTS = [
    ("[PATCH] a", ""),
    ("[PATCH 1/2] a", "1/2"),
    ("[patch 03/12] a", "3/12"),
    ("[PATCH v2] a", "v2"),
    ("[PATCH v2 1/2] a", "v2 1/2"),
    ("[PATCH 1/2 v2] a", "v2 1/2"),
    ("[PATCH 0/5 V5] a", "v5 0/5"),
    ("[PATCHv2 0/3] a", "v2 0/3"),
    ("[PATCHV2 0/3] a", "v2 0/3"),
    ("[PATCH 0/2v2] a", "v2 0/2"),
    ("[PATCHv20/3] a", "v2 0/3"),
    ("[PATCH1/2] a", "1/2"),
    ("[PATCH-v3] a", "v3"),
    ("[PATCH -v3 1/2] a", "v3 1/2"),
    ("[PATCH_v3 1/2] a", "v3 1/2"),
    ("[PATCH,v3,1/2] a", "v3 1/2"),
    ("[PATCH v2_1/2] a", "v2 1/2"),
    ("[v2,1/2] a", "v2 1/2"),
    ("[ver2] [PATCH] a", "v2"),
    ("[PATCH ver. 2] a", "v2"),
    ("[PATCH, version 3, 1/2] a", "v3 1/2"),
    ("[PATCH take 2] a", "v2"),
    ("[PATCH try #2] a", "v2"),
    ("[PATCH v2.1 1/2] a", "v2.1 1/2"),
    ("[PATCH v6.12 1/2] a", "1/2"),
    ("[PATCH 5.10 01/24] a", "1/24"),
    ("[PATCH 6.1.y v2 1/2] a", "v2 1/2"),
    ("[PATCH 6.1/6.6 1/2] a", "1/2"),
    ("[PATCH 2.6.12-rc2-mm3 1/2] a", "1/2"),
    ("[PATCH drm-v6 1/2] a", "1/2"),
    ("[PATCH v4l-utils 1/2] a", "1/2"),
    ("[PATCH net-next v12 07/15] a", "v12 7/15"),
    ("[bpf-next PATCH v2 1/2] a", "v2 1/2"),
    ("[blktests PATCH 1/2] a", "1/2"),
    ("[RESEND PATCH V2 1/2] a", "v2 1/2 resent"),
    ("[PATCH v2 RESEND 1/2] a", "v2 1/2 resent"),
    ("[PATCH v2-resend] a", "v2 resent"),
    ("[REPOST PATCH] a", "resent"),
    ("[RFC PATCH v3 02/10] a", "v3 2/10"),
    ("[RFC,PATCH v2 1/2] a", "v2 1/2"),
    ("[RFCv3 1/2] a", "v3 1/2"),
    ("[PATCH 1/2] [RFC] a", "1/2"),
    ("[PATCH][v2][1/2] a", "v2 1/2"),
    ("[PATCH [v2] 1/2] a", "v2 1/2"),
    ("[PATCH (v2) 1/2] a", "v2 1/2"),
    ("[PATCH] [v2] 1/2 a", "v2 1/2"),
    ("[PATCH] v2: a", "v2"),
    ("[PATCH 2 of 3] a", "2/3"),
    ("[PATCH 3.5/7] a", "3.5/7"),
    ("[PATCH 3a/7] a", "3a/7"),
    ("[PATCH 3/n] a", "3/n"),
    ("[PATCH 6/5] a", "6/5"),
    ("[Patch 2/2]: a", "2/2"),
    ("[PATCH v2 1/3 a", "v2 1/3"),
    ("PATCH v2 1/3] a", "v2 1/3"),
    ("PATCH v2 1/3: a", "v2 1/3"),
    ("PATCH: a", ""),
    ("(PATCH 1/2) a", "1/2"),
    ("{PATCH v2} a", "v2"),
    ("[a-list] [PATCH v3 1/2] a", "v3 1/2"),
    ("[a-list] [another] [PATCH 1/2] a", "1/2"),
    ("***SPAM*** [PATCH 1/2] a", "1/2"),
    ("Subject: [PATCH 1/2] a", "1/2"),
    ("[GIT PULL 0/3] a", "0/3"),
    ("Re: [PATCH v2 1/2] a", "Re v2 1/2"),
    ("RE: [EXT] [PATCH 1/2] a", "Re 1/2"),
    ("[EXT] Re: [PATCH 1/2] a", "Re 1/2"),
    ("Re: Re: [PATCH] a", "Re"),
    ("Re[2]: [PATCH] a", "Re"),
    ("Re: [a-list] [PATCH 1/2] a", "Re 1/2"),
    ("Fwd: [PATCH] a", "Re"),
    ("R: [PATCH 1/2] a", "Re 1/2"),
    ("Antwort: [PATCH 1/2] a", "Re 1/2"),
    ("Odp: [PATCH 1/2] a", "Re 1/2"),
    ("回复\uff1a[PATCH 1/2] a", "Re 1/2"),
    ("回复: 回复: [PATCH 1/2] a", "Re 1/2"),
    ("SV: VS: [PATCH 1/2] a", "Re 1/2"),
    ("Απ: [PATCH 1/2] a", "Re 1/2"),
    ("[PATCH v2 for-6.9/block 00/10] a", "v2 0/10"),
    ("[PATCHSET v5 0/8] a", "v5 0/8"),
    ("[PATCH -next] a", ""),
    ("[PATCH|RFC 0/3] a", "0/3"),
    ("[PATCH 1/4 - v2] a", "v2 1/4"),
    ("[PATCH AUTOSEL 6.17-5.4] a", ""),
    ("[PATCH tip/core/rcu 1/10] a", "1/10"),
    *OURS_ALONE,
]


@pytest.mark.parametrize(("text", "wanted"), SUBJECTS)
def test_spellings(text: str, wanted: str) -> None:
    subject = parse_subject(text)
    assert (short(subject), subject.title, subject.tagged) == (wanted, "a", True)
    folded = parse_subject(text.replace(" ", "\n "))
    assert (short(folded), folded.title) == (wanted, "a")


@pytest.mark.parametrize(
    "text",
    ["fs: drop v1/2", "a [1/2]", "tr: fix a", "res: fix v2", "patch: 1/2 of it", "3/4 of a"],
)
def test_titles_that_are_no_tags(text: str) -> None:
    subject = parse_subject(text)
    assert (short(subject), subject.title) == ("", text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[PATCH 01/33] a [ver #2]", "v2 1/33"),
        ("[PATCH 2/3] a [v3]", "v3 2/3"),
        ("[PATCH 2/3] a (v3)", "2/3"),
        ("[patch 0/5] a, -v19", "v19 0/5"),
        ("[PATCH] a, v2", "v2"),
        ("[PATCH] a - v3", "v3"),
        ("[PATCH] a (take #2)", "v2"),
        ("[PATCH] add foo v2", ""),
    ],
)
def test_versions_behind_the_title(text: str, wanted: str) -> None:
    assert short(parse_subject(text)) == wanted


# What b4 does not read: it wants a blank before each part of a tag, and a bracket around it.
OTHERWISE = {
    *(text for text, _ in OURS_ALONE),
    *("[PATCH 0/2v2] a", "[PATCHv20/3] a", "[PATCH1/2] a", "[PATCH-v3] a", "[PATCH -v3 1/2] a"),
    *("[PATCH_v3 1/2] a", "[PATCH,v3,1/2] a", "[PATCH v2_1/2] a", "[v2,1/2] a"),
    *("[ver2] [PATCH] a", "[PATCH ver. 2] a", "[PATCH, version 3, 1/2] a", "[PATCH take 2] a"),
    *("[PATCH try #2] a", "[PATCH v2.1 1/2] a", "[PATCH v2-resend] a", "[RFCv3 1/2] a"),
    *("[PATCH (v2) 1/2] a", "[PATCH] [v2] 1/2 a", "[PATCH] v2: a"),
    *("[PATCH 2 of 3] a", "[PATCH 3.5/7] a", "[PATCH 3a/7] a", "[PATCH 3/n] a"),
    *("PATCH v2 1/3] a", "PATCH v2 1/3: a", "(PATCH 1/2) a", "{PATCH v2} a", "[PATCH v2 1/3 a"),
    *("***SPAM*** [PATCH 1/2] a", "Subject: [PATCH 1/2] a", "[EXT] Re: [PATCH 1/2] a"),
    *("Re[2]: [PATCH] a", "[REPOST PATCH] a", "R: [PATCH 1/2] a"),
    *(
        "SV: VS: [PATCH 1/2] a",
        "回复: 回复: [PATCH 1/2] a",
        "Antwort: [PATCH 1/2] a",
        "回复\uff1a[PATCH 1/2] a",
    ),
}


@pytest.mark.parametrize(("text", "wanted"), SUBJECTS)
def test_b4_agrees_where_it_can(text: str, wanted: str) -> None:
    theirs = b4.LoreSubject(text)
    version = "" if theirs.revision_inferred else f"v{theirs.revision}"
    number = "" if theirs.counters_inferred else f"{theirs.counter}/{theirs.expected}"
    resent = "resent" if theirs.resend else ""
    parts = ("Re" if theirs.reply else "", version, number, resent)
    assert (" ".join(filter(None, parts)) == wanted) is (text not in OTHERWISE)
