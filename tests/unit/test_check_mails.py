# SPDX-License-Identifier: GPL-2.0-only
"""The checks that read mails: form, signatures, licenses, exports, what a build would run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import diff
from harness.check import layout, mail, scripts, variants
from harness.check.mail import Letter
from harness.model import Finding, Severity, Toolchain

MAIL = """\
From 0123456789 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?J=C3=B6rg?= <joerg@example.org>
To: list@example.org, Other <OTHER@example.org>
Date: Sat, 13 Jun 2026 12:00:00 +0000
Subject: [PATCH v2 1/2] fs/demo: do
 it well
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: quoted-printable

From: Ann Author <ann@example.org>

It is =E2=80=9Cgood=E2=80=9D.

Fixes: 0123456789ab ("fs: x")
Signed-off-by: Ann Author <ann@example.org>
Signed-off-by: J=C3=B6rg <joerg@example.org>
---
Signed-off-by: Nobody <no@example.org>

diff --git a/fs/demo.c b/fs/demo.c
new file mode 100644
index 000..111
--- /dev/null
+++ b/fs/demo.c
@@ -0,0 +1,3 @@
+int x;
+EXPORT_SYMBOL_GPL(demo_new);
+last
diff --git a/fs/old.c b/fs/old.c
index 222..333 100644
--- a/fs/old.c
+++ b/fs/old.c
@@ -10,3 +10,3 @@ int f(void)
 same
-EXPORT_SYMBOL(demo_gone);
+++plus;
 same
--=20
2.39
"""


@pytest.fixture
def letter(tmp_path: Path) -> Letter:
    file = tmp_path / "0001.patch"
    file.write_text(MAIL)
    return mail.read(file, "Ann Author <ann@example.org>")


def made(**fields: object) -> Letter:
    whole: dict[str, object] = {
        "subject": "fs: do it",
        "tags": "[PATCH]",
        "reply": False,
        "sender": "A <a@example.org>",
        "author": "A <a@example.org>",
        "recipients": frozenset(),
        "message": "Because.\n\nSigned-off-by: A <a@example.org>\n",
        "diff": "",
    }
    return Letter(**{**whole, **fields})  # type: ignore[arg-type]


def rules(found: list[Finding]) -> list[str]:
    return [one.rule for one in found]


def test_the_parts_of_a_mail(letter: Letter) -> None:
    assert (letter.subject, letter.tags) == ("fs/demo: do it well", "[PATCH v2 1/2]")
    assert letter.sender.startswith("Jörg <")
    assert letter.recipients == {"list@example.org", "other@example.org", "joerg@example.org"}
    assert letter.trailers("Fixes") == ['0123456789ab ("fs: x")']
    assert [who.partition(" <")[0] for who in letter.trailers("Signed-off-by")] == [
        "Ann Author",
        "Jörg",
    ]
    assert mail.signed(letter) == []


def test_what_a_diff_adds_and_removes(letter: Letter) -> None:
    new, old = letter.diffs
    assert (new.path, new.old, len(new.added)) == ("fs/demo.c", "", 3)
    assert mail.added_lines(old) == [(11, "++plus;")]
    assert mail.removed_lines(old) == ["EXPORT_SYMBOL(demo_gone);"]
    assert [(one.rule, one.file, one.line) for one in mail.exports([new, old])] == [
        ("new", "fs/demo.c", 2),
        ("gone", "fs/old.c", 0),
    ]
    assert [one.file for one in mail.licensed([new, old])] == ["fs/demo.c"]


def test_a_mails_signature_is_not_a_removed_line() -> None:
    name = "include/uapi/linux/x.h"
    text = f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n"
    text += "@@ -1 +1,2 @@\n one\n+two\f\n\\ No newline at end of file\n-- \n2.43.0\n"
    (file,) = diff.parse(text)
    assert mail.added_lines(file) == [(2, "two\f")]
    (found,) = mail.uapi([file])
    assert (found.level, found.text) == (Severity.NOTE, "changed: 1 lines added, 0 removed")


def test_a_mail_with_an_unknown_or_wrong_encoding(tmp_path: Path) -> None:
    file = tmp_path / "0001.patch"
    text = MAIL.replace("=?UTF-8?q?J=C3=B6rg?=", "=?x-none?q?J=C3=B6rg?=")
    text = text.replace("UTF-8\nContent-Transfer-Encoding: quoted-printable", "ISO-8859-2")
    text = text.replace("=E2=80=9Cgood=E2=80=9D", "dobrý").replace("J=C3=B6rg", "Jörg")
    file.write_bytes(text.replace("=20", " ").encode("iso-8859-2"))
    found = mail.read(file, "Ann Author <ann@example.org>")
    assert "It is dobrý." in found.message
    assert found.sender.endswith("<joerg@example.org>")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"message": "Because.\n"}, ["missing"]),
        ({"author": "B <b@example.org>"}, ["author"]),
        ({"author": "A <other@example.org>"}, ["address"]),
        ({"sender": "C <c@example.org>"}, ["passed-on"]),
        (
            {"message": "Co-developed-by: D <d@example.org>\nSigned-off-by: A <a@example.org>\n"},
            ["co-author"],
        ),
        (
            {
                "author": "A <root@box.(none)>",
                "message": "Signed-off-by: A <root@box.(none)>\n",
                "sender": "A <root@box.(none)>",
            },
            ["no-address"],
        ),
    ],
)
def test_signatures(fields: dict[str, object], found: list[str]) -> None:
    assert rules(mail.signed(made(**fields))) == found


def test_the_committer_signs_last() -> None:
    assert rules(mail.signed(made(), "Z <z@example.org>")) == ["passed-on"]
    assert rules(mail.signed(made(), "A <a@example.org>")) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"subject": "Do it"}, ["subsystem"]),
        ({"subject": 'Revert "fs: do it"'}, []),
        ({"subject": 'Reapply "fs: do it"'}, []),
        ({"subject": "fs: " + "x" * 80}, ["long"]),
        ({"subject": "fs: do it."}, ["period"]),
        ({"message": "Signed-off-by: A <a@example.org>\n"}, ["empty"]),
    ],
)
def test_subjects(fields: dict[str, object], found: list[str]) -> None:
    assert rules(mail.subject_form(made(**fields))) == found


def test_the_form_of_a_series() -> None:
    one, two = made(tags="[PATCH v2 1/2]"), made(tags="[PATCH v2 2/2]", subject="fs: more")
    cover = made(tags="[PATCH v2 0/2]", subject="demo")
    assert mail.series_form([one, two], cover, mails=True) == []
    assert rules(mail.series_form([one, two], None, mails=True)) == ["no-cover"]
    assert mail.series_form([one, two], None, mails=False) == []
    other = made(tags="[PATCH net 2/2]", subject="fs: more")
    assert rules(mail.series_form([one, other], cover, mails=True)) == ["prefix"]
    assert rules(mail.series_form([one, made(tags="[PATCH v2 2/2]")], cover, mails=True)) == [
        "same-subject"
    ]
    template = made(tags="[PATCH v2 0/2]", subject="demo", message="*** BLURB HERE ***\n")
    assert rules(mail.series_form([one, two], template, mails=True)) == ["unfilled"]
    naked = made(tags="[PATCH v2]", subject="fs: more")
    assert rules(mail.series_form([one, naked], cover, mails=True)) == ["number"]


def test_checkpatch_and_kernel_doc_lines_are_read() -> None:
    line = "fs/a.c:12: WARNING:LONG_LINE: line length of 104 exceeds 100 columns"
    assert scripts._CHECKPATCH.match(line).groups() == (  # type: ignore[union-attr]
        *("fs/a.c", "12", "WARNING", "LONG_LINE"),
        "line length of 104 exceeds 100 columns",
    )
    said = "Warning: fs/a.c:5 function parameter 'b' not described in 'foo'"
    assert scripts._KERNEL_DOC.match(said).groups() == (  # type: ignore[union-attr]
        *("fs/a.c", "5"),
        "function parameter 'b' not described in 'foo'",
    )


def test_scripts_that_a_series_changes_are_reported() -> None:
    files = ["fs/a.c", "scripts/checkpatch.pl", "tools/lib/python/kdoc/x.py", "scripts/Makefile"]
    assert [one.file for one in scripts.changed_by(files, trusted=False)] == [
        "scripts/checkpatch.pl",
        "tools/lib/python/kdoc/x.py",
    ]


def test_sizes_are_read() -> None:
    text = """add/remove: 1/0 grow/shrink: 1/1 up/down: 130/-7 (123)
Function                                     old     new   delta
demo_new                                       -     120    +120
demo_more                                     10      20     +10
demo_less                                     27      20      -7
Total: Before=1000, After=1123, chg +12.30%
"""
    found = layout.read_sizes(text)
    assert [one.rule for one in found] == ["total", "demo_new", "demo_more", "demo_less"]
    assert layout.total(found) == "+123 bytes"
    assert {one.level for one in found} == {Severity.NOTE}


def test_options_from_makefiles_and_conditions(tmp_path: Path) -> None:
    for name, text in {
        "fs/Makefile": "obj-y += namei.o\nobj-$(CONFIG_DEMO_FS) += demo/\n",
        "fs/demo/Makefile": "obj-$(CONFIG_DEMO_CORE) += demo.o\n"
        "demo-y := dir.o \\\n\tfile.o\ndemo-$(CONFIG_DEMO_XATTR) += xattr.o\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert variants.guarding_options(tmp_path, ["fs/namei.c", "README"], []) == ()
    assert variants.guarding_options(tmp_path, ["fs/demo/file.c"], []) == ("DEMO_CORE", "DEMO_FS")
    assert variants.guarding_options(tmp_path, ["fs/demo/xattr.c"], []) == (
        *("DEMO_XATTR", "DEMO_CORE", "DEMO_FS"),
    )
    lines = ["#ifdef CONFIG_A", "/* CONFIG_NO */", "\tif (IS_ENABLED(CONFIG_B))", "#elif !CONFIG_C"]
    assert variants.guarding_options(tmp_path, [], lines) == ("A", "B", "C")


def test_variants_are_named() -> None:
    here = Toolchain("x86_64", "gcc", "gcc 12")
    names = [one.name for one in variants.choose(("A",), here) if not one.other]
    assert names == ["A=y", "A=m", "A=n", "32-bit"]
    assert variants.choose((), Toolchain("arm64", "gcc", "gcc 12", cross="aarch64-")) == ()
