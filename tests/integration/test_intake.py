# SPDX-License-Identifier: GPL-2.0-only
"""`harness series` and `harness fetch` on the command line: files, pipes, commits, archives."""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import smalltree
import warm
from patience import PATIENCE

from harness import git, series
from harness.errors import HostFault, SeriesError
from harness.series import SeriesRequest, lore

TRACKING = """--- b4-submit-tracking ---
# b4 keeps this for itself.
{"series": {"revision": 3, "change-id": "20260101-x-1", "base-branch": "main"}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's project, as the working directory."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "projéct one"
    path.mkdir()
    (path / "pyproject.toml").write_text("[tool.harness]\n")
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A small kernel with three commits of a series on a branch."""
    path = smalltree.kernel(tmp_path / "linux")
    git.run(path, "checkout", "--quiet", "-b", "topic")
    for n, word in enumerate(("five", "größer", "seven"), 5):
        smalltree.replace(path, "fs/x.c", f"line {n}\n", f"line {word}\n")
        smalltree.commit(path, f"fs: {word}\n\nBecause {word}.")
    return path


def harness(*words: str | Path, stdin: bytes = b"", code: int = 0) -> tuple[dict[str, Any], str]:
    """Run the harness; returns the JSON it printed, and its standard error."""
    argv = [sys.executable, "-m", "harness", *map(str, words), "--json"]
    result = warm.run(argv, input=stdin, capture_output=True, timeout=PATIENCE)
    said = result.stderr.decode()
    assert result.returncode == code, said
    assert "Traceback" not in said
    return json.loads(result.stdout or b"{}"), said


def mails(kernel: Path, *options: str) -> bytes:
    """The branch as an mbox."""
    out = kernel.parent / "mails"
    words: tuple[str | Path, ...]
    words = ("format-patch", "--quiet", "--no-base", "-o", out, *options, "v7.2.13..topic")
    git.run(kernel, *words, env=smalltree.PERSON)
    found = b"".join(file.read_bytes() for file in sorted(out.glob("*.patch")))
    for file in out.glob("*.patch"):
        file.unlink()
    return found.replace(b"*** SUBJECT HERE ***", b"count in words")


def test_the_json_of_a_series(project: Path, kernel: Path) -> None:
    (project / "a.mbox").write_bytes(mails(kernel, "--cover-letter", "--thread", "-v2"))
    got, _ = harness("series", "a.mbox")
    assert list(got) == [
        "name", "version", "total", "cover", "patches", "missing", "duplicates",
    ]  # fmt: skip
    assert (got["name"], got["version"], got["total"]) == ("a", 2, 3)
    assert got["cover"]["subject"] == "count in words"
    assert got["cover"]["message_id"].startswith("cover.")
    assert [one["number"] for one in got["patches"]] == [1, 2, 3]
    assert got["patches"][1]["subject"] == "fs: größer"
    assert got["patches"][1]["author"] == "A Hacker <a@example.org>"
    assert list(got["patches"][0]) == ["number", "subject", "author", "message_id"]
    assert (got["missing"], got["duplicates"]) == ([], [])


def test_an_incomplete_series_is_shown_and_refused(project: Path, kernel: Path) -> None:
    box = mails(kernel)
    (project / "a.mbox").write_bytes(
        box[: box.index(b"\nFrom ") + 1] + box[box.rindex(b"\nFrom ") + 1 :]
    )
    got, said = harness("series", "a.mbox", code=125)
    assert (got["missing"], [one["number"] for one in got["patches"]]) == ([2], [1, 3])
    assert "patch 2 of 3 is missing" in said
    got, _ = harness("run", "a.mbox", "--tree", kernel, code=125)
    assert "patch 2 of 3 is missing" in got["error"]["what"]


def test_standard_input(project: Path, kernel: Path) -> None:
    got, _ = harness("series", "-", stdin=mails(kernel, "--cover-letter"))
    assert (got["name"], got["total"]) == ("count-in-words", 3)
    assert "is empty" in harness("series", "-", code=125)[1]


@pytest.mark.parametrize("word", ["v7.2.13..topic", "topic", "main..topic", "v7.2.13.."])
def test_commits(project: Path, kernel: Path, word: str) -> None:
    got, _ = harness("series", word, "--tree", kernel)
    assert [one["subject"] for one in got["patches"]] == ["fs: five", "fs: größer", "fs: seven"]


def test_commits_have_a_base(project: Path, kernel: Path) -> None:
    base = git.line(kernel, "rev-parse", "v7.2.13")
    assert series.load("topic", SeriesRequest(tree=kernel)).base == base
    middle = git.line(kernel, "rev-parse", "topic~2")
    got = series.load("topic", SeriesRequest(tree=kernel, base=middle))
    assert (got.base, len(got.patches)) == (middle, 2)
    assert [one.subject for one in series.load("topic~1", SeriesRequest(tree=kernel)).patches] == [
        "fs: größer"
    ]


def test_an_empty_commit_is_left_out(project: Path, kernel: Path) -> None:
    git.run(kernel, "checkout", "--quiet", "-b", "hollow", "topic~1")
    git.run(kernel, "commit", "--quiet", "--allow-empty", "-m", "fs: nothing", env=smalltree.PERSON)
    git.run(kernel, "cherry-pick", "topic", env=smalltree.PERSON)
    got, said = harness("series", "v7.2.13..hollow", "--tree", kernel)
    assert [one["subject"] for one in got["patches"]] == ["fs: five", "fs: größer", "fs: seven"]
    assert "skipped 1 empty commit" in said


def test_a_moved_file_is_a_rename(project: Path, kernel: Path) -> None:
    git.run(kernel, "checkout", "--quiet", "-b", "moved", "v7.2.13")
    git.run(kernel, "mv", "fs/x.c", "fs/moved.c")
    smalltree.commit(kernel, "fs: move x.c")
    smalltree.replace(kernel, "fs/moved.c", "line 20\n", "line twenty\n")
    git.run(kernel, "mv", "fs/moved.c", "fs/again.c")
    smalltree.commit(kernel, "fs: move it again, and change it")
    got = series.load("v7.2.13..moved", SeriesRequest(tree=kernel))
    assert [one.files for one in got.patches] == [
        ("fs/x.c", "fs/moved.c"),
        ("fs/moved.c", "fs/again.c"),
    ]
    texts = [one.path.read_text() for one in got.patches]
    assert all("\nrename to fs/" in text for text in texts)
    assert got.repo == kernel
    assert list(got.commits) == git.line(kernel, "rev-list", "--reverse", "v7.2.13..moved").split()


def test_a_diff_in_a_commits_message_changes_nothing(project: Path, kernel: Path) -> None:
    shown = "diff --git a/z b/z\n--- a/z\n+++ b/z\n@@ -1 +1 @@\n-old\n+new"
    smalltree.replace(kernel, "fs/x.c", "line 20\n", "line twenty\n")
    smalltree.commit(kernel, f"fs: twenty\n\nThe tool prints:\n\n{shown}\n\nNo more.")
    got = series.load("topic~1..topic", SeriesRequest(tree=kernel))
    assert [patch.files for patch in got.patches] == [("fs/x.c",)]
    tree = git.line(kernel, "rev-parse", "topic^{tree}")
    git.run(kernel, "checkout", "--quiet", "--detach", "topic~1")
    git.run(kernel, "am", got.patches[0].path, env=smalltree.PERSON)
    assert git.line(kernel, "rev-parse", "HEAD^{tree}") == tree
    message = git.run(kernel, "log", "-1", "--format=%B").stdout
    assert "\n diff --git a/z b/z\n" in message
    assert "\n No more." in message


@pytest.mark.parametrize("kind", ["mbox", "gzip", "pipe", "commits", "archive"])
def test_showing_a_series_leaves_nothing_in_the_cache(
    project: Path, kernel: Path, archive: str, kind: str
) -> None:
    box = mails(kernel, "--cover-letter", "--thread")
    (project / "a.mbox").write_bytes(box)
    (project / "a.mbox.gz").write_bytes(gzip.compress(box))
    Archive.pages["/series/7/mbox/"] = ("text/plain", box)
    words: dict[str, tuple[str | Path, ...]] = {
        "mbox": ("a.mbox",),
        "gzip": ("a.mbox.gz",),
        "pipe": ("-",),
        "commits": ("topic", "--tree", kernel),
        "archive": (f"{archive}/series/7/",),
    }
    got, _ = harness("series", *words[kind], stdin=box)
    assert len(got["patches"]) == 3
    harness("fetch", *words[kind], "--name", "kept", stdin=box)
    cache = Path(os.environ["HARNESS_CACHE"])
    assert [file for file in cache.rglob("*") if file.is_file() and file.stat().st_size] == []
    assert list((cache / "series").iterdir()) == []


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("v7.2.13..nowhere", "no commit 'nowhere'"),
        ("topic..topic", "no commits in"),
        ("v7.2.13..merged", "is a merge"),
        ("nothing-of-the-kind", "there is no series"),
    ],
)
def test_invalid_ranges_and_branches(project: Path, kernel: Path, word: str, what: str) -> None:
    git.run(kernel, "checkout", "--quiet", "-b", "merged", "main")
    smalltree.write(kernel, "fs/z.c", "z\n")
    smalltree.commit(kernel, "fs: z")
    git.run(kernel, "merge", "--quiet", "--no-ff", "--no-edit", "topic", env=smalltree.PERSON)
    assert what in harness("series", word, "--tree", kernel, code=129)[0]["error"]["what"]


@pytest.mark.parametrize("verb", ["series", "check", "run"])
def test_a_merge_by_itself_is_untestable(project: Path, kernel: Path, verb: str) -> None:
    git.run(kernel, "checkout", "--quiet", "-b", "merged", "main")
    smalltree.write(kernel, "fs/z.c", "z\n")
    smalltree.commit(kernel, "fs: z")
    git.run(kernel, "merge", "--quiet", "--no-ff", "--no-edit", "topic", env=smalltree.PERSON)
    git.run(kernel, "checkout", "--quiet", "--detach")
    said = harness(verb, "HEAD", "--tree", kernel, code=125)[0]["error"]
    assert "is a merge and has no patch of its own" in said["what"]
    assert "--no-series" in said["hint"]


def test_git_bisect_goes_past_merges(project: Path, kernel: Path) -> None:
    for n in range(3):  # main and a side branch by turns, each merged: git stops at merges
        git.run(kernel, "checkout", "--quiet", "-B", "side", "topic")
        smalltree.write(kernel, f"fs/side{n}.c", "x\n")
        smalltree.commit(kernel, f"fs: side {n}\n\nBecause {n}.")
        git.run(kernel, "checkout", "--quiet", "topic")
        smalltree.write(kernel, f"fs/main{n}.c", "y\n" if n < 2 else "the fault\n")
        smalltree.commit(kernel, f"fs: main {n}\n\nBecause {n}.")
        git.run(kernel, "merge", "--quiet", "--no-ff", "--no-edit", "side", env=smalltree.PERSON)
    bad = git.line(kernel, "rev-parse", "HEAD^")
    git.run(kernel, "bisect", "start", "HEAD", "v7.2.13")
    # What the harness says of the commit itself; the fault is for grep to find.
    script = f"{sys.executable} -m harness series HEAD || exit; ! grep -rq 'the fault' fs"
    found = git.run(kernel, "bisect", "run", "sh", "-c", script, check=False)
    log = git.run(kernel, "bisect", "log").stdout
    assert "git bisect skip" in log
    assert bad in log or bad in found.stdout, log
    assert "bisect run failed" not in found.stdout + found.stderr


def test_a_branch_that_b4_prepared(project: Path, kernel: Path) -> None:
    tip = git.line(kernel, "rev-parse", "topic")
    git.run(kernel, "checkout", "--quiet", "-b", "b4/x", "v7.2.13")
    letter = f"fs: all the words\n\nIt reads better.\n\n{TRACKING}"
    git.run(kernel, "commit", "--quiet", "--allow-empty", "-m", letter, env=smalltree.PERSON)
    git.run(kernel, "cherry-pick", f"v7.2.13..{tip}", env=smalltree.PERSON)
    got, _ = harness("series", "b4/x", "--tree", kernel)
    assert (got["version"], got["total"]) == (3, 3)
    assert got["cover"]["subject"] == "fs: all the words"
    git.run(kernel, "checkout", "--quiet", "-b", "other", tip)
    git.run(kernel, "config", "branch.other.description", letter)
    assert series.load("other", SeriesRequest(tree=kernel)).cover_subject == "fs: all the words"


@pytest.mark.parametrize("kind", ["plain", "base64", "crlf", "threaded"])
def test_git_am_takes_what_was_fetched(project: Path, kernel: Path, kind: str) -> None:
    box = mails(kernel, "--cover-letter", *(["--thread"] if kind == "threaded" else []))
    if kind == "crlf":
        box = box.replace(b"\n", b"\r\n")
    if kind == "base64":
        parts = re.split(rb"(?m)^(?=From [0-9a-f]{40} )", box)
        box = b"".join(map(_in_base64, filter(None, parts)))
    (project / "a.mbox").write_bytes(box)
    got, _ = harness("fetch", "a.mbox", "--name", "words")
    folder = project / "patches" / "words"
    assert got["folder"] == str(folder)
    names = sorted(file.name for file in folder.iterdir())
    assert names[:2] == ["0000-cover-letter.patch", "0001-fs-five.patch"]
    git.run(kernel, "checkout", "--quiet", "v7.2.13")
    git.run(kernel, "am", "--quiet", *sorted(folder.glob("000[1-9]*")))
    assert git.line(kernel, "rev-parse", "HEAD^{tree}") == git.line(
        kernel, "rev-parse", "topic^{tree}"
    )
    told = git.line(kernel, "log", "-1", "--format=%an|%s|%b", "HEAD^")
    assert told == "A Hacker|fs: größer|Because größer."
    assert harness("series", "words")[0]["name"] == "words"
    before = {file: file.read_bytes() for file in folder.iterdir()}
    refused = harness("fetch", "a.mbox", "--name", "words", code=129)[0]
    assert "already exists" in refused["error"]["what"]
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    assert "cannot be" in harness("fetch", "a.mbox", "--name", "../x", code=129)[1]


def _in_base64(raw: bytes) -> bytes:

    head, body = raw.split(b"\n\n", 1)
    lines = [one for one in head.split(b"\n") if not one.startswith((b"MIME-", b"Content-"))]
    lines += [b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=UTF-8"]
    lines += [b"Content-Transfer-Encoding: base64", b""]
    return b"\n".join([*lines, base64.encodebytes(body.replace(b"\n", b"\r\n")), b""])


def reply(to: str, words: str) -> bytes:
    return (
        f"From r@z Thu Jan  1 00:00:00 1970\nFrom: R <r@example.org>\nSubject: Re: [PATCH] it\n"
        f"Message-ID: <r-{abs(hash((to, words)))}@x>\nIn-Reply-To: <{to}>\n\n{words}\n\n"
    ).encode()


def test_trailers_of_replies(project: Path, kernel: Path) -> None:
    box = mails(kernel, "--cover-letter", "--thread")
    (project / "a.mbox").write_bytes(box)
    got, _ = harness("series", "a.mbox")
    first, cover = got["patches"][0]["message_id"], got["cover"]["message_id"]
    one = "> Reviewed-by: Quoted <q@example.org>\nReviewed-by: R Ö <r@example.org>"
    box += reply(first, one) + reply(cover, "Tested-by: T <t@example.org>")
    (project / "a.mbox").write_bytes(box)
    _, said = harness("fetch", "a.mbox", "--trailers", "--name", "with")
    assert "Tested-by: T <t@example.org>  (all patches)" in said
    texts = [file.read_text() for file in sorted((project / "patches/with").glob("000[1-3]*"))]
    assert [text.count("Tested-by: T <t@example.org>") for text in texts] == [1, 1, 1]
    assert [text.count("Reviewed-by: R Ö <r@example.org>\n") for text in texts] == [1, 0, 0]
    assert "Quoted" not in "".join(texts)
    assert texts[0].index("Tested-by:") < texts[0].index("\n---\n")
    harness("fetch", "a.mbox", "--name", "without")
    assert "Tested-by" not in (project / "patches/without/0001-fs-five.patch").read_text()


def test_a_large_archive_in_little_memory(project: Path, kernel: Path) -> None:
    wanted = mails(kernel, "--cover-letter", "--thread")
    filler = b"".join(b"a line of a long mail about nothing in particular\n" for _ in range(400))
    filler += b"\ndiff --git a/x b/x\n"
    with (project / "big.mbox").open("wb") as file:
        for n in range(10_000):
            file.write(
                b"From a@z Thu Jan  1 00:00:00 1970\nFrom: A <a@example.org>\nMessage-ID: <m%d@x>\n"
                b"Subject: [PATCH] topic number %d\n\n" % (n, n)
            )
            file.write(filler + b"\n")
            if n == 5000:
                file.write(wanted)
    assert (project / "big.mbox").stat().st_size > 200_000_000
    words = [sys.executable, "-m", "harness", "series", "big.mbox"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words, *more],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)),
        )

    many = run()
    assert (many.returncode, "contains 10001 series" in many.stderr) == (125, True)
    assert "... and 9971 more" in many.stderr
    assert "--pick" in many.stderr
    one = run("--pick", "count in words", "--json")
    assert [p["subject"] for p in json.loads(one.stdout)["patches"]][1] == "fs: größer"


def test_one_mail_of_200_mb(project: Path) -> None:
    with (project / "big.patch").open("wb") as file:
        file.write(b"From: A <a@example.org>\nSubject: [PATCH] x\n\n")
        file.truncate(200 << 20)
    assert "is too large for a patch (200 MB)" in harness("series", "big.patch", code=125)[1]


def test_a_series_that_brings_programs_needs_trust(project: Path, tmp_path: Path) -> None:
    path = smalltree.kernel(tmp_path / "linux")
    smalltree.replace(path, "Kconfig", "mainmenu x\n", 'mainmenu "$(shell,touch ran)"\n')
    smalltree.commit(path, "kconfig: evil")
    smalltree.patches(path, project / "patches" / "evil")
    got, said = harness("run", "evil", "--tree", path, "--base", "v7.2.13", code=129)
    assert "Kconfig: mainmenu" in got["error"]["what"]
    assert "--trust" in got["error"]["hint"]
    _, said = harness("series", "evil")
    assert "needs --trust" in said


class Archive(http.server.BaseHTTPRequestHandler):
    """Threads as public-inbox serves them, and mboxes as others do."""

    pages: dict[str, tuple[str, bytes]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        path = "search" if "?x=m" in self.path else self.path.replace("%40", "@")
        kind, content = self.pages.get(path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Serve ``Archive.pages``, and have b4 ask there and nowhere else."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = "127.0.0.1"
    link = f"http://{here}:{server.server_port}"
    settings = {"b4.midmask": f"{link}/all/%s", "b4.linkmask": f"{link}/all/%s"}
    settings |= {"b4.searchmask": f"{link}/all/?x=m&t=1&q=%s", "b4.attestation-policy": "off"}
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for n, (name, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{n}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{n}", value)
    yield link
    Archive.pages.clear()
    server.shutdown()
    server.server_close()


def test_a_message_id_through_b4(project: Path, kernel: Path, archive: str) -> None:
    # The ids hold the second they were made in; two revisions may be made in one.
    v1 = mails(kernel, "--cover-letter", "--thread").replace(b".git.harness@", b".one.harness@")
    (project / "v1.mbox").write_bytes(v1)
    got, _ = harness("series", "v1.mbox")
    cover, second = got["cover"]["message_id"], got["patches"][1]["message_id"]
    v2 = mails(kernel, "--cover-letter", "--thread", "-v2", f"--in-reply-to={cover}")
    thread = v1 + reply(second, "Reviewed-by: R <r@example.org>") + v2
    thread += reply(cover, "Nice.")
    Archive.pages[f"/all/{cover}/t.mbox.gz"] = ("application/gzip", gzip.compress(thread))
    got, said = harness("fetch", cover, "--name", "lore")
    assert (got["version"], got["total"]) == (2, 3)
    assert got["cover"]["subject"] == "count in words"
    assert [one["subject"] for one in got["patches"]] == ["fs: five", "fs: größer", "fs: seven"]
    assert "could not verify any signature" in said
    assert cover in (project / "patches/lore/series.toml").read_text()
    link, _ = harness("series", f"{archive}/all/{cover}/")
    assert [one["message_id"] for one in link["patches"]] == [
        one["message_id"] for one in got["patches"]
    ]


def test_a_newer_revision_in_another_thread(project: Path, kernel: Path, archive: str) -> None:
    v1 = mails(kernel, "--cover-letter", "--thread").replace(b".git.harness@", b".one.harness@")
    titled = b"Subject: [PATCH 0/3] count in words"
    v1 = v1.replace(b"Subject: [PATCH 0/3] *** SUBJECT HERE ***", titled)
    (project / "v1.mbox").write_bytes(v1)
    cover = harness("series", "v1.mbox")[0]["cover"]["message_id"]
    v2 = mails(kernel, "--cover-letter", "--thread", "-v2")
    Archive.pages[f"/all/{cover}/t.mbox.gz"] = ("application/gzip", gzip.compress(v1))
    alone, _ = harness("series", cover)
    assert (alone["version"], alone["total"]) == (1, 3)
    Archive.pages["search"] = ("application/gzip", gzip.compress(v2))
    newer, said = harness("series", cover)
    assert (newer["version"], newer["total"]) == (2, 3), said
    assert [one["subject"] for one in newer["patches"]] == ["fs: five", "fs: größer", "fs: seven"]


def test_trailers_through_b4(project: Path, kernel: Path, archive: str) -> None:
    box = mails(kernel, "--cover-letter", "--thread")
    (project / "a.mbox").write_bytes(box)
    second = harness("series", "a.mbox")[0]["patches"][1]["message_id"]
    box += reply(second, "Reviewed-by: R <r@example.org>")
    Archive.pages[f"/all/{second}/t.mbox.gz"] = ("application/gzip", gzip.compress(box))
    harness("fetch", f"<{second}>", "--name", "lore")
    texts = [file.read_text() for file in sorted((project / "patches/lore").glob("000[1-3]*"))]
    assert ["Reviewed-by: R <r@example.org>" in text for text in texts] == [False, True, False]


def test_a_series_of_an_archive_is_chosen_like_that_of_a_file(
    project: Path, kernel: Path, archive: str
) -> None:
    """b4 would take the cover letter with a range-diff for a patch, and the reviewer's for ours."""
    box = mails(kernel, "--cover-letter", "--thread")
    box = box.replace(
        b"*** BLURB HERE ***", b"What changed:\n\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b"
    )
    (project / "a.mbox").write_bytes(box)
    got, _ = harness("series", "a.mbox")
    cover, second = got["cover"]["message_id"], got["patches"][1]["message_id"]
    other = (
        f"From r@z Thu Jan  1 00:00:00 1970\nFrom: R <r@example.org>\n"
        f"Subject: [PATCH 2/3] fs: better\nMessage-ID: <better@x>\nIn-Reply-To: <{second}>\n\n"
        "Like this?\n\nSigned-off-by: R <r@x>\n---\n"
        "--- a/better\n+++ b/better\n@@ -0,0 +1 @@\n+b\n\n"
    ).encode()
    thread = gzip.compress(box + other + reply(second, "Acked-by: R <r@example.org>"))
    for ident in (cover, second, "better@x"):
        Archive.pages[f"/all/{ident}/t.mbox.gz"] = ("application/gzip", thread)
    subjects = ["fs: five", "fs: größer", "fs: seven"]
    for ident in (cover, second):
        online, said = harness("series", ident)
        assert [one["subject"] for one in online["patches"]] == subjects
        assert online["cover"]["message_id"] == cover
        assert "not used, sent by others in the same thread: 'fs: better'" in said
    theirs, _ = harness("series", "better@x", code=125)
    assert [one["subject"] for one in theirs["patches"]] == ["fs: better"]


def test_an_archive_without_the_mail(project: Path, archive: str) -> None:
    with pytest.raises(HostFault, match="b4 found no thread for <1@example") as caught:
        lore.fetch("1@example.org", project)
    assert caught.value.details
    with pytest.raises(HostFault, match="404"):
        lore.fetch(f"{archive}/nothing", project)
    Archive.pages["/page"] = ("text/html", b"<html>")
    with pytest.raises(SeriesError, match="web page"):
        lore.fetch(f"{archive}/page", project)


def test_links_to_mboxes(project: Path, kernel: Path, archive: str) -> None:
    box = mails(kernel)
    for path in ("/o/r/pull/1.patch", "/series/7/mbox/"):
        Archive.pages[path] = ("text/plain", box)
    for link in ("/o/r/pull/1", "/series/7/"):
        assert len(harness("series", archive + link)[0]["patches"]) == 3


def test_only_links_need_a_network(project: Path, kernel: Path) -> None:
    """Everything else can be read without a network."""
    (project / "a.mbox").write_bytes(mails(kernel, "--cover-letter", "--thread"))
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets us make no namespaces")
    words = [*unshare, sys.executable, "-m", "harness", "fetch", "a.mbox"]
    assert subprocess.run(words, capture_output=True).returncode == 0
    assert (project / "patches/count-in-words/series.toml").exists()
