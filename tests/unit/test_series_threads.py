# SPDX-License-Identifier: GPL-2.0-only
"""Threads as people send them: which mails are the series, and what is said about the others.

Each thread is written as one line for each mail: ``SECONDS SENDER ID<PARENT SUBJECT``.  A subject
with a number from 1 on, or with a tag but no number, gets a diff; ``+diff`` and ``-diff`` after the
id change that.  ``~ID,ID`` gives References in that order.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
from email.utils import formatdate
from pathlib import Path

import pytest

from harness import series
from harness.errors import SeriesError
from harness.model import Series
from harness.series import SeriesRequest

HOUR = 3600
LINE = re.compile(
    r"\s*(?P<at>\d+) (?P<who>[\w@]+) (?P<id>\w*)(?P<diff>[+-]diff)?"
    r"(?:<(?P<to>\w+))?(?:~(?P<refs>[\w,]+))? (?P<subject>.+)"
)
DIFF = """\
diff --git a/fs/{name}.c b/fs/{name}.c
--- a/fs/{name}.c
+++ b/fs/{name}.c
@@ -1 +1 @@
-one
+{id}
"""
SIGNATURE = "-- \n2.43.0\n\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def mail(line: str) -> str:
    """Write the mail that a line describes."""
    match = LINE.fullmatch(line)
    assert match, line
    subject = match["subject"]
    number = re.search(r"\b(\d+)(?:[.]\d|[a-z])?(?:/| of )\w", subject)
    reply = not subject.startswith(("[", "PATCH", "RFC"))
    patch = not reply and (int(number[1]) > 0 if number else "[" in subject or "PATCH" in subject)
    if match["diff"]:
        patch = match["diff"] == "+diff"
    name, _, host = match["who"].partition("@")
    head = f"From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: {name.title()} Example"
    head += f" <{name}@{host or 'example'}.org>\nSubject: {subject}\n"
    head += f"Date: {formatdate(1_700_000_000 + int(match['at']))}\n"
    head += f"Message-ID: <{match['id']}@x>\n" if match["id"] else ""
    head += f"In-Reply-To: <{match['to']}@x>\n" if match["to"] else ""
    refs = (match["refs"] or match["to"] or "").split(",")
    head += f"References: {' '.join(f'<{one}@x>' for one in refs)}\n" if refs != [""] else ""
    name = re.sub(r"\W+", "-", subject.rpartition("]")[2]).strip("-") or "x"
    body = (
        f"Why.\n---\n\n{DIFF.format(name=name, id=match['id'])}{SIGNATURE}"
        if patch
        else "Hello.\n\n"
    )
    return f"{head}\n{body}"


def load(path: Path, thread: str, request: SeriesRequest | None = None) -> Series:
    box = path / "in.mbox"
    box.write_text("".join(mail(line) for line in thread.strip().splitlines()))
    return series.load(box, request)


@dataclasses.dataclass(frozen=True)
class Case:
    """A thread, and what a careful maintainer expects.

    ``patches`` are the ids in order; ``note`` is what must be said, "" if there is nothing to say.
    """

    name: str
    thread: str
    patches: str
    version: int = 1
    cover: str = ""
    note: str = ""
    total: int = 0


CASES = [
    Case(
        "shallow",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
        cover="tidy",
    ),
    Case(
        "deep, and out of order in the file",
        """
        2 ann b<a [PATCH 2/2] two
        1 ann a<c [PATCH 1/2] one
        0 ann c [PATCH 0/2] tidy
        """,
        "a b",
        cover="tidy",
    ),
    Case(
        "padded numbers up to 12",
        "\n".join(f"{n} ann p{n}{'<p0' if n else ''} [PATCH {n:02}/12] n{n}" for n in range(13)),
        " ".join(f"p{n}" for n in range(1, 13)),
        cover="n0",
    ),
    Case(
        "version in the cover letter only",
        """
        0 ann c [PATCH v4 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
        4,
        "tidy",
    ),
    Case(
        "version in the patches only",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH v3 1/2] one
        2 ann b<c [PATCH v3 2/2] two
        """,
        "a b",
        3,
        "tidy",
    ),
    Case(
        "version in the title of the cover letter",
        """
        0 ann c [PATCH 0/2] tidy (v3)
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
        3,
        "tidy (v3)",
    ),
    Case(
        "a version in a patch's title is not the series'",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two (v2)
        """,
        "a b",
        1,
        "tidy",
    ),
    Case(
        "one patch with an old version",
        """
        0 ann c [PATCH v3 0/3] tidy
        1 ann a<c [PATCH v3 1/3] one
        2 ann b<c [PATCH v2 2/3] two
        3 ann d<c [PATCH v3 3/3] three
        """,
        "a b d",
        3,
        "tidy",
        "patch 2/3 is v2, most are v3; using v3",
    ),
    Case(
        "one patch names a version",
        """
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        2 ann b<c [PATCH v2 2/3] two
        3 ann d<c [PATCH 3/3] three
        """,
        "a b d",
        2,
        "tidy",
        "only patch 2/3 names a version; using v2",
    ),
    Case(
        "the cover letter counts another total",
        """
        0 ann c [PATCH v2 0/3] tidy
        1 ann a<c [PATCH v2 1/2] one
        2 ann b<c [PATCH v2 2/2] two
        """,
        "a b",
        2,
        "tidy",
        "the cover letter counts 3, the others 2; using 2",
        total=2,
    ),
    Case(
        "a single patch with a cover letter that counts wrong",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/1] one
        """,
        "a",
        cover="tidy",
        note="the cover letter counts 2, the others 1",
    ),
    Case(
        "a cover letter that shows a diff",
        """
        0 ann c+diff [PATCH v2 0/2] tidy
        1 ann a<c [PATCH v2 1/2] one
        2 ann b<c [PATCH v2 2/2] two
        """,
        "a b",
        2,
        "tidy",
    ),
    Case(
        "a cover letter without a number",
        """
        0 ann c-diff [PATCH] tidy two things
        1 ann a<c [PATCH] one
        """,
        "a",
        cover="tidy two things",
        total=1,
    ),
    Case(
        "a cover letter with a version but no number",
        """
        0 ann c-diff [PATCHSET v5] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
        5,
        "tidy",
    ),
    Case(
        "a cover letter without any tag",
        """
        0 ann c tidy two things
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
        cover="tidy two things",
    ),
    Case(
        "somebody else's report is no cover letter",
        """
        0 bob c gadget is broken
        1 ann a<c [PATCH 1/2] one
        2 ann b<a [PATCH 2/2] two
        """,
        "a b",
    ),
    Case(
        "a cover letter sent last, in reply to the first patch",
        """
        0 ann a [PATCH 1/2] one
        1 ann b<a [PATCH 2/2] two
        90 ann c<a [PATCH 0/2] tidy
        """,
        "a b",
        cover="tidy",
    ),
    Case(
        "a pull request before its patches",
        """
        0 ann c [GIT PULL 0/2] tidy for 7.3
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
        cover="tidy for 7.3",
    ),
    Case(
        "an unnumbered pull request before its patches",
        """
        0 ann c+diff [GIT PULL] tidy for 7.3
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        """,
        "a b",
    ),
    Case(
        "references in reverse",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        9 bob r<a~a,c Re: [PATCH 1/2] one
        """,
        "a b",
        cover="tidy",
    ),
    Case(
        "a thread whose first mail is missing",
        """
        1 ann a<gone [PATCH 1/2] one
        2 ann b<gone [PATCH 2/2] two
        """,
        "a b",
    ),
    Case(
        "no links at all",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a [PATCH 1/2] one
        2 ann b [PATCH 2/2] two
        """,
        "a b",
        cover="tidy",
        note="its mails are not linked",
    ),
    Case(
        "one patch lost its links",
        """
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        2 ann b [PATCH 2/3] two
        3 ann d<c [PATCH 3/3] three
        """,
        "a b d",
        cover="tidy",
        note="its mails are not linked",
    ),
    Case(
        "patches of several authors, never sent",
        """
        0 ann  [PATCH 1/2] one
        90000 bob  [PATCH 2/2] two
        """,
        " ",
        total=2,
    ),
    Case(
        "a patch twice in a file that was never sent",
        """
        0 ann  [PATCH 1/2] one
        0 ann  [PATCH 2/2] two
        0 ann  [PATCH 2/2] two
        """,
        " ",
        note="1 mail came more than once",
    ),
    Case(
        "patches sent under the names of their authors",
        """
        0 ann c [PATCH 0/2] tidy
        1 bob a<c [PATCH 1/2] one
        2 eve b<c [PATCH 2/2] two
        """,
        "a b",
        cover="tidy",
        note="some of the patches are by bob",
    ),
    Case(
        "a mail over two lists",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        1 ann a<c [a-list] [PATCH 1/2] one
        """,
        "a b",
        cover="tidy",
        note="1 mail came more than once",
    ),
    Case(
        "a patch between two others",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 ann x<a [PATCH 1.5/2] one and a half
        """,
        "a x b",
        cover="tidy",
        note="patch 1.5/2 was sent in addition to the 2",
        total=3,
    ),
    Case(
        "a patch more than announced",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 ann x<c [PATCH 3/2] three
        """,
        "a b x",
        cover="tidy",
        note="patch 3/2 was sent in addition to the 2",
    ),
    Case(
        "a patch of a series that has no end yet",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 ann x<c [PATCH 3/n] three
        """,
        "a b x",
        cover="tidy",
        note="was sent in addition",
    ),
    Case(
        "the first patch has no number",
        """
        0 ann a [PATCH] one
        1 ann b<a [PATCH 2/2] two
        """,
        "a b",
        note="'one' has no number; using it as patch 1",
    ),
    Case(
        "no patch has a number",
        """
        0 ann a [PATCH] one
        1 ann b<a [PATCH] two
        2 ann d<b [PATCH] three
        """,
        "a b d",
        note="using the order of the thread",
    ),
    Case(
        "Mercurial's numbers",
        """
        0 ann c [PATCH 0 of 2 v2] tidy
        1 ann a<c [PATCH 1 of 2 v2] one
        2 ann b<c [PATCH 2 of 2 v2] two
        """,
        "a b",
        2,
        "tidy",
    ),
    Case(
        "an RFC without PATCH",
        """
        0 ann c [RFC 0/2] tidy
        1 ann a<c [RFC 1/2] one
        2 ann b<c [RFC 2/2] two
        """,
        "a b",
        cover="tidy",
    ),
]

REVISIONS = [
    Case(
        "a new version in reply to the old one",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}0 ann c2<c [PATCH v2 0/1] tidy
        {9 * HOUR}1 ann a2<c2 [PATCH v2 1/1] one
        """,
        "a2",
        2,
        "tidy",
        "using v2, the newest",
    ),
    Case(
        "all mails of a new version reply to the old cover letter",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}0 ann c2<c [PATCH v2 0/2] tidy
        {9 * HOUR}1 ann a2<c [PATCH v2 1/2] one
        {9 * HOUR}2 ann b2<c [PATCH v2 2/2] two
        """,
        "a2 b2",
        2,
        "tidy",
        "using v2, the newest",
    ),
    Case(
        "a new version without saying so",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}0 ann c2<c [PATCH 0/2] tidy
        {9 * HOUR}1 ann a2<c2 [PATCH 1/2] one
        {9 * HOUR}2 ann b2<c2 [PATCH 2/2] two
        """,
        "a2 b2",
        cover="tidy",
        note="v1 was sent again; using the last one",
    ),
    Case(
        "a new version in a thread of its own, without a cover letter",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}1 ann a2 [PATCH v2 1/2] one
        {9 * HOUR}2 ann b2<a2 [PATCH v2 2/2] two
        """,
        "a2 b2",
        2,
        note="using v2, the newest",
    ),
    Case(
        "a longer version within the hour, all in reply to the first",
        """
        0 ann a [PATCH 1/1] one
        600 ann a2<a [PATCH v2 1/2] one
        601 ann b2<a [PATCH v2 2/2] two
        """,
        "a2 b2",
        2,
        note="using v2, the newest",
    ),
    Case(
        "one patch again, numbered, in reply to it",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        9 bob r<b Re: [PATCH 2/2] two
        {9 * HOUR}0 ann b2<r [PATCH v2 2/2] two
        """,
        "a b2",
        2,
        "tidy",
        "patches missing in v2 are from earlier revisions",
    ),
    Case(
        "one patch again, without a number",
        f"""
        0 ann a [PATCH 1/2] one
        1 ann b<a [PATCH 2/2] two
        {9 * HOUR}0 ann b2<b [PATCH v2] two
        """,
        "a b2",
        2,
        note="patches missing in v2 are from earlier revisions",
    ),
    Case(
        "two patches again, in two steps",
        f"""
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        2 ann b<c [PATCH 2/3] two
        3 ann d<c [PATCH 3/3] three
        {9 * HOUR}0 ann b2<b [PATCH v2 2/3] two
        {19 * HOUR}0 ann d3<d [PATCH v3 3/3] three
        """,
        "a b2 d3",
        3,
        "tidy",
        "patches missing in v3 are from earlier revisions",
    ),
    Case(
        "a new version under another title, in reply to the patch",
        f"""
        0 ann a [PATCH 1/2] one
        1 ann b<a [PATCH 2/2] two
        {9 * HOUR}0 ann x<b [PATCH v2] quite another
        """,
        "a b",
        note="not used, since they are not part of the series: 'quite another' x@x",
    ),
    Case(
        "a new version that shrank to one patch",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}0 ann x<c [PATCH v2] tidy in one
        """,
        "x",
        2,
        note="using v2, the newest",
    ),
    Case(
        "a new version that grew to two patches",
        f"""
        0 ann x [PATCH] tidy in one
        {9 * HOUR}0 ann c<x [PATCH v2 0/2] tidy
        {9 * HOUR}1 ann a<c [PATCH v2 1/2] one
        {9 * HOUR}2 ann b<c [PATCH v2 2/2] two
        """,
        "a b",
        2,
        "tidy",
        "using v2, the newest",
    ),
    Case(
        "a single patch, three times",
        f"""
        0 ann a [PATCH] one
        {9 * HOUR}0 ann b<a [PATCH v2] one
        {19 * HOUR}0 ann d<b [PATCHv3] one, better
        """,
        "d",
        3,
        note="also has v1, v2",
    ),
    Case(
        "sent again in reply",
        """
        0 ann a [PATCH] one
        1 ann b<a [RESEND PATCH] one
        """,
        "b",
        note="v1 was sent again",
    ),
    Case(
        "a series sent again in a thread of its own",
        f"""
        0 ann c [PATCH v2 0/2] tidy
        1 ann a<c [PATCH v2 1/2] one
        2 ann b<c [PATCH v2 2/2] two
        {9 * HOUR}0 ann c2 [PATCH RESEND v2 0/2] tidy
        {9 * HOUR}1 ann a2<c2 [PATCH RESEND v2 1/2] one
        {9 * HOUR}2 ann b2<c2 [PATCH RESEND v2 2/2] two
        """,
        "a2 b2",
        2,
        "tidy",
        "v2 was sent again",
    ),
    Case(
        "one patch of a series sent again",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        500 ann b2<c [PATCH 2/2] two
        """,
        "a b2",
        cover="tidy",
        note="patch 2 of 2 was sent again; using the last one",
    ),
    Case(
        "another patch of the author in the thread",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}0 ann x<b [PATCH] what about this
        """,
        "a b",
        cover="tidy",
        note="not used, since they are not part of the series: 'what about this'",
    ),
    Case(
        "the author sends from another address",
        f"""
        0 ann c [PATCH 0/1] tidy
        1 ann a<c [PATCH 1/1] one
        {9 * HOUR}0 ann@work c2<c [PATCH v2 0/1] tidy
        {9 * HOUR}1 ann@work a2<c2 [PATCH v2 1/1] one
        """,
        "a2",
        2,
        "tidy",
        "using v2, the newest",
    ),
    Case(
        "one patch again, in reply to the cover letter and under another title",
        f"""
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        2 ann b<c [PATCH 2/3] two
        3 ann d<c [PATCH 3/3] three
        {9 * HOUR}0 ann b2<c [PATCH v2 2/3] two, better
        """,
        "a b2 d",
        2,
        "tidy",
        "patches missing in v2 are from earlier revisions",
    ),
    Case(
        "a second series of the author in the thread",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 ann x<c [PATCH blktests 0/2] tests for it
        901 ann y<x [PATCH blktests 1/2] first test
        902 ann z<x [PATCH blktests 2/2] second test
        """,
        "a b",
        cover="tidy",
        note="not used, since they are not part of the series: 'tests for it'",
    ),
    Case(
        "a patch for a tool in reply to one for the kernel",
        """
        0 ann a [PATCH] kernel: one
        900 ann x<a [PATCH nvme-cli] show it
        """,
        "a",
        note="not used, since they are not part of the series: 'show it'",
    ),
    Case(
        "another attempt without saying so",
        f"""
        0 ann a [PATCH net] one
        9 bob r<a Re: [PATCH net] one
        {9 * HOUR}0 ann x<r [PATCH net] one, in another way
        """,
        "x",
        note="v1 was sent again; using the last one",
    ),
    Case(
        "an RFC with a higher version before it",
        f"""
        0 ann a [RFC PATCH v3 1/2] one
        1 ann b<a [RFC PATCH v3 2/2] two
        {9 * HOUR}0 ann a2<a [PATCH 1/2] one
        {9 * HOUR}1 ann b2<a2 [PATCH 2/2] two
        """,
        "a2 b2",
        note="also has v3",
    ),
    Case(
        "a cover letter without its patches",
        f"""
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        {9 * HOUR}0 ann c2<c [PATCH v2 0/2] tidy
        """,
        "a b",
        cover="tidy",
        note="not used, since no patch answers it: [PATCH v2 2 patches] tidy  c2@x",
    ),
    Case(
        "sending broke off, and everything was sent again",
        """
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        60 ann c2 [PATCH 0/3] tidy
        61 ann a2<c2 [PATCH 1/3] one
        62 ann b2<c2 [PATCH 2/3] two
        63 ann d2<c2 [PATCH 3/3] three
        """,
        "a2 b2 d2",
        cover="tidy",
        note="v1 was sent again",
    ),
    Case(
        "sending broke off, and the rest was sent later",
        f"""
        0 ann c [PATCH 0/3] tidy
        1 ann a<c [PATCH 1/3] one
        {3 * HOUR} ann b<c [PATCH 2/3] two
        {3 * HOUR} ann d<c [PATCH 3/3] three
        """,
        "a b d",
        cover="tidy",
    ),
    Case(
        "mails of bots in the thread",
        """
        0 ann c [PATCH 0/1] tidy
        1 ann a<c [PATCH 1/1] one
        9 bot t+diff<a [tip: x86/core] one
        9 bot u<a [linux-next:master 1234/5678] one.c:5: warning: unused
        9 bot v+diff<a Patch "one" has been added to the 7.2-stable tree
        9 bot w+diff<a [RFC PATCH] one() can be static
        """,
        "a",
        cover="tidy",
        note="not used, sent by others in the same thread: 'one() can be static' by bot",
    ),
    Case(
        "a stable series",
        """
        0 greg c [PATCH 7.2 00/02] 7.2.14-rc1 review
        1 greg a<c [PATCH 7.2 01/02] one
        2 greg b<c [PATCH 7.2 02/02] two
        """,
        "a b",
        cover="7.2.14-rc1 review",
    ),
    Case(
        "a reviewer's patch",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 bob x<b [PATCH] better
        """,
        "a b",
        cover="tidy",
        note="not used, sent by others in the same thread: 'better' by bob@example.org",
    ),
    Case(
        "a reviewer's own series",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 bob x<c [PATCH 0/2] tidier
        901 bob y<x [PATCH 1/2] uno
        902 bob z<x [PATCH 2/2] due
        """,
        "a b",
        cover="tidy",
        note="'tidier' by bob@example.org",
    ),
    Case(
        "scraps of one, the whole of another",
        """
        0 ann b<gone [PATCH 2/3] two
        900 bob x<b [PATCH 0/2] tidier
        901 bob y<x [PATCH 1/2] uno
        902 bob z<x [PATCH 2/2] due
        """,
        "y z",
        cover="tidier",
        note="'two' by ann@example.org",
    ),
    Case(
        "a reviewer's patch with the number of the original",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 bob x<b [PATCH 2/2] two, better
        """,
        "a b",
        cover="tidy",
        note="'two, better' by bob@example.org",
    ),
    *(
        Case(
            f"a reply with a diff, {word}",
            f"""
            0 ann c [PATCH 0/2] tidy
            1 ann a<c [PATCH 1/2] one
            2 ann b<c [PATCH 2/2] two
            900 bob x+diff<b {word} [PATCH 2/2] two
            """,
            "a b",
            cover="tidy",
            note="not used, since it is a reply with a diff: x@x",
        )
        for word in (
            "Re:",
            "RE:",
            "AW:",
            "SV:",
            "Antw:",
            "答复\uff1a",
            "Ответ:",
            "[External] Re:",
            "R:",
        )
    ),
    Case(
        "a patch that is sent again below a cover letter without a number",
        """
        0 ann c-diff [PATCH] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        7200 ann x<c [PATCH 1/2] one
        """,
        "x b",
        cover="tidy",
        note="patch 1 of 2 was sent again",
    ),
    Case(
        "a patch that is sent again where only the cover letter names a version",
        """
        0 ann c [PATCH v12 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<a [PATCH 2/2] two
        7200 ann x<c [PATCH 1/2] one
        """,
        "x b",
        12,
        "tidy",
        "patch 1 of 2 was sent again",
    ),
    Case(
        "a cover letter without links that counts one too many",
        """
        0 ann c [PATCH v3 0/4] tidy
        1 ann a [PATCH v3 1/3] one
        2 ann b [PATCH v3 2/3] two
        3 ann d [PATCH v3 3/3] three
        """,
        "a b d",
        3,
        "tidy",
        "the cover letter counts 4",
    ),
    Case(
        "a shorter second version with a cover letter, in reply to a patch",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        90000 ann d<b [PATCH v2 0/1] tidy
        90001 ann e<d [PATCH v2 1/1] one
        """,
        "e",
        2,
        "tidy",
        "the newest",
    ),
    Case(
        "a reply with a diff to a patch that is missing",
        """
        0 ann c [PATCH 0/2] tidy
        1 ann a<c [PATCH 1/2] one
        2 ann b<c [PATCH 2/2] two
        900 ann x+diff<b RE: [PATCH 3/2] three
        """,
        "a b",
        cover="tidy",
        note="reply with a diff",
    ),
]


@pytest.mark.parametrize("case", [*CASES, *REVISIONS], ids=lambda case: case.name)
def test_threads(tmp_path: Path, case: Case) -> None:
    got = load(tmp_path, case.thread)
    ids = " ".join(patch.message_id.removesuffix("@x") for patch in got.patches)
    assert (ids, got.version, got.cover_subject) == (case.patches, case.version, case.cover)
    assert got.total == (case.total or len(got.patches))
    assert case.note in " | ".join(got.notes) if case.note else not got.notes


MAILS = Path(__file__).parents[1] / "data" / "mails"


@pytest.mark.parametrize(
    ("name", "version", "cover", "patches", "note"),
    [
        ("cover-total", 2, "gadget: tidy", ["p1", "p2"], "the cover letter counts 3"),
        ("cover-version", 4, "gadget: tidy", ["p1", "p2"], ""),
        ("cover-with-diff", 2, "gadget: tidy", ["p1", "p2"], ""),
        ("cover-without-number", 1, "gadget: tidy two things", ["p1"], ""),
        ("no-blank", 1, "gadget: tidy", ["p1", "p2"], ""),
        ("one-mail-two-lists", 1, "gadget: tidy", ["p1", "p2"], "2 mails came more than once"),
        ("references-reversed", 1, "gadget: tidy", ["p1", "p2"], ""),
        ("resend-in-thread", 1, "", ["p2"], "v1 was sent again; using the last one"),
        ("unnumbered-reroll", 2, "", ["p1", "q2"], "patches missing in v2 are from earlier"),
    ],
)
def test_threads_that_were_misread(
    name: str, version: int, cover: str, patches: list[str], note: str
) -> None:
    got = series.load(MAILS / f"{name}.mbox")
    assert (got.version, got.cover_subject, got.fault) == (version, cover, "")
    assert [patch.message_id for patch in got.patches] == [f"{one}@example.org" for one in patches]
    assert note in " | ".join(got.notes) if note else not got.notes


LOST = """
0 ann c [PATCH v2 0/3] tidy
1 ann a<c [PATCH v2 1/3] one
3 ann d<c [PATCH v2 3/3] three
"""


@pytest.mark.parametrize(
    ("thread", "fault"),
    [
        (LOST, "patch 2 of 3 is missing"),
        (f"{LOST}900 bob x<c [PATCH 2/3] not two\n", "patch 2 of 3 is missing"),
        ("0 ann a [PATCH 1/2] one\n1 ann b<a [PATCH 2/2] two\n1 ann x<a [PATCH 2/2] due\n",
         "patch 2/2 appears twice"),
        ("0 ann a [PATCH 1/2] one\n90000 ann b<a [PATCH v2 2/2] two\n", "patch 1 of 2 is missing"),
    ],
)  # fmt: skip
def test_threads_that_are_not_whole(tmp_path: Path, thread: str, fault: str) -> None:
    got = load(tmp_path, thread, SeriesRequest(whole=False))
    assert fault in got.fault


def test_a_damaged_patch_is_shown_among_the_others(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "shallow")
    box = tmp_path / "in.mbox"
    text = "".join(mail(line) for line in case.thread.strip().splitlines())
    box.write_text(text.replace("@@ -1 +1 @@\n-one\n+b", "@@ -1,9 +1,9 @@\n-one\n+b"))
    got = series.load(box, SeriesRequest(whole=False))
    assert "mail 3 of" in got.fault
    assert "is damaged" in got.fault
    assert [patch.message_id for patch in got.patches] == ["a@x", "b@x"]
    with pytest.raises(SeriesError, match="is damaged"):
        series.load(box)


@pytest.mark.parametrize(
    "line",
    [
        "From ann@example.org Mon Nov  2 10:00:00 2026",
        "From - Mon Nov  2 10:00:00 2026",
        "From 1790000000000000000@xxx Mon Nov 02 10:00:00 +0000 2026",
        "From MAILER-DAEMON Mon Nov 02 10:00:00 2026 +0100",
        "From ann at example.org  Mon Nov  2 10:00:00 2026",
    ],
)
def test_mboxes_of_several_programs(tmp_path: Path, line: str) -> None:
    """mutt, Thunderbird, Google's export, Evolution, Mailman."""
    case = next(case for case in CASES if case.name == "shallow")
    box = tmp_path / "in.mbox"
    text = "".join(mail(one) for one in case.thread.strip().splitlines())
    box.write_text(text.replace("From mboxrd@z Thu Jan  1 00:00:00 1970", line))
    assert [patch.message_id for patch in series.load(box).patches] == ["a@x", "b@x"]


@pytest.mark.parametrize("kind", ["maildir", "mh", "eml"])
def test_folders_of_a_conversation(tmp_path: Path, kind: str) -> None:
    case = next(
        case for case in REVISIONS if case.name == "one patch again, numbered, in reply to it"
    )
    folder = tmp_path / "mail" / ("cur" if kind == "maildir" else "")
    for name in ("cur", "new") if kind == "maildir" else ("",):
        (tmp_path / "mail" / name).mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(case.thread.strip().splitlines(), 1):
        names = {"maildir": f"{number}.M1.host:2,S", "mh": str(number), "eml": f"{number}.eml"}
        (folder / names[kind]).write_text(mail(line).partition("\n")[2])
    got = series.load(tmp_path / "mail")
    assert [patch.message_id for patch in got.patches] == ["a@x", "b2@x"]


@pytest.mark.parametrize(("old", "new"), [("", ""), ("i/", "w/"), ("c/", "i/")])
def test_other_prefixes_of_git(tmp_path: Path, old: str, new: str) -> None:
    """diff.noprefix and diff.mnemonicPrefix."""
    box = tmp_path / "in.mbox"
    text = mail("0 ann a [PATCH] one")
    box.write_text(text.replace(" a/fs", f" {old}fs").replace(" b/fs", f" {new}fs"))
    (patch,) = series.load(box).patches
    assert patch.files == ("fs/one.c",)
    applied = subprocess.run(
        ["git", "apply", "--numstat", patch.path], capture_output=True, text=True, check=True
    )
    assert applied.stdout == "1\t1\tfs/one.c\n"


def test_an_older_revision_on_request(tmp_path: Path) -> None:
    case = next(case for case in REVISIONS if case.name == "two patches again, in two steps")
    got = load(tmp_path, case.thread, SeriesRequest(revision=2))
    assert [patch.message_id for patch in got.patches] == ["a@x", "b2@x", "d@x"]
    assert load(tmp_path, case.thread, SeriesRequest(revision=1)).notes == ()


def test_somebody_elses_series_on_request(tmp_path: Path) -> None:
    case = next(case for case in REVISIONS if case.name == "a reviewer's own series")
    for pick in ("tidier", "y@x", "due"):
        got = load(tmp_path, case.thread, SeriesRequest(pick=pick))
        assert [patch.message_id for patch in got.patches] == ["y@x", "z@x"]


def test_a_pull_request_alone(tmp_path: Path) -> None:
    for other in ("", "9 bob r<c Re: [GIT PULL] tidy\n"):
        with pytest.raises(SeriesError, match="is a pull request, not a patch") as caught:
            load(tmp_path, f"0 ann c+diff [GIT PULL] tidy\n{other}")
        assert "A..B" in caught.value.hint
