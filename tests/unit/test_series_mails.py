# SPDX-License-Identifier: GPL-2.0-only
"""Mails as people and mailers make them: encodings, threads, revisions, archives, tricks."""

from __future__ import annotations

import base64
import gzip
import quopri
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import diff, series
from harness.errors import SeriesError, UsageError
from harness.series import SeriesRequest, header, lore, trust

DIFF = """\
diff --git a/fs/{name}.c b/fs/{name}.c
index 1111111..2222222 100644
--- a/fs/{name}.c
+++ b/fs/{name}.c
@@ -1,4 +1,5 @@
 one

+and a half = 1.5
 \ttwo
 three
"""
BODY = "Because.\n\nSigned-off-by: A Hacker <a@example.org>\n---\n fs/x.c | 1 +\n\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def patch(name: str = "x") -> str:
    return DIFF.format(name=name).replace("\n\n+", "\n \n+") + "-- \n2.43.0\n\n"


def mail(
    title: str,
    body: str | None = None,
    *,
    own: str = "",
    parents: tuple[str, ...] = (),
    head: str = "",
    sender: str = "A Hacker <a@example.org>",
) -> str:
    lines = ["From mboxrd@z Thu Jan  1 00:00:00 1970", f"From: {sender}", f"Subject: {title}"]
    lines += [f"Message-ID: <{own}>"] if own else []
    if parents:
        lines += [f"In-Reply-To: <{parents[-1]}>"]
        lines += ["References: " + "\n ".join(f"<{one}>" for one in parents)]
    lines += ["Date: Thu, 1 Jan 2026 00:00:00 +0000", *head.splitlines()]
    return "\n".join([*lines, "", BODY + patch() if body is None else body, ""])


def revision(version: int, *, root: str = "", stem: str = "", total: int = 2) -> str:
    """Make a series with a cover letter, in a thread of its own or in that of ``root``."""
    tag = f"PATCH v{version}" if version > 1 else "PATCH"
    stem = stem or f"v{version}"
    own = f"{stem}-0@x"
    above = (root, own) if root else (own,)
    text = mail(f"[{tag} 0/{total}] a title", "All.\n", own=own, parents=above[:-1])
    for n in range(1, total + 1):
        words = BODY + patch(f"n{n}").replace("1.5", f"{version}.{n}")
        text += mail(f"[{tag} {n}/{total}] part {n}", words, own=f"{stem}-{n}@x", parents=above)
    return text


def box(path: Path, *mails: str) -> Path:
    path.write_text("".join(mails))
    return path


def refused(
    path: Path, what: str, hint: str = "", request: SeriesRequest | None = None
) -> SeriesError:
    with pytest.raises(SeriesError, match=what) as caught:
        series.load(path, request)
    assert hint in caught.value.hint
    assert caught.value.hint
    return caught.value


def as_base64(text: str) -> tuple[str, str]:
    return "base64", base64.encodebytes(text.replace("\n", "\r\n").encode()).decode()


def as_qp(text: str) -> tuple[str, str]:
    return "quoted-printable", quopri.encodestring(text.encode()).decode()


@pytest.mark.parametrize("how", [as_base64, as_qp])
def test_an_encoded_mail_becomes_plain(
    tmp_path: Path, how: Callable[[str], tuple[str, str]]
) -> None:
    words = BODY.replace("Because", "Schön = gut")
    name, text = how(words + patch())
    head = f"Content-Transfer-Encoding: {name}\nContent-Type: text/plain; charset=UTF-8"
    path = box(tmp_path / "a.mbox", mail("[PATCH] x", text, head=head, own="1@x"))
    (got,) = series.load(path).patches
    raw = got.path.read_text()
    assert "Schön = gut.\n" in raw
    assert patch() in raw
    assert "\r" not in raw
    assert (got.message_id, got.files) == ("1@x", ("fs/x.c",))
    assert series.load(got.path).patches[0].path == got.path  # plain mails stay as they are


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "us-ascii", "no-such-charset"])
@pytest.mark.parametrize("real", ["utf-8", "latin-1"])
def test_a_wrong_charset(tmp_path: Path, charset: str, real: str) -> None:
    body = base64.encodebytes((BODY.replace("Because", "Schön") + patch()).encode(real)).decode()
    head = f"Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset={charset}"
    path = box(tmp_path / "a.mbox", mail("[PATCH] x", body, head=head))
    assert "Schön.\n" in series.load(path).patches[0].path.read_text()


def test_flowed_text_is_restored(tmp_path: Path) -> None:
    head = "Content-Type: text/plain; charset=UTF-8; format=flowed"
    stuffed = "".join(
        f" {line}" if line.startswith(" ") else line for line in patch().splitlines(True)
    )
    flowed = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", BODY + stuffed, head=head)))
    assert patch() in flowed.patches[0].path.read_text()
    claimed = series.load(box(tmp_path / "b.mbox", mail("[PATCH] x", head=head)))
    assert patch() in claimed.patches[0].path.read_text()


def test_flowed_text_with_broken_lines(tmp_path: Path) -> None:
    head = "Content-Type: text/plain; charset=UTF-8; format=flowed"
    stuffed = "".join(
        f" {line}" if line.startswith(" ") else line for line in patch().splitlines(True)
    ).replace("+and a half", "+and a \nhalf")
    got = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", BODY + stuffed, head=head)))
    assert "\n+and a half = 1.5\n" in got.patches[0].path.read_text()


def multipart(*parts: tuple[str, str]) -> tuple[str, str]:
    text = "".join(f"--b\n{head}\n\n{body}\n" for head, body in parts)
    return "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b", f"{text}--b--\n"


def test_a_diff_as_attachment(tmp_path: Path) -> None:
    head, body = multipart(
        ("Content-Type: text/plain", BODY.partition("---")[0]),
        (
            'Content-Type: application/octet-stream; name="x.patch"\n'
            'Content-Disposition: attachment; filename="x.patch"\n'
            "Content-Transfer-Encoding: base64",
            base64.encodebytes(patch().encode()).decode(),
        ),
    )
    (got,) = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", body, head=head))).patches
    assert got.files == ("fs/x.c",)
    assert "Signed-off-by: A Hacker <a@example.org>\n---\n" in got.path.read_text()


def test_whole_mails_as_attachments(tmp_path: Path) -> None:
    inner = [mail(f"[PATCH {n}/2] part {n}", BODY + patch(f"n{n}")) for n in (2, 1)]
    kind = 'Content-Type: text/x-patch; name="{}.patch"'
    parts = [(kind.format(n), text.split("\n", 1)[1]) for n, text in enumerate(inner)]
    head, body = multipart(("Content-Type: text/plain", "See the two below.\n"), *parts)
    got = series.load(box(tmp_path / "a.mbox", mail("patches for x", body, head=head)))
    assert [one.subject for one in got.patches] == ["part 1", "part 2"]


def test_html_beside_the_text_is_ignored(tmp_path: Path) -> None:
    head, body = multipart(
        ("Content-Type: text/plain", BODY + patch()),
        ("Content-Type: text/html", "<html><pre>diff --git a/z b/z</pre></html>"),
    )
    (got,) = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", body, head=head))).patches
    assert got.files == ("fs/x.c",)
    assert "html" not in got.path.read_text().partition("\n\n")[2]


def test_a_quoted_from_line_is_restored(tmp_path: Path) -> None:
    words = f"Because.\n\n>From here on it is fast.\n>>From there, too.\n{BODY}{patch()}"
    text = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", words))).patches[0].path
    assert "\nFrom here on it is fast.\n>From there, too.\n" in text.read_text()


def test_an_mbox_with_replies(tmp_path: Path) -> None:
    reply = mail(
        "Re: [PATCH 1/2] part 1",
        f"> {patch()}\nNo: try\n\n{patch('other')}",
        own="r@x",
        parents=("v1-0@x", "v1-1@x"),
    )
    got = series.load(box(tmp_path / "a.mbox", reply, revision(1)))
    assert [(one.number, one.subject, one.message_id) for one in got.patches] == [
        (1, "part 1", "v1-1@x"), (2, "part 2", "v1-2@x"),
    ]  # fmt: skip
    assert (got.cover_subject, got.cover_id) == ("a title", "v1-0@x")
    assert (got.version, got.total, got.missing) == (1, 2, ())


def test_the_newest_revision_of_a_thread(tmp_path: Path) -> None:
    path = box(tmp_path / "a.mbox", revision(1), revision(2, root="v1-0@x"), revision(10))
    got = series.load(path)
    assert got.version == 10
    assert "using v10" in got.notes[0]
    assert series.load(path, SeriesRequest(revision=2)).version == 2
    with pytest.raises(UsageError, match="no revision 3") as caught:
        series.load(path, SeriesRequest(revision=3))
    assert "v1, v2, v10" in caught.value.hint


def test_a_new_revision_of_one_patch_as_an_answer_to_the_old_one(tmp_path: Path) -> None:
    words = BODY + patch("n2").replace("1.5", "new")
    fresh = mail("[PATCH v2 2/2] part 2", words, own="f@x", parents=("v1-0@x", "v1-2@x"))
    got = series.load(box(tmp_path / "a.mbox", revision(1), fresh))
    assert [one.message_id for one in got.patches] == ["v1-1@x", "f@x"]
    assert "from earlier revisions" in got.notes[0]


def without_links(text: str) -> str:
    names = ("Message-ID:", "In-Reply-To:", "References:")
    return "".join(line for line in text.splitlines(True) if not line.startswith(names))


def test_revisions_mixed_without_a_thread(tmp_path: Path) -> None:
    path = box(tmp_path / "a.mbox", without_links(revision(1)), without_links(revision(2)))
    error = refused(path, r"revisions are mixed in .* \(v1 and v2\)", "--revision 2")
    assert "[PATCH v2 2 patches] a title" in error.details
    assert series.load(path, SeriesRequest(revision=1)).version == 1
    folder = tmp_path / "folder"
    folder.mkdir()
    for n, text in enumerate((mail("[PATCH 1/2] a"), mail("[PATCH v3 2/2] b"))):
        (folder / f"{n}.patch").write_text(text)
    refused(folder, "revisions are mixed in .*: v1 and v3", "one revision")


def test_several_series(tmp_path: Path) -> None:
    other = revision(1, stem="o").replace("a title", "other things")
    path = box(tmp_path / "a.mbox", revision(1), other)
    error = refused(path, "contains 2 series", "--pick")
    assert "other things  o-0@x" in error.details
    assert series.load(path, SeriesRequest(pick="OTHER things")).cover_id == "o-0@x"
    assert series.load(path, SeriesRequest(pick="<v1-2@x>")).cover_id == "v1-0@x"
    with pytest.raises(UsageError, match=r"no series .* matches 'nothing'"):
        series.load(path, SeriesRequest(pick="nothing"))


def test_a_series_with_missing_patches(tmp_path: Path) -> None:
    path = box(tmp_path / "a.mbox", *revision(1, total=3).split("From mboxrd")[:2])
    halves = ["From mboxrd" + text for text in revision(1, total=3).split("From mboxrd")[1:]]
    box(path, halves[0], halves[2])
    refused(path, "patches 1, 3 of 3 are missing in", "fetch the missing")
    got = series.load(path, SeriesRequest(whole=False))
    assert (got.missing, [one.number for one in got.patches]) == ((1, 3), [2])
    assert "patches 1, 3 of 3 are missing" in got.fault


def test_duplicate_mails(tmp_path: Path) -> None:
    once = revision(1)
    got = series.load(box(tmp_path / "a.mbox", once, once))
    assert (got.duplicates, len(got.patches), got.fault) == ((), 2, "")
    assert got.notes == ("3 mails came more than once, for example over two lists",)
    again = mail("[PATCH 2/2] part 2", own="z@x", parents=("v1-0@x",))
    path = box(tmp_path / "b.mbox", once, again)
    refused(path, "patch 2/2 appears twice", "remove one")
    assert series.load(path, SeriesRequest(whole=False)).duplicates == (2,)


def test_a_maildir_is_sorted_by_patch_numbers(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "m" / name).mkdir(parents=True)
    parts = ["From mboxrd" + text for text in revision(1).split("From mboxrd")[1:]]
    for n, text in enumerate(reversed(parts)):
        (tmp_path / "m" / ("cur", "new")[n % 2] / f"{n}.x:2,S").write_text(text.split("\n", 1)[1])
    got = series.load(tmp_path / "m")
    assert [one.subject for one in got.patches] == ["part 1", "part 2"]
    assert got.cover_subject == "a title"


def test_a_quilt_folder_has_the_order_of_its_series_file(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.diff").write_text(mail(f"part {name}", BODY + patch(name)))
    (tmp_path / "series").write_text("# mine\nc.diff -p1\n\na.diff # first\n")
    assert [one.subject for one in series.load(tmp_path).patches] == ["part c", "part a"]
    for line, what in (("z.diff", "no patch z.diff"), ("../a", "no patch"), ("a -p0", "-p0")):
        (tmp_path / "series").write_text(f"{line}\n")
        refused(tmp_path, f"line 1: .*{what}")


def test_several_files(tmp_path: Path) -> None:
    two = box(tmp_path / "z.patch", mail("[PATCH 1/2] a"))
    one = box(tmp_path / "a.patch", mail("[PATCH 2/2] b", BODY + patch("y")))
    assert [p.subject for p in series.load([one, two]).patches] == ["a", "b"]
    with pytest.raises(UsageError, match="each must be a patch"):
        series.load([str(one), "nowhere"])


def test_a_compressed_mbox(tmp_path: Path) -> None:
    path = tmp_path / "t.mbox.gz"
    path.write_bytes(gzip.compress(revision(1).encode()))
    assert len(series.load(path).patches) == 2


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (mail("Re: [PATCH] x", f"> {patch()}", own="r@x", parents=("p@x",)), "is a reply", "<p@x>"),
        (mail("Re: [PATCH] x", "Fine."), "is a reply", "use the mail"),
        (mail("[PATCH] x", "Hello.\n"), "has no diff", "replies"),
        (mail("[PATCH] x", BODY + patch()[:-40]), "damaged", "save it again"),
        (
            mail("[PATCH] x", "!?=nonsense=\n" * 9, head="Content-Transfer-Encoding: base64"),
            "base64 part cannot be decoded",
            "save the mail again",
        ),
        (
            mail("[PATCH] x", "AAECAwQFBgcICQ==\n", head="Content-Transfer-Encoding: base64"),
            "base64 part does not decode to text",
            "save the mail again",
        ),
    ],
)
def test_mails_that_are_not_patches(tmp_path: Path, text: str, what: str, hint: str) -> None:
    refused(box(tmp_path / "a.mbox", text), what, hint)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "fs/../../x", ".git/config", "fs/.GIT/hooks/x", "fs//x.c", "/etc/passwd"],
)
def test_a_name_outside_of_the_tree(tmp_path: Path, name: str) -> None:
    words = BODY + patch().replace("fs/x.c", name).replace("a//etc", "/etc").replace(
        "b//etc", "/etc"
    )
    refused(box(tmp_path / "a.mbox", mail("[PATCH] x", words)), "outside the tree", "its sender")


@pytest.mark.parametrize(
    ("goal", "good"),
    [("../../etc", False), ("/etc/passwd", False), ("../.git/hooks", False), ("../fs/y.c", True)],
)
def test_a_symbolic_link_out_of_the_tree(tmp_path: Path, goal: str, good: bool) -> None:
    link = (
        "diff --git a/fs/l b/fs/l\nnew file mode 120000\nindex 0000000..2222222\n--- /dev/null\n"
        f"+++ b/fs/l\n@@ -0,0 +1 @@\n+{goal}\n\\ No newline at end of file\n"
    )
    path = box(tmp_path / "a.mbox", mail("[PATCH] x", f"{BODY}{link}-- \n2.43.0\n"))
    if good:
        assert series.load(path).patches[0].files == ("fs/l",)
    else:
        refused(path, f"a link to '{goal}', which is outside")


CHANGES = [
    ("Kconfig", "config X", False),
    ("fs/Kconfig", '\tdefault "$(shell,touch here)"', True),
    ("fs/Kconfig", "\tdef_bool $(success,touch here)", True),
    ("fs/Kconfig", 'source "/tmp/Kconfig"', True),
    ("fs/Kconfig", 'source "fs/x/Kconfig.debug"', False),
    ("fs/Kconfig", 'source "Documentation/x.txt"', True),
    ("fs/Kconfig", "\t  source of truth", False),
    ("fs/Kconfig", "\tdepends on NET && !X", False),
    ("fs/Makefile", "obj-$(CONFIG_X) += x.o y.o sub/", False),
    ("fs/Makefile", "nvmet-y\t\t+= core.o \\", False),
    ("fs/Makefile", "ccflags-y += -I$(src)/include -DX=1", False),
    ("fs/Makefile", "endif", False),
    ("fs/Makefile", "X := $(shell touch here)", True),
    ("fs/Makefile", "\ttouch here", True),
    ("fs/Makefile", "CC := /tmp/evil", True),
    ("fs/Makefile", "CFLAGS_x.o := -fplugin=/tmp/evil.so", True),
    ("fs/Makefile", "ifeq ($(shell touch here),)", True),
    ("fs/Makefile", "include /tmp/x", True),
    ("scripts/checkpatch.pl", "any", True),
    (".ci/run", "any", True),
    ("fs/x.c", "system();", False),
    ("fs/Kconfig", "x = $($(f),touch here)", True),
    ("fs/Kconfig", '\tdefault "`touch here`"', True),
    ("fs/Kconfig", '\tdefault "$(ARCH)-x" if X && Y', False),
    ("fs/Kconfig", "\t  Say `yes` here; or $HOME & co.", False),
    ("fs/Makefile", "ifeq (${shell touch here},)", True),
    ("fs/Makefile", "ifeq ($(CONFIG_X),y)", False),
    ("fs/Makefile", "PATH := $(srctree)/fs/evil/", True),
    ("fs/Makefile", "cmd_cc_o_c = $(src)/evil.o", True),
    ("fs/Makefile", "targets += x.o", False),
    ("fs/Makefile", "foo-objs := x.o", False),
    ("arch/x86/Makefile_32.cpu", "X := $(shell touch here)", True),
    ("arch/mips/Kbuild.platforms", "X := $(shell touch here)", True),
    ("fs/evil.o", "#!/bin/sh", True),
    ("localversion-x", "`touch here`", True),
]


@pytest.mark.parametrize(("file", "line", "runs"), CHANGES)
def test_changes_that_would_run_commands_here(
    tmp_path: Path, file: str, line: str, runs: bool
) -> None:
    words = patch().replace("fs/x.c", file).replace("and a half = 1.5", line)
    got = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", BODY + words)))
    assert bool(trust.commands(got)) == runs
    if runs:
        with pytest.raises(UsageError, match="on this machine: patch 1") as caught:
            trust.require(got, trusted=False)
        assert "--trust" in caught.value.hint
        assert any(file in note for note in trust.require(got, trusted=True))
    else:
        assert trust.require(got, trusted=False) == ()


@pytest.mark.parametrize(
    "head",
    [
        "similarity index 100%\nrename from fs/x.txt\nrename to fs/Makefile\n",
        "similarity index 100%\ncopy from fs/x.txt\ncopy to fs/Makefile\n",
    ],
)
def test_another_file_renamed_to_makefile(tmp_path: Path, head: str) -> None:
    words = f"{BODY}diff --git a/fs/x.txt b/fs/Makefile\n{head}-- \n2.43.0\n"
    got = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", words)))
    assert trust.commands(got) == ("patch 1, fs/Makefile: renamed or copied from another file",)


def test_a_symbolic_link_named_kconfig(tmp_path: Path) -> None:
    link = (
        "diff --git a/fs/Kconfig b/fs/Kconfig\nnew file mode 120000\nindex 0000000..2222222\n"
        "--- /dev/null\n+++ b/fs/Kconfig\n@@ -0,0 +1 @@\n+x.txt\n\\ No newline at end of file\n"
    )
    got = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", f"{BODY}{link}-- \n2.43.0\n")))
    assert trust.commands(got) == ("patch 1, fs/Kconfig: a link",)


def test_a_changed_host_program_is_noted(tmp_path: Path) -> None:
    words = BODY + patch().replace("fs/x.c", "usr/gen_init_cpio.c")
    got = series.load(box(tmp_path / "a.mbox", mail("[PATCH] x", words)))
    assert "runs it here" in trust.require(got, trusted=False)[0]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("[PATCH] a", ("a", 0, 0, 0, False, True)),
        ("[RFC PATCH v3 02/10] a [b]", ("a [b]", 2, 10, 3, False, True)),
        ("[PATCH net-next v2 1/2]a", ("a", 1, 2, 2, False, True)),
        ("[PATCH 1/8 v4] a", ("a", 1, 8, 4, False, True)),
        ("[bpf-next PATCH v2] a", ("a", 0, 0, 2, False, True)),
        ("Re: [PATCH v2 1/2] a", ("a", 1, 2, 2, True, True)),
        ("AW: [PATCH] a", ("a", 0, 0, 0, True, True)),
        ("a [1/2]", ("a [1/2]", 0, 0, 0, False, False)),
        ("fs: drop v1/2", ("fs: drop v1/2", 0, 0, 0, False, False)),
    ],
)
def test_subjects(text: str, got: tuple[object, ...]) -> None:
    said = header.parse_subject(text)
    assert (said.title, said.number, said.total, said.version, said.reply, said.tagged) == got


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("<2026.1-2-a@example.org>", "2026.1-2-a@example.org"),
        (
            "https://lore.kernel.org/linux-nvme/2026.1-2-a@example.org/T/#u",
            "2026.1-2-a@example.org",
        ),
        ("https://lore.kernel.org/r/2026.1-2-a%40example.org", "2026.1-2-a@example.org"),
        ("https://example.org/project/x/patch/2026.1-a@b/", ""),
        ("https://github.com/o/r/pull/1", ""),
    ],
)
def test_message_ids_in_links(word: str, found: str) -> None:
    assert lore.is_link(word)
    assert lore.message_id(word) == found


@pytest.mark.parametrize(
    ("link", "mbox"),
    [
        ("https://github.com/o/r/pull/12/", "https://github.com/o/r/pull/12.patch"),
        ("https://github.com/o/r/pull/12.patch", "https://github.com/o/r/pull/12.patch"),
        ("https://example.org/series/7/", "https://example.org/series/7/mbox/"),
        ("https://example.org/project/x/patch/a@b/", "https://example.org/project/x/patch/a@b/mbox/"),
        ("https://example.org/series/7/mbox/", "https://example.org/series/7/mbox/"),
    ],
)  # fmt: skip
def test_links_to_web_pages_become_links_to_mboxes(link: str, mbox: str) -> None:
    assert lore.mbox_of(link) == mbox


def test_b4_attestation_lines() -> None:
    said = (
        "Looking up x\nNOTE: newer: v2\n---\n  \u2713 [PATCH 1/1] a\n    + Acked-by: b\n---\nTotal"
    )
    assert lore.attestation(said) == (
        "NOTE: newer: v2", "  \u2713 [PATCH 1/1] a", "    + Acked-by: b",
    )  # fmt: skip
    assert "not verify any signature" in lore.attestation("---\n  [PATCH 1/1] a\n---")[-1]


def test_added_lines() -> None:
    (file,) = diff.parse(patch())
    assert (file.names, file.added) == (("fs/x.c",), ("and a half = 1.5",))
